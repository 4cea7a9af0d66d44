package local

import (
	"fmt"
	"slices"
	"testing"

	"github.com/watershed-data/watershed/internal/protocol"
)

// What was erased is remembered across restarts, for as long as the log holds it.
func TestErasures(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := Open(dir, Options{Pipeline: "sales", Shards: 2})
	must(t, err)
	var at []protocol.Position
	for len(at) < 6 {
		placed := appendAll(t, s.Log(), protocol.Record{PartitionKey: "k", ExplicitHashKey: "0"})
		at = append(at, protocol.Position{Seq: placed[0].Seq}, protocol.Position{Seq: placed[0].Seq, Sub: 1})
	}
	shard, other := shardID(0), shardID(1)
	some := map[protocol.Position]protocol.Erased{}
	for i, p := range at {
		some[p] = protocol.Erased{Hash: 1<<63 + uint64(i), IDHigh: uint64(i), IDLow: 1 << 63}
	}
	for range 2 {
		must(t, s.Erasures().Add(t.Context(), shard, some))
	}
	must(t, s.Erasures().Add(t.Context(), other, map[protocol.Position]protocol.Erased{at[0]: {Hash: 7}}))
	must(t, s.Close())

	s = openStore(t, dir, Options{})
	want := func(when, shard string, first, last protocol.Position, indexes ...int) {
		t.Helper()
		got, err := s.Erasures().In(t.Context(), shard, first, last)
		must(t, err)
		var found []int
		for p, e := range got {
			i := slices.Index(at, p)
			if found = append(found, i); shard != other && (i < 0 || e != some[p]) {
				t.Errorf("%s: at %s there is %+v", when, p, e)
			}
		}
		slices.Sort(found)
		if fmt.Sprint(found) != fmt.Sprint(indexes) {
			t.Errorf("%s: there are %v, want %v", when, found, indexes)
		}
	}
	want("all", shard, protocol.Position{}, at[5], 0, 1, 2, 3, 4, 5)
	want("some", shard, at[1], at[4], 1, 2, 3, 4)
	want("one", shard, at[2], at[2], 2)
	want("another shard", other, protocol.Position{}, at[5], 0)
	must(t, s.Log().Trim(t.Context(), shard, at[2]))
	want("when the log begins later", shard, protocol.Position{}, at[5], 3, 4, 5)
	must(t, s.Erasures().Add(t.Context(), shard, some))
	want("added once more", shard, protocol.Position{}, at[5], 3, 4, 5)
	want("another shard's, then", other, protocol.Position{}, at[5], 0)
}
