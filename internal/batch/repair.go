package batch

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/watershed-data/watershed/internal/doubleentry"
	"github.com/watershed-data/watershed/internal/protocol"
)

// repair finds out about each shard that does not balance how its rows differ
// from the log, writes what is missing again, and adds what it found to the
// balance. What cannot be found out of one shard does not keep it from the others.
func (r *run) repair(ctx context.Context, b *doubleentry.Balance) error {
	for i := range b.Shards {
		s := &b.Shards[i]
		if s.Equal {
			continue
		}
		why, err := r.repairShard(ctx, s)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.looked(s, why, err)
	}
	return nil
}

// looked notes what was found out about a shard, and the error that ended it.
func (r *run) looked(s *doubleentry.Shard, why []string, err error) {
	if err != nil {
		why = append(why, err.Error())
	}
	s.Why = strings.Join(why, "; ")
	r.Logger.Warn("looked into a shard that does not balance", "shard", s.Shard, "ledger", s.Ledger, "master", s.Master,
		"missing", s.Missing, "repaired", s.Repaired, "surplus", s.Surplus, "differing", s.Differing, "lost", s.Lost, "why", s.Why)
}

// named is how many positions and spans of a kind are named.
const named = 5

// name adds to a list of the first few.
func name[T fmt.Stringer](to *[]string, what T) {
	if len(*to) < named {
		*to = append(*to, what.String())
	}
}

func (r *run) repairShard(ctx context.Context, s *doubleentry.Shard) (why []string, err error) {
	a, err := r.newAudit(ctx, s.Shard)
	if err != nil {
		return nil, err
	}
	r.collect(ctx, a, s)
	err = a.run(ctx)
	why = whatDiffers(s)
	if err != nil {
		return why, err
	}
	more, err := r.beforeLog(ctx, a, s)
	return append(why, more...), err
}

// collect lets an audit add what it finds to a shard, and writes what is missing
// again.
func (r *run) collect(ctx context.Context, a *audit, s *doubleentry.Shard) {
	a.missing = func(f Figure, spans []protocol.Span) error {
		s.Missing += f.Count
		for _, span := range spans {
			name(&s.Spans, span)
		}
		if err := r.Archive.Repair(ctx, s.Shard, spans); err != nil {
			return fmt.Errorf("writing %s and on of %s again from the log: %w", spans[0], s.Shard, err)
		}
		s.Repaired += f.Count
		return nil
	}
	a.surplus = func(p protocol.Position) { s.Surplus++; name(&s.SurplusAt, p) }
	a.differing = func(p protocol.Position) { s.Differing++; name(&s.DifferingAt, p) }
}

// whatDiffers says in words what was found out about a shard.
func whatDiffers(s *doubleentry.Shard) (why []string) {
	if s.Repaired > 0 {
		why = append(why, fmt.Sprintf("events that were missing and were written again from the log: %d, the first in %s", s.Repaired, s.Spans[0]))
	}
	if s.Surplus > 0 {
		why = append(why, fmt.Sprintf("rows where the log has no event: %d, the first at %s", s.Surplus, s.SurplusAt[0]))
	}
	if s.Differing > 0 {
		why = append(why, fmt.Sprintf("rows that are not what the log holds at their position: %d, the first at %s", s.Differing, s.DifferingAt[0]))
	}
	return why
}

func (r *run) newAudit(ctx context.Context, shard string) (*audit, error) {
	row, _, err := r.Ledger.Row(ctx, shard)
	if err != nil {
		return nil, fmt.Errorf("reading the ledger row of %s: %w", shard, err)
	}
	a := &audit{
		shard: shard, log: r.Log, master: r.Master, files: r.files, entries: r.Entries, bounds: r.audits.orDefault(), readers: r.Readers,
		genesis: row.From, span: protocol.Span{After: row.From, Through: r.plan.Cut[shard].Through},
	}
	if protocol.IsLoad(shard) {
		a.span.After = a.span.Through // it has no log but while it is loaded
		return a, nil
	}
	if r.Horizon != nil {
		horizon, err := r.Horizon(ctx, shard)
		if err != nil {
			return nil, fmt.Errorf("finding where the log of %s begins: %w", shard, err)
		}
		if horizon.After(a.span.Through) {
			horizon = a.span.Through
		}
		if horizon.After(row.From) {
			a.span.After = horizon
		}
	}
	return a, nil
}

// beforeLog holds what lies before the log's beginning against each other: there
// the ledger has the last word, and what is missing cannot be written again.
func (r *run) beforeLog(ctx context.Context, a *audit, s *doubleentry.Shard) (why []string, err error) {
	if a.span.After == a.genesis {
		return r.wrongLedger(s, a.total()), nil
	}
	master, err := r.figureUpTo(ctx, s.Shard, a.span.After)
	if err != nil {
		return nil, err
	}
	return r.lost(s, protocol.Span{After: a.genesis, Through: a.span.After}, figureOf(r.plan.Cut[s.Shard]).minus(a.total()), master), nil
}

// wrongLedger says if the ledger counts something else than the whole log holds.
func (r *run) wrongLedger(s *doubleentry.Shard, log Figure) []string {
	if log == figureOf(r.plan.Cut[s.Shard]) {
		return nil
	}
	return []string{fmt.Sprintf("up to the cut the log holds %d and the ledger counts %d: the ledger is wrong", log.Count, s.Ledger)}
}

// lost says if ledger and master dataset differ in what the log no longer holds.
func (r *run) lost(s *doubleentry.Shard, span protocol.Span, ledger, master Figure) []string {
	if master == ledger {
		return nil
	}
	s.Lost = max(ledger.Count-master.Count, 1)
	if protocol.IsLoad(s.Shard) {
		return []string{fmt.Sprintf("events of the load: %d in the ledger and %d in the master dataset, which alone holds them: restore its files from a backup", ledger.Count, master.Count)}
	}
	return []string{fmt.Sprintf("events in %s: %d in the ledger and %d in the master dataset, and the log no longer holds them: it begins after %s",
		span, ledger.Count, master.Count, span.Through)}
}

// errEnough ends a job whose figures are known.
var errEnough = errors.New("enough")

// figureUpTo gives the figure of a shard's rows up to a position, one of each.
func (r *run) figureUpTo(ctx context.Context, shard string, through protocol.Position) (Figure, error) {
	plan := r.plan
	plan.Cut = map[string]protocol.Cut{shard: {Through: through}}
	job := r.job(plan)
	job.Distinct = true
	var figures map[string]Figure
	job.Check = func(f map[string]Figure) error {
		figures = f
		return errEnough
	}
	result, err := r.Engine.Compute(ctx, job)
	defer r.abandon(ctx, job.Version)
	if err == nil {
		figures = result.Figures
	} else if !errors.Is(err, errEnough) {
		return Figure{}, err
	}
	return figures[shard], nil
}
