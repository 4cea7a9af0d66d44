package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/watershed-data/watershed/internal/protocol"
)

// master reads a shard's rows in order of position from files that each hold
// any rows in any order. The rows of a shard in a file are taken as runs, each
// in order; a writer that follows the log makes one run a file. Only the runs
// around the current position are open, so memory grows with how much files
// overlap and not with their number.
type master struct {
	store protocol.Master
	scan  Scan
	runs  map[string][]sorted // by shard, in order of their first position
}

// sorted is a run of one shard's rows of a file, in order of position.
type sorted struct {
	file        protocol.File
	skip        int64 // rows of the shard before it in the file
	rows        int64
	first, last protocol.Position
}

// openMaster finds the runs of all files.
func openMaster(ctx context.Context, store protocol.Master, scan Scan) (*master, error) {
	files, err := store.Files(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing the files of the master dataset: %w", err)
	}
	m := &master{store: store, scan: scan, runs: map[string][]sorted{}}
	for _, f := range files {
		if err := m.index(ctx, f); err != nil {
			return nil, err
		}
	}
	for _, runs := range m.runs {
		slices.SortStableFunc(runs, func(a, b sorted) int { return a.first.Compare(b.first) })
	}
	return m, nil
}

// first gives the position of a shard's first row; the zero Position if it has
// none.
func (m *master) first(shard string) protocol.Position {
	if m == nil || len(m.runs[shard]) == 0 {
		return protocol.Position{}
	}
	return m.runs[shard][0].first
}

func (m *master) index(ctx context.Context, f protocol.File) error {
	open := map[string]*sorted{}
	end := func(shard string) { m.runs[shard] = append(m.runs[shard], *open[shard]) }
	err := m.each(ctx, f, func(shard string, ev protocol.Event) error {
		s := open[shard]
		if s != nil && s.last.After(ev.Position) {
			end(shard)
			s = &sorted{file: f, skip: s.skip + s.rows, first: ev.Position}
			open[shard] = s
		}
		if s == nil {
			s = &sorted{file: f, first: ev.Position}
			open[shard] = s
		}
		s.rows++
		s.last = ev.Position
		return nil
	})
	for shard := range open {
		end(shard)
	}
	return err
}

// each gives all rows of a file.
func (m *master) each(ctx context.Context, f protocol.File, fn func(shard string, ev protocol.Event) error) (err error) {
	r, size, err := m.store.Open(ctx, f.Name)
	if err != nil {
		return fmt.Errorf("opening %s: %w", f.Name, err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	n := 0
	err = m.scan(r, size, func(shard string, ev protocol.Event) error {
		if n++; n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		return fn(shard, ev)
	})
	if err != nil && !errors.Is(err, errEnough) {
		return fmt.Errorf("reading %s: %w", f.Name, err)
	}
	return err
}

// errEnough ends a scan.
var errEnough = errors.New("enough")

// rows gives a shard's rows in (after, through] by position, repeated ones one
// behind the other.
func (m *master) rows(ctx context.Context, shard string, after, through protocol.Position) iter.Seq2[protocol.Event, error] {
	return func(yield func(protocol.Event, error) bool) {
		var open []*cursor
		defer func() {
			for _, c := range open {
				c.stop()
			}
		}()
		waiting := slices.DeleteFunc(slices.Clone(m.runs[shard]), func(s sorted) bool {
			return !s.last.After(after) || s.first.After(through)
		})
		for {
			least := least(open)
			if len(waiting) > 0 && (least == nil || waiting[0].first.Compare(least.at.Position) <= 0) {
				c := m.open(ctx, shard, waiting[0])
				waiting = waiting[1:]
				open = append(open, c)
				if !c.step(yield) {
					return
				}
				open = slices.DeleteFunc(open, (*cursor).ended)
				continue
			}
			if least == nil || least.at.Position.After(through) {
				return
			}
			if least.at.Position.After(after) && !yield(least.at, nil) {
				return
			}
			if !least.step(yield) {
				return
			}
			open = slices.DeleteFunc(open, (*cursor).ended)
		}
	}
}

// cursor stands at a row of a run.
type cursor struct {
	at   protocol.Event
	next func() (protocol.Event, error, bool)
	stop func()
	done bool
}

func (m *master) open(ctx context.Context, shard string, s sorted) *cursor {
	next, stop := iter.Pull2(m.run(ctx, shard, s))
	return &cursor{next: next, stop: stop}
}

// step goes to the next row, or ends. It hands an error on and gives false.
func (c *cursor) step(yield func(protocol.Event, error) bool) bool {
	ev, err, ok := c.next()
	if err != nil {
		yield(protocol.Event{}, err)
		return false
	}
	c.at, c.done = ev, !ok
	return true
}

func (c *cursor) ended() bool { return c.done }

func least(open []*cursor) *cursor {
	var out *cursor
	for _, c := range open {
		if out == nil || c.at.Position.Compare(out.at.Position) < 0 {
			out = c
		}
	}
	return out
}

// run gives the rows of a run.
func (m *master) run(ctx context.Context, shard string, s sorted) iter.Seq2[protocol.Event, error] {
	return func(yield func(protocol.Event, error) bool) {
		n := int64(0)
		err := m.each(ctx, s.file, func(of string, ev protocol.Event) error {
			if of != shard {
				return nil
			}
			if n++; n <= s.skip {
				return nil
			}
			ev.Data = bytes.Clone(ev.Data) // kept until the next row is compared with it
			if !yield(ev, nil) || n == s.skip+s.rows {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(protocol.Event{}, err)
		}
	}
}
