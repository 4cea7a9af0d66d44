package rowlogic

import (
	"fmt"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/measure"
)

// choosy has views with conditions, in an order that is not that of their names,
// and every input that measures need.
func choosy(t testing.TB) *definition.Definition {
	t.Helper()
	def, err := definition.Parse("p.yaml", []byte(`
pipeline: p
events:
  format: json
  columns:
    zip:   {type: string, optional: true}
    note:  {type: string, optional: true}
    price: {type: "decimal(12,2)", optional: true}
    heat:  {type: float, optional: true}
    n:     {type: int, optional: true}
clean:
  - drop: "n == 13"
views:
  second:
    by: [zip]
    every: none
    where: "n * 2 > 4"
    measures: {places: distinct(zip), sales: count}
  first:
    by: []
    every: none
    where: "price > 1"
    measures: {prices: "quantiles(price, 0.01)", fine: "quantiles(price, 0.005)", heats: "quantiles(heat, 0.01)", last: max(zip), few: "distinct(zip, 16)"}
`))
	if err != nil {
		t.Fatal(err)
	}
	return def
}

func TestInputs(t *testing.T) {
	t.Parallel()
	b := newLogic(t, choosy(t)).Run("s", events(
		`{"zip": "95126", "price": 16, "heat": -2.5, "n": 3}`,
		`{"zip": "a", "price": 1, "n": 2}`,
		`{}`,
		`{"zip": "95126", "price": 0, "heat": 0, "n": 13}`,
		`{"n": "x"}`,
	))
	hash := func(text string) int64 {
		return measure.Hash(column.Type{Kind: column.String}, column.Value{Str: text})
	}
	bucket := func(kind column.Kind, e string, v column.Value) int64 {
		of, err := measure.NewBuckets(column.Type{Kind: kind}, e)
		if err != nil {
			t.Fatal(err)
		}
		n, _ := of.Of(v)
		return n
	}
	null := "null"
	for name, want := range map[string][5]any{
		"ws_distinct_zip":       {hash("95126"), hash("a"), null, null, null},
		"ws_bucket_price_0_01":  {bucket(column.Int, "0.01", column.Value{Int: 1600}), bucket(column.Int, "0.01", column.Value{Int: 100}), null, null, null},
		"ws_bucket_price_0_005": {bucket(column.Int, "0.005", column.Value{Int: 1600}), bucket(column.Int, "0.005", column.Value{Int: 100}), null, null, null},
		"ws_bucket_heat_0_01":   {bucket(column.Float, "0.01", column.Value{Float: -2.5}), null, null, null, null},
		"ws_where_first":        {1, 0, 0, null, null},
		"ws_where_second":       {1, 0, 0, null, null},
	} {
		v := b.Vector(name)
		if v == nil {
			t.Errorf("there is no column %s", name)
			continue
		}
		for i := range want {
			got := fmt.Sprint(v.At(i).Int)
			if v.Nulls[i] {
				got = null
			}
			if got != fmt.Sprint(want[i]) {
				t.Errorf("%s of event %d is %s, want %v", name, i, got, want[i])
			}
		}
	}
	if len(b.Inputs) != 6 {
		t.Errorf("the batch has %d inputs", len(b.Inputs))
	}
}

// What a view could not hold, or cannot be decided, rejects the event; of several
// problems, the order of columns and then of views' names decides.
func TestWhatViewsCannotHold(t *testing.T) {
	t.Parallel()
	logic := newLogic(t, choosy(t))
	reasons := reasonSet(logic)
	long, huge := strings.Repeat("x", definition.MaxText+1), int64(1)<<62
	for _, c := range []struct{ name, event, reason string }{
		{"the longest text", fmt.Sprintf(`{"zip": "%s"}`, long[1:]), ""},
		{"a text that is too long", fmt.Sprintf(`{"zip": "%s"}`, long), "zip: longer than 4096 bytes"},
		{"bytes count, not characters", fmt.Sprintf(`{"zip": "%sé"}`, long[2:]), "zip: longer than 4096 bytes"},
		{"a long text that no view keeps", fmt.Sprintf(`{"note": "%s"}`, long), ""},
		{"the smallest magnitude", `{"heat": -1e-18}`, ""},
		{"the largest magnitude", `{"heat": 1e18}`, ""},
		{"a float too small to tell apart", `{"heat": 9e-19}`, "heat: outside the range of quantiles"},
		{"a float too large to tell apart", `{"heat": -1.1e18}`, "heat: outside the range of quantiles"},
		{"a condition that fails", fmt.Sprintf(`{"n": %d}`, huge), "expression failed: n * 2 > 4"},
		{"two problems", fmt.Sprintf(`{"n": %d, "heat": 1e300, "zip": "%s"}`, huge, long), "zip: longer than 4096 bytes"},
		{"a dropped event has none", fmt.Sprintf(`{"n": 13, "zip": "%s"}`, long), ""},
	} {
		b := logic.Run("s", events(c.event))
		if b.Reason[0] != c.reason {
			t.Errorf("%s: the reason is %q, want %q", c.name, b.Reason[0], c.reason)
		}
		checkRow(t, b, 0, reasons)
	}
}
