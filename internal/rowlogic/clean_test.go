package rowlogic

import (
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
)

// parse reads a sales pipeline with the given steps of clean, one a line.
func parse(t testing.TB, steps ...string) *definition.Definition {
	t.Helper()
	text := `
pipeline: sales
zone: Europe/Berlin
events:
  format: json
  columns:
    zipcode:  {type: string}
    product:  {type: string, from: ProductName, optional: true}
    price:    {type: decimal(12,2), optional: true}
    discount: {type: decimal(4,3), optional: true}
    amount:   {type: int, optional: true}
    sold_at:  {type: timestamp, from: timestamp, zone: UTC}
  time: sold_at
clean:
` + "  - " + strings.Join(steps, "\n  - ") + `
views:
  by_product: {by: [product], every: 1h, measures: {sales: count}}
  by_day:     {by: [], every: 1d, measures: {revenue: sum(price)}}
`
	if len(steps) == 0 {
		text = strings.Replace(text, "clean:\n  - \n", "", 1)
	}
	def, err := definition.Parse("pipeline.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return def
}

func TestCleaning(t *testing.T) {
	t.Parallel()
	const rest = `,"zipcode":"1","timestamp":0}`
	cases := []struct {
		name           string
		steps          []string
		event          string
		outcome        Outcome
		reason, detail string
		row            string
	}{
		{"set standardises", []string{`set: {product: "lower(trim(product))"}`}, `{"ProductName":" RED  "` + rest,
			Accepted, "", "", "zipcode=1 product=red sold_at=1970-01-01T00:00:00Z"},
		{"set of a null stays null", []string{`set: {product: "lower(product)"}`}, `{"price":1` + rest,
			Accepted, "", "", "zipcode=1 price=1.00 sold_at=1970-01-01T00:00:00Z"},
		{"set creates a column", []string{`set: {region: "substr(zipcode, 0, 3)"}`}, `{"zipcode":95126,"timestamp":0}`,
			Accepted, "", "", "zipcode=95126 sold_at=1970-01-01T00:00:00Z region=951"},
		{"assignments of one step see the values before it", []string{`set: {product: zipcode, zipcode: product}`}, `{"ProductName":"p"` + rest,
			Accepted, "", "", "zipcode=p product=1 sold_at=1970-01-01T00:00:00Z"},
		{"steps see the steps before them", []string{`set: {product: zipcode}`, `set: {zipcode: product}`}, `{"ProductName":"p"` + rest,
			Accepted, "", "", "zipcode=1 product=1 sold_at=1970-01-01T00:00:00Z"},
		{"a copy does not follow its original", []string{`set: {copy: product}`, `default: {product: "none"}`}, `{"price":1` + rest,
			Accepted, "", "", "zipcode=1 product=none price=1.00 sold_at=1970-01-01T00:00:00Z"},
		{"a decimal of a smaller scale is rescaled", []string{`set: {discount: "price"}`}, `{"price":0.5` + rest,
			Accepted, "", "", "zipcode=1 price=0.50 discount=0.500 sold_at=1970-01-01T00:00:00Z"},
		{"a decimal that does not fit rejects", []string{`set: {discount: "price"}`}, `{"price":-10.25` + rest,
			Rejected, "discount: does not fit decimal(4,3)", "setting discount: -10.25 does not fit decimal(4,3)", ""},
		{"a sum with more digits than the column has", []string{`set: {price: "price + price"}`}, `{"price":9999999999.99` + rest,
			Rejected, "price: does not fit decimal(12,2)", "19999999999.98", ""},
		{"an expression that fails rejects", []string{`set: {amount: "amount * amount"}`}, `{"amount":9223372036854775807` + rest,
			Rejected, "expression failed: amount * amount", "setting amount: ", ""},
		{"default fills nulls only", []string{`default: {product: "none", price: 2}`}, `{"ProductName":"p"` + rest,
			Accepted, "", "", "zipcode=1 product=p price=2.00 sold_at=1970-01-01T00:00:00Z"},
		{"default before the check of required columns", []string{`default: {zipcode: "00000"}`}, `{"timestamp":0}`,
			Accepted, "", "", "zipcode=00000 sold_at=1970-01-01T00:00:00Z"},
		{"a default event time", []string{`default: {sold_at: "2014-11-01T00:00:00Z"}`}, `{"zipcode":"1"}`,
			Accepted, "", "", "zipcode=1 sold_at=2014-11-01T00:00:00Z"},
		{"require that holds", []string{`require: "price >= 0"`}, `{"price":0` + rest,
			Accepted, "", "", "zipcode=1 price=0.00 sold_at=1970-01-01T00:00:00Z"},
		{"require that is false", []string{`{require: "price >= 0", reason: negative price}`}, `{"price":-3` + rest,
			Rejected, "negative price", "price >= 0 is false for price = -3.00", ""},
		{"require that is null", []string{`require: "price >= 0 && product != 'x'"`}, `{"ProductName":"p"` + rest,
			Rejected, "price >= 0 && product != 'x'", `is null for price = null, product = "p"`, ""},
		{"drop that is true", []string{`drop: "product == 'test'"`}, `{"ProductName":"test"` + rest,
			Dropped, "", "", "zipcode=1 product=test sold_at=1970-01-01T00:00:00Z"},
		{"drop that is false", []string{`drop: "product == 'test'"`}, `{"ProductName":"p"` + rest,
			Accepted, "", "", "zipcode=1 product=p sold_at=1970-01-01T00:00:00Z"},
		{"drop that is null", []string{`drop: "product == 'test'"`}, `{"price":1` + rest,
			Accepted, "", "", "zipcode=1 price=1.00 sold_at=1970-01-01T00:00:00Z"},
		{"a dropped row is not checked further, and keeps its values", []string{`drop: "product == 'test'"`, `set: {product: "'other'"}`, `default: {price: 1}`, `require: "price > 5"`}, `{"ProductName":"test"}`,
			Dropped, "", "", "product=test"},
		{"a rejected row is not dropped after", []string{`require: "price > 5"`, `drop: "product == 'test'"`}, `{"ProductName":"test","price":1` + rest,
			Rejected, "price > 5", "price = 1.00", ""},
		{"a drop that fails", []string{`drop: "amount + 1 > 0"`}, `{"amount":9223372036854775807` + rest,
			Rejected, "expression failed: amount + 1 > 0", "dropping: ", ""},
		{"a require that fails", []string{`require: "amount + 1 > 0"`}, `{"amount":9223372036854775807` + rest,
			Rejected, "expression failed: amount + 1 > 0", "requiring: ", ""},
		{"the first problem decides", []string{`require: "price > 5"`, `require: "price > 7"`}, `{"price":1}`,
			Rejected, "price > 5", "price = 1.00", ""},
		{"required columns come last", nil, `{"timestamp":0}`, Rejected, "missing zipcode", "zipcode is null after clean", ""},
		{"clean has made it null", []string{`set: {zipcode: product}`}, `{"price":1` + rest, Rejected, "missing zipcode", "zipcode", ""},
		{"nothing of a value gets out of its quotes", []string{`require: "product == 'p'"`}, `{"ProductName":"\u001b[31m\u202e\n` + strings.Repeat("é", 1000) + `"` + rest,
			Rejected, "product == 'p'", `product = "\x1b[31m\u202e\nééé`, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			def := parse(t, c.steps...)
			logic := newLogic(t, def)
			b := logic.Run("shard", events(c.event))
			if b.Outcome[0] != c.outcome || b.Reason[0] != c.reason || !strings.Contains(b.Detail[0], c.detail) {
				t.Fatalf("got %s for %q (%s)\nwant %s for %q (%s)", b.Outcome[0], b.Reason[0], b.Detail[0], c.outcome, c.reason, c.detail)
			}
			if got := row(b, def.Columns, 0); got != c.row {
				t.Errorf("row\n got %q\nwant %q", got, c.row)
			}
			checkRow(t, b, 0, reasonSet(logic))
		})
	}
}

