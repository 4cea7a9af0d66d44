package serving_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/watershed-data/watershed/internal/doubleentry"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/serving"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name string, write func(io.Writer) error) {
	t.Helper()
	var b bytes.Buffer
	must(t, write(&b))
	path := filepath.Join("testdata", name)
	if *update {
		must(t, os.WriteFile(path, b.Bytes(), 0o644))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("%s (go test -update writes it anew):\n got %s\nwant %s", name, b.Bytes(), want)
	}
}

// Without this, users' scripts break when a format changes by accident.
func TestFormats(t *testing.T) {
	t.Parallel()
	s := salesWorld(t).service(serving.Limits{})
	cases := map[string]serving.Query{
		"all":    {View: "sales"},
		"page":   {View: "sales", By: []string{"zip"}, Measures: []string{"revenue", "sales"}, Every: "1d", Order: serving.ParseOrder([]string{"-revenue"}), Limit: 1},
		"total":  {View: "sales", By: []string{}, Every: "none"},
		"nobody": {View: "sales", From: "2020-01-01"},
	}
	for name, q := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := query(t, s, q)
			golden(t, name+".json", a.WriteJSON)
			golden(t, name+".csv", a.WriteCSV)
			golden(t, name+".txt", a.WriteTable)
		})
	}
	t.Run("before the first version", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, parse(t, sales), 1)
		a := query(t, w.service(serving.Limits{}), serving.Query{View: "daily"})
		golden(t, "empty.json", a.WriteJSON)
		golden(t, "empty.txt", a.WriteTable)
	})
	t.Run("status of a batch layer that fails", func(t *testing.T) {
		t.Parallel()
		s := salesWorld(t).service(serving.Limits{})
		s.Batch = func(context.Context) (doubleentry.Standing, error) { return failing(), nil }
		st, err := s.Status(t.Context())
		must(t, err)
		st.Generation = "generation"
		golden(t, "failing.json", func(w io.Writer) error {
			e := json.NewEncoder(w)
			e.SetIndent("", " ")
			return e.Encode(st.Batch)
		})
		golden(t, "failing.txt", st.WriteTable)
	})
	t.Run("status", func(t *testing.T) {
		t.Parallel()
		st, err := s.Status(t.Context())
		must(t, err)
		st.Generation = "generation" // changes with every new rule of definitions
		golden(t, "status.json", st.WriteJSON)
		golden(t, "status.txt", st.WriteTable)
	})
}

// Without this, the same cell has another value in another format.
func TestFormatsHoldEqualValues(t *testing.T) {
	t.Parallel()
	a := query(t, salesWorld(t).service(serving.Limits{}), serving.Query{View: "sales"})
	var asCSV bytes.Buffer
	must(t, a.WriteCSV(&asCSV))
	records, err := csv.NewReader(&asCSV).ReadAll()
	must(t, err)
	var parsed struct {
		Rows []map[string]any `json:"rows"`
	}
	d := json.NewDecoder(bytes.NewReader([]byte(show(t, a))))
	d.UseNumber()
	must(t, d.Decode(&parsed))
	if len(records) != a.Len()+1 || len(parsed.Rows) != a.Len() {
		t.Fatalf("CSV has %d lines, JSON has %d rows, the answer has %d", len(records), len(parsed.Rows), a.Len())
	}
	for i := range a.Len() {
		values, err := a.Row(i)
		must(t, err)
		for j, v := range values {
			c := a.Columns[j]
			if got := records[i+1][j]; got != v.Text {
				t.Errorf("row %d, %s: CSV has %q, the answer %q", i, c.Name, got, v.Text)
			}
			var got string
			x := parsed.Rows[i][c.Name]
			switch x := x.(type) {
			case string:
				got = x
			case json.Number:
				got = x.String()
			}
			if got != v.Text || (x == nil) != v.Null {
				t.Errorf("row %d, %s: JSON has %v, the answer %+v", i, c.Name, x, v)
			}
		}
	}
}

// failing is a batch layer that has not published since a shard lost events that
// the log no longer holds; before, it repaired another one.
func failing() doubleentry.Standing {
	at := func(minute int) time.Time { return time.Date(2014, 11, 30, 23, minute, 0, 0, time.UTC) }
	none := []string{}
	repaired := doubleentry.Balance{At: at(10), Watershed: at(9), Equal: true, Shards: []doubleentry.Shard{
		{Shard: "shardId-000000000000", Equal: true, Ledger: 7, Master: 7, Missing: 2, Repaired: 2, Spans: []string{"(1007:0, 1021:0]"}, SurplusAt: none, DifferingAt: none},
	}}
	now := doubleentry.Balance{At: at(40), Watershed: at(39), Shards: []doubleentry.Shard{
		{Shard: "shardId-000000000000", Equal: true, Ledger: 9, Master: 9, Spans: none, SurplusAt: none, DifferingAt: none},
		{Shard: "shardId-000000000001", Ledger: 12, Master: 11, Lost: 1, Spans: none, SurplusAt: none, DifferingAt: none, Why: "events in (beginning, 1028:0]: 4 in the ledger and 3 in the master dataset, and the log no longer holds them: it begins after 1028:0"},
	}}
	return doubleentry.Standing{
		Last:    &doubleentry.Run{At: at(40), Result: doubleentry.Failed, Error: "they disagree"},
		Failing: &doubleentry.Failure{Since: at(20), Runs: 3, Mismatch: true, Error: "they disagree"},
		Balance: &now, Repair: &repaired, Failed: 3, Repaired: 2,
	}
}

