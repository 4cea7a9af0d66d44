package kinesisevent

import (
	"context"
	"fmt"

	"github.com/watershed-data/watershed/internal/kpl"
	"github.com/watershed-data/watershed/internal/protocol"
)

// Batches gives the events in records, a batch for each shard, in the order in
// which the shards first come. KPL aggregates come apart. Within a shard the
// records must be in log order.
//
// The batches say nothing of what lies before them: an invocation does not know
// what the ones before it got, so the speed layer asks the log.
func Batches(ctx context.Context, records []Record, ranges *protocol.HashRanges) ([]protocol.Batch, error) {
	var out []protocol.Batch
	at := map[string]int{} // of a shard's batch in out
	for i := range records {
		r := &records[i]
		n, ok := at[r.Shard]
		if !ok {
			n = len(out)
			at[r.Shard] = n
			out = append(out, protocol.Batch{Shard: r.Shard, Events: make([]protocol.Event, 0, len(records)-i)})
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
		b.Events = appendEvents(b.Events, r, own)
	}
	return out, nil
}

// appendEvents appends the events of one record.
func appendEvents(to []protocol.Event, r *Record, own protocol.HashRange) []protocol.Event {
	e := protocol.Event{
		Position: protocol.Position{Seq: r.Seq}, PartitionKey: r.PartitionKey,
		Arrival: r.Arrival, Data: r.Data, Last: true,
	}
	parts, ok := kpl.Split(r.Data)
	if !ok {
		e.Stray = !own.Holds(e.PartitionKey)
		return append(to, e)
	}
	e.Aggregated = true
	for i, part := range parts {
		e.Position.Sub = int64(i)
		if i == 0 || part.PartitionKey != e.PartitionKey {
			e.PartitionKey, e.Stray = part.PartitionKey, !own.Holds(part.PartitionKey)
		}
		e.Data, e.Last = part.Data, i == len(parts)-1
		to = append(to, e)
	}
	return to
}
