package serving_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/memory"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/serving"
)

const sales = `
pipeline: sales
zone: Europe/Berlin
events:
  format: json
  columns: {product: {type: string, optional: true}, zip: {type: string}, price: {type: "decimal(12,2)", optional: true}, quantity: {type: int}, at: {type: timestamp}}
  time: at
views:
  sales: {by: [product, zip], every: 1h, measures: {sales: count, revenue: sum(price), pieces: sum(quantity), cheapest: min(price), average: avg(price), last: max(at)}}
  daily: {by: [product], every: 1d, measures: {sales: count}}
`

// salesWorld is a small pipeline with a version and real-time items.
func salesWorld(t testing.TB) *world {
	w := newWorld(t, parse(t, sales), 1)
	const hour = int64(1414868400000000) // 2014-11-01T19:00:00Z
	w.publish([]fact{
		{"product": text("product2"), "zip": text("95126"), "price": whole(1600), "quantity": whole(1), "at": whole(hour + 5)},
		{"product": text("product2"), "zip": text("95126"), "price": whole(1601), "quantity": whole(-3), "at": whole(hour + 123456)},
		{"product": column.Null, "zip": text(""), "price": column.Null, "quantity": whole(1 << 62), "at": whole(hour)},
	}, 1)
	shard := memory.ShardID(0)
	w.log.Append(shard, "k", now-5000, []byte("{}"))
	w.commit(shard, protocol.Row{Epoch: 1, Through: at(1007), Count: 1, MaxArrival: now - 5000})
	for key, states := range w.cells(must1(w.def.View("sales")), []fact{
		{"product": text("quote \" comma , line\nend"), "zip": text("tab\t\x1b[31m"), "price": whole(-5), "quantity": whole(0), "at": whole(hour + 3600e6)},
		{"product": text("日本 & <b>"), "zip": text("null"), "price": whole(5), "quantity": whole(0), "at": whole(hour + 3600e6)},
	}) {
		w.put(protocol.Item{ItemID: protocol.ItemID{Key: key, Epoch: 1, Shard: shard}, Cur: encode(w, "sales", states), Through: at(1007)})
	}
	return w
}

// Without this, a wrong query is answered, or its message does not help.
func TestWrongQueries(t *testing.T) {
	t.Parallel()
	s := salesWorld(t).service(serving.Limits{Groups: 3})
	cases := map[string]struct {
		query serving.Query
		code  serving.Code
		field string
		says  string
	}{
		"no view":           {serving.Query{}, serving.Invalid, "view", "sales, daily, ws_outcomes"},
		"unknown view":      {serving.Query{View: "sale"}, serving.NotFound, "view", "sales, daily, ws_outcomes"},
		"unknown dimension": {serving.Query{View: "sales", By: []string{"city"}}, serving.Invalid, "by", "it has product, zip"},
		"twice by":          {serving.Query{View: "sales", By: []string{"zip", "zip"}}, serving.Invalid, "by", "zip is named twice"},
		"lookup":            {serving.Query{View: "sales", By: []string{"product.category"}}, serving.Invalid, "by", "declare one in lookups"},
		"unknown measure":   {serving.Query{View: "sales", Measures: []string{"sum"}}, serving.Invalid, "measures", "it has sales, revenue, pieces"},
		"finer":             {serving.Query{View: "daily", Every: "1h"}, serving.Invalid, "every", "view daily keeps 1d, and nothing finer; write one of 1d, 1w, 1mo, none"},
		"no grain":          {serving.Query{View: "sales", Every: "2h"}, serving.Invalid, "every", `"2h" is no grain`},
		"finer than none":   {serving.Query{View: "ws_outcomes", Every: "1d"}, serving.Invalid, "every", "one bucket over all time (every: none), and nothing finer; leave every out, or declare a view with every: 1d"},
		"from none":         {serving.Query{View: "ws_outcomes", From: "2013-01-01"}, serving.Invalid, "from", "keeps no time"},
		"to none":           {serving.Query{View: "ws_outcomes", To: "2013-01-01"}, serving.Invalid, "to", "keeps no time"},
		"from after to":     {serving.Query{View: "sales", From: "2013-01-02", To: "2013-01-01"}, serving.Invalid, "from", "2013-01-02T00:00:00+01:00"},
		"from is to":        {serving.Query{View: "sales", From: "2013-01-02", To: "2013-01-02"}, serving.Invalid, "from", "must be before"},
		"year alone":        {serving.Query{View: "sales", From: "2013"}, serving.Invalid, "from", "2013-01-31"},
		"no such day":       {serving.Query{View: "sales", To: "2013-02-29"}, serving.Invalid, "to", "2013-02-29"},
		"skipped time":      {serving.Query{View: "sales", To: "2014-03-30 02:30:00"}, serving.Invalid, "to", "skip"},
		"unknown order":     {serving.Query{View: "sales", Order: serving.ParseOrder([]string{"-sale"})}, serving.Invalid, "order", "time, product, zip, sales"},
		"twice order":       {serving.Query{View: "sales", Order: serving.ParseOrder([]string{"zip", "-zip"})}, serving.Invalid, "order", "twice"},
		"order by no time":  {serving.Query{View: "sales", Every: "none", Order: serving.ParseOrder([]string{"time"})}, serving.Invalid, "order", "no column"},
		"negative limit":    {serving.Query{View: "sales", Limit: -1}, serving.Invalid, "limit", "at least 1"},
		"no cursor":         {serving.Query{View: "sales", Cursor: "abc"}, serving.Invalid, "cursor", "no cursor"},
		"empty cursor":      {serving.Query{View: "sales", Cursor: "e30"}, serving.Invalid, "cursor", "no cursor"},
		"too large":         {serving.Query{View: "sales"}, serving.TooLarge, "", "narrow it"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, err := s.Query(t.Context(), c.query)
			var e *serving.Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, %v", a, err)
			}
			if e.Code != c.code || e.Field != c.field || !strings.Contains(e.Message, c.says) {
				t.Errorf("got %s, %s, %s; want %s, %s, something with %q", e.Code, e.Field, e.Message, c.code, c.field, c.says)
			}
		})
	}
}

