package batch

import (
	"fmt"
	"maps"
	"slices"

	"github.com/watershed-data/watershed/internal/doubleentry"
	"github.com/watershed-data/watershed/internal/protocol"
)

// check holds the master dataset's figures against the ledger's, shard by shard.
// Its error is a *MismatchError.
func (r *run) check(distinct bool, figures map[string]Figure) error {
	b := &doubleentry.Balance{At: r.Now().UTC(), Watershed: r.report.Watershed, Equal: true}
	for _, shard := range slices.Sorted(maps.Keys(r.plan.Cut)) {
		ledger, master := figureOf(r.plan.Cut[shard]), figures[shard]
		b.Shards = append(b.Shards, doubleentry.Shard{
			Shard: shard, Equal: ledger == master, Ledger: ledger.Count, Master: master.Count,
			Spans: []string{}, SurplusAt: []string{}, DifferingAt: []string{},
		})
		b.Equal = b.Equal && ledger == master
	}
	if !distinct {
		r.asStored = figures
	} else if r.asStored != nil {
		r.doubled, r.asStored = !maps.Equal(r.asStored, figures), nil
	}
	b.Doubled = r.doubled
	r.report.Balance = b
	if !b.Equal {
		return &MismatchError{*b}
	}
	return nil
}

func figureOf(c protocol.Cut) Figure { return Figure{Count: c.Count, Sum: c.Sum} }

func (f Figure) add(hash uint64) Figure { return Figure{f.Count + 1, f.Sum.Add(hash)} }

func (f Figure) plus(g Figure) Figure { return Figure{f.Count + g.Count, f.Sum.Plus(g.Sum)} }

func (f Figure) minus(g Figure) Figure {
	return Figure{f.Count - g.Count, protocol.Sum{Hi: f.Sum.Hi - g.Sum.Hi, Lo: f.Sum.Lo - g.Sum.Lo}}
}

// MismatchError is that the master dataset and the ledger do not agree, with the
// numbers. It is protocol.ErrMismatch, and protocol.ErrExpired if the log no
// longer holds what the master dataset lacks.
type MismatchError struct{ Balance doubleentry.Balance }

func (e *MismatchError) Error() string {
	return fmt.Sprintf("%v up to the cut: %s", protocol.ErrMismatch, e.Balance)
}

// Is implements the interface of errors.Is.
func (e *MismatchError) Is(target error) bool {
	return target == protocol.ErrMismatch || target == protocol.ErrExpired && slices.ContainsFunc(e.Balance.Shards, func(s doubleentry.Shard) bool { return s.Lost > 0 })
}
