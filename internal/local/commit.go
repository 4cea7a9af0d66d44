package local

import (
	"context"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/watershed-data/watershed/internal/protocol"
)

// One commit takes at most about this much of what waits, so that a flood delays
// nobody for long and memory stays bounded.
const (
	commitRecords = 20_000
	commitBytes   = 16 << 20
)

// request is one call of Append on its way through the committer.
type request struct {
	records []protocol.Record
	hashes  []hash
	bytes   int // of data and partition keys
	placed  []protocol.Placed
	err     error
	done    chan struct{}
}

// Append puts records into the stream and says where each lies, in their order.
// When it returns they are on disk, all of them or none. A bad explicit hash key
// is an error. A context that ends while the records wait for their turn
// withdraws them; later it has no effect.
func (l *Log) Append(ctx context.Context, records []protocol.Record) ([]protocol.Placed, error) {
	if len(records) == 0 {
		return nil, nil
	}
	r := &request{records: records, hashes: make([]hash, len(records)), done: make(chan struct{})}
	for i := range records {
		h, err := hashOf(&records[i])
		if err != nil {
			return nil, fmt.Errorf("appending record %d: %w", i, err)
		}
		r.hashes[i] = h
		r.bytes += len(records[i].Data) + len(records[i].PartitionKey)
	}
	if err := l.store.enter(); err != nil {
		return nil, err
	}
	defer l.store.leave()
	select {
	case l.requests <- r:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	// From here on only the committer knows whether the records are on disk.
	<-r.done
	return r.placed, r.err
}

// run is the committer: it takes all requests that wait, gives each record the
// next number of the stream, and writes them in one synced batch. It ends when
// requests is closed.
func (l *Log) run() {
	defer close(l.drained)
	var group []*request
	for first := range l.requests {
		group = l.gather(append(group[:0], first))
		if err := l.commit(group); err != nil {
			l.store.options.Logger.Error("the log takes no more events", "error", err)
		}
		clear(group) // let go of the records
	}
}

// gather adds what waits to the group, up to the bounds of one commit.
func (l *Log) gather(group []*request) []*request {
	records, bytes := len(group[0].records), group[0].bytes
	for records < commitRecords && bytes < commitBytes {
		select {
		case r, ok := <-l.requests:
			if !ok {
				return group
			}
			group = append(group, r)
			records, bytes = records+len(r.records), bytes+r.bytes
		default:
			return group
		}
	}
	return group
}

// commit makes a group durable, then visible, then answers. The error is not nil
// the first time that it fails.
func (l *Log) commit(group []*request) (first error) {
	if l.failed == nil {
		if err := l.write(group); err != nil {
			// What reached the disk is unknown, and its numbers must not be given
			// twice: the next Open finds out.
			l.failed = fmt.Errorf("appending to the log: %w; restart to recover", err)
			first = l.failed
		}
	}
	for _, r := range group {
		if l.failed != nil {
			r.placed, r.err = nil, l.failed
		}
		close(r.done)
	}
	return first
}

func (l *Log) write(group []*request) error {
	old := l.seen.Load()
	now := *old
	now.last = slices.Clone(old.last)
	now.changed = make(chan struct{})
	arrival := l.store.options.Now().UnixMilli()

	batch := l.store.db.NewBatchWithSize(batchSize(group))
	defer batch.Close()
	for _, r := range group {
		var err error
		if r.placed, err = l.place(batch, &now, r, arrival); err != nil {
			return err
		}
	}
	if err := batch.Set(nextKey, numberBytes(now.next), nil); err != nil {
		return err
	}
	if err := batch.Commit(pebble.Sync); err != nil {
		return err
	}
	if err := l.acked.set(now.next); err != nil {
		return err
	}
	l.seen.Store(&now)
	close(old.changed)
	return nil
}

// place gives a request's records their shards and numbers in the view that is
// being made, and adds them to the batch.
func (l *Log) place(batch *pebble.Batch, now *view, r *request, arrival int64) ([]protocol.Placed, error) {
	placed := make([]protocol.Placed, len(r.records))
	first := now.next
	for i := range r.records {
		s := route(now.open, r.hashes[i])
		if err := setRecord(batch, s.number, now.next, arrival, &r.records[i]); err != nil {
			return nil, err
		}
		if arrival > l.arrivals[s.number] {
			if err := batch.Set(arrivalKey(s.number, arrival), numberBytes(now.next), nil); err != nil {
				return nil, err
			}
			l.arrivals[s.number] = arrival
		}
		placed[i].Shard = s.ID
		now.last[s.number] = now.next
		now.next++
	}
	for i, seq := range l.sequences(first, len(placed)) {
		placed[i].Seq = seq
	}
	return placed, nil
}

func batchSize(group []*request) int {
	size := 64
	for _, r := range group {
		size += r.bytes + 48*len(r.records)
	}
	return size
}
