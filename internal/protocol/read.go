package protocol

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Range is a part of a view: the buckets that start in [From, To),
// microseconds since 1970-01-01 UTC.
type Range struct {
	View     string
	From, To int64
}

// Visitor receives what makes up an answer.
type Visitor interface {
	// Reset forgets everything: the reading begins anew.
	Reset()
	// Version receives the version's batch views, to read the part r of them, now or
	// in End.
	Version(ctx context.Context, m Manifest, r Range) error
	// Item receives a cell's committed real-time state, to be merged with
	// everything else under its key. state must not be kept.
	Item(key Key, state []byte) error
	// End says that everything was given. The version's files may be read until it
	// returns: what it does is still part of the reading.
	End(ctx context.Context) error
}

// Snapshot says of which events exactly an answer is made.
type Snapshot struct {
	Pointer  Pointer
	Manifest *Manifest // nil: no version is published yet
	Lineage  *Lineage
	Rows     map[string]Row // ledger rows as read; shards that have none are missing, and so are loads that the version does not hold
	Waiting  int            // loads that are in the ledger and will be in the next version
}

// Committed gives the position up to which the answer holds a shard's events.
func (s *Snapshot) Committed(shard string) Position { return s.Rows[shard].Through }

// Reader reads merged views.
type Reader struct {
	Log      Log
	Ledger   Ledger
	RealTime RealTime
	Views    Views
	// Freeze optionally gives ledger and items as they stand at one moment, and a
	// function that lets them go. A store that can do it spares the reader from
	// reading again when writers are faster than it.
	Freeze func() (Ledger, RealTime, func(), error)
	// Lineage optionally gives the lineage of a stream whose ledger has the rows: at
	// least every shard of them that the log lists. nil lists the shards each time.
	Lineage func(ctx context.Context, rows map[string]Row) (*Lineage, error)
	// Pause waits before a reading begins anew; nil is a timer.
	Pause func(ctx context.Context, d time.Duration) error

	last atomic.Pointer[Manifest]
}

// readAttempts bounds how often a reading begins anew.
const readAttempts = 60

// errAgain: the reading met something that is newer than its cut.
var errAgain = errors.New("read again")

// Read visits the ranges as one snapshot: exactly the events up to the
// positions it gives. It fails with ErrBusy rather than answer something else.
func (r *Reader) Read(ctx context.Context, ranges []Range, v Visitor) (*Snapshot, error) {
	wait := time.Millisecond
	for range readAttempts {
		snapshot, err := r.attempt(ctx, ranges, v)
		if !errors.Is(err, errAgain) {
			return snapshot, err
		}
		if err := r.pause(ctx, wait); err != nil {
			return nil, err
		}
		wait = min(2*wait, 100*time.Millisecond)
	}
	return nil, fmt.Errorf("reading views: %w", ErrBusy)
}

