package serving_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/measure"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/serving"
)

// pairs are views that keep fine cells and, for each, a coarse view and the
// query on the fine one that must give the same.
var pairs = []struct{ fine, coarse definition.View }{
	{kept(definition.Minute, "product", "zip", "sold"), kept(definition.Hour, "product")},
	{kept(definition.FiveMinutes, "zip", "product", "open"), kept(definition.Day, "product", "zip")},
	{kept(definition.FifteenMinutes, "product", "zip"), kept(definition.Week)},
	{kept(definition.Hour, "product", "day", "open", "zip"), kept(definition.Month, "open", "day")},
	{kept(definition.Day, "product"), kept(definition.Month, "product")},
	{kept(definition.Week, "product", "price"), kept(definition.None, "price")},
	{kept(definition.None, "zip", "quantity", "at"), kept(definition.None, "quantity")},
	{kept(definition.Hour, "product", "zip"), kept(definition.None)},
}

func kept(every definition.Grain, by ...string) definition.View {
	return definition.View{By: append([]string{}, by...), Every: every}
}

// asked is the query on the fine view that gives the coarse one.
func asked(i int) serving.Query {
	return serving.Query{View: fmt.Sprintf("fine%d", i), By: pairs[i].coarse.By, Every: pairs[i].coarse.Every}
}

// pairsDefinition is made by hand: it uses every grain and measure, also those
// that definitions do not take yet.
func pairsDefinition(t testing.TB, zone string) *definition.Definition {
	location, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	if zone == "UTC" {
		location = time.UTC
	}
	texts, moments := column.Type{Kind: column.String}, column.Type{Kind: column.Timestamp}
	ints, money := column.Type{Kind: column.Int}, column.Type{Kind: column.Decimal, Precision: 10, Scale: 2}
	bools, days, floats := column.Type{Kind: column.Bool}, column.Type{Kind: column.Date}, column.Type{Kind: column.Float}
	def := &definition.Definition{
		Pipeline: "laws", Zone: location, Events: definition.Events{Time: "at"},
		Columns: []definition.Column{
			{Name: "product", Type: texts}, {Name: "zip", Type: texts}, {Name: "price", Type: money},
			{Name: "quantity", Type: ints}, {Name: "sold", Type: moments}, {Name: "at", Type: moments},
			{Name: "open", Type: bools}, {Name: "day", Type: days}, {Name: "heat", Type: floats},
		},
	}
	measures := []definition.Measure{
		{Name: "n", Func: definition.Count}, {Name: "known", Func: definition.Count, Column: "price", Type: money},
		{Name: "total", Func: definition.Sum, Column: "price", Type: money}, {Name: "low", Func: definition.Min, Column: "price", Type: money},
		{Name: "high", Func: definition.Max, Column: "price", Type: money}, {Name: "mean", Func: definition.Avg, Column: "price", Type: money},
		{Name: "pieces", Func: definition.Sum, Column: "quantity", Type: ints}, {Name: "first", Func: definition.Min, Column: "product", Type: texts},
		{Name: "last", Func: definition.Max, Column: "at", Type: moments},
		{Name: "always", Func: definition.Min, Column: "open", Type: bools}, {Name: "until", Func: definition.Max, Column: "day", Type: days},
		{Name: "coldest", Func: definition.Min, Column: "heat", Type: floats}, {Name: "warmest", Func: definition.Max, Column: "heat", Type: floats},
	}
	for i, p := range pairs {
		p.fine.Name, p.coarse.Name = fmt.Sprintf("fine%d", i), fmt.Sprintf("coarse%d", i)
		p.fine.Measures, p.coarse.Measures = measures, measures
		def.Views = append(def.Views, p.fine, p.coarse)
	}
	return def
}

// randomFacts makes facts around a change of the clock, the turn of a month and
// the turn of a year.
func randomFacts(rng *rand.Rand, n int) []fact {
	around := []time.Time{
		time.Date(2014, 10, 26, 0, 30, 0, 0, time.UTC), time.Date(2014, 3, 30, 0, 30, 0, 0, time.UTC),
		time.Date(2014, 12, 31, 22, 0, 0, 0, time.UTC), time.Date(1969, 12, 31, 23, 0, 0, 0, time.UTC),
	}
	products := []column.Value{text("a"), text("ab"), text(""), text("a\x00b"), text("ä"), column.Null}
	facts := make([]fact, n)
	for i := range facts {
		at := around[rng.IntN(len(around))].Add(time.Duration(rng.Int64N(int64(50 * time.Hour))))
		f := fact{
			"product": products[rng.IntN(len(products))], "zip": text(fmt.Sprint(rng.IntN(3))),
			"price": whole(rng.Int64N(2000) - 1000), "quantity": whole(rng.Int64N(5) - 2),
			"sold": whole(rng.Int64N(2) * 1e6), "at": whole(at.UnixMicro()),
		}
		f["open"], f["day"], f["heat"] = whole(rng.Int64N(2)), whole(rng.Int64N(3)-1), column.Value{Float: float64(rng.IntN(9)-4) / 10}
		for _, name := range []string{"price", "open", "day", "heat"} {
			if rng.IntN(4) == 0 {
				f[name] = column.Null
			}
		}
		facts[i] = f
	}
	return facts
}

