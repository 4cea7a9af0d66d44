package verify

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/measure"
	"github.com/watershed-data/watershed/internal/oracle"
	"github.com/watershed-data/watershed/internal/protocol"
)

// Service gives the merged answer: every cell of the views that is wanted, nil for
// all, as one snapshot. The visits come before it returns.
type Service interface {
	Cells(ctx context.Context, views []string, wanted func(view string, key protocol.Key) bool, visit func(view string, key protocol.Key, states []measure.State) error) (*protocol.Snapshot, error)
}

// Scan gives the rows of a file of the master dataset in the order in which
// they are stored. The event's Data need live only during the call. An error of
// fn ends the scan and is given as it is.
type Scan func(r io.ReaderAt, size int64, fn func(shard string, ev protocol.Event) error) error

// Options say what is compared with what.
type Options struct {
	Def     *definition.Definition
	Service Service
	Log     protocol.Log
	Master  protocol.Master
	Scan    Scan
	Views   []string // to compare; none: all, the built-in one too
	Most    int      // differences kept in the result; 0: 20
	// TooLarge optionally tells the errors of Service that say that there are more
	// cells than it gives at once. Then the cells are compared in parts.
	TooLarge func(error) bool
	// Progress optionally hears now and then how many events have been recomputed,
	// of how many.
	Progress func(events, of int64)
}

// progressEvery is after how many events progress is told.
const progressEvery = 8192

// Run compares every cell. A difference is part of the result; an error means
// that the comparison could not be made. A view that does not exist is an
// *UnknownViewError.
//
// If there are more cells than fit in memory, it goes through the events several
// times, each time for a part of the cells: a cell is always compared with a
// recompute of exactly the events that the answer it was read from holds.
func Run(ctx context.Context, opts Options) (*Result, error) {
	views, err := opts.views()
	if err != nil {
		return nil, err
	}
	for parts := 1; ; parts *= moreParts {
		result, err := opts.compareIn(ctx, parts, views)
		if err == nil || opts.TooLarge == nil || !opts.TooLarge(err) || parts*moreParts > mostParts {
			return result, err
		}
	}
}

// compareIn compares the cells in so many parts.
func (o Options) compareIn(ctx context.Context, parts int, views []definition.View) (*Result, error) {
	var all *Result
	for i := range parts {
		r := &run{Options: o, share: share{part: i, of: parts}, views: views}
		if err := r.all(ctx); err != nil {
			return nil, err
		}
		if all == nil {
			all = r.result
		} else {
			all.add(r.result)
		}
	}
	all.Parts = parts
	all.Equal = all.DifferenceCount == 0
	return all, nil
}

// all makes the comparison of one part.
func (r *run) all(ctx context.Context) error {
	merged, snapshot, err := r.gather(ctx)
	if err != nil {
		return fmt.Errorf("reading the merged answer: %w", err)
	}
	r.snapshot, r.oracle, r.result = snapshot, oracle.New(r.Def, names(r.views)...), newResult(r.Options, snapshot)
	if r.share.of > 1 {
		r.oracle.Only(r.share.has)
	}
	if m := snapshot.Manifest; m != nil {
		r.oracle.SealedAt(time.UnixMilli(m.T))
	}
	if err := r.recompute(ctx); err != nil {
		return err
	}
	for _, v := range r.views {
		r.compare(v, merged[v.Name])
	}
	return nil
}

// run is one comparison, of one part of the cells.
type run struct {
	Options
	share    share
	views    []definition.View
	snapshot *protocol.Snapshot
	oracle   *oracle.Oracle
	result   *Result
	expected int64 // events that the ledger has committed
}

func (o Options) views() ([]definition.View, error) {
	if len(o.Views) == 0 {
		return o.Def.AllViews(), nil
	}
	var out []definition.View
	for _, name := range o.Views {
		v, ok := o.Def.View(name)
		if !ok {
			return nil, &UnknownViewError{name}
		}
		out = append(out, v)
	}
	return out, nil
}

// UnknownViewError is a view to compare that the definition does not have.
type UnknownViewError struct{ View string }

func (e *UnknownViewError) Error() string { return fmt.Sprintf("there is no view %q", e.View) }

func names(views []definition.View) []string {
	var out []string
	for _, v := range views {
		out = append(out, v.Name)
	}
	return out
}

