package serving_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/serving"
)

// aged is a pipeline with a view that rolls up by age, and one per grain that
// does not.
func aged(t testing.TB, zone string) *definition.Definition {
	return parse(t, strings.ReplaceAll(`
pipeline: aged
zone: ZONE
events: {format: json, columns: {product: {type: string}, price: {type: "decimal(10,2)"}, at: {type: timestamp}}, time: at}
views:
  aged:    {by: [product], every: 1h, keep: [{for: 7d, every: 1h}, {for: 30d, every: 1d}, {every: 1mo}], measures: {n: count, total: sum(price), mean: avg(price), low: min(price)}}
  weekly:  {by: [product], every: 1d, keep: [{for: 7d, every: 1d}, {every: 1w}], measures: {n: count}}
  hourly:  {by: [product], every: 1h, measures: {n: count, total: sum(price), mean: avg(price), low: min(price)}}
  daily:   {by: [product], every: 1d, measures: {n: count, total: sum(price), mean: avg(price), low: min(price)}}
  monthly: {by: [product], every: 1mo, measures: {n: count, total: sum(price), mean: avg(price), low: min(price)}}
`, "ZONE", zone))
}

// agedFacts lie in the hundred days before the version's T and a little behind
// it, most of them around the ages at which the grain changes.
func agedFacts(rng *rand.Rand, n int) []fact {
	facts := make([]fact, n)
	for i := range facts {
		at := time.UnixMilli(now).Add(-time.Duration(rng.Int64N(int64(100 * 24 * time.Hour))))
		if rng.IntN(2) == 0 {
			around := []string{"2014-10-01", "2014-11-01", "2014-11-23", "2014-11-24", "2014-10-26"}[rng.IntN(5)]
			day, _ := time.Parse(time.DateOnly, around)
			at = day.Add(time.Duration(rng.Int64N(int64(60*time.Hour))) - 30*time.Hour)
		}
		facts[i] = fact{"product": text(fmt.Sprint(rng.IntN(2))), "price": whole(rng.Int64N(2000) - 1000), "at": whole(at.UnixMicro())}
	}
	return facts
}

// onlyRows gives the rows of an answer, one a line.
func onlyRows(t testing.TB, s *serving.Service, q serving.Query) string {
	t.Helper()
	_, rows, _ := strings.Cut(rowsOf(t, query(t, s, q)), `"rows":[`)
	rows, _, _ = strings.Cut(rows, `],`)
	return strings.TrimSpace(strings.Trim(rows, "\n "))
}

// join joins lists of rows.
func join(parts ...string) string {
	var out []string
	for _, p := range parts {
		if p != "" {
			out = append(out, strings.TrimSuffix(p, ","))
		}
	}
	return strings.Join(out, ",\n  ")
}

// steps are the days on which the grain of the view aged changes, by zone, in a
// version that was sealed at 2014-11-30T23:00:00Z: seven days before it no day
// after the second has ended, thirty days before it no month after the first.
// In Berlin both end in that very moment.
var steps = map[string]struct{ days, hours string }{
	"UTC":              {"2014-10-01", "2014-11-23"},
	"Europe/Berlin":    {"2014-11-01", "2014-11-24"},
	"Asia/Kathmandu":   {"2014-11-01", "2014-11-24"},
	"America/St_Johns": {"2014-10-01", "2014-11-23"},
}

