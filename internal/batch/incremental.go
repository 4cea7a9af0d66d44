package batch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/watershed-data/watershed/internal/doubleentry"
	"github.com/watershed-data/watershed/internal/protocol"
)

// An incremental run does not look into old files. So that damage in one is noticed
// while there is a backup, a full run comes after so many versions, or so much time
// between watersheds.
const (
	fullVersions = 256
	fullEvery    = 24 * time.Hour
)

// incremental computes a version from the one before and the rows since, if that
// is possible and cheaper. If it does not work out, for whatever reason, all rows
// are what counts: then ok is false, and so it is if there is nothing to go on
// from. The error is the context's.
func (r *run) incremental(ctx context.Context) (a attempt, ok bool, err error) {
	job, why, err := r.choose(ctx)
	if job == nil || err != nil {
		r.report.Why = why
		return a, false, err
	}
	r.report.Mode, r.report.Why = doubleentry.Incremental, why
	a, err = r.tryJob(ctx, *job)
	if errors.Is(err, protocol.ErrMismatch) {
		job.Distinct = true
		job.Version = r.job(r.plan).Version
		a, err = r.tryJob(ctx, *job)
	}
	if err == nil {
		return a, true, nil
	}
	if ctx.Err() != nil {
		return a, false, ctx.Err()
	}
	r.Logger.Warn("an incremental run did not work out; computing from all rows", "error", err)
	r.report.Why = "an incremental run did not work out: " + err.Error()
	r.asStored, r.doubled, r.report.Balance = nil, false, nil
	return a, false, nil
}

// choose gives the job of an incremental run, and why; nil if the run has to be, or
// had better be, a full one.
func (r *run) choose(ctx context.Context) (job *Job, why string, err error) {
	if why, err = r.previous(ctx); why != "" || err != nil {
		return nil, why, err
	}
	files, err := r.Master.Files(ctx)
	if err != nil {
		return nil, "", err
	}
	if err := r.outline(ctx, files); err != nil {
		if ctx.Err() != nil {
			return nil, "", ctx.Err()
		}
		return nil, err.Error(), nil
	}
	if shard, rows := r.lacking(files); shard != "" {
		return nil, fmt.Sprintf("files of the master dataset are gone: of %s, it holds %d rows, the ledger counts %d events", shard, rows, r.plan.Cut[shard].Count), nil
	}
	from := r.lookBack(files)
	job = &Job{Plan: r.plan, Version: r.job(r.plan).Version, Since: Since{
		Version: r.before.Version, Views: r.before.Views, Cut: r.before.Cut, From: from,
	}}
	for _, f := range files {
		if r.holds(f, from) {
			job.Files = append(job.Files, f)
		}
	}
	cost, err := r.cost(ctx, files, job.Files)
	if err != nil {
		if ctx.Err() != nil {
			return nil, "", ctx.Err()
		}
		return nil, "the version before cannot be read: " + err.Error(), nil
	}
	cheaper := r.Cheaper
	if cheaper == nil {
		cheaper = func(c Cost) bool { return c.Incremental < c.Full }
	}
	if !cheaper(cost) {
		return nil, "it is estimated to cost less: " + cost.String(), nil
	}
	return job, "it is estimated to cost less: " + cost.String(), nil
}

// previous reads the version that the plan's pointer names, and says why a run
// cannot, or must not, go on from it.
func (r *run) previous(ctx context.Context) (why string, err error) {
	if r.plan.Pointer.Seq == 0 {
		return "there is no version to go on from", nil
	}
	m, err := r.Views.Manifest(ctx, r.plan.Pointer.Version)
	if err != nil {
		return "the manifest of the version before cannot be read", ctx.Err()
	}
	if !r.follows(m) {
		return "the version before is not one to go on from", nil
	}
	r.before = &m
	switch {
	case r.full != "":
		return r.full, nil
	case r.Outline == nil:
		return "the files of the master dataset do not tell where their rows lie", nil
	case m.Full.Seq == 0:
		return "it is not known when all rows were looked at last", nil
	case m.Seq-m.Full.Seq >= fullVersions-1 || r.plan.T-m.Full.T >= fullEvery.Milliseconds():
		return "it is time to look at all rows again", nil
	}
	return "", nil
}

// follows reports whether the plan's cut lies nowhere before that of a version of
// the same generation.
func (r *run) follows(m protocol.Manifest) bool {
	if m.Generation != r.Generation || m.T > r.plan.T {
		return false
	}
	for shard, c := range m.Cut {
		now, ok := r.plan.Cut[shard]
		if !ok || c.Through.After(now.Through) {
			return false
		}
	}
	return true
}

// outline reads what files tell of their rows, once each.
func (r *run) outline(ctx context.Context, files []protocol.File) error {
	known := make(map[string][]protocol.Stretch, len(files))
	for _, f := range files {
		of, ok := r.outlines[f.Name]
		if !ok {
			var err error
			if of, err = r.outlineOf(ctx, f); err != nil {
				return fmt.Errorf("looking at %s of the master dataset: %w", f.Name, err)
			}
		}
		known[f.Name] = of
	}
	r.outlines = known
	return nil
}

