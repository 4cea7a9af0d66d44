package batch

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/watershed-data/watershed/internal/deployment"
	"github.com/watershed-data/watershed/internal/doubleentry"
	"github.com/watershed-data/watershed/internal/protocol"
)

// Do does one step of a run and says which comes next. An error says that the step
// did not get to its end and may be repeated; a run that cannot make a version ends
// with the step fail.
func (s *Steps) Do(ctx context.Context, p Progress) (Progress, error) {
	step := cmp.Or(p.Step, p.Next, deployment.SealStep)
	next, err := s.do(ctx, step, p)
	if err != nil {
		return p, fmt.Errorf("doing the step %s of the batch run %q: %w", step, p.Run, err)
	}
	return next, nil
}

func (s *Steps) do(ctx context.Context, step string, p Progress) (Progress, error) {
	if p.Run == "" || strings.Contains(p.Run, "/") {
		return p, errors.New("the run has no name, or one with a slash")
	}
	if end, ok, err := s.ended(ctx, p.Run); ok || err != nil {
		return end, err
	}
	s.standing.forget()
	r := &stepped{run: &run{Layer: s.Layer, report: newReport()}, s: s, p: p}
	if p.Report != nil {
		*r.report = *p.Report
		r.report.Cut = map[string]ReportCut{}
	}
	do, err := r.prepare(ctx, step)
	if err == nil {
		err = do(ctx)
	}
	return r.p, err
}

// ended gives what a run that has ended said in the end; false if it has not. A step
// that comes after the end, as a zombie's does, changes nothing any more.
func (s *Steps) ended(ctx context.Context, run string) (p Progress, ok bool, err error) {
	text, ok, err := s.Jobs.Get(ctx, endName(run))
	if !ok || err != nil {
		return p, false, err
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return p, false, fmt.Errorf("reading how the run ended: %w", err)
	}
	return p, true, s.Ledger.DeletePlan(ctx, run)
}

// stepped is a run that does one of its steps.
type stepped struct {
	*run
	s *Steps
	p Progress // after the step, when it is done

	figures map[string]Figure // of the last attempt, for a repair
}

// prepare gives the step's function, when all is there that it needs.
func (r *stepped) prepare(ctx context.Context, step string) (func(context.Context) error, error) {
	steps := map[string]func(context.Context) error{
		deployment.SealStep: r.begin, deployment.WaitStep: r.wait, deployment.ComputedStep: r.computed,
		deployment.CompareStep: r.compare, deployment.RepairStep: r.repairAll, deployment.PublishStep: r.publishOnce,
		deployment.DiscardStep: r.discard, deployment.FailedStep: r.failed,
	}
	do, ok := steps[step]
	if !ok {
		return nil, fmt.Errorf("there is no such step; there are %s", strings.Join(slices.Sorted(maps.Keys(steps)), ", "))
	}
	r.p.Step, r.p.Next, r.p.Seconds, r.p.Error = "", "", 0, ""
	if step == deployment.SealStep {
		return do, nil
	}
	plan, ok, err := r.Ledger.Plan(ctx, r.p.Run)
	switch {
	case err != nil:
		return nil, err
	case ok:
		r.planned(plan)
	case step != deployment.FailedStep: // a run may fail before it has one
		return nil, errors.New("it has no plan: it was never sealed, or by another definition of the pipeline; start another run")
	}
	return do, nil
}

// then says which step is next.
func (r *stepped) then(step string) error {
	r.p.Next, r.p.Caught, r.p.Report = step, nil, r.report.brief()
	return nil
}

// begin seals, and ends the run if nothing came since the current version.
func (r *stepped) begin(ctx context.Context) error {
	if err := r.seal(ctx, r.p.Run); err != nil {
		return err
	}
	failing := r.failing(ctx)
	if !r.p.Full && !failing {
		done, err := r.unchanged(ctx)
		if done {
			err = r.tell(ctx) // the run that published may have died before it did
		}
		if done || err != nil {
			return r.endUnless(ctx, err)
		}
	}
	why, err := r.goOnFrom(ctx, failing)
	if err != nil {
		return err
	}
	r.report.Mode, r.report.Why = doubleentry.Full, why
	r.p.Until = r.filesBy()
	return r.wait(ctx)
}

