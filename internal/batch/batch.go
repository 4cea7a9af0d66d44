// Package batch is the batch layer: it recomputes all views from the master
// dataset up to an exact cut, makes sure that master dataset and ledger agree,
// and publishes the result as a version.
package batch

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/watershed-data/watershed/internal/protocol"
)

// Job is what an engine computes: all views over the master rows up to a cut.
type Job struct {
	Plan     protocol.Plan
	Files    []protocol.File // the pinned list: nothing else is read
	Distinct bool            // keep one row per position
	Version  string          // the files go under this version's path
}

// Figure is one shard's side of the double entry.
type Figure struct {
	Count int64
	Sum   protocol.Sum
}

// Result is what an engine computed, in one pass.
type Result struct {
	Figures map[string]Figure // per shard with rows
	Views   map[string][]protocol.ViewFile
	Events  int64
}

// Engine computes batch views. Spark and DuckDB are engines.
type Engine interface {
	Compute(ctx context.Context, job Job) (Result, error)
}

// Archive is what the layer needs of the consumer that fills the master dataset.
type Archive interface {
	// Flush returns once every row up to the positions is in the master dataset.
	Flush(ctx context.Context, through map[string]protocol.Position) error
	// Repair writes the rows of the events in (after, through] once more.
	Repair(ctx context.Context, shard string, after, through protocol.Position) error
}

// Layer runs the batch layer of one generation.
type Layer struct {
	Protocol   *protocol.Run
	Ledger     protocol.Ledger
	Master     protocol.Master
	Views      protocol.Views
	Engine     Engine
	Archive    Archive
	Generation string
	Logger     *slog.Logger
	Now        func() time.Time // for durations and reports

	mu sync.Mutex // one run at a time in this process; others are the protocol's business
}

// Report says what a run did.
type Report struct {
	Version    string               `json:"version"`
	Seq        int64                `json:"seq"`
	Watershed  time.Time            `json:"watershed"`
	Unchanged  bool                 `json:"unchanged"`  // nothing came since the current version; nothing was computed
	Superseded bool                 `json:"superseded"` // another run published first; this one's version is gone
	Events     int64                `json:"events"`
	Cut        map[string]ReportCut `json:"cut"`
	Rows       map[string]int64     `json:"rows"`     // per view
	Doubled    bool                 `json:"doubled"`  // the master dataset held rows twice; one per position was kept
	Repaired   []string             `json:"repaired"` // shards whose rows were written again from the log
	Discarded  int64                `json:"discarded"`
	Seconds    map[string]float64   `json:"seconds"` // per step
}

// ReportCut is a shard's cut for people.
type ReportCut struct {
	Epoch   int64  `json:"epoch"`
	Through string `json:"through"`
	Events  int64  `json:"events"`
}

// Run makes one version now.
func (l *Layer) Run(ctx context.Context) (*Report, error) { return l.run(ctx, true) }

// RunIfChanged makes one version unless nothing came since the current one.
func (l *Layer) RunIfChanged(ctx context.Context) (*Report, error) { return l.run(ctx, false) }

