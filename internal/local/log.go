package local

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/watershed-data/watershed/internal/protocol"
)

// pageBytes bounds the data and partition keys of one page of Read.
const pageBytes = 8 << 20

// Log is the stream: the one order of records per shard, durable.
//
// One goroutine commits (commit.go). Readers see up to the last batch that is on
// disk and no further, so an event is never seen before it is durable, nor a
// later one before an earlier one.
type Log struct {
	store *Store
	base  string // the digits that all sequence numbers of this stream begin with

	seen     atomic.Pointer[view]
	requests chan *request
	drained  chan struct{} // closed when the committer has ended
	closing  chan struct{} // closed when the store begins to close
	once     sync.Once

	acked    acked
	arrivals []int64 // the committer's: the latest arrival in each shard, by number
	failed   error   // the committer's: why nothing can be appended any more
}

// view is what readers may see at one moment. It never changes; a commit
// replaces it.
type view struct {
	shards  []*shard // by number, so parents before children
	byID    map[string]*shard
	open    []*shard // that take records, by hash range
	last    []uint64 // number of the last record in each shard; 0: none yet
	next    uint64   // number that the next record gets
	changed chan struct{}
}

// openLog reads the log's state and starts its committer.
func openLog(s *Store) (*Log, error) {
	l := &Log{
		store:    s,
		requests: make(chan *request, 256),
		drained:  make(chan struct{}),
		closing:  make(chan struct{}),
	}
	v, err := l.load()
	if err != nil {
		return nil, damaged(fmt.Errorf("reading the log's shards: %w", err))
	}
	mark, next, err := openAcked(s.dir)
	if err != nil {
		return nil, err
	}
	if v.next < next {
		return nil, errors.Join(damaged(fmt.Errorf("%d events that were acknowledged are missing at the end of the log", next-v.next)), mark.file.Close())
	}
	l.acked = mark
	l.seen.Store(v)
	if err := l.eraseLeftovers(v); err != nil {
		return nil, errors.Join(err, mark.file.Close())
	}
	go l.run()
	return l, nil
}

// wake ends every Wait.
func (l *Log) wake() { l.once.Do(func() { close(l.closing) }) }

// drain ends the committer. No Append may be under way or come later.
func (l *Log) drain() error {
	close(l.requests)
	<-l.drained
	return l.acked.file.Close()
}

// Shards lists all shards, parents before children.
func (l *Log) Shards(context.Context) ([]protocol.Shard, error) {
	v := l.seen.Load()
	shards := make([]protocol.Shard, len(v.shards))
	for i, s := range v.shards {
		shards[i] = s.Shard
	}
	return shards, nil
}

// Read gives the events after the position: those of whole records, so at most
// about limit. A page also ends after some megabytes. A KPL aggregate comes apart
// into its events, which share its arrival. The events of a page share their
// memory.
func (l *Log) Read(_ context.Context, shard string, after protocol.Position, limit int) (protocol.Page, error) {
	page, err := l.untrimmed(shard, func(v *view) (protocol.Page, error) { return l.readAfter(v, shard, after, limit) })
	if err != nil {
		return protocol.Page{}, fmt.Errorf("reading %s after %q: %w", shard, after, err)
	}
	return page, nil
}

func (l *Log) readAfter(v *view, shard string, after protocol.Position, limit int) (protocol.Page, error) {
	s, number, err := l.locate(v, shard, after.Seq)
	if err != nil {
		return protocol.Page{}, err
	}
	if number < s.Trimmed || number == s.Trimmed && number > 0 && after.Sub < s.TrimmedSub {
		return protocol.Page{}, protocol.ErrExpired
	}
	if s.drained(v.last[s.number], spot{number, after.Sub}) {
		return protocol.Page{AtTip: true, Ended: s.Closed()}, nil
	}
	// The record at the position is read again: it may hold events after it.
	return l.read(v, s, number, &pageBuilder{limit: max(limit, 1), maxBytes: pageBytes, after: spot{number, after.Sub}})
}

// ReadRecords gives a shard's records as they were appended, one Event each,
// after the record with the sequence number, or from it on if at is true; "" is
// before the first record that is left. What is gone is passed over, as Kinesis
// does, unlike Read. It gives at most limit records and at most maxBytes of data
// and partition keys, but at least one record if there is one. The events of a
// page share their memory.
func (l *Log) ReadRecords(_ context.Context, shard, seq string, at bool, limit, maxBytes int) (protocol.Page, error) {
	page, err := l.untrimmed(shard, func(v *view) (protocol.Page, error) { return l.readRecords(v, shard, seq, at, limit, maxBytes) })
	if err != nil {
		return protocol.Page{}, fmt.Errorf("reading records of %s at %q: %w", shard, seq, err)
	}
	return page, nil
}