func (r *Reader) pause(ctx context.Context, d time.Duration) error {
	if r.Pause != nil {
		return r.Pause(ctx, d)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func (r *Reader) attempt(ctx context.Context, ranges []Range, v Visitor) (*Snapshot, error) {
	ledger, items := r.Ledger, r.RealTime
	if r.Freeze != nil {
		var release func()
		var err error
		if ledger, items, release, err = r.Freeze(); err != nil {
			return nil, fmt.Errorf("freezing the store: %w", err)
		}
		defer release()
	}
	v.Reset()
	pointer, err := ledger.Pointer(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the pointer: %w", err)
	}
	s := &Snapshot{Pointer: pointer}
	if s.Rows, s.Lineage, err = r.rows(ctx, ledger); err != nil {
		return nil, err
	}
	for id := range s.Rows {
		if IsLoad(id) {
			s.Waiting++ // until the version says that it holds it
			delete(s.Rows, id)
		}
	}
	err = r.visit(ctx, s, items, ranges, v)
	if err != nil && !errors.Is(err, errAgain) && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	// Not the frozen ledger: files and items of an old version go for everybody.
	now, pointerErr := r.Ledger.Pointer(ctx)
	if pointerErr != nil {
		return nil, fmt.Errorf("reading the pointer: %w", pointerErr)
	}
	moved := now.Disc > pointer.Seq
	if err != nil && now.Seq > pointer.Seq {
		return nil, errAgain // what failed may have been deleted under the reader
	}
	if err == nil && moved && r.Freeze == nil {
		return nil, errAgain
	}
	return s, err
}

// rows reads the ledger's rows so that they are causally closed: whatever is read of
// a parent holds at least what its children build upon.
//
// A ledger reads its rows in any order, so a parent's may be older than its child's.
// But a child has a row only once all of its ancestors are committed to their end,
// and they stay so. Rows that have descendants are therefore taken from a second
// reading, and no order is needed in either.
func (r *Reader) rows(ctx context.Context, ledger Ledger) (map[string]Row, *Lineage, error) {
	rows, err := ledger.Rows(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the ledger's rows: %w", err)
	}
	lineage, err := r.lineage(ctx, rows)
	if err != nil {
		return nil, nil, err
	}
	ancestors := lineage.ancestorsOf(rows)
	if len(ancestors) == 0 {
		return rows, lineage, nil
	}
	final, err := ledger.Rows(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the ledger's rows again: %w", err)
	}
	for _, id := range ancestors {
		if row, ok := final[id]; ok {
			rows[id] = row
		}
	}
	return rows, lineage, nil
}

func (r *Reader) lineage(ctx context.Context, rows map[string]Row) (*Lineage, error) {
	if r.Lineage != nil {
		return r.Lineage(ctx, rows)
	}
	shards, err := r.Log.Shards(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing shards: %w", err)
	}
	return NewLineage(shards), nil
}

func (r *Reader) visit(ctx context.Context, s *Snapshot, items RealTime, ranges []Range, v Visitor) error {
	cut := map[string]Cut{}
	if s.Pointer.Seq > 0 {
		m, err := r.manifest(ctx, s.Pointer.Version)
		if err != nil {
			return fmt.Errorf("reading the manifest of %s: %w", s.Pointer.Version, err)
		}
		s.Manifest, cut = &m, m.Cut
		s.addLoads(cut)
		for _, rg := range ranges {
			if err := v.Version(ctx, m, rg); err != nil {
				return fmt.Errorf("reading view %s of version %s: %w", rg.View, m.Version, err)
			}
		}
	}
	for _, rg := range ranges {
		for token, more := "", true; more; {
			page, err := items.Query(ctx, rg.View, rg.From, rg.To, token)
			if err != nil {
				return fmt.Errorf("reading real-time items of view %s: %w", rg.View, err)
			}
			for i := range page.Items {
				if err := visitItem(&page.Items[i], s, cut, v); err != nil {
					return err
				}
			}
			token, more = page.Next, page.Next != ""
		}
	}
	return v.End(ctx)
}

// manifest gives a version's manifest. It never changes, so the last one is
// remembered.
func (r *Reader) manifest(ctx context.Context, version string) (Manifest, error) {
	if last := r.last.Load(); last != nil && last.Version == version {
		return *last, nil
	}
	m, err := r.Views.Manifest(ctx, version)
	if err == nil {
		r.last.Store(&m)
	}
	return m, err
}

// addLoads adds the loads that the version holds, by its cut. A load has no
// real-time items: by its ledger row, which may be newer than the version, the
// answer would claim events that it does not have.
func (s *Snapshot) addLoads(cut map[string]Cut) {
	for id, c := range cut {
		if IsLoad(id) {
			s.Rows[id] = Row{Epoch: c.Epoch + 1, Through: c.Through, Count: c.Count, Sum: c.Sum, Cut: &c}
			s.Waiting--
		}
	}
}

// visitItem gives the visitor the state of an item that is committed at the
// snapshot, if it has one that the version does not cover.
func visitItem(it *Item, s *Snapshot, cut map[string]Cut, v Visitor) error {
	if c, covered := cut[it.Shard]; covered && it.Epoch <= c.Epoch {
		return nil
	}
	committed := s.Committed(it.Shard)
	switch {
	case it.Through.Compare(committed) <= 0:
		return v.Item(it.Key, it.Cur)
	case it.PrevThrough.Compare(committed) > 0:
		return errAgain // two batches ahead: the committed state is gone
	case it.Prev == nil:
		return nil
	}
	return v.Item(it.Key, it.Prev)
}
