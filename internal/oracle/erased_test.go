package oracle

import (
	"fmt"
	"testing"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
)

// TestErasedByHand: an erased event is counted as one, and an event of its id that
// comes within the window after it is its repetition, for as long as the master
// dataset keeps what they are compared by.
func TestErasedByHand(t *testing.T) {
	t.Parallel()
	for idType, ids := range map[string][2]string{
		"string": {`"a"`, `"b"`}, "int": {"-7", "8"}, "decimal(6,2)": {`"1.5"`, "2"}, "bool": {"true", "false"},
		"date": {`"2014-11-01"`, `"2014-11-02"`}, "timestamp": {`"2014-11-01T19:35:41.158Z"`, "0"},
	} {
		t.Run(idType, func(t *testing.T) {
			t.Parallel()
			def, err := definition.Parse("p.yaml", fmt.Appendf(nil, `
pipeline: p
events:
  format: json
  columns:
    id: {type: %q}
  id: id
  dedupe_within: 15m
views:
  v: {by: [], every: none, measures: {n: count}}
`, idType))
			if err != nil {
				t.Fatal(err)
			}
			logic, err := rowlogic.New(def)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			event := func(id string, minute int64, stray bool) protocol.Event {
				n++
				return protocol.Event{
					Position: protocol.Position{Seq: fmt.Sprint(n)}, PartitionKey: "k", Arrival: minute * 60_000, Stray: stray,
					Data: fmt.Appendf(nil, `{"id":%s}`, id),
				}
			}
			erase := func(shard string, ev protocol.Event, keep bool) protocol.Event {
				id := logic.Run(shard, []protocol.Event{ev}).ID[0]
				ev.Erased = &protocol.Erased{Hash: protocol.Hash(shard, &ev)}
				if keep {
					ev.Erased.IDHigh, ev.Erased.IDLow = id.Hi, id.Lo
				}
				ev.Data, ev.PartitionKey = nil, ""
				return ev
			}
			for _, shard := range []string{"s", protocol.LoadShard(fmt.Sprintf("%064d", 7))} {
				o := New(def)
				log := o.Log(shard)
				for i, step := range []struct {
					ev   protocol.Event
					want Outcome
				}{
					{erase(shard, event(ids[0], 0, false), true), Erased},
					{event(ids[1], 1, false), Accepted},
					{event(ids[0], 15, false), Duplicate},
					{event(ids[0], 31, false), Accepted},
					{erase(shard, event(ids[0], 40, true), true), Erased},
					{event(ids[0], 41, true), Duplicate},
					{erase(shard, event(ids[1], 100, false), false), Erased},
					{event(ids[1], 101, false), Accepted},
				} {
					if got := log.Add(step.ev); got.Outcome != step.want {
						t.Errorf("%s, event %d is %s, want %s", shard, i, got.Outcome, step.want)
					}
				}
				if counts := o.Outcomes(); counts[Erased] != 3 || counts[Accepted] != 3 {
					t.Errorf("the outcomes are %v", counts)
				}
			}
		})
	}
}