// Without this, a bucket that was rolled up differs from the one that would have
// been kept at the coarse grain from the start, or events that come late for it
// are lost, doubled or shown beside it.
func TestRolledUpByAge(t *testing.T) {
	t.Parallel()
	for zone, step := range steps {
		t.Run(zone, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(11, uint64(len(zone))))
			w := newWorld(t, aged(t, zone), 2)
			w.fill(rng, 2, agedFacts(rng, 400)) // late ones are items of old buckets
			s := w.service(serving.Limits{})
			rows := func(view, every, from, to string) string {
				return onlyRows(t, s, serving.Query{View: view, Every: definition.Grain(every), From: from, To: to})
			}
			for name, c := range map[string][2]string{
				"as kept": {rows("aged", "", "", ""), join(rows("monthly", "", "", step.days), rows("daily", "", step.days, step.hours), rows("hourly", "", step.hours, ""))},
				// A bucket is shown, whole, if it begins in the range.
				"as kept from inside a month and a day": {rows("aged", "", "2014-09-15", "2014-11-20 05:00:00"), join(rows("monthly", "", "2014-09-15", step.days), rows("daily", "", step.days, "2014-11-20 05:00:00"))},
				"as kept from inside a day":             {rows("aged", "", "2014-11-20 05:00:00", ""), join(rows("daily", "", "2014-11-20 05:00:00", step.hours), rows("hourly", "", step.hours, ""))},
				"hours":                                 {rows("aged", "1h", step.hours, ""), rows("hourly", "", step.hours, "")},
				"days":                                  {rows("aged", "1d", step.days, ""), rows("daily", "", step.days, "")},
				"weeks":                                 {rows("aged", "1w", step.days, ""), rows("hourly", "1w", step.days, "")},
				"months":                                {rows("aged", "1mo", "", ""), rows("monthly", "", "", "")},
				"months of a range":                     {rows("aged", "1mo", "2014-09-15", "2014-11-15"), rows("monthly", "", "2014-09-15", "2014-11-15")},
				"all":                                   {rows("aged", "none", "", ""), rows("hourly", "none", "", "")},
				"all of days":                           {rows("aged", "none", step.days, step.hours), rows("daily", "none", step.days, step.hours)},
				"all up to an hour":                     {rows("aged", "none", "", "2014-11-28 05:00:00"), rows("hourly", "none", "", "2014-11-28 05:00:00")},
			} {
				if c[0] != c[1] || c[0] == "" {
					t.Errorf("%s:\n got %s\nwant %s", name, c[0], c[1])
				}
			}
			if !strings.Contains(rows("aged", "", "", step.days), "2014-09-01T00:00:00") {
				t.Error("September is no month")
			}
		})
	}
}

