package oracle

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/protocol"
)

const sales = `
pipeline: sales
events:
  format: json
  columns:
    zipcode: {type: string}
    product: {type: string, from: item.name}
    price:   {type: decimal(12,2)}
    sold_at: {type: timestamp}
    pieces:  {type: int, optional: true}
  time: sold_at
clean:
  - set: {product: "lower(trim(product))"}
  - default: {zipcode: "00000"}
  - set: {region: "substr(zipcode, 0, 3)", doubled: "price * 2"}
  - require: "price >= 0"
    reason: negative price
  - drop: "product == 'test'"
views:
  by_product:
    by: [product, region]
    every: 1h
    measures: {sales: count, revenue: sum(doubled), pieces: sum(pieces), least: min(pieces), dearest: max(price), average: avg(price), last: max(sold_at)}
  all_time:
    by: []
    every: none
    measures: {sales: count, first: min(zipcode), mean: avg(pieces)}
`

func parse(t testing.TB, text string) *definition.Definition {
	t.Helper()
	def, err := definition.Parse("pipeline.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return def
}

func events(data ...string) []protocol.Event {
	var out []protocol.Event
	for i, d := range data {
		out = append(out, protocol.Event{Position: protocol.Position{Seq: fmt.Sprint(i + 1)}, Data: []byte(d), Last: true})
	}
	return out
}

// texts gives all cells of a view, sorted.
func texts(o *Oracle, view string) []string {
	var out []string
	for c := range o.Cells(view) {
		out = append(out, fmt.Sprintf("%s %v", c.Key, c.Values))
	}
	slices.Sort(out)
	return out
}

func TestCellsComputedByHand(t *testing.T) {
	t.Parallel()
	o := New(parse(t, sales))
	log := o.Log("shard")
	for _, ev := range events(
		`{"zipcode":95126,"item":{"name":" Tea "},"price":16,"sold_at":"2014-11-01 19:35:41.158","pieces":3}`,
		`{"zipcode":"95199","item":{"name":"tea"},"price":"0.01","sold_at":1414870800}`,
		`{"item":{"name":"TEA"},"price":1.50,"sold_at":"2014-11-01T20:00:00+01:00","pieces":-7}`,
		`{"zipcode":"1","item":{"name":"test"},"price":1,"sold_at":0}`,
		`{"zipcode":"1","item":{"name":"tea"},"price":-0.01,"sold_at":0}`,
		`{"zipcode":"1","item":{"name":"tea"},"price":1}`,
		`{"zipcode":"1","item":"tea","price":1,"sold_at":0}`,
		`{"zipcode":"1","item":{"name":"tea"},"price":1.005,"sold_at":0}`,
		`{"zipcode":"1","item"`,
	) {
		log.Add(ev)
	}
	for view, want := range map[string][]string{
		"by_product": {
			`2014-11-01T19:00:00Z "tea" "000" [1 3.00 -7 -7 1.50 1.50000000 2014-11-01T19:00:00Z]`,
			`2014-11-01T19:00:00Z "tea" "951" [2 32.02 3 3 16.00 8.00500000 2014-11-01T19:40:00Z]`,
		},
		"all_time": {` [3 "00000" -2.000000]`},
		definition.OutcomesView: {
			`"accepted" null [3]`,
			`"dropped" null [1]`,
			`"rejected" "missing sold_at" [1]`,
			`"rejected" "negative price" [1]`,
			`"rejected" "not JSON" [1]`,
			`"rejected" "price: not a decimal(12,2)" [1]`,
			`"rejected" "product: wrong type" [1]`,
		},
	} {
		if got := texts(o, view); !slices.Equal(got, want) {
			t.Errorf("%s:\n got %q\nwant %q", view, got, want)
		}
	}
}

func TestOnlyNamedViewsAreKept(t *testing.T) {
	t.Parallel()
	o := New(parse(t, sales), "all_time")
	o.Log("shard").Add(events(`{"item":{"name":"tea"},"price":1,"sold_at":0}`)[0])
	if got := texts(o, "by_product"); got != nil {
		t.Errorf("cells of a view that was not asked for: %q", got)
	}
	if _, ok := o.Cell("all_time", ""); !ok {
		t.Error("the one cell of the view that was asked for is missing")
	}
}

func TestAveragesRoundHalfToEven(t *testing.T) {
	t.Parallel()
	m := definition.Measure{Func: definition.Avg, Column: "x", Type: column.Type{Kind: column.Int}}
	for _, c := range []struct {
		values []int64
		want   string
	}{
		{[]int64{1, 2}, "1.500000"},
		{[]int64{1, 0, 0}, "0.333333"},
		{[]int64{2, 0, 0}, "0.666667"},
		{append(make([]int64, 127), 1), "0.007812"},   // 0.0078125: down to the even digit
		{append(make([]int64, 127), 3), "0.023438"},   // 0.0234375: up to it
		{append(make([]int64, 127), -1), "-0.007812"}, // and so below zero
		{append(make([]int64, 127), -3), "-0.023438"},
	} {
		var cell tally
		for _, v := range c.values {
			cell.add(m, column.Value{Int: v})
		}
		if got := cell.text(m); got != c.want {
			t.Errorf("the average of %d values is %s, want %s", len(c.values), got, c.want)
		}
	}
}

func TestBucketsWhereClocksChange(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		zone  string
		grain definition.Grain
		at    string
		want  string
	}{
		{"UTC", definition.FiveMinutes, "1969-12-31T23:59:59.999Z", "1969-12-31T23:55:00Z"},
		{"UTC", definition.Week, "2026-11-22T12:00:00Z", "2026-11-16T00:00:00Z"},
		{"America/New_York", definition.Day, "2026-03-08T12:00:00Z", "2026-03-08T05:00:00Z"},
		{"America/New_York", definition.Month, "2026-11-23T12:00:00Z", "2026-11-01T04:00:00Z"},
		// The hour from 1:00 is passed twice: two buckets.
		{"America/New_York", definition.Hour, "2026-11-01T05:59:00Z", "2026-11-01T05:00:00Z"},
		{"America/New_York", definition.Hour, "2026-11-01T06:01:00Z", "2026-11-01T06:00:00Z"},
		// Midnight is skipped, and is passed twice.
		{"America/Sao_Paulo", definition.Day, "2018-11-04T15:00:00Z", "2018-11-04T03:00:00Z"},
		{"America/Havana", definition.Day, "2018-11-04T15:00:00Z", "2018-11-04T04:00:00Z"},
		// The clock changes inside an hour.
		{"Australia/Lord_Howe", definition.Hour, "2026-10-03T15:31:00Z", "2026-10-03T15:30:00Z"},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := timeText(bucket(c.grain, zone, at)); got != c.want {
			t.Errorf("%s of %s in %s begins at %s, want %s", c.grain, c.at, c.zone, got, c.want)
		}
	}
}