// goOnFrom reads the version before and says why all rows are computed again.
func (r *stepped) goOnFrom(ctx context.Context, failing bool) (why string, err error) {
	r.full = cmp.Or(whyFull(r.p.Full, failing), "the engine computes from all rows every time")
	return r.previous(ctx)
}

// filesBy gives the time by which the rows up to the cut should be listed,
// milliseconds since 1970-01-01 UTC. An engine that is started before finds that
// some are missing, and has worked for nothing. Arrivals are approximate, and so is
// this: what counts is the comparison.
func (r *stepped) filesBy() int64 {
	var latest int64
	for shard, c := range r.plan.Cut {
		switch {
		case protocol.IsLoad(shard), c.Count == 0:
		case r.before != nil && r.before.Cut[shard].Through == c.Through: // the version before had them all
		case c.MaxArrival == 0:
			latest = r.plan.T
		default:
			latest = max(latest, min(c.MaxArrival, r.plan.T))
		}
	}
	if latest == 0 {
		return 0
	}
	return latest + r.Late.Wait.Milliseconds()
}

// wait goes on when files are not late any more: to the first attempt, to one with
// the files that came, or to the repair.
func (r *stepped) wait(ctx context.Context) error {
	if left := r.p.Until - r.Now().UnixMilli(); left > 0 {
		r.p.Seconds = (left + 999) / 1000
		return r.then(deployment.WaitStep)
	}
	r.p.Until = 0
	if r.p.Attempt == 0 {
		return r.offer(ctx, firstAttempt)
	}
	files, err := r.Master.Files(ctx)
	if err != nil {
		return err
	}
	before, err := r.jobOf(ctx, r.p.Attempt)
	if err != nil {
		return err
	}
	if slices.Equal(before.Files, r.s.places(files)) {
		return r.then(deployment.RepairStep)
	}
	return r.offer(ctx, lateAttempt)
}

// computed looks for the result of an engine that nobody waits for.
func (r *stepped) computed(ctx context.Context) error {
	_, ok, err := r.s.Jobs.Get(ctx, resultName(r.p.Run, r.p.Attempt))
	if err != nil {
		return err
	}
	if ok {
		return r.then(deployment.CompareStep)
	}
	r.p.Seconds = r.s.pollSeconds()
	return r.then(deployment.ComputeStep)
}

// compare holds what an attempt found against the ledger. If they differ, it says
// what to try next: what costs least first.
func (r *stepped) compare(ctx context.Context) error {
	a, err := r.attempted(ctx)
	if err != nil {
		return err
	}
	for _, seconds := range a.result.Seconds {
		r.report.Seconds["compute"] += seconds
	}
	switch {
	case a.differ == nil:
		return r.then(deployment.PublishStep)
	case r.p.Attempt == firstAttempt && !r.lacks():
		return r.offer(ctx, distinctAttempt)
	case r.p.Attempt < lateAttempt:
		r.Logger.Warn("the double entry does not balance; waiting for late files", "run", r.p.Run, "atMost", r.Late.Wait, "shards", r.report.Balance.String())
		r.p.Until = r.Now().Add(r.Late.Wait).UnixMilli()
		return r.wait(ctx)
	case r.p.Attempt == lateAttempt:
		return r.then(deployment.RepairStep)
	}
	return r.end(ctx, a.differ)
}

// lacks reports whether a shard has fewer rows than events: then to keep one row per
// position, which takes the engine longest, cannot help.
func (r *stepped) lacks() bool {
	return slices.ContainsFunc(r.report.Balance.Shards, func(s doubleentry.Shard) bool { return s.Master < s.Ledger })
}

