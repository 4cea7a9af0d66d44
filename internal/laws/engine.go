//go:build !mutants

package laws

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/watershed-data/watershed/internal/batch"
	"github.com/watershed-data/watershed/internal/duckdb"
	"github.com/watershed-data/watershed/internal/protocol"
)

// engine is DuckDB in a history: computing is one step, of files that never
// change, and each file of the version that it writes is another.
//
// What was computed once is kept: a run that is started again over the same cut
// and files writes the same bytes, and computing is what costs most of the time.
type engine struct {
	s    *scheduler
	duck *duckdb.Engine
	at   string // directory of what was computed
	to   string // directory of the versions
	made map[string]computed

	files      func() []protocol.File // all of the master dataset
	now        string                 // the version that is being computed
	increments int                    // jobs that went on from a version
	unequal    error                  // that one of them gave something else than all rows do
}

// computed is what came out of a computation.
type computed struct {
	result batch.Result
	dir    string                  // of its files, below engine.at
	differ map[string]batch.Figure // figures that did not balance; then there is no result
}

func newEngine(l *layered, dir string) *engine {
	e := &engine{
		s: &l.scheduler, at: dir, to: l.versions.dir, made: map[string]computed{},
		files: func() []protocol.File { return slices.Clone(l.master.files) },
	}
	e.duck = duckdb.New(l.def, duckdb.Paths{
		Master: func(name string) string { return filepath.Join(l.master.dir, name) },
		View: func(version, name string) string {
			if version == e.now {
				return filepath.Join(e.at, version, name)
			}
			return filepath.Join(e.to, version, name)
		},
	}, duckdb.Options{Threads: 1, TempDir: os.TempDir()})
	return e
}

// Compute implements batch.Engine.
func (e *engine) Compute(ctx context.Context, job batch.Job) (batch.Result, error) {
	var c computed
	var err error
	died := e.s.step(ctx, "compute "+job.Version, func() { c, err = e.compute(job) })
	if err := first(died, err); err != nil {
		return batch.Result{}, err
	}
	if c.differ != nil {
		return batch.Result{}, job.Check(c.differ)
	}
	for _, view := range slices.Sorted(maps.Keys(c.result.Views)) {
		for _, f := range c.result.Views[view] {
			died := e.s.step(ctx, "write "+job.Version+"/"+f.Name, func() { err = e.write(c, job.Version, f.Name) })
			if err := first(died, err); err != nil {
				return batch.Result{}, err
			}
		}
	}
	return c.result, nil
}

// compute computes a job, or finds what was computed of the same rows before.
func (e *engine) compute(job batch.Job) (computed, error) {
	key := inputs(job)
	if c, ok := e.made[key]; ok && (c.differ == nil || job.Check != nil && job.Check(c.differ) != nil) {
		return c, nil
	}
	c := computed{dir: job.Version}
	balanced := job.Check
	if balanced != nil {
		job.Check = func(figures map[string]batch.Figure) error {
			err := balanced(figures)
			if err != nil {
				c.differ = figures
			}
			return err
		}
	}
	e.now = job.Version
	result, err := e.duck.Compute(context.Background(), job)
	if err != nil && (c.differ == nil || !errors.Is(err, protocol.ErrMismatch)) {
		return c, err
	}
	c.result = result
	e.made[key] = c
	if err == nil && job.Since.Version != "" && e.unequal == nil {
		e.increments++
		e.unequal = e.compare(job, result)
	}
	return c, nil
}

// compare is design law 4: an incremental job makes, bit for bit, what all rows
// make.
func (e *engine) compare(job batch.Job, got batch.Result) error {
	full := batch.Job{Plan: job.Plan, Files: e.files(), Distinct: true, Version: job.Version + "-full"}
	e.now = full.Version
	want, err := e.duck.Compute(context.Background(), full)
	if err != nil {
		return err
	}
	for shard, c := range job.Plan.Cut {
		if f := want.Figures[shard]; f != (batch.Figure{Count: c.Count, Sum: c.Sum}) {
			return fmt.Errorf("%w: an incremental run published up to %v, and all rows are %v", errBroken, c, f)
		}
	}
	if !maps.EqualFunc(got.Views, want.Views, slices.Equal[[]protocol.ViewFile]) {
		return fmt.Errorf("%w: an incremental run made the views %v, all rows make %v", errBroken, got.Views, want.Views)
	}
	for _, files := range want.Views {
		for _, f := range files {
			one, err := os.ReadFile(filepath.Join(e.at, job.Version, f.Name))
			other, err2 := os.ReadFile(filepath.Join(e.at, full.Version, f.Name))
			if err := errors.Join(err, err2); err != nil {
				return err
			}
			if !bytes.Equal(one, other) {
				return fmt.Errorf("%w: %s of an incremental run differs from that of all rows", errBroken, f.Name)
			}
		}
	}
	return nil
}

// inputs tells apart what computations are made of: all that a job says but for
// who does it and where the files go.
func inputs(job batch.Job) string {
	job.Check, job.Version, job.Plan.Run, job.Plan.Pointer = nil, "", "", protocol.Pointer{}
	cut := map[string]protocol.Cut{}
	for shard, c := range job.Plan.Cut {
		c.Epoch = 0
		cut[shard] = c
	}
	job.Plan.Cut = cut
	return fmt.Sprintf("%+v", job)
}

// write writes a file of a version.
func (e *engine) write(c computed, version, name string) error {
	content, err := os.ReadFile(filepath.Join(e.at, c.dir, name))
	if err != nil {
		return err
	}
	path := filepath.Join(e.to, version, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}