func (r *run) outlineOf(ctx context.Context, f protocol.File) (_ []protocol.Stretch, err error) {
	in, size, err := r.Master.Open(ctx, f.Name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	return r.Outline(in, size)
}

// lacking gives a shard of which the files hold fewer rows than the ledger counts up
// to the cut, and how many: so the loss of a whole file is noticed at once, although
// nothing is read of it. "" if there is none.
func (r *run) lacking(files []protocol.File) (shard string, rows int64) {
	held := make(map[string]int64, len(r.plan.Cut))
	for _, f := range files {
		for _, s := range r.outlines[f.Name] {
			held[f.Shard] += s.Rows
		}
	}
	for _, shard := range slices.Sorted(maps.Keys(r.plan.Cut)) {
		if held[shard] < r.plan.Cut[shard].Count {
			return shard, held[shard]
		}
	}
	return "", 0
}

// holds reports whether a file holds rows between two cuts: one, and the plan's.
func (r *run) holds(f protocol.File, from map[string]protocol.Cut) bool {
	return r.earliest(f, from) < math.MaxInt64
}

// earliest gives an arrival before which none of a file's rows between a cut and
// the plan's came; the largest number if it holds none.
func (r *run) earliest(f protocol.File, from map[string]protocol.Cut) int64 {
	through, ok := r.plan.Cut[f.Shard]
	least := int64(math.MaxInt64)
	if !ok {
		return least
	}
	after, end := from[f.Shard].Through.Key(), through.Through.Key()
	for _, s := range r.outlines[f.Name] {
		if s.Last > after && s.First <= end {
			least = min(least, s.Earliest)
		}
	}
	return least
}

// lookBack gives the cut from which on rows have to be read, so that it is certain
// which of those behind the version before are duplicates: the latest one that will
// do, and none, which is the beginning, if all that are known are too late.
//
// An event is a duplicate if the one of its identity before it, in the order of
// positions, arrived at most the window earlier. Events up to a cut that all arrived
// too early for that decide nothing. And a cut is closed: of an identity, no event
// behind it lies before one up to it. So reading from there on finds for every event
// the one before it, or none where that decides nothing. How far arrivals may go
// backwards plays no part. The figures tell whether all of these rows are there.
func (r *run) lookBack(files []protocol.File) map[string]protocol.Cut {
	if r.Definition == nil || r.Definition.Events.ID == "" {
		return r.before.Cut
	}
	earliest := int64(math.MaxInt64)
	for _, f := range files {
		if !protocol.IsLoad(f.Shard) { // ids of a load are compared within it
			earliest = min(earliest, r.earliest(f, r.before.Cut))
		}
	}
	from := map[string]protocol.Cut{}
	for _, cut := range append([]map[string]protocol.Cut{r.before.Cut}, r.before.Past...) {
		reach, known := latest(cut)
		if known && (earliest == math.MaxInt64 || reach < earliest-r.Definition.Events.DedupeWithin.Milliseconds()) {
			from = maps.Clone(cut)
			break
		}
	}
	for shard, c := range r.before.Cut {
		if protocol.IsLoad(shard) {
			from[shard] = c
		}
	}
	return from
}

// latest gives the latest arrival of the stream up to a cut; false if it is not
// known.
func latest(cut map[string]protocol.Cut) (arrival int64, known bool) {
	arrival = math.MinInt64
	for shard, c := range cut {
		switch {
		case protocol.IsLoad(shard) || c.Count == 0:
		case c.MaxArrival == 0:
			return 0, false
		default:
			arrival = max(arrival, c.MaxArrival)
		}
	}
	return arrival, true
}

// pastCuts bounds what a manifest remembers of earlier versions.
const pastCuts = 32

// past gives the cuts of earlier versions for the next one's look back. Of three in
// a row, the middle one goes if the outer ones are not farther apart than half its
// age: what is left grows with the logarithm of the time that it spans.
func (r *run) past() []map[string]protocol.Cut {
	if r.before == nil || r.Definition == nil || r.Definition.Events.ID == "" {
		return nil
	}
	now, _ := latest(r.plan.Cut)
	var out []map[string]protocol.Cut
	all := append([]map[string]protocol.Cut{r.before.Cut}, r.before.Past...)
	for i, cut := range all {
		if 0 < i && i < len(all)-1 {
			newer, _ := latest(out[len(out)-1])
			at, _ := latest(cut)
			older, _ := latest(all[i+1])
			if newer-older <= (now-at)/2 {
				continue
			}
		}
		out = append(out, cut)
	}
	return out[:min(len(out), pastCuts)]
}

// whole adds what lies before a job's rows to their figures.
func (s *Since) whole(figures map[string]Figure) map[string]Figure {
	if s.Version == "" {
		return figures
	}
	out := maps.Clone(figures)
	for shard, c := range s.From {
		out[shard] = out[shard].plus(figureOf(c))
	}
	return out
}

// Cost is an estimate of what the two modes read, in bytes of files of the master
// dataset.
type Cost struct{ Incremental, Full int64 }

// String gives the form users see.
func (c Cost) String() string {
	return fmt.Sprintf("%d bytes to read incrementally, %d in full", c.Incremental, c.Full)
}

// viewWeight is how many bytes of the master dataset a byte of views costs: all of
// it is read, merged and sorted, where of a row the raw bytes are passed over.
const viewWeight = 4

// cost estimates both modes by the files that they read.
func (r *run) cost(ctx context.Context, all, some []protocol.File) (c Cost, err error) {
	for _, f := range all {
		c.Full += f.Size
	}
	for _, f := range some {
		c.Incremental += f.Size
	}
	for _, view := range slices.Sorted(maps.Keys(r.before.Views)) { // in an order that can be played again
		for _, f := range r.before.Views[view] {
			in, size, err := r.Views.Open(ctx, r.before.Version, f.Name)
			if err != nil {
				return c, err
			}
			if err := in.Close(); err != nil {
				return c, err
			}
			c.Incremental += viewWeight * size
		}
	}
	return c, nil
}