// repairAll writes what is missing again from the log. It goes on where an earlier
// one of the run was killed, and comes again if its time is over.
func (r *stepped) repairAll(ctx context.Context) error {
	a, err := r.attempted(ctx)
	if err != nil {
		return err
	}
	if a.differ == nil {
		return r.then(deployment.PublishStep)
	}
	if _, err := r.goOnFrom(ctx, false); err != nil {
		return err
	}
	r.files, r.figures = r.s.named(a.job.Files), figuresOf(a.result)
	b, all := r.report.Balance, false
	err = r.step("repair", func() (err error) {
		all, err = r.repairSome(ctx, b)
		return err
	})
	switch {
	case err != nil:
		return err
	case !all:
		return r.then(deployment.RepairStep)
	case b.Repaired() == 0:
		return r.end(ctx, &MismatchError{*b})
	}
	return r.offer(ctx, repairedAttempt)
}

// publishOnce makes the version the current one, unless another run was faster.
func (r *stepped) publishOnce(ctx context.Context) error {
	a, err := r.attempted(ctx)
	if err != nil {
		return err
	}
	if a.differ != nil {
		return a.differ
	}
	if _, err := r.goOnFrom(ctx, false); err != nil {
		return err
	}
	m := r.manifest(a.job.Version, a.computed())
	published := false
	err = r.step("publish", func() (err error) {
		published, err = r.publishedOnce(ctx, m)
		return err
	})
	if err != nil {
		return err
	}
	r.reportVersion(m)
	if !published {
		r.report.Superseded = true
		return r.endUnless(ctx, r.drop(ctx, m))
	}
	r.announce()
	if err := r.tell(ctx); err != nil {
		return err
	}
	return r.then(deployment.DiscardStep)
}

// publishedOnce reports whether the version is, or was, the current one.
func (r *stepped) publishedOnce(ctx context.Context, m protocol.Manifest) (bool, error) {
	if _, ok, err := r.s.Jobs.Get(ctx, publishedName(r.p.Run)); ok || err != nil {
		return ok, err
	}
	pointer, err := r.Ledger.Pointer(ctx)
	if err != nil {
		return false, err
	}
	switch {
	case pointer.Version == m.Version:
	case pointer.Seq != r.plan.Pointer.Seq:
		return false, nil
	default:
		if err := r.whole(ctx, m); err != nil {
			return false, err
		}
		// An earlier one may have stored it, with another look at the versions before.
		if _, err := r.Views.Manifest(ctx, m.Version); err != nil {
			if err := r.Views.PutManifest(ctx, m); err != nil {
				return false, err
			}
		}
		if published, err := r.Protocol.Publish(ctx, r.plan, m.Version); !published || err != nil {
			return false, err
		}
	}
	_, err = r.s.Jobs.Put(ctx, publishedName(r.p.Run), []byte("{}\n"))
	return true, err
}

// whole makes sure that every file of a version is there, before anybody is to read
// it.
func (r *stepped) whole(ctx context.Context, m protocol.Manifest) error {
	for _, view := range slices.Sorted(maps.Keys(m.Views)) {
		for _, f := range m.Views[view] {
			in, _, err := r.Views.Open(ctx, m.Version, f.Name)
			if err == nil {
				err = in.Close()
			}
			if err != nil {
				return fmt.Errorf("looking for a file that the engine says it has stored: %w", err)
			}
		}
	}
	return nil
}

// drop deletes a version that was not published. That is certain if another one has
// its number; if later ones are there, it may have been the current one meanwhile,
// and it goes when it is its turn.
func (r *stepped) drop(ctx context.Context, m protocol.Manifest) error {
	pointer, err := r.Ledger.Pointer(ctx)
	if err != nil || pointer.Seq != m.Seq || pointer.Version == m.Version {
		return err
	}
	return r.Views.Delete(ctx, m.Version)
}