// Without this, an answer shows less than was asked and does not say so.
func TestFinerThanKept(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(12, 0))
	w := newWorld(t, aged(t, "UTC"), 1)
	w.fill(rng, 1, agedFacts(rng, 20))
	s := w.service(serving.Limits{})
	for name, c := range map[string]struct {
		query serving.Query
		field string
		want  string
	}{
		"hours of all time":       {serving.Query{View: "aged", Every: "1h"}, "every", "view aged keeps 1h from 2014-11-23T00:00:00Z on, and 1d before it"},
		"hours of a day too many": {serving.Query{View: "aged", Every: "1h", From: "2014-11-22"}, "every", "from 2014-11-23T00:00:00Z on"},
		"the last hour of it":     {serving.Query{View: "aged", Every: "1h", From: "2014-11-22 23:00:00"}, "every", "from 2014-11-23T00:00:00Z on"},
		"hours of last year":      {serving.Query{View: "aged", Every: "1h", From: "2013-01-01", To: "2013-01-02"}, "every", "which do not lie in buckets of 1h"},
		"days of all time":        {serving.Query{View: "aged", Every: "1d"}, "every", "view aged keeps 1d from 2014-10-01T00:00:00Z on, and 1mo before it"},
		"weeks of all time":       {serving.Query{View: "aged", Every: "1w"}, "every", "view aged keeps 1d from 2014-10-01T00:00:00Z on, and 1mo before it, which do not lie in buckets of 1w"},
		"months of weeks":         {serving.Query{View: "weekly", Every: "1mo"}, "every", "view weekly keeps 1d from 2014-11-17T00:00:00Z on, and 1w before it, which do not lie in buckets of 1mo"},
		"finer than ever kept":    {serving.Query{View: "aged", Every: "15m"}, "every", "nothing finer"},
		"from inside a day":       {serving.Query{View: "aged", Every: "none", From: "2014-11-20 05:00:00"}, "from", "lies inside a bucket of 1d that begins at 2014-11-20T00:00:00Z"},
		"to inside a month":       {serving.Query{View: "aged", Every: "none", To: "2014-09-20"}, "to", "lies inside a bucket of 1mo that begins at 2014-09-01T00:00:00Z"},
	} {
		_, err := s.Query(t.Context(), c.query)
		if wrong := (*serving.Error)(nil); !errors.As(err, &wrong) || wrong.Field != c.field || !strings.Contains(wrong.Message, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, q := range map[string]serving.Query{
		"the first hours":          {View: "aged", Every: "1h", From: "2014-11-23"},
		"from in the last hour":    {View: "aged", Every: "1h", From: "2014-11-22 23:30:00"}, // the first bucket that begins behind it is kept
		"weeks behind a Wednesday": {View: "aged", Every: "1w", From: "2014-10-01"},
		"months behind a week":     {View: "weekly", Every: "1mo", From: "2014-11-17"},
		"all weeks":                {View: "weekly", Every: "1w"},
		"all":                      {View: "aged", Every: "none", From: "2014-09-01", To: "2014-11-20"},
	} {
		if _, err := s.Query(t.Context(), q); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Without this, a day that is kept as one bucket looks like its first hour.
func TestAnswersSayHowWideBucketsAre(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(15, 0))
	w := newWorld(t, aged(t, "Europe/Berlin"), 1)
	w.fill(rng, 1, agedFacts(rng, 20))
	s := w.service(serving.Limits{})
	for _, c := range []struct {
		query       serving.Query
		json, table string
	}{
		{serving.Query{View: "aged"}, `"kept":[{"every":"1mo","before":"2014-11-01T00:00:00+01:00"},{"every":"1d","before":"2014-11-24T00:00:00+01:00"},{"every":"1h"}],`,
			"\nBuckets of 1mo before 2014-11-01T00:00:00+01:00, 1d before 2014-11-24T00:00:00+01:00, then 1h\n"},
		{serving.Query{View: "aged", Every: "1mo"}, "", ""},
		{serving.Query{View: "hourly"}, "", ""},
	} {
		a := query(t, s, c.query)
		var table strings.Builder
		must(t, a.WriteTable(&table))
		if text := show(t, a); !strings.Contains(text, c.json) || c.json == "" && strings.Contains(text, `"kept"`) {
			t.Errorf("%+v: the answer is %s", c.query, text)
		}
		if !strings.Contains(table.String(), c.table) || c.table == "" && strings.Contains(table.String(), "Buckets of") {
			t.Errorf("%+v: the table is\n%s", c.query, table.String())
		}
	}
}

// Nothing is rolled up before the first version: there is no T.
func TestNothingIsRolledUpWithoutVersion(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(13, 0))
	w := newWorld(t, aged(t, "UTC"), 1)
	shard := "shardId-000000000000"
	facts := agedFacts(rng, 100)
	w.items(rng, shard, 1, at(1000), facts)
	w.commit(shard, protocol.Row{Epoch: 1, Through: at(1000), Count: 100, MaxArrival: now})
	s := w.service(serving.Limits{})
	hourly := onlyRows(t, s, serving.Query{View: "hourly"})
	for _, every := range []definition.Grain{"", "1h"} {
		if got := onlyRows(t, s, serving.Query{View: "aged", Every: every}); got != hourly || got == "" {
			t.Errorf("every %q:\n got %s\nwant %s", every, got, hourly)
		}
	}
}

// Without this, a bucket is on two pages or on none where the grain changes.
func TestPagesOverMixedGrains(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(14, 0))
	w := newWorld(t, aged(t, "Europe/Berlin"), 2)
	w.fill(rng, 2, agedFacts(rng, 80))
	s := w.service(serving.Limits{})
	for _, order := range []string{"", "-time", "-total,time"} {
		q := serving.Query{View: "aged"}
		if order != "" {
			q.Order = serving.ParseOrder(strings.Split(order, ","))
		}
		whole := query(t, s, q)
		q.Limit = 7
		n := 0
		for more := true; more; {
			page := query(t, s, q)
			for j := range page.Len() {
				if got, want := rowText(t, page, j), rowText(t, whole, n); got != want {
					t.Fatalf("order %q, row %d: got %s, want %s", order, n, got, want)
				}
				n++
			}
			if more = page.Next != nil; more {
				q.Cursor = *page.Next
			}
		}
		if n != whole.Len() {
			t.Errorf("order %q: the pages have %d rows, the whole has %d", order, n, whole.Len())
		}
	}
	q := serving.Query{View: "aged", Limit: 3}
	q.Cursor = *query(t, s, q).Next
	q.Every, q.From = "1h", "2014-11-24"
	if _, err := s.Query(t.Context(), q); err == nil || !strings.Contains(err.Error(), "another query") {
		t.Errorf("a cursor of kept buckets goes on with hours: %v", err)
	}
}
