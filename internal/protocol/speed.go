package protocol

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Batch is a run of events of one shard that a source hands over, in log order.
type Batch struct {
	Shard string
	// After is the position behind which the source read: nothing lies between it
	// and the first event. The zero Position says nothing, and the log is asked.
	After  Position
	Events []Event
}

// Delta is what a batch adds to one cell of a view.
type Delta struct {
	Key   Key
	State []byte
}

// Folder turns events into what they add to the real-time views. It is
// deterministic: a retry gives the same bytes.
type Folder interface {
	// Fold gives what the events add. They lie directly behind seen.
	Fold(ctx context.Context, shard string, events []Event, seen Seen) (Folded, error)
	// Merge merges two states of a view.
	Merge(view string, a, b []byte) ([]byte, error)
	// Keep is how long a dedup segment must outlive the arrivals in it, in
	// milliseconds: the dedup window and the slack for arrivals that go backwards.
	Keep() int64
}

// Seen is the dedup set at a committed position of a shard. A folder that still
// has the set of that very position, made by adding batches to an earlier one,
// need not load it.
type Seen struct {
	Through    Position
	MaxArrival int64 // of the shard's events up to Through, milliseconds since 1970-01-01 UTC
	// Load reads the segments that the set is made of, oldest first: all of every
	// ancestor, and the shard's own up to Through. Fold gives its error on. A
	// folder that decides no duplicates does not call it.
	Load func(ctx context.Context) ([]Segment, error)
}

// Folded is what a batch adds.
type Folded struct {
	Deltas   []Delta   // one per cell
	Segments []Segment // what it adds to the dedup set, named by the position of its last event
	Expired  []Segment // of the set before it, oldest first, without their data: see Expired
}

// Expired gives how many of a shard's dedup set, which is given oldest first, the
// shard no longer needs at a committed position and after it, by the latest
// arrival up to there and Folder.Keep.
//
// They expire up to the first that is still needed, not one by one, since a
// later segment may hold an older arrival of the same id.
func Expired(set []Segment, maxArrival, keep int64) int {
	for i := range set {
		if set[i].MaxArrival >= maxArrival-keep {
			return i
		}
	}
	return len(set)
}

// Speed applies batches to the real-time views and commits them to the ledger.
type Speed struct {
	Log      Log
	Ledger   Ledger
	RealTime RealTime
	Folder   Folder
	Now      func() int64 // milliseconds since 1970-01-01 UTC; only stamps Pending.Since
	// Genesis decides where a shard begins that has no row yet; nil: at its first
	// event.
	Genesis Genesis
}

// Genesis gives the position of a shard up to which events are not part of the
// pipeline. events are those at hand, in log order, perhaps none. begun is false if
// none of them is part of the pipeline and no later one is known: then the shard has
// no row yet, and the events are passed over.
type Genesis func(ctx context.Context, shard string, events []Event) (from Position, begun bool, err error)

// attempts bounds the retries against concurrent changes of one row or item.
const attempts = 100

// Apply applies a batch and returns once every event of it is committed,
// whoever committed it. It may be called again with any bounds, at any time,
// while older calls still run. A batch without events creates the shard's row
// and finishes what is pending.
func (s *Speed) Apply(ctx context.Context, b Batch) error {
	for range attempts {
		row, ok, err := s.Ledger.Row(ctx, b.Shard)
		if err != nil {
			return fmt.Errorf("reading the ledger row of %s: %w", b.Shard, err)
		}
		if !ok {
			if begun, err := s.create(ctx, b); err != nil || !begun {
				return err
			}
			continue
		}
		if row.Pending != nil {
			if err := s.finish(ctx, b.Shard, row, nil); err != nil {
				return err
			}
			continue
		}
		events := after(b.Events, row.Through)
		if len(events) == 0 {
			return nil // success only now: everything is committed
		}
		if !events[len(events)-1].Last {
			return fmt.Errorf("applying a batch of %s: it ends inside the record %s", b.Shard, events[len(events)-1].Position.Seq)
		}
		if err := s.contiguous(ctx, b, row.Through, events[0]); err != nil {
			return err
		}
		intent := row
		intent.Pending = &Pending{Through: events[len(events)-1].Position, Epoch: row.Epoch, Since: s.Now()}
		swapped, err := s.Ledger.Swap(ctx, b.Shard, intent)
		if err != nil {
			return fmt.Errorf("storing the intent of %s: %w", b.Shard, err)
		}
		if !swapped {
			continue
		}
		intent.Rev++
		if err := s.finish(ctx, b.Shard, intent, events); err != nil {
			return err
		}
	}
	return fmt.Errorf("applying a batch of %s: %w", b.Shard, ErrBusy)
}

// after gives the events behind a position.
func after(events []Event, through Position) []Event {
	for i := range events {
		if events[i].Position.After(through) {
			return events[i:]
		}
	}
	return nil
}

