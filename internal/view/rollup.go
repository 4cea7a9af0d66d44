package view

import (
	"slices"
	"time"

	"github.com/watershed-data/watershed/internal/definition"
)

// Rollup says at which grain a view keeps each of its buckets: the older, the
// coarser. It is a function of the view and of a version's T, never of a clock,
// so that whoever reads a version's batch views rolls up what lies beyond them in
// the same way.
type Rollup struct {
	zone   *time.Location
	finest definition.Grain
	levels []Level
}

// Level is one of the coarser grains of a Rollup: its buckets are kept for all
// time before Before, but for what an even coarser level takes.
type Level struct {
	Every  definition.Grain
	Before int64 // where one of its buckets begins; microseconds since 1970-01-01 UTC
}

// Unrolled is the rollup of a view before its first version: every bucket is
// kept at the view's grain.
func Unrolled(v definition.View, zone *time.Location) Rollup {
	return Rollup{zone: zone, finest: v.Every}
}

// RolledUp is the rollup of a view in the version that was sealed at t,
// milliseconds since 1970-01-01 UTC. Buckets of one grain of `keep` become one
// of the next grain when that one has ended for as long as `for` says. The later
// the version, the more is rolled up.
func RolledUp(v definition.View, zone *time.Location, t int64) Rollup {
	r := Unrolled(v, zone)
	for i := len(v.Keep) - 1; i > 0; i-- {
		// A bucket has ended by a time if that time lies in a later one.
		every := v.Keep[i].Every
		r.levels = append(r.levels, Level{Every: every, Before: Bucket(every, zone, t*1000-v.Keep[i-1].For.Microseconds())})
	}
	return r
}

// Levels gives the coarser levels, the coarsest and oldest first. They must not
// be changed.
func (r Rollup) Levels() []Level { return r.levels }

// Grain gives the grain at which the time t is kept. Times are microseconds
// since 1970-01-01 UTC.
func (r Rollup) Grain(t int64) definition.Grain {
	for _, l := range r.levels {
		if t < l.Before {
			return l.Every
		}
	}
	return r.finest
}

// Bucket gives the start of the kept bucket that holds the time t.
func (r Rollup) Bucket(t int64) int64 { return Bucket(r.Grain(t), r.zone, t) }

// Equal reports whether two rollups of one view keep every bucket alike.
func (r Rollup) Equal(other Rollup) bool { return slices.Equal(r.levels, other.levels) }
