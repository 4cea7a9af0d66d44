package protocol

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// Run is the protocol's part of a batch run. A run is a function of the
// definition and its plan; every step may be killed and repeated.
type Run struct {
	Speed *Speed // finishes what is pending when a shard is sealed
	Views Views
	Now   func() int64 // milliseconds since 1970-01-01 UTC; only stamps the plan's T, by which old buckets are rolled up
	// Kept is how many versions stay besides the current one, for readers that
	// began before a publish; at least 1.
	Kept int
}

// Plan gives the run's plan: the stored one if the run was planned before, else
// it seals every shard and stores a new one.
func (r *Run) Plan(ctx context.Context, run string) (Plan, error) {
	ledger := r.Speed.Ledger
	plan, ok, err := ledger.Plan(ctx, run)
	if err != nil {
		return Plan{}, fmt.Errorf("reading the plan of %s: %w", run, err)
	}
	if ok {
		return plan, nil
	}
	// The pointer is read before the seals, so that cuts only grow along the
	// chain of versions.
	pointer, before, err := r.current(ctx)
	if err != nil {
		return Plan{}, err
	}
	cut, err := r.seal(ctx)
	if err != nil {
		return Plan{}, err
	}
	plan, err = ledger.PutPlan(ctx, Plan{Run: run, Pointer: pointer, Cut: cut, T: max(r.Now(), before)})
	if err != nil {
		return Plan{}, fmt.Errorf("storing the plan of %s: %w", run, err)
	}
	return plan, nil
}

// current gives the pointer and the T of the version that it names; 0 before the
// first one, and 0 if the version cannot be read any more. But for that, T never
// goes back along the chain of versions, whatever a clock says: what was rolled up
// stays so.
func (r *Run) current(ctx context.Context) (Pointer, int64, error) {
	for range attempts {
		p, err := r.Speed.Ledger.Pointer(ctx)
		if err != nil {
			return Pointer{}, 0, fmt.Errorf("reading the pointer: %w", err)
		}
		if p.Seq == 0 {
			return p, 0, nil
		}
		m, err := r.Views.Manifest(ctx, p.Version)
		if err == nil {
			return p, m.T, nil
		}
		now, again := r.Speed.Ledger.Pointer(ctx)
		if again != nil || ctx.Err() != nil {
			return Pointer{}, 0, fmt.Errorf("reading the manifest of %s: %w", p.Version, err)
		}
		if now.Seq == p.Seq {
			// The version is damaged. The one that this run makes from all rows takes its
			// place, and needs nothing of it.
			return p, 0, nil
		}
		// Other runs have published meanwhile, and the version is gone.
	}
	return Pointer{}, 0, fmt.Errorf("reading the current version: %w", ErrBusy)
}

// seal moves every shard to its next epoch and gives the cut: children before
// parents, so that the cut is causally closed.
func (r *Run) seal(ctx context.Context) (map[string]Cut, error) {
	_, ids, err := childrenFirst(ctx, r.Speed.Log, r.Speed.Ledger)
	if err != nil {
		return nil, err
	}
	cut := make(map[string]Cut, len(ids))
	for _, id := range ids {
		c, ok, err := r.sealShard(ctx, id)
		if err != nil {
			return nil, err
		}
		if ok {
			cut[id] = c
		}
	}
	return cut, nil
}

// sealShard gives false for a shard that has not started: it is no part of the
// version.
func (r *Run) sealShard(ctx context.Context, shard string) (Cut, bool, error) {
	for range attempts {
		row, ok, err := r.Speed.Ledger.Row(ctx, shard)
		if err != nil {
			return Cut{}, false, fmt.Errorf("reading the ledger row of %s: %w", shard, err)
		}
		if !ok {
			return Cut{}, false, nil
		}
		if row.Pending != nil {
			if err := r.Speed.finish(ctx, shard, row, nil); err != nil {
				return Cut{}, false, err
			}
			continue
		}
		if row.Cut != nil && row.Cut.Through == row.Through {
			cut := *row.Cut // nothing came since the last seal
			cut.MaxArrival = row.MaxArrival
			return cut, true, nil
		}
		sealed := row
		sealed.Cut = &Cut{Epoch: row.Epoch, Through: row.Through, Count: row.Count, Sum: row.Sum, MaxArrival: row.MaxArrival}
		sealed.Epoch++
		swapped, err := r.Speed.Ledger.Swap(ctx, shard, sealed)
		if err != nil {
			return Cut{}, false, fmt.Errorf("sealing %s: %w", shard, err)
		}
		if swapped {
			return *sealed.Cut, true, nil
		}
	}
	return Cut{}, false, fmt.Errorf("sealing %s: %w", shard, ErrBusy)
}

