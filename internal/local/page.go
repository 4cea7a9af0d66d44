package local

import (
	"fmt"
	"slices"

	"github.com/watershed-data/watershed/internal/kpl"
	"github.com/watershed-data/watershed/internal/protocol"
)

// pageBuilder gathers the records of one page in a few pieces of memory.
type pageBuilder struct {
	raw      bool // one event per record; else aggregates come apart
	limit    int  // of events
	maxBytes int  // of partition keys and data
	after    spot // the record there is read for what it holds after it

	heads []recordHead
	keys  []byte // partition keys of plain records, one after the other
	data  []byte // and their data
	bytes int
	count int // of events
}

// recordHead is a record, or the rest of one, on a page.
type recordHead struct {
	number  uint64
	arrival int64
	routed  bool
	key     int          // where its partition key ends in keys
	data    int          // where its data ends in data
	first   int64        // sub-sequence number of the first of the parts
	parts   []kpl.Record // of an aggregate
}

// full reports whether a record of so many bytes has to wait for the next page. A
// page is never empty while there are events.
func (b *pageBuilder) full(size int) bool {
	return b.count >= b.limit || b.count > 0 && b.bytes+size > b.maxBytes
}

// add takes a copy of a stored record. It gives how many events the record holds.
func (b *pageBuilder) add(n uint64, value []byte) (events int64, err error) {
	r, ok := parseRecord(value)
	if !ok {
		return 0, fmt.Errorf("record %d is damaged", n)
	}
	h := recordHead{number: n, arrival: r.arrival, routed: r.routed}
	skip := int64(0)
	if n == b.after.number {
		skip = b.after.sub + 1
	}
	events = 1
	if !b.raw && kpl.Likely(r.data) {
		if parts, ok := kpl.Split(slices.Clone(r.data)); ok { // the events keep the copy
			events = int64(len(parts))
			h.first, h.parts = skip, parts[min(skip, events):]
		}
	}
	if skip >= events {
		return events, nil
	}
	if h.parts == nil {
		b.keys = append(b.keys, r.key...)
		b.data = append(b.data, r.data...)
	}
	h.key, h.data = len(b.keys), len(b.data)
	b.heads = append(b.heads, h)
	b.bytes += len(r.key) + len(r.data)
	b.count += int(events - skip)
	return events, nil
}

// events gives the events on the page.
func (b *pageBuilder) events(base string, s *shard) []protocol.Event {
	digits := make([]byte, 0, len(b.heads)*(baseDigits+numberDigits))
	for i := range b.heads {
		digits = appendSequence(digits, base, b.heads[i].number)
	}
	seqs, keys := cutEqual(string(digits), len(b.heads)), string(b.keys)
	events := make([]protocol.Event, 0, b.count)
	var last recordHead
	for i, h := range b.heads {
		e := protocol.Event{Position: protocol.Position{Seq: seqs[i]}, Arrival: h.arrival}
		if h.parts == nil {
			e.PartitionKey, e.Data, e.Last = keys[last.key:h.key], b.data[last.data:h.data:h.data], true
			e.Stray = !b.raw && !h.routed && s.stray(e.PartitionKey)
			events = append(events, e)
		}
		e.Aggregated = true
		for j, part := range h.parts {
			if j == 0 || part.PartitionKey != e.PartitionKey {
				e.PartitionKey, e.Stray = part.PartitionKey, s.stray(part.PartitionKey)
			}
			e.Position.Sub = h.first + int64(j)
			e.Data, e.Last = part.Data, j == len(h.parts)-1
			events = append(events, e)
		}
		last = h
	}
	return events
}