// recompute sends every event that the snapshot holds through the oracle, shard
// by shard, ancestors first, and holds each shard against the ledger.
func (r *run) recompute(ctx context.Context) error {
	for _, row := range r.snapshot.Rows {
		r.expected += row.Count
	}
	var index *master
	if r.snapshot.Manifest != nil {
		release, err := r.Master.Pin(ctx)
		if err != nil {
			return err
		}
		defer release()
		if index, err = openMaster(ctx, r.Master, r.Scan); err != nil {
			return err
		}
	}
	family := newFamily(r.snapshot, index)
	for _, shard := range family.order {
		log := family.begin(r.oracle, shard)
		if err := r.shard(ctx, index, shard, log); err != nil {
			return err
		}
		family.end(shard, log)
	}
	for outcome, n := range r.oracle.Outcomes() {
		r.result.Outcomes[string(outcome)] = n
	}
	return nil
}

// shard sends a shard's events through the oracle and holds them against the
// ledger.
func (r *run) shard(ctx context.Context, index *master, shard string, log *oracle.Log) error {
	row := r.snapshot.Rows[shard]
	at := entry{through: row.From, log: log}
	if cut, ok := r.cut(shard); ok && cut.Through.After(row.From) {
		if err := r.fromMaster(ctx, index, shard, row.From, cut, &at); err != nil {
			return err
		}
		at.through = cut.Through
	}
	if err := r.fromLog(ctx, shard, row.Through, &at); err != nil {
		return err
	}
	r.against("ledger of "+shard, at, row.Count, row.Sum)
	return nil
}

// cut is the place up to which the current version holds a shard's events.
func (r *run) cut(shard string) (protocol.Cut, bool) {
	if r.snapshot.Manifest == nil {
		return protocol.Cut{}, false
	}
	cut, ok := r.snapshot.Manifest.Cut[shard]
	return cut, ok
}

// entry is this package's own entry of a shard in the double entry: what it has
// counted and hashed so far.
type entry struct {
	through protocol.Position
	log     *oracle.Log
	count   int64
	sum     protocol.Sum
}

func (r *run) add(shard string, ev protocol.Event, at *entry) {
	at.log.Add(ev)
	at.count++
	at.sum = at.sum.Add(protocol.Hash(shard, &ev))
	r.result.Events++
	if r.Progress != nil && r.result.Events%progressEvery == 0 {
		r.Progress(int64(r.share.part)*r.expected+r.result.Events, int64(r.share.of)*r.expected)
	}
}

// fromMaster adds a shard's events in (from, cut], one for each position.
func (r *run) fromMaster(ctx context.Context, index *master, shard string, from protocol.Position, cut protocol.Cut, at *entry) error {
	var last protocol.Event
	for ev, err := range index.rows(ctx, shard, from, cut.Through) {
		if err != nil {
			return fmt.Errorf("reading the master dataset of %s: %w", shard, err)
		}
		if ev.Position == last.Position {
			if protocol.Hash(shard, &ev) != protocol.Hash(shard, &last) {
				r.result.differ(Difference{View: "master dataset of " + shard, Cell: ev.Position.String(), What: "event", Merged: "two different events", Oracle: "one event"})
			}
			continue // a repair wrote it twice
		}
		r.add(shard, ev, at)
		r.result.FromMaster++
		last = ev
	}
	r.against("master dataset of "+shard, *at, cut.Count, cut.Sum)
	return nil
}

// fromLog adds a shard's events behind at.through up to through.
func (r *run) fromLog(ctx context.Context, shard string, through protocol.Position, at *entry) error {
	const limit = 2000 // events a read
	for through.After(at.through) {
		page, err := r.Log.Read(ctx, shard, at.through, limit)
		if err != nil {
			return fmt.Errorf("reading the log of %s after %q: %w", shard, at.through, err)
		}
		if len(page.Events) == 0 {
			return nil // the ledger's figures will tell
		}
		for _, ev := range page.Events {
			if ev.Position.After(through) {
				return nil
			}
			r.add(shard, ev, at)
			r.result.FromLog++
			at.through = ev.Position
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// against holds what was recomputed against the figures that the ledger has.
func (r *run) against(what string, at entry, count int64, sum protocol.Sum) {
	if at.count != count {
		r.result.differ(Difference{View: what, What: "events", Merged: fmt.Sprint(count), Oracle: fmt.Sprint(at.count)})
	} else if at.sum != sum {
		r.result.differ(Difference{View: what, What: "checksum", Merged: checksum(sum), Oracle: checksum(at.sum)})
	}
}

func checksum(s protocol.Sum) string { return fmt.Sprintf("%x:%x", s.Hi, s.Lo) }