// tell tells of the current version until it is the current one afterwards, so that
// of several runs that do so, the last one tells of the last version.
func (r *stepped) tell(ctx context.Context) error {
	if r.s.Published == nil {
		return nil
	}
	const attempts = 8
	for range attempts {
		pointer, err := r.Ledger.Pointer(ctx)
		if err != nil {
			return err
		}
		m, err := r.Views.Manifest(ctx, pointer.Version)
		if err == nil {
			err = r.s.Published(ctx, m)
		}
		now, again := r.Ledger.Pointer(ctx)
		switch {
		case again != nil:
			return again
		case now.Version == pointer.Version:
			return err
		}
	}
	return fmt.Errorf("telling of the current version: %w", protocol.ErrBusy)
}

// discard deletes what the version covers, and ends the run.
func (r *stepped) discard(ctx context.Context) error {
	if _, err := r.attempted(ctx); err != nil {
		return err
	}
	err := r.step("discard", func() (err error) {
		r.report.Discarded, err = r.Protocol.Discard(ctx)
		return err
	})
	return r.endUnless(ctx, err)
}

// failed ends a run of which a step, or the engine, fails for good.
func (r *stepped) failed(ctx context.Context) error {
	failure := errors.New("a step or the engine failed, and nobody said why")
	if c := r.p.Caught; c != nil {
		failure = c.failure()
	}
	_, published, err := r.s.Jobs.Get(ctx, publishedName(r.p.Run))
	if err != nil {
		return err
	}
	if published {
		// The version is right, and the layer does not stand the worse for it; the next run
		// tells of it, or of a later one, and discards. But if that fails each time, somebody
		// has to hear of it: items and versions pile up.
		return r.endWith(ctx, nil, fmt.Errorf("the version is published, and what comes after that failed: %w", failure))
	}
	return r.end(ctx, failure)
}

// endUnless ends the run well, unless there is an error.
func (r *stepped) endUnless(ctx context.Context, err error) error {
	if err != nil {
		return err
	}
	return r.end(ctx, nil)
}

// mostError is how many bytes of an error are handed on.
const mostError = 8 << 10

// end ends the run, without a version if there is a failure.
func (r *stepped) end(ctx context.Context, failure error) error {
	return r.endWith(ctx, failure, failure)
}

// endWith ends the run with what is said of it, also if there is no failure to make a
// version.
func (r *stepped) endWith(ctx context.Context, failure, said error) error {
	next := deployment.Done
	if said != nil {
		next, r.p.Error = deployment.Fail, clipped(said.Error(), mostError)
		r.Logger.Error("a batch run ends with an error", "run", r.p.Run, "error", said)
	}
	r.remember(ctx, r.p.Run, r.report, failure)
	if r.s.Count != nil { // also by a step that was killed behind this and is repeated: too often is no harm
		r.s.Count(counts(r.report, failure))
	}
	if err := r.then(next); err != nil {
		return err
	}
	text, err := json.Marshal(r.p)
	if err != nil {
		return err
	}
	if text, err = r.s.Jobs.Put(ctx, endName(r.p.Run), text); err != nil {
		return err
	}
	r.p = Progress{}
	if err := json.Unmarshal(text, &r.p); err != nil {
		return err
	}
	return r.Ledger.DeletePlan(ctx, r.p.Run)
}

// clipped cuts a text that is too long.
func clipped(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + fmt.Sprintf("… and %d bytes more", len(text)-most)
}

// failure gives the error in the words of whom it comes from.
func (c *Caught) failure() error {
	text := c.Cause
	var said struct{ ErrorMessage string } // of a function as well as of Glue; JSON's keys match in any case
	if err := json.Unmarshal([]byte(c.Cause), &said); err == nil && said.ErrorMessage != "" {
		text = said.ErrorMessage
	}
	return fmt.Errorf("%s: %s", c.Error, clipped(text, mostError))
}

func (s *Steps) pollSeconds() int64 {
	return int64(max(cmp.Or(s.Poll, DefaultPoll), time.Second) / time.Second)
}
