package protocol

import "github.com/watershed-data/watershed/internal/kpl"

// Record is what a producer hands to the stream: one event, or a KPL aggregate
// of several.
type Record struct {
	Data            []byte
	PartitionKey    string
	ExplicitHashKey string // decimal 128-bit, in place of the partition key's hash; "": none
}

// Stored is a record as a stream holds it.
type Stored struct {
	Seq          string // decimal, without leading zeros
	PartitionKey string
	Arrival      int64 // milliseconds since 1970-01-01 UTC
	Data         []byte
}

// AppendEvents appends the record's events. A KPL aggregate comes apart into its
// own, which share sequence number and arrival. own is the range of the record's
// shard: an event that hashes outside of it is a stray.
func (r *Stored) AppendEvents(to []Event, own HashRange) []Event {
	e := Event{
		Position: Position{Seq: r.Seq}, PartitionKey: r.PartitionKey,
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

// Placed says where the stream put a record.
type Placed struct {
	Shard string
	Seq   string // the record's sequence number
}