// Publish makes a complete version the current one, if the pointer still is
// the one that the plan was made from. It gives false if another run was
// faster; then the version is never used. A repeat after a lost reply finds its
// own version and gives true.
func (r *Run) Publish(ctx context.Context, plan Plan, version string) (bool, error) {
	for range attempts {
		p, err := r.Speed.Ledger.Pointer(ctx)
		if err != nil {
			return false, fmt.Errorf("reading the pointer: %w", err)
		}
		if p.Version == version {
			return true, nil
		}
		if p.Seq != plan.Pointer.Seq || p.Version != plan.Pointer.Version {
			return false, nil
		}
		swapped, err := r.Speed.Ledger.SwapPointer(ctx, p, Pointer{Seq: p.Seq + 1, Version: version, Disc: p.Disc})
		if err != nil {
			return false, fmt.Errorf("publishing %s: %w", version, err)
		}
		if swapped {
			return true, nil
		}
	}
	return false, fmt.Errorf("publishing %s: %w", version, ErrBusy)
}

// Discard deletes the real-time items that the current version covers, and
// versions older than the kept few. It may run at any time, more than once.
func (r *Run) Discard(ctx context.Context) (items int64, err error) {
	ledger := r.Speed.Ledger
	p, err := ledger.Pointer(ctx)
	if err != nil {
		return 0, fmt.Errorf("reading the pointer: %w", err)
	}
	if p.Seq == 0 {
		return 0, nil
	}
	m, err := r.Views.Manifest(ctx, p.Version)
	if err != nil {
		return 0, fmt.Errorf("reading the manifest of %s: %w", p.Version, err)
	}
	// The mark comes before the first delete: a reader that began with an older
	// version sees it and reads again.
	if err := r.mark(ctx, p.Seq); err != nil {
		return 0, err
	}
	for _, shard := range slices.Sorted(maps.Keys(m.Cut)) { // in an order that can be played again
		n, err := r.Speed.RealTime.Discard(ctx, shard, m.Cut[shard].Epoch)
		if err != nil {
			return items, fmt.Errorf("discarding real-time items of %s: %w", shard, err)
		}
		items += n
	}
	return items, r.deleteOld(ctx, p)
}

func (r *Run) mark(ctx context.Context, seq int64) error {
	for range attempts {
		p, err := r.Speed.Ledger.Pointer(ctx)
		if err != nil {
			return fmt.Errorf("reading the pointer: %w", err)
		}
		if p.Disc >= seq {
			return nil
		}
		next := p
		next.Disc = seq
		swapped, err := r.Speed.Ledger.SwapPointer(ctx, p, next)
		if err != nil {
			return fmt.Errorf("marking version %d as discarding: %w", seq, err)
		}
		if swapped {
			return nil
		}
	}
	return fmt.Errorf("marking version %d as discarding: %w", seq, ErrBusy)
}

// deleteOld deletes what is left of earlier versions and of attempts that can
// no longer be published, but for the kept few.
func (r *Run) deleteOld(ctx context.Context, current Pointer) error {
	versions, err := r.Views.Versions(ctx)
	if err != nil {
		return fmt.Errorf("listing versions: %w", err)
	}
	for _, v := range versions {
		seq, err := VersionSeq(v)
		if err != nil {
			continue // what is no version is not ours
		}
		if v == current.Version || seq >= current.Seq-int64(r.Kept) {
			continue
		}
		if err := r.Views.Delete(ctx, v); err != nil {
			return fmt.Errorf("deleting version %s: %w", v, err)
		}
	}
	return nil
}

// VersionName names an attempt at the version that follows the pointer: its
// number, and a word unique to the attempt.
func VersionName(after Pointer, attempt string) string {
	return fmt.Sprintf("v%08d-%s", after.Seq+1, attempt)
}

// VersionSeq gives the number in a version's name.
func VersionSeq(version string) (int64, error) {
	var seq int64
	var attempt string
	if _, err := fmt.Sscanf(version, "v%d-%s", &seq, &attempt); err != nil || seq < 1 {
		return 0, fmt.Errorf("%q is not a version's name", version)
	}
	return seq, nil
}