var zones = []string{"UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns"}

// Without this, a day asked of an hourly view differs from the day that a daily
// view keeps.
func TestRollupOfFineEqualsCoarse(t *testing.T) {
	t.Parallel()
	for i, zone := range zones {
		t.Run(zone, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(1, uint64(i)))
			w := newWorld(t, pairsDefinition(t, zone), 2)
			w.fill(rng, 2, randomFacts(rng, 150))
			s := w.service(serving.Limits{})
			for i, p := range pairs {
				ranges := [][2]string{{}, {"2014-10-26", "2014-10-27"}, {"2014-10-01 05:00:00", ""}, {"", "2014-12-31 22:30:00"}, {"1970-01-01T00:00:00Z", "2014-10-26T01:30:00+02:00"}}
				if p.coarse.Every == definition.None {
					ranges = ranges[:1]
				}
				for _, r := range ranges {
					fine, coarse := asked(i), serving.Query{View: fmt.Sprintf("coarse%d", i), From: r[0], To: r[1]}
					fine.From, fine.To = r[0], r[1]
					if got, want := rowsOf(t, query(t, s, fine)), rowsOf(t, query(t, s, coarse)); got != want {
						t.Errorf("%v read by %v in %q:\n got %s\nwant %s", p.fine, p.coarse, r, got, want)
					}
				}
			}
		})
	}
}

// Without this, an answer depends on how far the batch layer is.
func TestAnswersDoNotDependOnTheSplit(t *testing.T) {
	t.Parallel()
	def := pairsDefinition(t, "Europe/Berlin")
	facts := randomFacts(rand.New(rand.NewPCG(2, 0)), 120)
	answers := func(t *testing.T, seed uint64) (out []string) {
		w := newWorld(t, def, 3)
		w.realTime.PageSize = 50
		w.fill(rand.New(rand.NewPCG(2, seed)), 3, facts)
		s := w.service(serving.Limits{})
		for i := range pairs {
			out = append(out, show(t, query(t, s, asked(i))), show(t, query(t, s, serving.Query{View: asked(i).View})))
		}
		return out
	}
	want := answers(t, 1)
	for seed := uint64(2); seed < 8; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			for i, got := range answers(t, seed) {
				if got != want[i] {
					t.Errorf("answer %d:\n got %s\nwant %s", i, got, want[i])
				}
			}
		})
	}
}

// Without this, verify compares something else than what queries show.
func TestCellsAreAllFacts(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 0))
	w := newWorld(t, pairsDefinition(t, "UTC"), 2)
	facts := randomFacts(rng, 200)
	w.fill(rng, 2, facts)
	names := []string{"fine0", "coarse7", "fine6"}
	want := map[protocol.Key][]measure.State{}
	for _, name := range names {
		v, _ := w.def.View(name)
		for k, s := range w.cells(v, facts) {
			want[k] = s
		}
	}
	var last protocol.Key
	snapshot, err := w.service(serving.Limits{}).Cells(t.Context(), names, nil, func(name string, key protocol.Key, states []measure.State) error {
		v, _ := w.def.View(name)
		ms := measure.New(v)
		if got, want := string(measure.Encode(ms, states)), string(measure.Encode(ms, want[key])); got != want {
			t.Errorf("cell %v: got %x, want %x", key, got, want)
		}
		delete(want, key)
		if last.View == key.View && (last.Time > key.Time || last.Time == key.Time && last.Dims >= key.Dims) {
			t.Errorf("cell %v comes after %v", key, last)
		}
		last = key
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(want) > 0 {
		t.Errorf("%d cells are missing", len(want))
	}
	if got := snapshot.Committed("shardId-000000000000"); got != at(1000) {
		t.Errorf("committed is %s", got)
	}
}

// Without this, a reader of pages misses rows or sees them twice.
func TestPagesAreTheWhole(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(4, 0))
	w := newWorld(t, pairsDefinition(t, "Europe/Berlin"), 2)
	w.fill(rng, 2, randomFacts(rng, 60))
	s := w.service(serving.Limits{})
	orders := []string{"", "time", "-time", "product", "-product,zip", "total", "-total,time", "-mean", "low,-high", "-n,known", "first,-last", "-pieces,-product,-time"}
	for _, order := range orders {
		t.Run(order, func(t *testing.T) {
			t.Parallel()
			q := serving.Query{View: "fine3", Every: definition.Day}
			if order != "" {
				q.Order = serving.ParseOrder(strings.Split(order, ","))
			}
			whole := query(t, s, q)
			for _, limit := range []int{1, 7, whole.Len(), whole.Len() + 1} {
				q.Limit, q.Cursor = limit, ""
				var i int
				for {
					page := query(t, s, q)
					for j := range page.Len() {
						got, want := rowText(t, page, j), rowText(t, whole, i)
						if got != want {
							t.Fatalf("limit %d, row %d: got %s, want %s", limit, i, got, want)
						}
						i++
					}
					if page.Next == nil {
						break
					}
					q.Cursor = *page.Next
				}
				if i != whole.Len() {
					t.Errorf("limit %d: the pages have %d rows, the whole has %d", limit, i, whole.Len())
				}
			}
		})
	}
}