// Without this, people take an answer for complete and fresh that is not.
func TestFreshness(t *testing.T) {
	t.Parallel()
	const a, b = "shardId-000000000000", "shardId-000000000001"
	committed := protocol.Row{Through: at(1007), Count: 1, MaxArrival: now - 5000}
	pending := func(since int64) protocol.Row {
		row := committed
		row.Pending = &protocol.Pending{Through: at(1014), Since: since}
		return row
	}
	cases := map[string]struct {
		events   []string // the shards of the events, in their order
		rows     map[string]protocol.Row
		fresh    string
		why      string
		reshards bool
	}{
		"read to the tip":            {[]string{a}, map[string]protocol.Row{a: committed, b: {}}, "2014-12-01T00:00:00Z", "", false},
		"one is behind":              {[]string{a, a}, map[string]protocol.Row{a: committed, b: {}}, "2014-11-30T23:59:55Z", "", false},
		"nothing committed":          {[]string{a, b}, map[string]protocol.Row{a: committed, b: {}}, "", "", false},
		"young pending batch":        {[]string{a, a}, map[string]protocol.Row{a: pending(now - 60_000), b: {}}, "2014-11-30T23:59:55Z", "", false},
		"old pending batch":          {[]string{a, a}, map[string]protocol.Row{a: pending(now - 61_000), b: {}}, "2014-11-30T23:59:55Z", "shard " + a + " has a batch up to 1014:0 pending for 1m1s", false},
		"no ledger row":              {[]string{a}, map[string]protocol.Row{a: committed}, "2014-12-01T00:00:00Z", "shard " + b + " has no ledger row yet: none of its events are in the answer", false},
		"drained parent":             {[]string{a}, map[string]protocol.Row{a: committed, b: {}, "shardId-000000000002": {}}, "2014-12-01T00:00:00Z", "", true},
		"parent that is not drained": {[]string{a, a}, map[string]protocol.Row{a: committed, b: {}, "shardId-000000000002": {}}, "2014-11-30T23:59:55Z", "", true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, parse(t, sales), 2)
			for _, shard := range c.events {
				w.log.Append(shard, "k", now-5000, []byte("{}"))
			}
			if c.reshards {
				w.log.Reshard([]string{a}, 1)
			}
			for shard, row := range c.rows {
				w.commit(shard, row)
			}
			got := query(t, w.service(serving.Limits{}), serving.Query{View: "sales"})
			fresh := ""
			if got.Freshness != nil {
				fresh = *got.Freshness
			}
			if fresh != c.fresh || got.Why != c.why || got.Complete != (c.why == "") {
				t.Errorf("fresh to %q, complete %v, why %q; want fresh to %q, why %q", fresh, got.Complete, got.Why, c.fresh, c.why)
			}
		})
	}
}

// tips is what somebody noted of a log that is not asked.
type tips map[string]protocol.Tip

func (t tips) Tips(context.Context, *protocol.Snapshot) (map[string]protocol.Tip, error) {
	return t, nil
}

// Without this, an answer is said to be fresher than anybody knows, where the log is
// not asked.
func TestFreshnessOfALogThatIsNotAsked(t *testing.T) {
	t.Parallel()
	const a, b, child = "shardId-000000000000", "shardId-000000000001", "shardId-000000000002"
	committed := protocol.Row{Through: at(1007), Count: 1, MaxArrival: now - 5000}
	later := protocol.Tip{At: now - 1000}
	for name, c := range map[string]struct {
		tips     tips
		rows     map[string]protocol.Row
		reshards bool
		fresh    string
		drained  int
	}{
		"nobody knows":              {nil, map[string]protocol.Row{a: committed, b: committed}, false, "2014-11-30T23:59:55Z", 0},
		"nothing is committed":      {nil, map[string]protocol.Row{a: committed, b: {}}, false, "", 0},
		"both were read to the tip": {tips{a: later, b: {At: now - 2000}}, map[string]protocol.Row{a: committed, b: {}}, false, "2014-11-30T23:59:58Z", 0},
		"one was":                   {tips{b: later}, map[string]protocol.Row{a: committed, b: {}}, false, "2014-11-30T23:59:55Z", 0},
		"a closed shard":            {tips{b: later, child: later}, map[string]protocol.Row{a: committed, b: {}}, true, "2014-11-30T23:59:55Z", 0},
		"one that was closed later": {tips{a: {At: now - 3000}, b: later, child: later}, map[string]protocol.Row{a: committed, b: {}}, true, "2014-11-30T23:59:57Z", 0},
		"one that was closed then":  {tips{a: {At: now - 3000, Ended: true}, b: later, child: later}, map[string]protocol.Row{a: committed, b: {}}, true, "2014-11-30T23:59:59Z", 1},
		"one whose child has begun": {tips{b: later, child: later}, map[string]protocol.Row{a: committed, b: {}, child: {}}, true, "2014-11-30T23:59:59Z", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, parse(t, sales), 2)
			if c.reshards {
				w.log.Reshard([]string{a}, 1)
			}
			for shard, row := range c.rows {
				w.commit(shard, row)
			}
			s := w.service(serving.Limits{})
			s.Tips = c.tips
			got := query(t, s, serving.Query{View: "sales"})
			fresh := ""
			if got.Freshness != nil {
				fresh = *got.Freshness
			}
			if fresh != c.fresh {
				t.Errorf("fresh to %q, want %q", fresh, c.fresh)
			}
			status, err := s.Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var text strings.Builder
			must(t, status.WriteTable(&text))
			if strings.Contains(text.String(), " drained ") != (c.drained > 0) {
				t.Errorf("%d shards are drained:\n%s", c.drained, &text)
			}
		})
	}
}
