package batch

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/watershed-data/watershed/internal/deployment"
	"github.com/watershed-data/watershed/internal/doubleentry"
	"github.com/watershed-data/watershed/internal/job"
	"github.com/watershed-data/watershed/internal/protocol"
)

// done is an attempt whose result is there.
type done struct {
	job    job.Job
	result job.Result
	differ error // a *MismatchError if it does not balance; then there are no views
}

// computed gives the result as if an engine of this process had made it.
func (d *done) computed() Result {
	out := Result{Figures: figuresOf(d.result), Views: map[string][]protocol.ViewFile{}}
	for _, f := range out.Figures {
		out.Events += f.Count
	}
	for view, files := range d.result.Views {
		for _, f := range files {
			out.Views[view] = append(out.Views[view], protocol.ViewFile(f))
		}
	}
	return out
}

func figuresOf(r job.Result) map[string]Figure {
	out := make(map[string]Figure, len(r.Figures))
	for shard, f := range r.Figures {
		out[shard] = Figure{Count: f.Count, Sum: protocol.Sum{Hi: f.Hi, Lo: f.Lo}}
	}
	return out
}

// offer stores the job of an attempt, or finds the one that is stored, and says that
// it is to be computed.
func (r *stepped) offer(ctx context.Context, attempt int) error {
	name := jobName(r.p.Run, attempt)
	text, ok, err := r.s.Jobs.Get(ctx, name)
	if err != nil {
		return err
	}
	if !ok {
		files, err := r.Master.Files(ctx)
		if err != nil {
			return err
		}
		made, err := r.makeJob(attempt, files)
		if err != nil {
			return err
		}
		if text, err = made.Text(); err != nil {
			return err
		}
		if text, err = r.s.Jobs.Put(ctx, name, text); err != nil {
			return err
		}
	}
	j, err := job.Parse(text)
	if err != nil {
		return err
	}
	r.p.Attempt, r.p.Job, r.p.Result, r.p.Seconds = attempt, r.s.Jobs.URI(name), j.Result, r.s.pollSeconds()
	return r.then(deployment.ComputeStep)
}

// makeJob makes the job of an attempt over a list of files. Its version has a name
// that no other job has, so what a zombie's job leaves is read by nobody.
func (r *stepped) makeJob(attempt int, files []protocol.File) (job.Job, error) {
	def, dialect := r.Definition, r.s.Dialect
	rows, err := dialect.Rows(r.plan.Cut, attempt > firstAttempt)
	if err != nil {
		return job.Job{}, fmt.Errorf("writing the job: %w", err)
	}
	j := job.Job{
		Format: job.Format, Pipeline: def.Pipeline, Generation: r.Generation, Run: r.p.Run,
		Version: protocol.VersionName(r.plan.Pointer, rand.Text()),
		Files:   r.s.places(files), Columns: dialect.Columns(), Rows: rows, Figures: dialect.Figures(),
		Check: map[string]job.Figure{}, Result: r.s.Jobs.URI(resultName(r.p.Run, attempt)),
	}
	for shard, c := range r.plan.Cut {
		j.Check[shard] = job.Figure{Count: c.Count, Hi: c.Sum.Hi, Lo: c.Sum.Lo}
	}
	for _, v := range def.AllViews() {
		query, order, err := dialect.View(v, r.plan.T)
		if err != nil {
			return job.Job{}, fmt.Errorf("writing the job: %w", err)
		}
		j.Views = append(j.Views, job.View{Name: v.Name, Query: query, Order: order, Output: r.s.Places.Views + j.Version + "/" + v.Name + "/"})
	}
	return j, nil
}

// places says where an engine finds files of the master dataset.
func (s *Steps) places(files []protocol.File) []string {
	out := make([]string, len(files))
	for i, f := range files {
		out[i] = s.Places.Files + f.Name
	}
	return out
}

// named is the inverse of places. What only a listing knows of a file is left out.
func (s *Steps) named(places []string) []protocol.File {
	out := make([]protocol.File, len(places))
	for i, at := range places {
		out[i] = protocol.File{Name: strings.TrimPrefix(at, s.Places.Files)}
	}
	return out
}

