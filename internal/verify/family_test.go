package verify

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/oracle"
	"github.com/watershed-data/watershed/internal/protocol"
)

// Duplicates are found along every line of shards, also of shards that the
// stream has forgotten; and logs that nobody needs are let go.
func TestFamily(t *testing.T) {
	t.Parallel()
	def, err := definition.Parse("pipeline.yaml", []byte(strings.Replace(sales, "clean:\n", "  id: product\nclean:\n", 1)))
	if err != nil {
		t.Fatal(err)
	}
	index := &master{runs: map[string][]sorted{}}
	snapshot := &protocol.Snapshot{Rows: map[string]protocol.Row{}, Lineage: protocol.NewLineage([]protocol.Shard{
		{ID: "e", Parents: []string{"d"}}, // the oldest has the last name: names are no order
		{ID: "d", Parents: []string{"x", "y"}},
		{ID: "c", Parents: []string{"e"}},
		{ID: "alone"},
		{ID: "not started", Parents: []string{"c"}},
	})}
	for shard, first := range map[string]int{"y": 100, "x": 200, "w": 150, "d": 300, "e": 400, "c": 500, "alone": 10} {
		snapshot.Rows[shard] = protocol.Row{Count: 1}
		index.runs[shard] = []sorted{{first: protocol.Position{Seq: fmt.Sprint(first)}}}
	}
	f := newFamily(snapshot, index)
	if want := []string{"y", "w", "x", "alone", "d", "e", "c"}; !slices.Equal(f.order, want) {
		t.Fatalf("the order is %v, want %v", f.order, want)
	}
	o := oracle.New(def)
	event := func(product string, day int64) protocol.Event {
		return protocol.Event{Data: fmt.Appendf(nil, `{"product":%q,"sold_at":0}`, product), Arrival: day * 24 * 3600 * 1000}
	}
	type step struct {
		product string
		day     int64
		want    oracle.Outcome
	}
	steps := map[string][]step{
		"y":     {{"one", 100, oracle.Accepted}, {"old", 10, oracle.Accepted}},
		"w":     {{"two", 100, oracle.Accepted}},
		"x":     {{"one", 100, oracle.Duplicate}},
		"alone": {{"one", 100, oracle.Accepted}}, // it has no parent
		"d":     {{"two", 100, oracle.Duplicate}, {"three", 100, oracle.Accepted}},
		"e":     {{"three", 100, oracle.Duplicate}},
		"c":     {{"one", 100, oracle.Duplicate}, {"three", 100, oracle.Duplicate}},
	}
	for _, shard := range f.order {
		log := f.begin(o, shard)
		for _, s := range steps[shard] {
			if got := log.Add(event(s.product, s.day)); got.Outcome != s.want {
				t.Errorf("%s in %s is %s, want %s", s.product, shard, got.Outcome, s.want)
			}
		}
		f.end(shard, log)
		if shard == "alone" && len(f.logs) != 0 {
			t.Error("the log of a shard without children is kept")
		}
	}
	if len(f.logs) > 0 {
		t.Errorf("%d logs are kept to the end", len(f.logs))
	}
}