func rowText(t *testing.T, a *serving.Answer, i int) string {
	t.Helper()
	values, err := a.Row(i)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%+v", values)
}

// Without this, a limit in the order of the key holds every group in memory, or
// dropping groups drops states of rows that are shown.
func TestLimitBoundsWhatIsHeld(t *testing.T) {
	t.Parallel()
	def := parse(t, `
pipeline: wide
events: {format: json, columns: {id: {type: int}, at: {type: timestamp}}, time: at}
views: {ids: {by: [id], every: 1m, measures: {n: count, s: sum(id)}}}
`)
	rng := rand.New(rand.NewPCG(5, 0))
	var facts []fact
	for i := range 1500 {
		facts = append(facts, fact{"id": whole(int64(rng.IntN(800))), "at": whole(int64(i%3) * 60e6)})
	}
	w := newWorld(t, def, 1)
	w.fill(rng, 1, facts)
	whole := w.service(serving.Limits{})
	small := w.service(serving.Limits{Groups: 100})
	for _, order := range []string{"time", "-time", "id", "-id,time"} {
		q := serving.Query{View: "ids", Limit: 20, Order: serving.ParseOrder(strings.Split(order, ","))}
		for range 3 {
			got, want := query(t, small, q), query(t, whole, q)
			if show(t, got) != show(t, want) {
				t.Fatalf("order %s: got %s, want %s", order, show(t, got), show(t, want))
			}
			q.Cursor = *got.Next
		}
	}
}

// Without this, null moves about, or the order of decimals is that of texts.
func TestOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pairsDefinition(t, "UTC"), 1)
	noon := whole(time.Date(2014, 11, 1, 12, 0, 0, 0, time.UTC).UnixMicro())
	var facts []fact
	for _, p := range []int64{-1000, -5, 0, 20, 100} {
		facts = append(facts, fact{"product": text("b"), "price": whole(p), "at": noon, "open": whole(p & 1), "day": whole(p), "heat": column.Value{Float: float64(p) / 8}})
	}
	facts = append(facts, fact{"product": column.Null, "price": column.Null, "at": noon, "open": column.Null, "day": column.Null, "heat": column.Null})
	w.fill(rand.New(rand.NewPCG(6, 0)), 1, facts)
	s := w.service(serving.Limits{})
	for order, want := range map[string]string{
		"price":        "null -10.00 -0.05 0.00 0.20 1.00",
		"-price":       "1.00 0.20 0.00 -0.05 -10.00 null",
		"total":        "null -10.00 -0.05 0.00 0.20 1.00",
		"-mean":        "1.00 0.20 0.00 -0.05 -10.00 null",
		"known,-high":  "null 1.00 0.20 0.00 -0.05 -10.00",
		"warmest":      "null -10.00 -0.05 0.00 0.20 1.00",
		"-until":       "1.00 0.20 0.00 -0.05 -10.00 null",
		"-always,-low": "-0.05 1.00 0.20 0.00 -10.00 null",
		"-first,price": "-10.00 -0.05 0.00 0.20 1.00 null",
	} {
		a := query(t, s, serving.Query{View: "fine5", By: []string{"price"}, Every: definition.None, Order: serving.ParseOrder(strings.Split(order, ","))})
		var got []string
		for i := range a.Len() {
			values, err := a.Row(i)
			if err != nil {
				t.Fatal(err)
			}
			if values[0].Null {
				values[0].Text = "null"
			}
			got = append(got, values[0].Text)
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("order %s: got %s, want %s", order, text, want)
		}
	}
}
