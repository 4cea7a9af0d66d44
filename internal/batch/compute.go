package batch

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/watershed-data/watershed/internal/doubleentry"
	"github.com/watershed-data/watershed/internal/protocol"
)

// compute computes the views of rows that balance. It tries what costs least
// first: the rows since the version before; then all rows as they are, which
// balance nearly always and need no shuffle; then one row per position; then the
// same with files that come late; then with rows that were written again from the
// log.
func (r *run) compute(ctx context.Context) (version string, result Result, err error) {
	through := map[string]protocol.Position{}
	for shard, c := range r.plan.Cut {
		through[shard] = c.Through
	}
	if err := r.step("wait", func() error { return r.Archive.Flush(ctx, through) }); err != nil {
		return "", Result{}, fmt.Errorf("waiting for the master dataset: %w", err)
	}
	if done, ok, err := r.incremental(ctx); ok || err != nil {
		return done.version, done.result, err
	}
	r.report.Mode = doubleentry.Full
	var a attempt
	for _, try := range []func(context.Context) (attempt, error){r.asItIs, r.distinct, r.late, r.repaired} {
		if a, err = try(ctx); !errors.Is(err, protocol.ErrMismatch) {
			break
		}
	}
	return a.version, a.result, err
}

// attempt is a version that was computed from rows that balance.
type attempt struct {
	version string
	result  Result
}

func (r *run) asItIs(ctx context.Context) (attempt, error) {
	return r.attempt(ctx, false, nil)
}

func (r *run) distinct(ctx context.Context) (attempt, error) {
	return r.attempt(ctx, true, nil)
}

// late tries whenever files came, for as long as files may be late.
func (r *run) late(ctx context.Context) (a attempt, err error) {
	every := r.Late.Every
	if every <= 0 {
		every = DefaultLateEvery
	}
	err = &MismatchError{*r.report.Balance}
	if r.Late.Wait > 0 {
		r.Logger.Warn("the double entry does not balance; waiting for late files", "atMost", r.Late.Wait, "shards", r.report.Balance.String())
	}
	until := r.Now().Add(r.Late.Wait)
	for left := r.Late.Wait; left > 0; left = until.Sub(r.Now()) {
		if sleeping := r.step("wait", func() error { return r.sleep(ctx, min(every, left)) }); sleeping != nil {
			return attempt{}, sleeping
		}
		files, listing := r.Master.Files(ctx)
		if listing != nil {
			return attempt{}, listing
		}
		if slices.Equal(files, r.files) {
			continue
		}
		if a, err = r.attempt(ctx, true, files); !errors.Is(err, protocol.ErrMismatch) {
			return a, err
		}
	}
	return attempt{}, err
}

func (l *Layer) sleep(ctx context.Context, d time.Duration) error {
	if l.Sleep != nil {
		return l.Sleep(ctx, d)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// repaired writes what is missing again from the log, and tries a last time if
// that was anything.
func (r *run) repaired(ctx context.Context) (a attempt, err error) {
	before := r.report.Balance
	if err := r.step("repair", func() error { return r.repair(ctx, before) }); err != nil {
		return attempt{}, err
	}
	if before.Repaired() == 0 {
		return attempt{}, &MismatchError{*before}
	}
	a, err = r.attempt(ctx, true, nil)
	if err != nil && !errors.Is(err, protocol.ErrMismatch) {
		return attempt{}, err
	}
	after := r.report.Balance
	for i := range after.Shards {
		keepFound(&after.Shards[i], before.Shards[i])
	}
	if err != nil {
		return attempt{}, &MismatchError{*after}
	}
	r.Logger.Warn("the master dataset lacked events, which were written again from the log", "events", after.Repaired(), "shards", shardNames(after, func(s doubleentry.Shard) bool { return s.Repaired > 0 }))
	return a, nil
}

// keepFound keeps what was found out about a shard with its figures, which are new.
func keepFound(after *doubleentry.Shard, before doubleentry.Shard) {
	before.Equal, before.Ledger, before.Master = after.Equal, after.Ledger, after.Master
	*after = before
}

func shardNames(b *doubleentry.Balance, of func(doubleentry.Shard) bool) (names []string) {
	for _, s := range b.Shards {
		if of(s) {
			names = append(names, s.Shard)
		}
	}
	return names
}

// attempt computes a version of the files, or of all there are, if the rows
// balance.
func (r *run) attempt(ctx context.Context, distinct bool, files []protocol.File) (a attempt, err error) {
	if files == nil {
		if files, err = r.Master.Files(ctx); err != nil {
			return a, err
		}
	}
	r.files = files
	job := r.job(r.plan)
	job.Distinct = distinct
	return r.tryJob(ctx, job)
}

// tryJob computes a job if its rows balance.
func (r *run) tryJob(ctx context.Context, job Job) (a attempt, err error) {
	job.Check = func(figures map[string]Figure) error {
		return r.check(job.Distinct, job.Since.whole(figures))
	}
	err = r.step("compute", func() (err error) {
		a.result, err = r.Engine.Compute(ctx, job)
		return err
	})
	if err == nil {
		a.result.Figures = job.Since.whole(a.result.Figures)
		err = r.check(job.Distinct, a.result.Figures)
	}
	if err != nil {
		r.abandon(ctx, job.Version)
		return attempt{}, err
	}
	a.version = job.Version
	a.result.Events = 0
	for _, f := range a.result.Figures {
		a.result.Events += f.Count
	}
	return a, nil
}

// job makes a job with a path of its own: a zombie of the same run cannot write
// into it.
func (r *run) job(plan protocol.Plan) Job {
	return Job{Plan: plan, Files: r.files, Version: protocol.VersionName(r.plan.Pointer, rand.Text())}
}

func (r *run) abandon(ctx context.Context, version string) {
	if err := r.Views.Delete(context.WithoutCancel(ctx), version); err != nil {
		r.Logger.Warn("deleting an attempt failed", "version", version, "error", err)
	}
}
