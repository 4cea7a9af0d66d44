package batch

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"math"
	"time"

	"github.com/watershed-data/watershed/internal/protocol"
)

// Erasure erases events, which it knows, from the master dataset.
type Erasure interface {
	// Count gives how many events of each shard up to the positions it would erase.
	Count(ctx context.Context, through map[string]protocol.Position) (map[string]int64, error)
	// Erase erases them, all at once, and gives how many they are. forget says of an
	// event's shard and arrival, in milliseconds since 1970-01-01 UTC, whether no event
	// that is still to come can be its duplicate.
	Erase(ctx context.Context, through map[string]protocol.Position, forget func(shard string, arrival int64) bool) (map[string]int64, error)
}

// EraseReport says what an erasure did or would do.
type EraseReport struct {
	DryRun    bool             `json:"dryRun"`
	Events    int64            `json:"events"`
	Shards    map[string]int64 `json:"shards"`    // events, per shard that has some
	Version   string           `json:"version"`   // the first without them; "": nothing was erased
	Watershed time.Time        `json:"watershed"` // up to which events were looked at
}

// The text of the Erasing journal. It does not say what is erased: that is what
// must not stay.
var (
	underWay  = []byte("under way")
	notErased = []byte("none")
)

// ErrErasing is that an erasure was interrupted: its events are gone from the master
// dataset, and the current version still counts them.
var ErrErasing = errors.New("an erasure was interrupted and is completed by the next version; make it with `watershed batch`, and try again")

// erasing reports whether an erasure is under way.
func (l *Layer) erasing(ctx context.Context) (bool, error) {
	if l.Erasing == nil {
		return false, nil
	}
	text, err := l.Erasing.Load(ctx)
	if err != nil {
		return false, fmt.Errorf("reading whether an erasure is under way: %w", err)
	}
	return string(text) == string(underWay), nil
}

// erased notes that the erasure is complete.
func (l *Layer) erased(ctx context.Context) error {
	if err := l.Erasing.Store(ctx, notErased); err != nil {
		return fmt.Errorf("storing that the erasure is complete: %w", err)
	}
	return nil
}

// Whole gives ErrErasing if the current version does not belong to the master
// dataset as it is.
func (l *Layer) Whole(ctx context.Context) error {
	erasing, err := l.erasing(ctx)
	if err == nil && erasing {
		err = ErrErasing
	}
	return err
}

// CountErasure says what Erase would erase. It changes nothing.
func (l *Layer) CountErasure(ctx context.Context, e Erasure) (*EraseReport, error) {
	if err := l.caughtUp(ctx); err != nil {
		return nil, err
	}
	ids, err := l.Ledger.Shards(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing the ledger's shards: %w", err)
	}
	through := map[string]protocol.Position{}
	for _, id := range ids {
		row, ok, err := l.Ledger.Row(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("reading the ledger row of %s: %w", id, err)
		}
		if ok {
			through[id] = row.Through
		}
	}
	if err := l.Archive.Flush(ctx, through); err != nil {
		return nil, fmt.Errorf("waiting for the master dataset: %w", err)
	}
	counts, err := e.Count(ctx, through)
	if err != nil {
		return nil, err
	}
	return &EraseReport{DryRun: true, Events: sum(counts), Shards: counts, Watershed: l.Now().UTC()}, nil
}