func (r *stepped) jobOf(ctx context.Context, attempt int) (job.Job, error) {
	name := jobName(r.p.Run, attempt)
	text, ok, err := r.s.Jobs.Get(ctx, name)
	if err == nil && !ok {
		err = fmt.Errorf("the job is not at %s any more", r.s.Jobs.URI(name))
	}
	if err != nil {
		return job.Job{}, err
	}
	return job.Parse(text)
}

// attempted gives the last attempt, and reports its balance. The first result that
// was looked at is the one that counts: an engine that works at a job again stores
// another one, which says the same of other files.
func (r *stepped) attempted(ctx context.Context) (d done, err error) {
	if d.job, err = r.jobOf(ctx, r.p.Attempt); err != nil {
		return d, err
	}
	if d.result, err = r.resultOf(ctx, r.p.Attempt, d.job); err != nil {
		return d, err
	}
	if r.p.Attempt == distinctAttempt {
		first, err := r.jobOf(ctx, firstAttempt)
		if err != nil {
			return d, err
		}
		stored, err := r.resultOf(ctx, firstAttempt, first)
		if err != nil {
			return d, err
		}
		r.asStored = figuresOf(stored)
	}
	r.doubled = r.p.Doubled
	d.differ = r.check(r.p.Attempt > firstAttempt, figuresOf(d.result))
	r.p.Doubled = r.doubled
	if err := r.addFound(ctx); err != nil {
		return d, err
	}
	if d.differ != nil {
		d.differ = &MismatchError{*r.report.Balance}
	}
	switch {
	case d.differ != nil:
	case !d.result.Balanced:
		return d, fmt.Errorf("the engine says that the figures do not balance, and they do: is %s of this release?", d.result.Engine)
	default:
		for _, v := range d.job.Views {
			if _, ok := d.result.Views[v.Name]; !ok {
				return d, fmt.Errorf("the engine has not computed view %s: is %s of this release?", v.Name, d.result.Engine)
			}
		}
	}
	return d, nil
}

// addFound adds what a repair found out to the balance.
func (r *stepped) addFound(ctx context.Context) error {
	if r.p.Attempt != repairedAttempt {
		return nil
	}
	text, ok, err := r.s.Jobs.Get(ctx, repairName(r.p.Run))
	if err == nil && !ok {
		err = fmt.Errorf("what the repair found out is not at %s any more", r.s.Jobs.URI(repairName(r.p.Run)))
	}
	var before []doubleentry.Shard
	if err == nil {
		err = json.Unmarshal(text, &before)
	}
	if err != nil {
		return err
	}
	shards := r.report.Balance.Shards
	for _, b := range before {
		i, ok := slices.BinarySearchFunc(shards, b.Shard, func(s doubleentry.Shard, name string) int { return strings.Compare(s.Shard, name) })
		if ok {
			keepFound(&shards[i], b)
		}
	}
	return nil
}

// resultOf gives the result of an attempt that counts.
func (r *stepped) resultOf(ctx context.Context, attempt int, j job.Job) (out job.Result, err error) {
	name := comparedName(r.p.Run, attempt)
	text, compared, err := r.s.Jobs.Get(ctx, name)
	if err != nil {
		return out, err
	}
	if !compared {
		var ok bool
		if text, ok, err = r.s.Jobs.Get(ctx, resultName(r.p.Run, attempt)); err == nil && !ok {
			err = fmt.Errorf("the engine has ended and stored no result at %s; what it logged says why", j.Result)
		}
		if err != nil {
			return out, err
		}
	}
	if out, err = job.ParseResult(text); err != nil {
		return out, err
	}
	if out.Version != j.Version {
		return out, fmt.Errorf("the result at %s is of version %s, the job of version %s", j.Result, out.Version, j.Version)
	}
	if !compared {
		if text, err = r.s.Jobs.Put(ctx, name, text); err != nil {
			return out, err
		}
		return job.ParseResult(text)
	}
	return out, nil
}
