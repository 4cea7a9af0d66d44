package batch

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/doubleentry"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/view"
)

// run is one run of the layer.
type run struct {
	*Layer
	plan   protocol.Plan
	report *Report
	files  []protocol.File    // that the last attempt pinned
	full   string             // why it must be a full run; "": it need not
	before *protocol.Manifest // of the version that the plan's pointer names; nil: there is none to go on from

	asStored map[string]Figure // of all rows, until those of one per position are known
	doubled  bool              // the two were not the same
}

// step times a step of the run.
func (r *run) step(name string, f func() error) error {
	start := r.Now()
	err := f()
	r.report.Seconds[name] += r.Now().Sub(start).Seconds()
	return err
}

func (r *run) all(ctx context.Context, asked request) error {
	if err := r.seal(ctx, rand.Text()); err != nil {
		return err
	}
	defer func() {
		// A plan that stays behind after a crash is a row that nobody reads.
		_ = r.Ledger.DeletePlan(context.WithoutCancel(ctx), r.plan.Run)
	}()
	erasing, err := r.erasing(ctx)
	if err != nil {
		return err
	}
	failing := r.failing(ctx)
	if asked.ifChanged && !erasing && !failing {
		if done, err := r.unchanged(ctx); done || err != nil {
			return err
		}
	}
	r.full = whyFull(asked.full, failing)
	return r.make(ctx, erasing)
}

// whyFull gives why a run must be a full one; "" if it need not.
func whyFull(asked, failing bool) string {
	switch {
	case asked:
		return "a full run was asked for"
	case failing:
		return "the run before failed"
	}
	return ""
}

// make makes a version. If it is the first after an erasure, what held the erased
// events goes at once.
func (r *run) make(ctx context.Context, erasing bool) error {
	if erasing {
		r.full = "events were erased"
	}
	release, err := r.Master.Pin(ctx)
	if err != nil {
		return err
	}
	defer release()
	version, result, err := r.compute(ctx)
	if err != nil {
		return err
	}
	if err := r.publish(ctx, version, result); err != nil || r.report.Superseded {
		return err
	}
	kept := *r.Protocol
	if erasing {
		kept.Kept = 0
	}
	err = r.step("discard", func() (err error) {
		r.report.Discarded, err = kept.Discard(ctx)
		return err
	})
	switch {
	case err != nil && erasing:
		return fmt.Errorf("deleting what held the erased events: %w", err)
	case err != nil:
		// The version is published and right; the next run discards again.
		r.Logger.Warn("discarding failed", "error", err)
	case erasing:
		return r.erased(ctx)
	}
	return nil
}

// seal makes the plan of a run of that name, or finds the one that it has.
func (r *run) seal(ctx context.Context, name string) error {
	var plan protocol.Plan
	err := r.step("seal", func() (err error) {
		plan, err = r.Protocol.Plan(ctx, name)
		return err
	})
	if err == nil {
		r.planned(plan)
	}
	return err
}

// planned notes the plan and reports its cut.
func (r *run) planned(plan protocol.Plan) {
	r.plan = plan
	r.report.Watershed = time.UnixMilli(plan.T).UTC()
	for shard, c := range plan.Cut {
		r.report.Cut[shard] = ReportCut{Epoch: c.Epoch, Through: c.Through.String(), Events: c.Count}
	}
}

// unchanged reports whether the current version answers up to this very cut, in
// the very buckets that a version of now would keep.
func (r *run) unchanged(ctx context.Context) (bool, error) {
	if r.plan.Pointer.Seq == 0 {
		return false, nil
	}
	m, err := r.Views.Manifest(ctx, r.plan.Pointer.Version)
	if err != nil {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		// Only a new version helps who reads this one.
		r.Logger.Warn("the current version's manifest cannot be read; making a new version", "version", r.plan.Pointer.Version, "error", err)
		return false, nil
	}
	if !maps.Equal(m.Cut, r.plan.Cut) || r.rollsUpMore(m.T) {
		return false, nil
	}
	r.report.Unchanged, r.report.Version, r.report.Seq, r.report.Events = true, m.Version, m.Seq, m.Events
	r.report.Watershed = time.UnixMilli(m.T).UTC()
	return true, nil
}

// rollsUpMore reports whether a version of the plan rolls up buckets that the one
// sealed at t does not.
func (r *run) rollsUpMore(t int64) bool {
	if r.Definition == nil {
		return false
	}
	return slices.ContainsFunc(r.Definition.Views, func(v definition.View) bool {
		now, then := view.RolledUp(v, r.Definition.Zone, r.plan.T), view.RolledUp(v, r.Definition.Zone, t)
		return !now.Equal(then)
	})
}

// publish makes a version the current one, if no other run was faster.
func (r *run) publish(ctx context.Context, version string, result Result) error {
	manifest := r.manifest(version, result)
	published := false
	err := r.step("publish", func() (err error) {
		if err = r.Views.PutManifest(ctx, manifest); err != nil {
			r.abandon(ctx, version)
			return err
		}
		published, err = r.Protocol.Publish(ctx, r.plan, version)
		return err
	})
	if err != nil {
		return err
	}
	r.reportVersion(manifest)
	if !published {
		r.report.Superseded = true
		return r.Views.Delete(ctx, version)
	}
	r.announce()
	return nil
}

// manifest describes a version of the run.
func (r *run) manifest(version string, result Result) protocol.Manifest {
	m := protocol.Manifest{
		Version: version, Seq: r.plan.Pointer.Seq + 1, Run: r.plan.Run, Generation: r.Generation,
		T: r.plan.T, Cut: r.plan.Cut, Views: result.Views, Events: result.Events,
		Full: protocol.Full{Seq: r.plan.Pointer.Seq + 1, T: r.plan.T}, Past: r.past(),
	}
	if r.report.Mode == doubleentry.Incremental {
		m.Full = r.before.Full
	}
	return m
}

// reportVersion reports a version that was made.
func (r *run) reportVersion(m protocol.Manifest) {
	r.report.Version, r.report.Seq, r.report.Events = m.Version, m.Seq, m.Events
	for name, files := range m.Views {
		for _, f := range files {
			r.report.Rows[name] += f.Rows
		}
	}
}

func (r *run) announce() {
	r.Logger.Info("published", "version", r.report.Version, "events", r.report.Events, "watershed", r.report.Watershed, "mode", r.report.Mode, "why", r.report.Why)
}