func sum(counts map[string]int64) (n int64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// Erase erases everything of the erasure that was acknowledged before the call, and
// publishes a version without it. Then older versions, real-time items and files that
// held it are deleted.
//
// It may be killed at any time. Until the events are gone from the master dataset,
// nothing has happened; from then on the next run, of whatever kind, completes it.
func (l *Layer) Erase(ctx context.Context, e Erasure) (*EraseReport, error) {
	if l.Erasing == nil {
		return nil, errors.New("erasing: the batch layer has no journal for it")
	}
	if err := l.caughtUp(ctx); err != nil {
		return nil, err
	}
	if err := l.turn.take(ctx); err != nil {
		return nil, err
	}
	defer l.turn.give()
	r := &run{Layer: l, report: newReport()}
	out, begun, err := r.erase(ctx, e)
	if begun {
		l.remember(ctx, r.plan.Run, r.report, err)
	}
	return out, err
}

// erase also reports whether it got so far that it made a version or failed to.
func (r *run) erase(ctx context.Context, e Erasure) (out *EraseReport, begun bool, err error) {
	bounds, err := r.arrivals(ctx)
	if err != nil {
		return nil, false, err
	}
	if err := r.seal(ctx, rand.Text()); err != nil {
		return nil, true, err
	}
	defer func() { _ = r.Ledger.DeletePlan(context.WithoutCancel(ctx), r.plan.Run) }()
	through := map[string]protocol.Position{}
	for shard, c := range r.plan.Cut {
		through[shard] = c.Through
	}
	if err := r.step("wait", func() error { return r.Archive.Flush(ctx, through) }); err != nil {
		return nil, true, fmt.Errorf("waiting for the master dataset: %w", err)
	}
	out = &EraseReport{Watershed: r.report.Watershed}
	if err := r.step("erase", func() (err error) { out.Shards, err = r.rewrite(ctx, e, through, bounds); return err }); err != nil {
		return nil, true, err
	}
	out.Events = sum(out.Shards)
	erasing, err := r.erasing(ctx)
	if err != nil || !erasing {
		return out, false, err // nothing is to be erased, and nothing was under way
	}
	if err := r.make(ctx, true); err != nil {
		return nil, true, fmt.Errorf("the events are erased, and the version without them is not published yet: %w", err)
	}
	if r.report.Superseded {
		return nil, true, fmt.Errorf("the events are erased, and another run published first: %w", protocol.ErrBusy)
	}
	out.Version = r.report.Version
	r.Logger.Info("erased", "events", out.Events, "version", out.Version)
	return out, true, nil
}

// rewrite erases the events from the master dataset. Before it does, it notes that
// an erasure is under way.
func (r *run) rewrite(ctx context.Context, e Erasure, through map[string]protocol.Position, bounds map[string]int64) (map[string]int64, error) {
	counts, err := e.Count(ctx, through)
	if err != nil || sum(counts) == 0 {
		return counts, err
	}
	if err := r.Erasing.Store(ctx, underWay); err != nil {
		return nil, fmt.Errorf("storing that an erasure is under way: %w", err)
	}
	keep := r.Protocol.Speed.Folder.Keep()
	counts, err = e.Erase(ctx, through, func(shard string, arrival int64) bool { return arrival < bounds[shard]-keep })
	if err != nil {
		return nil, fmt.Errorf("erasing: %w", err)
	}
	return counts, nil
}

// arrivals gives, for each shard, the latest arrival before what is still to come:
// in the shard, or in those that follow it. Events of a load are followed by none.
func (r *run) arrivals(ctx context.Context) (map[string]int64, error) {
	ids, err := r.Ledger.Shards(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing the ledger's shards: %w", err)
	}
	shards, err := r.Log.Shards(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing shards: %w", err)
	}
	open := map[string]bool{}
	for _, s := range shards {
		open[s.ID] = !s.Closed()
	}
	out := map[string]int64{}
	least := int64(math.MaxInt64)
	for id := range open {
		row, _, err := r.Ledger.Row(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("reading the ledger row of %s: %w", id, err)
		}
		if open[id] {
			out[id] = row.MaxArrival // 0 of a shard without events: nothing is forgotten
			least = min(least, row.MaxArrival)
		}
	}
	for _, id := range ids {
		switch _, known := out[id]; {
		case protocol.IsLoad(id):
			out[id] = math.MaxInt64
		case !known:
			out[id] = least // whichever shard follows it
		}
	}
	return out, nil
}

// catchUpEvery is the time between looks at the ledger.
const catchUpEvery = 50 * time.Millisecond

// caughtUp waits until the speed layer has committed everything that the log holds
// now.
func (l *Layer) caughtUp(ctx context.Context) error {
	tips, err := l.tips(ctx)
	if err != nil {
		return err
	}
	for {
		maps.DeleteFunc(tips, func(shard string, tip protocol.Position) bool {
			var row protocol.Row
			if err == nil {
				row, _, err = l.Ledger.Row(ctx, shard)
			}
			return err == nil && !tip.After(row.Through)
		})
		if err != nil {
			return fmt.Errorf("reading the ledger: %w", err)
		}
		if len(tips) == 0 {
			return nil
		}
		if err := l.sleep(ctx, catchUpEvery); err != nil {
			return err
		}
	}
}

// tips gives the last position in the log of each shard that has events which are
// not committed.
func (l *Layer) tips(ctx context.Context) (map[string]protocol.Position, error) {
	shards, err := l.Log.Shards(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing shards: %w", err)
	}
	out := map[string]protocol.Position{}
	for _, s := range shards {
		row, _, err := l.Ledger.Row(ctx, s.ID)
		if err != nil {
			return nil, fmt.Errorf("reading the ledger row of %s: %w", s.ID, err)
		}
		for at := row.Through; ; {
			page, err := l.Log.Read(ctx, s.ID, at, pageEvents)
			if err != nil {
				return nil, fmt.Errorf("reading the log of %s after %q: %w", s.ID, at, err)
			}
			if n := len(page.Events); n > 0 {
				at = page.Events[n-1].Position
				out[s.ID] = at
			}
			if page.AtTip || page.Ended || len(page.Events) == 0 {
				break
			}
		}
	}
	return out, nil
}