func (l *Log) readRecords(v *view, shard, seq string, at bool, limit, maxBytes int) (protocol.Page, error) {
	s, from, err := l.locate(v, shard, seq)
	if err != nil {
		return protocol.Page{}, err
	}
	if !at {
		from++
	}
	return l.read(v, s, max(from, s.Trimmed+1), &pageBuilder{raw: true, limit: max(limit, 1), maxBytes: maxBytes})
}

// Since gives the sequence number of the shard's first record that arrived at or
// after the time, in milliseconds since 1970-01-01 UTC; false if there is none.
func (l *Log) Since(_ context.Context, shard string, arrival int64) (seq string, ok bool, err error) {
	v := l.seen.Load()
	s, err := v.shard(shard)
	if err != nil {
		return "", false, err
	}
	if err := l.store.enter(); err != nil {
		return "", false, err
	}
	defer l.store.leave()
	// The first record to arrive that late is the first to raise the latest
	// arrival that far, and those are what the index holds.
	it, err := l.store.db.NewIter(&pebble.IterOptions{LowerBound: arrivalKey(s.number, max(arrival, 0)), UpperBound: arrivalKey(s.number+1, 0)})
	if err != nil {
		return "", false, fmt.Errorf("finding the records of %s since %d: %w", shard, arrival, err)
	}
	defer it.Close()
	if !it.First() {
		return "", false, it.Error()
	}
	n := binary.BigEndian.Uint64(it.Value())
	if n >= v.next { // not durable yet when we looked
		return "", false, nil
	}
	return l.sequence(max(n, s.Trimmed+1)), true, nil
}

// Tip gives the highest sequence number that the stream has given out: what is
// appended to any shard from now on comes after it.
func (l *Log) Tip(context.Context) (string, error) {
	return l.sequence(l.seen.Load().next - 1), nil
}

// Changed gives a channel that is closed when the log holds more than it does
// now. Take it before reading, and wait on it after reading to the tip.
func (l *Log) Changed() <-chan struct{} { return l.seen.Load().changed }

// Wait returns when the shard holds an event after the position, or nothing will
// ever come after it: at once, if so already. It returns the context's error, or
// ErrClosed when the store closes.
func (l *Log) Wait(ctx context.Context, shard string, after protocol.Position) error {
	for {
		v := l.seen.Load()
		page, err := l.readAfter(v, shard, after, 1)
		if err != nil {
			return fmt.Errorf("waiting for %s after %q: %w", shard, after, err)
		}
		if len(page.Events) > 0 || page.Ended {
			return nil
		}
		select {
		case <-v.changed:
		case <-l.closing:
			return ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// locate finds a shard and the number of a sequence number in it, 0 for "".
func (l *Log) locate(v *view, id, seq string) (*shard, uint64, error) {
	s, err := v.shard(id)
	if err != nil || seq == "" {
		return s, 0, err
	}
	n, err := l.number(seq)
	if err != nil {
		return nil, 0, err
	}
	if n >= v.next {
		return nil, 0, fmt.Errorf("the log ends before that, at %s: it lost events, or the position is of another log", l.sequence(v.next-1))
	}
	return s, n, nil
}

// read fills a page with the records of a shard from a number on.
func (l *Log) read(v *view, s *shard, from uint64, b *pageBuilder) (protocol.Page, error) {
	page := protocol.Page{AtTip: true, Ended: s.Closed()}
	last := v.last[s.number]
	if from > last {
		return page, nil
	}
	if err := l.store.enter(); err != nil {
		return protocol.Page{}, err
	}
	defer l.store.leave()
	it, err := l.store.db.NewIter(&pebble.IterOptions{LowerBound: recordKey(s.number, from), UpperBound: recordKey(s.number, v.next)})
	if err != nil {
		return protocol.Page{}, err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		if b.full(len(it.Value())) {
			page.AtTip, page.Ended = false, false
			break
		}
		n := binary.BigEndian.Uint64(it.Key()[5:])
		events, err := b.add(n, it.Value())
		if err != nil {
			return protocol.Page{}, err
		}
		if n == last && !b.raw {
			s.tip.Store(&spot{last, events - 1})
		}
	}
	if err := it.Error(); err != nil {
		return protocol.Page{}, err
	}
	page.Events = b.events(l.base, s)
	return page, nil
}

func (v *view) shard(id string) (*shard, error) {
	if s := v.byID[id]; s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("%w: %q", protocol.ErrNoShard, id)
}