func (l *Layer) run(ctx context.Context, always bool) (*Report, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	report := &Report{Seconds: map[string]float64{}, Cut: map[string]ReportCut{}, Rows: map[string]int64{}}
	step := func(name string, f func() error) error {
		start := l.Now()
		err := f()
		report.Seconds[name] += l.Now().Sub(start).Seconds()
		return err
	}

	var plan protocol.Plan
	err := step("seal", func() (err error) {
		plan, err = l.Protocol.Plan(ctx, rand.Text())
		return err
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		// A plan that stays behind after a crash is a row that nobody reads.
		_ = l.Ledger.DeletePlan(context.WithoutCancel(ctx), plan.Run)
	}()
	report.Watershed = time.UnixMilli(plan.T).UTC()
	for shard, c := range plan.Cut {
		report.Cut[shard] = ReportCut{Epoch: c.Epoch, Through: c.Through.String(), Events: c.Count}
	}
	if !always {
		if done, err := l.unchanged(ctx, plan, report); done || err != nil {
			return report, err
		}
	}

	var version string
	var result Result
	if version, result, err = l.compute(ctx, plan, report, step); err != nil {
		return nil, err
	}
	manifest := protocol.Manifest{
		Version: version, Seq: plan.Pointer.Seq + 1, Run: plan.Run, Generation: l.Generation,
		T: plan.T, Cut: plan.Cut, Views: result.Views, Events: result.Events,
	}
	published := false
	err = step("publish", func() (err error) {
		if err = l.Views.PutManifest(ctx, manifest); err != nil {
			return err
		}
		published, err = l.Protocol.Publish(ctx, plan, version)
		return err
	})
	if err != nil {
		return nil, err
	}
	report.Version, report.Seq, report.Events = version, manifest.Seq, result.Events
	for name, files := range result.Views {
		for _, f := range files {
			report.Rows[name] += f.Rows
		}
	}
	if !published {
		report.Superseded = true
		return report, l.Views.Delete(ctx, version)
	}
	l.Logger.Info("published", "version", version, "events", result.Events, "watershed", report.Watershed)
	err = step("discard", func() (err error) {
		report.Discarded, err = l.Protocol.Discard(ctx)
		return err
	})
	if err != nil {
		// The version is published and right; the next run discards again.
		l.Logger.Warn("discarding failed", "error", err)
	}
	return report, nil
}

// unchanged reports whether the current version answers up to this very cut.
func (l *Layer) unchanged(ctx context.Context, plan protocol.Plan, report *Report) (bool, error) {
	if plan.Pointer.Seq == 0 {
		return false, nil
	}
	m, err := l.Views.Manifest(ctx, plan.Pointer.Version)
	if err != nil {
		return false, fmt.Errorf("reading the manifest of %s: %w", plan.Pointer.Version, err)
	}
	if !maps.Equal(m.Cut, plan.Cut) {
		return false, nil
	}
	report.Unchanged, report.Version, report.Seq, report.Events = true, m.Version, m.Seq, m.Events
	report.Watershed = time.UnixMilli(m.T).UTC()
	return true, nil
}

// compute computes the views until the master dataset agrees with the ledger:
// as it is, then with one row per position, then after a repair from the log.
func (l *Layer) compute(ctx context.Context, plan protocol.Plan, report *Report, step func(string, func() error) error) (string, Result, error) {
	through := map[string]protocol.Position{}
	for shard, c := range plan.Cut {
		through[shard] = c.Through
	}
	if err := step("wait", func() error { return l.Archive.Flush(ctx, through) }); err != nil {
		return "", Result{}, fmt.Errorf("waiting for the master dataset: %w", err)
	}
	for try := range 3 {
		if try == 2 {
			if err := step("repair", func() error { return l.repair(ctx, plan, report) }); err != nil {
				return "", Result{}, err
			}
		}
		files, err := l.Master.Files(ctx)
		if err != nil {
			return "", Result{}, err
		}
		// A path of its own: a zombie of the same run cannot write into it.
		job := Job{Plan: plan, Files: files, Distinct: try > 0, Version: protocol.VersionName(plan.Pointer, rand.Text())}
		var result Result
		err = step("compute", func() (err error) {
			result, err = l.Engine.Compute(ctx, job)
			return err
		})
		if err == nil {
			if err = compare(plan.Cut, result.Figures); err == nil {
				report.Doubled = try > 0
				return job.Version, result, nil
			}
		}
		if gone := l.Views.Delete(context.WithoutCancel(ctx), job.Version); gone != nil {
			l.Logger.Warn("deleting an attempt failed", "version", job.Version, "error", gone)
		}
		if !errors.Is(err, protocol.ErrMismatch) || try == 2 {
			return "", Result{}, err
		}
		l.Logger.Warn("double entry does not balance", "try", try+1, "error", err)
	}
	panic("unreachable")
}

// repair writes the rows of every shard again from the log. Rows that are there
// already have the same positions, so that one of each is kept.
func (l *Layer) repair(ctx context.Context, plan protocol.Plan, report *Report) error {
	for _, shard := range slices.Sorted(maps.Keys(plan.Cut)) {
		row, _, err := l.Ledger.Row(ctx, shard)
		if err != nil {
			return fmt.Errorf("reading the ledger row of %s: %w", shard, err)
		}
		if plan.Cut[shard].Count == 0 {
			continue
		}
		if err := l.Archive.Repair(ctx, shard, row.From, plan.Cut[shard].Through); err != nil {
			return fmt.Errorf("repairing the master dataset from the log: %w", err)
		}
		report.Repaired = append(report.Repaired, shard)
	}
	return nil
}

// compare holds the master dataset's figures against the ledger's, shard by shard.
func compare(cut map[string]protocol.Cut, figures map[string]Figure) error {
	var wrong []string
	for _, shard := range slices.Sorted(maps.Keys(cut)) {
		c, f := cut[shard], figures[shard]
		if f.Count != c.Count {
			wrong = append(wrong, fmt.Sprintf("%s: %d events in the ledger, %d rows in the master dataset", shard, c.Count, f.Count))
		} else if f.Sum != c.Sum {
			wrong = append(wrong, fmt.Sprintf("%s: %d events on both sides with different checksums", shard, c.Count))
		}
	}
	if wrong == nil {
		return nil
	}
	return fmt.Errorf("%w up to the cut: %s", protocol.ErrMismatch, strings.Join(wrong, "; "))
}
