package batch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/watershed-data/watershed/internal/protocol"
)

// audit holds a shard's rows against its log, row by row where they differ. Files
// may hold any rows in any order and more than once. Memory is bounded: a pass
// over both sides compares figures of blocks of the log, and only blocks that
// differ are compared by position, a few at a time.
type audit struct {
	shard   string
	log     protocol.Log
	master  protocol.Master
	files   []protocol.File
	entries Entries
	bounds  bounds
	genesis protocol.Position
	span    protocol.Span // of the log that is compared

	readers int   // files that are read at a time; 0: one
	most    int64 // bytes of events that are looked at, about; then span ends with the last of them. 0: all

	// missing takes the events of the log that no row has: their figure, and where
	// they lie, in log order. Its error ends the audit.
	missing func(f Figure, spans []protocol.Span) error
	// surplus takes rows at positions where the log has no event, differing rows
	// that are not what the log holds at theirs.
	surplus, differing func(protocol.Position)

	blocks []block
	first  string // key of the position after which they begin
}

// bounds are how much an audit holds at a time.
type bounds struct {
	block   int64 // events in a block of the log, at least 1
	blocks  int   // compared by position at a time
	stretch int64 // bytes of events of a log that a step looks at before it notes what it found
}

func (b bounds) orDefault() bounds {
	if b.block == 0 {
		return bounds{block: 64 << 10, blocks: 4, stretch: 64 << 20}
	}
	return b
}

// block is a stretch of the log with both sides' figures.
type block struct {
	protocol.Span
	key         string // of Through
	log, master Figure
}

func (b *block) equal() bool { return b.log == b.master }

// total is the log's figure of the whole span.
func (a *audit) total() (f Figure) {
	for i := range a.blocks {
		f = f.plus(a.blocks[i].log)
	}
	return f
}

// stored is the figure of the span's rows, as often as they are there.
func (a *audit) stored() (f Figure) {
	for i := range a.blocks {
		f = f.plus(a.blocks[i].master)
	}
	return f
}

func (a *audit) run(ctx context.Context) error {
	if err := a.readLog(ctx); err != nil {
		return err
	}
	if err := a.readMaster(ctx); err != nil {
		return err
	}
	var differ []*block
	for i := range a.blocks {
		if !a.blocks[i].equal() {
			differ = append(differ, &a.blocks[i])
		}
	}
	for some := range slices.Chunk(differ, a.bounds.blocks) {
		if err := a.compare(ctx, some); err != nil {
			return err
		}
	}
	return nil
}

// readLog makes the blocks.
func (a *audit) readLog(ctx context.Context) error {
	a.first = a.span.After.Key()
	open := block{Span: protocol.Span{After: a.span.After}}
	end := func() {
		open.key = open.Through.Key()
		a.blocks = append(a.blocks, open)
		open = block{Span: protocol.Span{After: open.Through}}
	}
	var size int64
	err := a.events(ctx, a.span, func(e *protocol.Event) bool {
		open.log, open.Through = open.log.add(protocol.Hash(a.shard, e)), e.Position
		if open.log.Count >= a.bounds.block {
			end()
		}
		size += int64(len(e.Data)+len(e.PartitionKey)) + eventBytes
		if a.most > 0 && size >= a.most {
			a.span.Through = e.Position
			return false
		}
		return true
	})
	if open.log.Count > 0 {
		end()
	}
	return err
}

// events gives the events of a span of the log until fn has enough. The last one must
// lie at the span's end.
func (a *audit) events(ctx context.Context, span protocol.Span, fn func(*protocol.Event) bool) error {
	for at := span.After; span.Through.After(at); {
		if err := ctx.Err(); err != nil {
			return err
		}
		page, err := a.log.Read(ctx, a.shard, at, pageEvents)
		if errors.Is(err, protocol.ErrExpired) {
			return fmt.Errorf("the log of %s no longer holds all of %s: %w", a.shard, protocol.Span{After: at, Through: span.Through}, err)
		}
		if err != nil {
			return fmt.Errorf("reading the log of %s after %q: %w", a.shard, at, err)
		}
		for i := range page.Events {
			at = page.Events[i].Position
			if at.After(span.Through) {
				break
			}
			if more := fn(&page.Events[i]); !more || at == span.Through {
				return nil
			}
		}
		if at.After(span.Through) || len(page.Events) == 0 && (page.AtTip || page.Ended) {
			return fmt.Errorf("the log of %s has no event at %s, which the ledger ends at: %w", a.shard, span.Through, protocol.ErrGap)
		}
	}
	return nil
}