// contiguous makes sure that nothing lies between the ledger and the first event.
func (s *Speed) contiguous(ctx context.Context, b Batch, through Position, first Event) error {
	if !b.After.IsZero() && !b.After.After(through) || !b.Events[0].Position.After(through) {
		return nil
	}
	page, err := s.Log.Read(ctx, b.Shard, through, 1)
	if err != nil {
		return fmt.Errorf("reading the log of %s after %s: %w", b.Shard, through, err)
	}
	if len(page.Events) == 0 || page.Events[0].Position != first.Position {
		return fmt.Errorf("applying a batch of %s that begins at %s while the ledger ends at %q: %w", b.Shard, first.Position, through, ErrGap)
	}
	return nil
}

// create stores the shard's first row once every ancestor is committed to its end.
// It gives false if the shard's events are no part of the pipeline so far.
func (s *Speed) create(ctx context.Context, b Batch) (begun bool, err error) {
	shard := b.Shard
	shards, err := s.Log.Shards(ctx)
	if err != nil {
		return false, fmt.Errorf("listing shards: %w", err)
	}
	family := NewLineage(shards)
	gone := family.Gone(shard)
	for _, p := range append(gone, family.Ancestors(shard)...) {
		row, ok, err := s.Ledger.Row(ctx, p)
		if err != nil {
			return false, fmt.Errorf("reading the ledger row of ancestor %s: %w", p, err)
		}
		if !ok && slices.Contains(gone, p) {
			continue // it was closed before the pipeline began, or never held anything of it
		}
		page, err := s.Log.Read(ctx, p, row.Through, 1)
		if errors.Is(err, ErrNoShard) {
			err = fmt.Errorf("the stream does not have it any more, and nobody noted that nothing came behind %s, which is committed: %w: %w", row.Through, ErrExpired, err)
		}
		if err != nil {
			return false, fmt.Errorf("reading the log of ancestor %s: %w", p, err)
		}
		if !page.Ended || len(page.Events) > 0 || ok && row.Pending != nil {
			return false, fmt.Errorf("starting shard %s: ancestor %s: %w", shard, p, ErrNotYet)
		}
	}
	var from Position
	if s.Genesis != nil {
		if from, begun, err = s.Genesis(ctx, shard, b.Events); err != nil || !begun {
			return false, err
		}
	}
	if _, err := s.Ledger.Create(ctx, shard, Row{From: from, Through: from}); err != nil {
		return false, fmt.Errorf("creating the ledger row of %s: %w", shard, err)
	}
	return true, nil
}

// finish applies the pending batch of row and commits it. Everything it writes
// is a function of the row and the log, so any number of invocations may run
// it, old ones too. Losing against another one is no error.
func (s *Speed) finish(ctx context.Context, shard string, row Row, events []Event) error {
	p := *row.Pending
	if events == nil {
		var err error
		if events, err = ReadRange(ctx, s.Log, shard, row.Through, p.Through); err != nil {
			return err
		}
	}
	folded, err := s.Folder.Fold(ctx, shard, events, s.seen(shard, row))
	if errors.Is(err, errOvertaken) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("folding events of %s: %w", shard, err)
	}
	for _, segment := range folded.Segments {
		if err := s.RealTime.PutSegment(ctx, segment); err != nil {
			return fmt.Errorf("storing a dedup segment of %s: %w", shard, err)
		}
	}
	if stored, err := s.putItems(ctx, shard, row.Rev, p, folded.Deltas); err != nil || !stored {
		return err
	}
	next := row
	next.Pending = nil
	next.Through = p.Through
	next.Count += int64(len(events))
	for i := range events {
		next.Sum = next.Sum.Add(Hash(shard, &events[i]))
		next.MaxArrival = max(next.MaxArrival, events[i].Arrival)
	}
	committed, err := s.Ledger.Swap(ctx, shard, next)
	if err != nil {
		return fmt.Errorf("committing %s: %w", shard, err)
	}
	if committed {
		return s.evict(ctx, shard, folded.Expired)
	}
	return nil
}

// errOvertaken: another invocation has finished the batch meanwhile.
var errOvertaken = errors.New("another invocation has finished the batch")

// seen gives the dedup set behind which the pending batch of row begins.
func (s *Speed) seen(shard string, row Row) Seen {
	load := func(ctx context.Context) ([]Segment, error) {
		set, err := s.segments(ctx, shard, row.Through)
		if err != nil {
			return nil, err
		}
		// The fence: eviction runs after a commit, so a set that was loaded while the
		// row still stood at row.Rev is whole.
		mine, err := s.stillAt(ctx, shard, row.Rev)
		if err == nil && !mine {
			err = errOvertaken
		}
		return set, err
	}
	return Seen{Through: row.Through, MaxArrival: row.MaxArrival, Load: load}
}

func (s *Speed) stillAt(ctx context.Context, shard string, rev int64) (bool, error) {
	row, ok, err := s.Ledger.Row(ctx, shard)
	if err != nil {
		return false, fmt.Errorf("reading the ledger row of %s: %w", shard, err)
	}
	return ok && row.Rev == rev, nil
}