// Without this, the next page of another query, or of a version that is gone, is
// rows that fit no page before.
func TestCursorsAreBound(t *testing.T) {
	t.Parallel()
	w := salesWorld(t)
	s := w.service(serving.Limits{})
	q := serving.Query{View: "sales", Limit: 1}
	q.Cursor = *query(t, s, q).Next
	refused := func(q serving.Query, says string) {
		t.Helper()
		_, err := s.Query(t.Context(), q)
		var e *serving.Error
		if !errors.As(err, &e) || e.Code != serving.Invalid || e.Field != "cursor" || !strings.Contains(e.Message, says) {
			t.Errorf("%+v: got %v", q, err)
		}
	}
	other := q
	other.Order = serving.ParseOrder([]string{"-time"})
	refused(other, "another query")
	other = q
	other.By = []string{"zip"}
	refused(other, "another query")
	larger := q
	larger.Limit = 2
	if a := query(t, s, larger); a.Len() != 2 {
		t.Errorf("a page of another size has %d rows", a.Len())
	}
	w.manifest.Version, w.manifest.Seq, w.manifest.Views = "v00000002-b", 2, map[string][]protocol.ViewFile{}
	w.publish(nil, 0)
	refused(q, "v00000001-a")
}

// Without this, times of queries mean another hour than those of the pipeline.
func TestRanges(t *testing.T) {
	t.Parallel()
	s := salesWorld(t).service(serving.Limits{})
	// The hours are 20:00 and 21:00 in Berlin, of 2014-11-01.
	for bounds, want := range map[[2]string]int{
		{"", ""}:                     4,
		{"2014-11-01", "2014-11-02"}: 4,
		{"2014-11-01 20:00:00", "2014-11-01 21:00:00"}:          2,
		{"2014-11-01 20:00:01", ""}:                             2, // a bucket that began before is not shown in part
		{"", "2014-11-01 21:00:01"}:                             4, // and one that began in range is shown whole
		{"2014-11-01T20:00:00Z", "2014-11-01T22:00:00Z"}:        2,
		{"2014-11-01T19:00:00Z", "2014-11-01T20:00:00.000001Z"}: 4,
		{"2014-11-02", ""}:                                      0,
	} {
		if got := query(t, s, serving.Query{View: "sales", From: bounds[0], To: bounds[1]}).Len(); got != want {
			t.Errorf("%q: got %d rows, want %d", bounds, got, want)
		}
	}
	day := serving.Query{View: "sales", By: []string{}, Every: "1d", From: "2014-11-01 05:00:00"}
	if n := query(t, s, day).Len(); n != 0 {
		t.Errorf("a day that began before from is shown: %d rows", n)
	}
	total := serving.Query{View: "sales", By: []string{}, Measures: []string{"sales"}, Every: "none", From: "2014-11-01 21:00:00"}
	if row := rowText(t, query(t, s, total), 0); row != "[{Null:false Text:2}]" {
		t.Errorf("the total of the last hour is %s", row)
	}
}

// Without this, a sum beyond 38 digits breaks off an answer in its middle.
func TestSumOutOfRange(t *testing.T) {
	t.Parallel()
	w := newWorld(t, parse(t, sales), 1)
	v, _ := w.def.View("sales")
	all := w.cells(v, []fact{{"product": text("a"), "zip": text("b"), "price": whole(1), "quantity": whole(1), "at": whole(0)}})
	for key, states := range all {
		states[1].Sum.Hi = math.MaxInt64
		w.put(protocol.Item{ItemID: protocol.ItemID{Key: key, Shard: memory.ShardID(0)}, Cur: encode(w, "sales", states), Through: at(7)})
	}
	w.commit(memory.ShardID(0), protocol.Row{Through: at(7)})
	for _, order := range [][]string{nil, {"revenue"}} {
		_, err := w.service(serving.Limits{}).Query(t.Context(), serving.Query{View: "sales", Order: serving.ParseOrder(order)})
		var e *serving.Error
		if !errors.As(err, &e) || e.Code != serving.OutOfRange || !strings.Contains(e.Message, "38 digits") {
			t.Errorf("order by %v: got %v", order, err)
		}
	}
}
