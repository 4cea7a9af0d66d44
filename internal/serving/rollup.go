package serving

import (
	"math"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/view"
)

// answerable reports whether the buckets that a version keeps can be read as the
// query asks: in buckets that none of them is coarser than, and with no bound
// that would cut one of them in two. Rows are whole buckets, so a bound is only
// in the way where none are shown.
func (p *plan) answerable(r view.Rollup) error {
	switch {
	case p.asKept:
		return nil
	case p.grain == definition.None:
		if err := p.uncut(r, "from", p.from); err != nil {
			return err
		}
		return p.uncut(r, "to", p.to)
	}
	return p.fineEnough(r)
}

// keptGrains says which buckets of an answer are how wide; nil if all are alike.
func (p *plan) keptGrains(r view.Rollup) []KeptGrain {
	if len(r.Levels()) == 0 {
		return nil
	}
	var out []KeptGrain
	for _, l := range r.Levels() {
		out = append(out, KeptGrain{Every: l.Every, Before: p.zone.format(l.Before)})
	}
	return append(out, KeptGrain{Every: p.view.Every})
}

// fineEnough refuses a range with a time that is kept in buckets that do not lie
// in the asked ones.
func (p *plan) fineEnough(r view.Rollup) error {
	finer := p.view.Every // what is kept behind the levels that are in the way
	var coarse view.Level // the youngest of them
	for _, l := range r.Levels() {
		if view.RollsUp(l.Every, p.grain) {
			finer = l.Every
			break
		}
		coarse = l
	}
	if coarse.Every == "" {
		return nil
	}
	// The last asked bucket that begins before the level's end and the range's.
	before := min(coarse.Before, p.to)
	if view.Bucket(p.grain, p.zone.Location, before-1) < p.from {
		return nil
	}
	return invalid("every", "view %s keeps %s from %s on, and %s before it, which do not lie in buckets of %s; ask from there on, or leave every out to get each bucket as it is kept",
		p.view.Name, finer, p.zone.format(coarse.Before), coarse.Every, p.grain)
}

// uncut refuses a bound inside a bucket that was rolled up: what is on one side
// of it is not known any more.
func (p *plan) uncut(r view.Rollup, field string, bound int64) error {
	if bound == math.MinInt64 || bound == math.MaxInt64 {
		return nil
	}
	grain, start := r.Grain(bound), r.Bucket(bound)
	if grain == p.view.Every || start == bound {
		return nil
	}
	return invalid(field, "%s (%s) lies inside a bucket of %s that begins at %s: view %s keeps nothing finer there; write the start of a bucket",
		field, p.zone.format(bound), grain, p.zone.format(start), p.view.Name)
}
