package batch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/watershed-data/watershed/internal/doubleentry"
	"github.com/watershed-data/watershed/internal/protocol"
)

// looked is how far a repair has come with a shard. A log of a day is more than a
// process that lives for minutes can read, so it is looked at in stretches, and what
// was found is stored after each: what lies behind the version before first, where
// something is missing nearly always, and what lies before it only if nothing was
// found there.
type looked struct {
	Shard   doubleentry.Shard `json:"shard"`
	Before  protocol.Position `json:"before"`  // the version before holds the shard up to here
	Older   bool              `json:"older"`   // what lies before that is looked at
	From    protocol.Position `json:"from"`    // where the looking at this part began
	Through protocol.Position `json:"through"` // up to where it was looked at; zero: not at all
	Done    bool              `json:"done"`

	// The figures of what was looked at: of the log, of the rows as often as they are
	// there, and of the events that were missing.
	Log     Figure `json:"log"`
	Stored  Figure `json:"stored"`
	Missing Figure `json:"missing"`
}

// leave is how long before the end of its time a step begins with no stretch any
// more. If all of one is missing, it is read three times, and of the 2 MB a second
// that a shard gives, other readers take their part.
const leave = 8 * time.Minute

// repairSome looks into each shard that differs, for as long as there is time. It
// gives false if it is not done.
func (r *stepped) repairSome(ctx context.Context, b *doubleentry.Balance) (bool, error) {
	var found []doubleentry.Shard
	for i := range b.Shards {
		s := &b.Shards[i]
		if s.Equal {
			continue
		}
		l, err := r.look(ctx, *s)
		if err != nil || !l.Done {
			return false, err
		}
		*s = l.Shard
		found = append(found, *s)
	}
	text, err := json.Marshal(found)
	if err == nil {
		_, err = r.s.Jobs.Put(ctx, repairName(r.p.Run), text)
	}
	return true, err
}

// look looks into a shard from where it was left, for as long as there is time.
func (r *stepped) look(ctx context.Context, s doubleentry.Shard) (l looked, err error) {
	l.Shard = s
	for n, fresh := 1, false; !l.Done; n++ {
		name := foundName(r.p.Run, s.Shard, n)
		text, ok, err := r.s.Jobs.Get(ctx, name)
		if err != nil {
			return l, err
		}
		if !ok {
			if fresh && nearlyOver(ctx) {
				return l, nil
			}
			if err := r.stretch(ctx, &l); err != nil {
				return l, err
			}
			if text, err = json.Marshal(l); err != nil {
				return l, err
			}
			if text, err = r.s.Jobs.Put(ctx, name, text); err != nil {
				return l, err
			}
			fresh = true
		}
		l = looked{}
		if err := json.Unmarshal(text, &l); err != nil {
			return l, err
		}
	}
	return l, nil
}

// nearlyOver reports whether the step's time is.
func nearlyOver(ctx context.Context) bool {
	end, ok := ctx.Deadline()
	return ok && time.Until(end) < leave
}

// stretch looks at the next stretch.
func (r *stepped) stretch(ctx context.Context, l *looked) error {
	a, err := r.newAudit(ctx, l.Shard.Shard)
	if err != nil {
		return err
	}
	if err := r.place(a, l); err != nil {
		return r.leftOff(l, err)
	}
	a.most = a.bounds.stretch
	r.collect(ctx, a, &l.Shard)
	write := a.missing
	a.missing = func(f Figure, spans []protocol.Span) error {
		l.Missing = l.Missing.plus(f)
		return write(f, spans)
	}
	all := a.span.Through
	if err := a.run(ctx); err != nil {
		if !errors.Is(err, protocol.ErrExpired) && !errors.Is(err, protocol.ErrGap) {
			return err // which is of no shard's making
		}
		return r.leftOff(l, err)
	}
	l.Log, l.Stored, l.Through = l.Log.plus(a.total()), l.Stored.plus(a.stored()), a.span.Through
	if all.After(l.Through) {
		return nil
	}
	if found := l.Shard.Missing > 0 || l.Shard.Surplus > 0 || l.Shard.Differing > 0; l.From == l.Before && !l.Older && !l.From.IsZero() {
		if !found {
			l.Older, l.Through = true, protocol.Position{}
			return nil
		}
		r.conclude(l, nil, nil)
		return nil
	}
	r.conclude(l, r.beforeStretches(l, a.genesis), nil)
	return nil
}

// place says which part of the log a stretch may be of.
func (r *stepped) place(a *audit, l *looked) error {
	oldest := a.span.After
	switch {
	case l.Older:
		a.span.Through = l.Before
		if oldest.After(l.Before) { // meanwhile it went
			oldest = l.Before
		}
	case l.Through.IsZero():
		if l.Before = r.versionBefore(l.Shard.Shard); l.Before.After(oldest) {
			oldest = l.Before
		}
	case l.Before.After(oldest):
		oldest = l.Before
	}
	a.span.After = oldest
	switch {
	case l.Through.IsZero():
		l.From = oldest
	case oldest.After(l.Through):
		return fmt.Errorf("the log of %s let go of events while it was looked at: %w", a.shard, protocol.ErrExpired)
	default:
		a.span.After = l.Through
	}
	return nil
}

// versionBefore gives the position up to which the version before holds a shard.
func (r *stepped) versionBefore(shard string) protocol.Position {
	if r.before == nil {
		return protocol.Position{}
	}
	return r.before.Cut[shard].Through
}

// leftOff ends the looking at a log that cannot be read on.
func (r *stepped) leftOff(l *looked, err error) error {
	r.conclude(l, nil, err)
	return nil
}

func (r *stepped) conclude(l *looked, more []string, err error) {
	l.Done = true
	r.looked(&l.Shard, append(whatDiffers(&l.Shard), more...), err)
}

// beforeStretches does what beforeLog does, when all was looked at that the log still
// holds. What lies before is what is left of the figures that the engine found.
func (r *stepped) beforeStretches(l *looked, genesis protocol.Position) []string {
	s := &l.Shard
	if l.From == genesis {
		return r.wrongLedger(s, l.Log)
	}
	if s.Surplus > 0 || s.Differing > 0 {
		return nil // these say enough, and their rows are among the figures
	}
	rows := l.Log.minus(l.Missing) // one of each
	if r.p.Attempt == firstAttempt {
		rows = l.Stored
	}
	ledger, master := figureOf(r.plan.Cut[s.Shard]).minus(l.Log), r.figures[s.Shard].minus(rows)
	if r.p.Attempt == firstAttempt && master.Count >= ledger.Count {
		return nil // rows that are there twice, maybe; the next attempt tells
	}
	return r.lost(s, protocol.Span{After: genesis, Through: l.From}, ledger, master)
}

// foundName is of what a repair found out about a shard in a stretch.
func foundName(run, shard string, stretch int) string {
	return fmt.Sprintf("%s/found/%s/%d", run, strings.ReplaceAll(shard, "/", "_"), stretch)
}
