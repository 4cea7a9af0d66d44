package batch

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"time"

	"github.com/watershed-data/watershed/internal/protocol"
)

// run is one run of the layer.
type run struct {
	*Layer
	plan   protocol.Plan
	report *Report
	files  []protocol.File // that the last attempt pinned

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

func (r *run) all(ctx context.Context, always bool) error {
	if err := r.seal(ctx); err != nil {
		return err
	}
	defer func() {
		// A plan that stays behind after a crash is a row that nobody reads.
		_ = r.Ledger.DeletePlan(context.WithoutCancel(ctx), r.plan.Run)
	}()
	if !always && !r.failing(ctx) {
		if done, err := r.unchanged(ctx); done || err != nil {
			return err
		}
	}
	version, result, err := r.compute(ctx)
	if err != nil {
		return err
	}
	if err := r.publish(ctx, version, result); err != nil || r.report.Superseded {
		return err
	}
	err = r.step("discard", func() (err error) {
		r.report.Discarded, err = r.Protocol.Discard(ctx)
		return err
	})
	if err != nil {
		// The version is published and right; the next run discards again.
		r.Logger.Warn("discarding failed", "error", err)
	}
	return nil
}

// seal makes the plan.
func (r *run) seal(ctx context.Context) error {
	err := r.step("seal", func() (err error) {
		r.plan, err = r.Protocol.Plan(ctx, rand.Text())
		return err
	})
	if err != nil {
		return err
	}
	r.report.Watershed = time.UnixMilli(r.plan.T).UTC()
	for shard, c := range r.plan.Cut {
		r.report.Cut[shard] = ReportCut{Epoch: c.Epoch, Through: c.Through.String(), Events: c.Count}
	}
	return nil
}

// unchanged reports whether the current version answers up to this very cut.
func (r *run) unchanged(ctx context.Context) (bool, error) {
	if r.plan.Pointer.Seq == 0 {
		return false, nil
	}
	m, err := r.Views.Manifest(ctx, r.plan.Pointer.Version)
	if err != nil {
		return false, fmt.Errorf("reading the manifest of %s: %w", r.plan.Pointer.Version, err)
	}
	if !maps.Equal(m.Cut, r.plan.Cut) {
		return false, nil
	}
	r.report.Unchanged, r.report.Version, r.report.Seq, r.report.Events = true, m.Version, m.Seq, m.Events
	r.report.Watershed = time.UnixMilli(m.T).UTC()
	return true, nil
}

// publish makes a version the current one, if no other run was faster.
func (r *run) publish(ctx context.Context, version string, result Result) error {
	manifest := protocol.Manifest{
		Version: version, Seq: r.plan.Pointer.Seq + 1, Run: r.plan.Run, Generation: r.Generation,
		T: r.plan.T, Cut: r.plan.Cut, Views: result.Views, Events: result.Events,
	}
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
	r.report.Version, r.report.Seq, r.report.Events = version, manifest.Seq, result.Events
	for name, files := range result.Views {
		for _, f := range files {
			r.report.Rows[name] += f.Rows
		}
	}
	if !published {
		r.report.Superseded = true
		return r.Views.Delete(ctx, version)
	}
	r.Logger.Info("published", "version", version, "events", result.Events, "watershed", r.report.Watershed)
	return nil
}
