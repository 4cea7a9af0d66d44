package archive

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
)

const (
	// DefaultFileBytes is how many bytes of events make a file.
	DefaultFileBytes = 64 << 20
	// DefaultEvery is how long an event waits for its file when nobody asks.
	DefaultEvery = 10 * time.Second

	parallel = 2 // files being written at a time, for their memory
)

// Checkpoints keeps, per shard, the position up to which the master dataset
// holds its rows. It is durable.
type Checkpoints interface {
	// Load gives a shard's checkpoint; before the first one, the position after
	// which the pipeline begins.
	Load(ctx context.Context, shard string) (protocol.Position, error)
	// Store replaces a shard's checkpoint.
	Store(ctx context.Context, shard string, through protocol.Position) error
}

// Erasures remembers which events of a stream were erased, for as long as its log
// may hold them: what is written from the log once more must not bring them back.
// It is durable, and belongs to no generation.
type Erasures interface {
	// Add remembers erased events of a shard, before they are gone from the master
	// dataset. Adding one again changes nothing.
	Add(ctx context.Context, shard string, erased map[protocol.Position]protocol.Erased) error
	// In gives those between two positions, both included.
	In(ctx context.Context, shard string, first, last protocol.Position) (map[protocol.Position]protocol.Erased, error)
}

// Logic makes rows of events; *rowlogic.Logic does.
type Logic interface {
	Run(shard string, events []protocol.Event) *rowlogic.Batch
}

// Archiver fills the master dataset from the log. All methods may be called at
// the same time; a shard is read by one of them at a time. Memory is bounded by
// a page of the log and a compressed row group for each shard being written.
type Archiver struct {
	Definition  *definition.Definition
	Logic       Logic
	Log         protocol.Log
	Master      protocol.Master
	Checkpoints Checkpoints
	Erasures    Erasures // nil: nothing of the log is ever erased

	FileBytes int64            // of events' bytes in a file, about; 0: DefaultFileBytes
	Every     time.Duration    // 0: DefaultEvery
	Ticks     <-chan time.Time // in place of a clock that ticks Every; may be nil

	mu     sync.Mutex
	shards map[string]*shard
}

// shard is the archive's place in one shard.
type shard struct {
	busy    chan struct{}     // held by whoever reads the shard
	loaded  bool              // through is known
	through protocol.Position // as stored by Checkpoints
}

