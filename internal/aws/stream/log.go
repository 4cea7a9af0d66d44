package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/watershed-data/watershed/internal/protocol"
)

// Options says how a log is read.
type Options struct {
	Notes Notes
	// Noting says that this log stores notes itself, when it has read a shard to its
	// tip. Some reader of the stream has to, at least once in the time for which the
	// stream keeps records.
	Noting bool
	Now    func() time.Time // nil: the machine's clock
	Logger *slog.Logger     // nil: slog.Default
}

// Log is the stream as the protocol's log. It may be used by several goroutines at
// once.
//
// A shard's log begins with the first record that arrived at or after the
// pipeline's beginning, half a day before its birth: of a stream that is older than
// the pipeline, what was about to expire when it was born is no part of it.
type Log struct {
	*Stream
	ranges  *protocol.HashRanges
	notes   Notes
	noting  bool
	now     func() time.Time
	logger  *slog.Logger
	mu      sync.Mutex
	known   map[string]Note      // by shard: the latest that this process stored or saw
	looked  map[string]time.Time // by shard: when Attend looked last
	born    time.Time            // zero: not asked yet
	summary summary
}

// NewLog gives a stream's log. It asks nothing of it yet.
func NewLog(s *Stream, o Options) *Log {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return &Log{
		Stream: s, ranges: &protocol.HashRanges{Log: s}, notes: o.Notes, noting: o.Noting,
		now: o.Now, logger: o.Logger, known: map[string]Note{}, looked: map[string]time.Time{},
	}
}

// Read implements protocol.Log. A page ends with some megabytes of events.
func (l *Log) Read(ctx context.Context, shard string, after protocol.Position, limit int) (protocol.Page, error) {
	page, err := l.read(ctx, shard, after, max(limit, 1))
	if err != nil {
		return protocol.Page{}, fmt.Errorf("reading %s after %q: %w", shard, after, err)
	}
	return page, nil
}

func (l *Log) read(ctx context.Context, shard string, after protocol.Position, limit int) (protocol.Page, error) {
	began := l.now()
	r := reading{shard: shard, after: after, anchor: anchor(after), limit: limit}
	var err error
	if r.own, err = l.ranges.Of(ctx, shard); err == nil {
		err = l.again(ctx, func() error { return l.collect(ctx, &r) })
	}
	if errors.Is(err, protocol.ErrNoShard) {
		// A shard goes when it was closed for as long as records are kept. So it ended at
		// its tip, if that was noted since: nothing can have come in between.
		if noted, unknown := l.noted(ctx, &r); unknown == nil && noted {
			return protocol.Page{AtTip: true, Ended: true}, nil
		}
	}
	if err != nil {
		return protocol.Page{}, err
	}
	if err := l.prove(ctx, &r); err != nil {
		return protocol.Page{}, err
	}
	// Not the tip behind events that are just read: the note says how it goes on behind
	// what is committed, and that is where readers ask.
	if r.page.AtTip && len(r.page.Events) == 0 && l.noting {
		l.note(ctx, shard, Note{Through: after, At: began.UnixMilli(), Ended: r.page.Ended})
	}
	return r.page, nil
}

// anchor gives the sequence number of the record by which a position is found: its
// own, or the one that it lies directly before; "" for the zero Position.
func anchor(p protocol.Position) string {
	if seq, ok := p.Follower(); ok {
		return seq
	}
	return p.Seq
}

// reading is one read of a shard.
type reading struct {
	shard  string
	after  protocol.Position
	anchor string
	limit  int
	own    protocol.HashRange

	held  bool // the anchor's record is there
	pages int  // how many it took
	page  protocol.Page
}

// collect reads until there is an event, or the tip. The anchor's own record is read
// as well: it may hold events after the position.
func (l *Log) collect(ctx context.Context, r *reading) error {
	r.held, r.pages, r.page = false, 0, protocol.Page{}
	from := start{seq: r.anchor}
	if r.anchor == "" {
		var err error
		if from.since, err = l.beginning(ctx); err != nil {
			return err
		}
	}
	iterator, err := l.iterator(ctx, r.shard, from)
	if errors.Is(err, errGone) {
		iterator, err = l.iterator(ctx, r.shard, start{})
	}
	if err != nil {
		return err
	}
	for {
		p, err := l.Stream.page(ctx, iterator, r.limit+2) // the anchor, and one more to see that it is not full
		if err != nil {
			return err
		}
		r.pages++
		all := r.add(p.records)
		r.page.AtTip = all && p.tip
		r.page.Ended = all && p.next == nil
		if r.page.AtTip || len(r.page.Events) > 0 {
			return nil
		}
		iterator = p.next
	}
}

// add adds the events of records, as far as the limit allows. It gives false if some
// are left out.
func (r *reading) add(records []protocol.Stored) bool {
	for i := range records {
		events := r.page.Events
		if len(events) >= r.limit {
			return false
		}
		r.held = r.held || records[i].Seq == r.anchor
		first := len(events) == 0
		events = records[i].AppendEvents(events, r.own)
		for first && len(events) > 0 && !events[0].Position.After(r.after) {
			events = events[1:]
		}
		r.page.Events = events
	}
	return true
}

// Horizon gives the position behind which the log still holds a shard's events:
// directly before the first record that is left. If none is left, it is behind
// everything.
func (l *Log) Horizon(ctx context.Context, shard string) (horizon protocol.Position, err error) {
	err = l.again(ctx, func() error {
		iterator, err := l.iterator(ctx, shard, start{})
		if err != nil {
			return err
		}
		for {
			p, err := l.Stream.page(ctx, iterator, 1)
			switch {
			case err != nil:
				return err
			case len(p.records) > 0:
				horizon = protocol.Before(p.records[0].Seq)
				return nil
			case p.tip:
				horizon = protocol.Position{Seq: strings.Repeat("9", longestSeq)}
				return nil
			}
			iterator = p.next
		}
	})
	if err != nil {
		return protocol.Position{}, fmt.Errorf("finding the first record that %s still holds: %w", shard, err)
	}
	return horizon, nil
}

// longestSeq is how many digits of a sequence number a position's key holds.
const longestSeq = 999
