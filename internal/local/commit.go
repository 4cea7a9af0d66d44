package local

import (
	"context"
	"errors"
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

// request is one call on its way through the committer: of Append, or of what
// changes the shards.
type request struct {
	records []protocol.Record
	hashes  []hash
	bytes   int // of data and partition keys
	placed  []protocol.Placed

	reshard func(*commit) error // in place of records; a refusal changes nothing

	err  error
	done chan struct{}
}

// Append puts records into the stream and says where each lies, in their order.
// When it returns they are on disk, all of them or none. A bad explicit hash key
// is an error. A context that ends while the records wait for their turn
// withdraws them; later it has no effect.
func (l *Log) Append(ctx context.Context, records []protocol.Record) ([]protocol.Placed, error) {
	if len(records) == 0 {
		return nil, nil
	}
	r := &request{records: records, hashes: make([]hash, len(records))}
	for i := range records {
		h, err := hashOf(&records[i])
		if err != nil {
			return nil, fmt.Errorf("appending record %d: %w", i, err)
		}
		r.hashes[i] = h
		r.bytes += len(records[i].Data) + len(records[i].PartitionKey)
	}
	if err := l.do(ctx, r); err != nil {
		return nil, err
	}
	return r.placed, nil
}

// do sends a request through the committer and gives its error.
func (l *Log) do(ctx context.Context, r *request) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := l.store.enter(); err != nil {
		return err
	}
	defer l.store.leave()
	r.done = make(chan struct{})
	select {
	case l.requests <- r:
	case <-ctx.Done():
		return ctx.Err()
	}
	// From here on only the committer knows what is on disk.
	<-r.done
	return r.err
}

// run is the committer: it takes all requests that wait, in their order, gives
// each record the next number of the stream, and writes them in one synced batch.
// So records and reshards have one order: a record lies in the shard that was
// open for its hash at its number. It ends when requests is closed.
func (l *Log) run() {
	defer close(l.drained)
	var group []*request
	for first := range l.requests {
		group = l.gather(append(group[:0], first))
		if err := l.finish(group); err != nil {
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

// finish makes a group durable, then visible, then answers. The error is not nil
// the first time that it fails.
func (l *Log) finish(group []*request) (first error) {
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
			r.err = l.failed
		}
		close(r.done)
	}
	return first
}

// commit is a group on its way to the disk: what is to be stored, and what
// readers are to see when it is.
type commit struct {
	log *Log
	view
	batch   *pebble.Batch
	arrival int64 // milliseconds since 1970-01-01 UTC
	owned   bool  // the view's shards are its own, to be changed
	trimmed []*shard
}

func (l *Log) write(group []*request) error {
	old := l.seen.Load()
	c := &commit{log: l, view: *old, batch: l.store.db.NewBatchWithSize(batchSize(group)), arrival: l.store.options.Now().UnixMilli()}
	defer c.batch.Close()
	c.last = slices.Clone(old.last)
	c.changed = make(chan struct{})
	for _, r := range group {
		if err := c.apply(r); err != nil {
			return err
		}
	}
	if err := c.batch.Set(nextKey, numberBytes(c.next), nil); err != nil {
		return err
	}
	if err := c.batch.Commit(pebble.Sync); err != nil {
		return err
	}
	if err := l.acked.set(c.next); err != nil {
		return err
	}
	seen := c.view
	l.seen.Store(&seen)
	close(old.changed)
	for _, s := range c.trimmed {
		if err := l.erase(s); err != nil { // the next Open does it
			l.store.options.Logger.Warn("erasing trimmed records failed", "shard", s.ID, "error", err)
		}
	}
	return nil
}

// apply adds one request. Its error is the log's; a refusal is the request's.
func (c *commit) apply(r *request) error {
	if r.reshard == nil {
		return c.place(r)
	}
	err := r.reshard(c)
	if refusal := (*refusedError)(nil); errors.As(err, &refusal) {
		r.err = refusal.err
		return nil
	}
	return err
}

// refusedError is an error that is about a request and not about the log.
type refusedError struct{ err error }

func (e *refusedError) Error() string { return e.err.Error() }

// place gives a request's records their shards and numbers.
func (c *commit) place(r *request) error {
	r.placed = make([]protocol.Placed, len(r.records))
	first, arrivals := c.next, c.log.arrivals
	for i := range r.records {
		s := route(c.open, r.hashes[i])
		if err := setRecord(c.batch, s.number, c.next, c.arrival, &r.records[i]); err != nil {
			return err
		}
		if c.arrival > arrivals[s.number] {
			if err := c.batch.Set(arrivalKey(s.number, c.arrival), numberBytes(c.next), nil); err != nil {
				return err
			}
			arrivals[s.number] = c.arrival
		}
		r.placed[i].Shard = s.ID
		c.last[s.number] = c.next
		c.next++
	}
	for i, seq := range c.log.sequences(first, len(r.placed)) {
		r.placed[i].Seq = seq
	}
	return nil
}

func batchSize(group []*request) int {
	size := 64
	for _, r := range group {
		size += r.bytes + 48*len(r.records)
	}
	return size
}
