package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/zeebo/xxh3"

	"github.com/watershed-data/watershed/internal/protocol"
)

// pageBytes bounds a page of the log, but for its last event.
const pageBytes = 4 << 20

// spoolLog shows the spool of one load as the log of its pseudo-shard. It is read
// from its beginning to its end, and anew from another position after a restart.
// It is for one goroutine but for passed.
type spoolLog struct {
	loads  protocol.Loads
	load   protocol.Load
	spool  *spool
	at     protocol.Position // behind which the spool is read next
	passed atomic.Int64      // events up to there
}

// Shards implements protocol.Log.
func (l *spoolLog) Shards(context.Context) ([]protocol.Shard, error) {
	return []protocol.Shard{{ID: l.load.Shard(), LastSeq: l.last().Seq}}, nil
}

func (l *spoolLog) last() protocol.Position { return protocol.LoadPosition(l.load.Last) }

// Read implements protocol.Log.
func (l *spoolLog) Read(ctx context.Context, shard string, after protocol.Position, limit int) (page protocol.Page, err error) {
	if shard != l.load.Shard() {
		return page, protocol.ErrNoShard
	}
	if l.spool == nil || after != l.at {
		if err := l.seek(ctx, after); err != nil {
			return page, err
		}
	}
	for size := 0; len(page.Events) < max(limit, 1) && size < pageBytes; {
		e, err := l.spool.next()
		if errors.Is(err, io.EOF) {
			page.Ended = true
			break
		}
		if err != nil {
			return protocol.Page{}, err
		}
		size += len(e.Data)
		page.Events = append(page.Events, e)
		l.at = e.Position
		l.passed.Add(1)
	}
	return page, nil
}

// seek opens the spool and passes over the events up to a position.
func (l *spoolLog) seek(ctx context.Context, after protocol.Position) (err error) {
	if err := l.close(); err != nil {
		return err
	}
	if l.spool, err = openSpool(ctx, l.loads, &l.load); err != nil {
		return err
	}
	l.passed.Store(0)
	for l.at = (protocol.Position{}); after.After(l.at); l.passed.Add(1) {
		e, err := l.spool.next()
		if err != nil {
			return fmt.Errorf("finding line %s: %w", after.Seq, err)
		}
		l.at = e.Position
	}
	return nil
}

func (l *spoolLog) close() error {
	if l.spool == nil {
		return nil
	}
	s := l.spool
	l.spool, l.at = nil, protocol.Position{}
	return s.close()
}

// spool reads the events of a load as the pseudo-shard has them.
type spool struct {
	load   *protocol.Load
	file   io.ReadCloser
	frames *FrameReader
	check  *xxh3.Hasher
	count  int64
}

func openSpool(ctx context.Context, loads protocol.Loads, load *protocol.Load) (*spool, error) {
	f, err := loads.OpenSpool(ctx, load.Spool)
	if err != nil {
		return nil, err
	}
	s := &spool{load: load, file: f, check: xxh3.New()}
	s.frames = NewFrameReader(io.TeeReader(f, s.check))
	return s, nil
}

// next gives the next event; io.EOF behind the last one, if all were what was
// accepted.
func (s *spool) next() (protocol.Event, error) {
	e, err := s.frames.Next()
	if errors.Is(err, io.EOF) {
		if s.count != s.load.Events || s.check.Sum64() != s.load.Check {
			return protocol.Event{}, fmt.Errorf("the spooled events of %s are not those that were accepted: the disk is damaged", s.load.Shard())
		}
		return protocol.Event{}, io.EOF
	}
	if err != nil {
		return protocol.Event{}, fmt.Errorf("reading the spooled events of %s: %w", s.load.Shard(), err)
	}
	s.count++
	return event(s.load.Arrival, e), nil
}

func (s *spool) close() error { return s.file.Close() }

// event is an event of a load as the pseudo-shard has it. Nobody gave it a
// partition key: within a load, events of one id are the same.
func event(arrival int64, e Event) protocol.Event {
	return protocol.Event{Position: protocol.LoadPosition(e.Line), Arrival: arrival, Data: e.Data, Last: true}
}

// figures takes the ledger's side of the double entry from the spool.
func figures(ctx context.Context, loads protocol.Loads, load *protocol.Load) (row protocol.Row, err error) {
	s, err := openSpool(ctx, loads, load)
	if err != nil {
		return row, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	shard := load.Shard()
	row.MaxArrival = load.Arrival
	for {
		e, err := s.next()
		if errors.Is(err, io.EOF) {
			return row, nil
		}
		if err == nil && row.Count%1024 == 0 {
			err = ctx.Err()
		}
		if err != nil {
			return row, err
		}
		row.Through = e.Position
		row.Count++
		row.Sum = row.Sum.Add(protocol.Hash(shard, &e))
	}
}