// eventBytes is about what an event takes besides its bytes and its partition key.
const eventBytes = 64

// pageEvents is how many events are asked of the log at a time.
const pageEvents = 4 << 10

// readMaster adds the rows to the figures of the blocks. Rows before the pipeline's
// beginning are surplus: nothing of it can lie there.
func (a *audit) readMaster(ctx context.Context) error {
	span := a.span
	if a.span.After == a.genesis {
		span.After = protocol.Position{}
	}
	return a.rows(ctx, span, func(key []byte, hash uint64) error {
		if b := a.find(key); b != nil {
			b.master = b.master.add(hash)
			return nil
		}
		return a.atKey(a.surplus, key)
	})
}

// find gives the block of a position; nil if it lies before the first one.
func (a *audit) find(key []byte) *block {
	i, _ := slices.BinarySearchFunc(a.blocks, key, func(b block, key []byte) int { return compareKeys(b.key, key) })
	if i == len(a.blocks) || string(key) <= a.first {
		return nil
	}
	return &a.blocks[i]
}

// compareKeys orders without making a string of the bytes.
func compareKeys(a string, b []byte) int {
	switch {
	case a < string(b):
		return -1
	case a > string(b):
		return 1
	}
	return 0
}

func (a *audit) atKey(fn func(protocol.Position), key []byte) error {
	p, err := protocol.ParseKey(string(key))
	if err != nil {
		return fmt.Errorf("reading the master dataset: %w", err)
	}
	fn(p)
	return nil
}

// rows gives the rows of the shard in all files, one at a time, in any order.
func (a *audit) rows(ctx context.Context, span protocol.Span, fn func(key []byte, hash uint64) error) error {
	var turn sync.Mutex
	group, reading := errgroup.WithContext(ctx)
	group.SetLimit(max(a.readers, 1))
	for _, f := range a.files {
		if reading.Err() != nil {
			break
		}
		group.Go(func() error {
			err := a.rowsOf(reading, f, span, func(key []byte, hash uint64) error {
				turn.Lock()
				defer turn.Unlock()
				return fn(key, hash)
			})
			if err != nil {
				return fmt.Errorf("reading %s of the master dataset: %w", f.Name, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

func (a *audit) rowsOf(ctx context.Context, f protocol.File, span protocol.Span, fn func(key []byte, hash uint64) error) (err error) {
	r, size, err := a.master.Open(ctx, f.Name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return a.entries(r, size, a.shard, span, fn)
}

// compare compares some blocks, which are in log order, by position.
func (a *audit) compare(ctx context.Context, blocks []*block) error {
	var entries []entry
	for _, b := range blocks {
		before := b.After
		err := a.events(ctx, b.Span, func(e *protocol.Event) bool {
			entries = append(entries, entry{key: e.Position.Key(), before: before, hash: protocol.Hash(a.shard, e)})
			before = e.Position
			return true
		})
		if err != nil {
			return err
		}
	}
	err := a.rows(ctx, protocol.Span{After: blocks[0].After, Through: blocks[len(blocks)-1].Through}, func(key []byte, hash uint64) error {
		i, found := slices.BinarySearchFunc(entries, key, func(e entry, key []byte) int { return compareKeys(e.key, key) })
		switch {
		case found && entries[i].hash == hash:
			entries[i].found = true
			return nil
		case found:
			return a.atKey(a.differing, key)
		case slices.Contains(blocks, a.find(key)):
			return a.atKey(a.surplus, key)
		}
		return nil
	})
	if err != nil {
		return err
	}
	f, spans, err := absent(entries)
	if err != nil || f.Count == 0 {
		return err
	}
	return a.missing(f, spans)
}

// entry is an event of the log, to be found among the rows.
type entry struct {
	key    string
	before protocol.Position // of the event before it in the log
	hash   uint64
	found  bool
}

// absent gives the figure of the entries that were not found, and the spans they make.
func absent(entries []entry) (f Figure, spans []protocol.Span, err error) {
	for _, e := range entries {
		if e.found {
			continue
		}
		f = f.add(e.hash)
		at, err := protocol.ParseKey(e.key)
		if err != nil {
			return Figure{}, nil, err
		}
		if last := len(spans) - 1; last >= 0 && spans[last].Through == e.before {
			spans[last].Through = at
		} else {
			spans = append(spans, protocol.Span{After: e.before, Through: at})
		}
	}
	return f, spans, nil
}