// Run archives at every tick until the context is cancelled, which is no error.
// Any other error ends it; what was not archived is still in the log.
func (a *Archiver) Run(ctx context.Context) error {
	ticks := a.Ticks
	if ticks == nil {
		every := a.Every
		if every == 0 {
			every = DefaultEvery
		}
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		ticks = ticker.C
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticks:
		}
		if err := a.all(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
}

// all archives every shard up to its tip.
func (a *Archiver) all(ctx context.Context) error {
	shards, err := a.Log.Shards(ctx)
	if err != nil {
		return fmt.Errorf("archiving: listing shards: %w", err)
	}
	left := make([]string, len(shards))
	for i, s := range shards {
		left[i] = s.ID
	}
	for len(left) > 0 {
		done := make([]bool, len(left))
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(parallel)
		for i, id := range left { // a file each, so that no busy shard starves the others
			group.Go(func() (err error) {
				done[i], err = a.turn(ctx, id, nil)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		busy := left[:0]
		for i, id := range left {
			if !done[i] {
				busy = append(busy, id)
			}
		}
		left = busy
	}
	return nil
}

// Flush returns when every row up to the positions is in the master dataset; it
// archives what is not there yet, so that a batch run need not wait.
func (a *Archiver) Flush(ctx context.Context, through map[string]protocol.Position) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for id, until := range through {
		group.Go(func() error {
			for {
				if done, err := a.turn(ctx, id, &until); done || err != nil {
					return err
				}
			}
		})
	}
	return group.Wait()
}

// Repair writes the rows of the events in the spans, which are in log order, to
// the master dataset once more. Rows that are there already have the same
// positions, so a batch run keeps one of each, and doing it twice changes nothing.
func (a *Archiver) Repair(ctx context.Context, shard string, spans []protocol.Span) error {
	for r := (&repairer{log: a.Log, shard: shard, spans: spans}); len(r.spans) > 0; {
		if err := a.file(ctx, shard, r, nil); err != nil {
			return fmt.Errorf("repairing %s: %w", shard, err)
		}
	}
	return nil
}

// turn writes at most one file behind a shard's checkpoint and then stores the
// new one: a crash in between doubles rows and loses none. It is done when the
// checkpoint has reached a position, or the log's tip if that is nil.
func (a *Archiver) turn(ctx context.Context, id string, until *protocol.Position) (done bool, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("archiving %s: %w", id, err)
		}
	}()
	s, err := a.hold(ctx, id)
	if err != nil {
		return false, err
	}
	defer func() { <-s.busy }()
	if until != nil && !until.After(s.through) {
		return true, nil
	}
	r := &pager{log: a.Log, shard: id, last: s.through, until: until}
	err = a.file(ctx, id, r, func(f *Writer) { f.Holds(protocol.Span{After: s.through, Through: r.last}) })
	if err != nil {
		s.loaded = false // the file may be there or not
		return false, err
	}
	if r.last == s.through {
		if until != nil {
			return false, fmt.Errorf("the log ends at %q, before %q", r.last, *until)
		}
		return true, nil
	}
	if err := a.Checkpoints.Store(ctx, id, r.last); err != nil {
		s.loaded = false // it may be stored or not
		return false, fmt.Errorf("storing the checkpoint: %w", err)
	}
	s.through = r.last
	return until == nil && r.end || until != nil && !until.After(r.last), nil
}

// hold waits until nobody else reads the shard, and loads its checkpoint at the
// first time.
func (a *Archiver) hold(ctx context.Context, id string) (*shard, error) {
	a.mu.Lock()
	if a.shards == nil {
		a.shards = make(map[string]*shard)
	}
	s := a.shards[id]
	if s == nil {
		s = &shard{busy: make(chan struct{}, 1)}
		a.shards[id] = s
	}
	a.mu.Unlock()
	select {
	case s.busy <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if s.loaded {
		return s, nil
	}
	through, err := a.Checkpoints.Load(ctx, id)
	if err != nil {
		<-s.busy
		return nil, fmt.Errorf("loading the checkpoint: %w", err)
	}
	if s.through, err = a.stored(ctx, id, through); err != nil {
		<-s.busy
		return nil, err
	}
	s.loaded = true
	return s, nil
}

// stored gives the position up to which the master dataset holds a shard's rows: a
// crash may have come between a file and its checkpoint. To write the rows again
// would double them.
func (a *Archiver) stored(ctx context.Context, id string, through protocol.Position) (protocol.Position, error) {
	spans, err := a.spans(ctx, id)
	if err != nil {
		return through, fmt.Errorf("finding what the master dataset holds behind the checkpoint: %w", err)
	}
	at := through
	for _, span := range spans { // by their ends
		if span.Through.After(at) && !span.After.After(at) {
			at = span.Through
		}
	}
	if at == through {
		return through, nil
	}
	if err := a.Checkpoints.Store(ctx, id, at); err != nil {
		return through, fmt.Errorf("storing the checkpoint: %w", err)
	}
	return at, nil
}

// spans gives the spans of the log that files of a shard hold, by their ends.
func (a *Archiver) spans(ctx context.Context, id string) (spans []protocol.Span, err error) {
	release, err := a.Master.Pin(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	files, err := a.Master.Files(ctx)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if f.Shard != id {
			continue
		}
		about, err := inspect(ctx, a.Master, f)
		if err != nil {
			return nil, err
		}
		if about.whole != nil {
			spans = append(spans, *about.whole)
		}
	}
	slices.SortFunc(spans, func(a, b protocol.Span) int { return a.Through.Compare(b.Through) })
	return spans, nil
}

// reader gives a shard's events in log order, a page of the log at a time; none
// at its end.
type reader interface {
	next(ctx context.Context) ([]protocol.Event, error)
}

// file writes one file with the next events of a reader; none if it is at its end.
// note is called before the file is closed, if it is not nil.
func (a *Archiver) file(ctx context.Context, id string, r reader, note func(*Writer)) error {
	limit := a.FileBytes
	if limit == 0 {
		limit = DefaultFileBytes
	}
	events, err := r.next(ctx)
	if err != nil || len(events) == 0 {
		return err
	}
	_, err = a.Master.Put(ctx, id, func(w io.Writer) error {
		f := NewWriter(w, a.Definition)
		for size := int64(0); len(events) > 0; {
			if events, err = a.withoutErased(ctx, id, events); err != nil {
				return err
			}
			if err := f.Write(a.Logic.Run(id, events)); err != nil {
				return err
			}
			for i := range events {
				size += int64(len(events[i].Data))
			}
			if size >= limit {
				break
			}
			if events, err = r.next(ctx); err != nil {
				return err
			}
		}
		if note != nil {
			note(f)
		}
		return f.Close()
	})
	if err != nil {
		return fmt.Errorf("writing a file of the master dataset: %w", err)
	}
	return nil
}

// withoutErased gives the events with what the rows of erased ones hold in their
// place.
func (a *Archiver) withoutErased(ctx context.Context, shard string, events []protocol.Event) ([]protocol.Event, error) {
	if a.Erasures == nil {
		return events, nil
	}
	erased, err := a.Erasures.In(ctx, shard, events[0].Position, events[len(events)-1].Position)
	if err != nil {
		return nil, fmt.Errorf("finding what was erased of %s: %w", shard, err)
	}
	if len(erased) == 0 {
		return events, nil
	}
	events = slices.Clone(events) // they may be the log's
	for i := range events {
		e := &events[i]
		if left, ok := erased[e.Position]; ok {
			e.Erased, e.PartitionKey, e.Data = &left, "", nil
		}
	}
	return events, nil
}
