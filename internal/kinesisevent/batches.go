package kinesisevent

import (
	"context"
	"fmt"

	"github.com/watershed-data/watershed/internal/protocol"
)

// Batches gives the events in records, a batch for each shard, in the order in
// which the shards first come. KPL aggregates come apart. Within a shard the
// records must be in log order.
//
// A batch says no more of what lies before it than that it begins with its first
// record: an invocation does not know what the ones before it got, so the speed
// layer asks the log. Only where a shard's row begins at that very record, nothing
// is left to ask.
func Batches(ctx context.Context, records []Record, ranges *protocol.HashRanges) ([]protocol.Batch, error) {
	var out []protocol.Batch
	at := map[string]int{} // of a shard's batch in out
	for i := range records {
		r := &records[i]
		n, ok := at[r.Shard]
		if !ok {
			n = len(out)
			at[r.Shard] = n
			out = append(out, protocol.Batch{Shard: r.Shard, After: protocol.Before(r.Seq), Events: make([]protocol.Event, 0, len(records)-i)})
		}
		b := &out[n]
		own, err := ranges.Of(ctx, r.Shard)
		if err != nil {
			return nil, err
		}
		first := protocol.Position{Seq: r.Seq}
		if len(b.Events) > 0 && !first.After(b.Events[len(b.Events)-1].Position) {
			return nil, fmt.Errorf("reading the records of %s: %s comes after %s, and the event source hands over records in log order",
				r.Shard, r.Seq, b.Events[len(b.Events)-1].Position.Seq)
		}
		b.Events = r.AppendEvents(b.Events, own)
	}
	return out, nil
}