// putItems merges the deltas into the items of the pending batch. It gives
// false if the batch turned out to be somebody else's.
func (s *Speed) putItems(ctx context.Context, shard string, rev int64, p Pending, deltas []Delta) (bool, error) {
	for range attempts {
		if len(deltas) == 0 {
			return true, nil
		}
		ids := make([]ItemID, len(deltas))
		for i, d := range deltas {
			ids[i] = ItemID{Key: d.Key, Epoch: p.Epoch, Shard: shard}
		}
		items, err := s.RealTime.Items(ctx, ids)
		if err != nil {
			return false, fmt.Errorf("reading real-time items of %s: %w", shard, err)
		}
		var puts []Put
		var todo []Delta
		for i, it := range items {
			if it.Through.Compare(p.Through) >= 0 {
				continue // this batch is in it already
			}
			state := deltas[i].State
			if it.Cur != nil {
				if state, err = s.Folder.Merge(ids[i].View, it.Cur, state); err != nil {
					return false, fmt.Errorf("merging an item of view %s: %w", ids[i].View, err)
				}
			}
			puts = append(puts, Put{Expect: it.Through, Item: Item{ItemID: ids[i], Cur: state, Through: p.Through, Prev: it.Cur, PrevThrough: it.Through}})
			todo = append(todo, deltas[i])
		}
		if len(puts) == 0 {
			return true, nil
		}
		stored, err := s.RealTime.Put(ctx, puts)
		if err != nil {
			return false, fmt.Errorf("storing real-time items of %s: %w", shard, err)
		}
		deltas = deltas[:0:0]
		for i, ok := range stored {
			if !ok {
				deltas = append(deltas, todo[i])
			}
		}
		if len(deltas) > 0 {
			if mine, err := s.stillAt(ctx, shard, rev); err != nil || !mine {
				return false, err
			}
		}
	}
	return false, fmt.Errorf("storing real-time items of %s: %w", shard, ErrBusy)
}

// segments loads the dedup set: all segments of every ancestor, and the
// shard's own up to the committed position.
func (s *Speed) segments(ctx context.Context, shard string, through Position) ([]Segment, error) {
	shards, err := s.Log.Shards(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing shards: %w", err)
	}
	var out []Segment
	for _, id := range append(NewLineage(shards).Ancestors(shard), shard) {
		of, err := s.RealTime.Segments(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("reading dedup segments of %s: %w", id, err)
		}
		for _, seg := range of {
			if id != shard || !seg.Through.After(through) {
				out = append(out, seg)
			}
		}
	}
	return out, nil
}

// evict deletes segments that the shard no longer needs, oldest first, so that
// what is left at any moment is whole from some segment on. An ancestor's stay
// while another of its descendants needs them; the last one of these deletes
// them. What is not deleted now expires again with the set that is loaded next.
func (s *Speed) evict(ctx context.Context, shard string, expired []Segment) error {
	var family *Lineage
	spared := false // an ancestor's segment is still needed, and what comes after it stays too
	for _, seg := range expired {
		if seg.Shard != shard && !spared {
			if family == nil {
				shards, err := s.Log.Shards(ctx)
				if err != nil {
					return fmt.Errorf("listing shards: %w", err)
				}
				family = NewLineage(shards)
			}
			var err error
			if spared, err = s.needed(ctx, family, seg); err != nil {
				return err
			}
		}
		if seg.Shard != shard && spared {
			continue
		}
		if err := s.RealTime.DeleteSegment(ctx, seg.SegmentID); err != nil {
			return fmt.Errorf("evicting a dedup segment of %s: %w", shard, err)
		}
	}
	return nil
}

// needed reports whether some descendant of a segment's shard may still need it:
// one that has not come far enough beyond it, unless all of its children have.
func (s *Speed) needed(ctx context.Context, family *Lineage, seg Segment) (bool, error) {
	children := family.Children(seg.Shard)
	for _, child := range children {
		row, ok, err := s.Ledger.Row(ctx, child)
		if err != nil {
			return false, fmt.Errorf("reading the ledger row of %s: %w", child, err)
		}
		if ok && Expired([]Segment{seg}, row.MaxArrival, s.Folder.Keep()) == 1 {
			continue
		}
		below := seg
		below.Shard = child
		if needed, err := s.needed(ctx, family, below); err != nil || needed {
			return needed, err
		}
	}
	return len(children) == 0, nil
}

// readLimit is how many events one read of the log asks for.
const readLimit = 5000

// ReadRange reads the events in (after, through] of a shard. The last one must
// lie exactly at through.
func ReadRange(ctx context.Context, log Log, shard string, after, through Position) ([]Event, error) {
	var out []Event
	for at := after; at.Compare(through) < 0; {
		page, err := log.Read(ctx, shard, at, readLimit)
		if err != nil {
			return nil, fmt.Errorf("reading the log of %s after %q: %w", shard, at, err)
		}
		for _, e := range page.Events {
			if e.Position.After(through) {
				break
			}
			out = append(out, e)
		}
		if len(page.Events) == 0 {
			break
		}
		at = page.Events[len(page.Events)-1].Position
	}
	if n := len(out); n == 0 || out[n-1].Position != through {
		return nil, fmt.Errorf("reading the log of %s up to %s: %w", shard, through, ErrGap)
	}
	return out, nil
}