func TestTimeBucketsFollowTheZone(t *testing.T) {
	t.Parallel()
	b := newLogic(t, parse(t, `drop: "product == 'test'"`)).Run("shard", events(
		`{"zipcode":"1","timestamp":"2014-11-01 22:59:59"}`,
		`{"zipcode":"1","timestamp":"2014-11-01 23:30:00"}`, // past midnight in Berlin
		`{"zipcode":"1","timestamp":"never"}`,
		`{"ProductName":"test"}`,
	))
	cases := []struct {
		grain definition.Grain
		want  []string
	}{
		{definition.Hour, []string{"2014-11-01T22:00:00Z", "2014-11-01T23:00:00Z", "", ""}},
		{definition.Day, []string{"2014-10-31T23:00:00Z", "2014-11-01T23:00:00Z", "", ""}},
		{definition.None, []string{"1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"}},
	}
	if len(b.Times) != len(cases) {
		t.Errorf("%d grains are computed, %d are in use", len(b.Times), len(cases))
	}
	for _, c := range cases {
		for i, want := range c.want {
			times := b.Times[c.grain]
			if got := column.FormatText(times.Type, times.At(i)); got != want {
				t.Errorf("row %d lies in the bucket %q of %s, want %q", i, got, c.grain, want)
			}
		}
	}
}

// Vector is what the built-in view of outcomes groups by.
func TestOutcomesAreColumns(t *testing.T) {
	t.Parallel()
	b := newLogic(t, parse(t, `drop: "product == 'test'"`)).Run("shard", events(
		`{"zipcode":"1","timestamp":0}`, `{"ProductName":"test"}`, `{}`))
	outcomes, reasons := b.Vector(definition.OutcomeColumn), b.Vector(definition.ReasonColumn)
	want := []struct {
		outcome string
		reason  column.Value
	}{
		{"accepted", column.Null}, {"dropped", column.Null}, {"rejected", column.Value{Str: "missing zipcode"}},
	}
	for i, w := range want {
		if outcomes.At(i).Str != w.outcome || reasons.At(i) != w.reason {
			t.Errorf("row %d is counted under %+v, %+v; want %+v", i, outcomes.At(i), reasons.At(i), w)
		}
	}
	if b.Vector("nothing") != nil {
		t.Error("an unknown column has a vector")
	}
	if b.Vector("zipcode") != b.Columns[0] {
		t.Error("zipcode is not the first column")
	}
}
