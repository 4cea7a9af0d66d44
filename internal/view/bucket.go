package view

import (
	"sort"
	"time"

	"github.com/watershed-data/watershed/internal/definition"
)

// widths of the grains that are a fixed time inside a day, in microseconds.
var widths = map[definition.Grain]int64{
	definition.Minute:         60e6,
	definition.FiveMinutes:    300e6,
	definition.FifteenMinutes: 900e6,
	definition.Hour:           3600e6,
}

// Known reports whether g is a grain.
func Known(g definition.Grain) bool { return g.NestsIn(g) }

// RollsUp reports whether every bucket of the fine grain lies in one bucket of
// the coarse one. Weeks do not lie in months.
func RollsUp(fine, coarse definition.Grain) bool { return fine.NestsIn(coarse) }

const dayMicros = 24 * 3600e6

// Bucket gives the start of the bucket that holds the time t. Times are
// microseconds since 1970-01-01 UTC.
//
// Buckets follow the zone's wall clock, and each is one stretch of time. A
// bucket shorter than a day never spans a change of the clock: the hour that is
// passed twice in autumn makes two buckets. A day begins when the clock first
// shows it, even where midnight is skipped or passed twice, and ends when the
// clock first shows a later one: where clocks were set back from after midnight
// to before it, the minutes that the old day had again belong to the new one.
// Weeks begin on Monday.
func Bucket(g definition.Grain, zone *time.Location, t int64) int64 {
	if g == definition.None {
		return 0
	}
	if width, ok := widths[g]; ok {
		return withinDay(width, zone, t)
	}
	day := dayOf(zone, t)
	switch g {
	case definition.Week:
		day -= floorMod(day+3, 7) // day 0 was a Thursday
	case definition.Month:
		_, _, d := time.Unix(day*daySeconds, 0).UTC().Date()
		day -= int64(d) - 1
	}
	return firstInstant(zone, day)
}

const daySeconds = 24 * 3600

// withinDay gives the start of the bucket of a width that is a part of a day.
func withinDay(width int64, zone *time.Location, t int64) int64 {
	offset := offsetAt(zone, t)
	start := floor(t+offset, width) - offset
	if zone == time.UTC || offsetAt(zone, start) == offset {
		return start
	}
	// The clock changed inside: the bucket begins with the change.
	return firstAfter(start, t, func(u int64) bool { return offsetAt(zone, u) == offset })
}

// offsetAt gives how far the zone's clock is ahead of UTC, in microseconds.
//
// time.Time.ZoneBounds would tell where that ends, but in Go 1.26 it is wrong
// on some days after the last transition that the zone's table lists.
func offsetAt(zone *time.Location, t int64) int64 {
	if zone == time.UTC {
		return 0
	}
	_, seconds := time.UnixMicro(t).In(zone).Zone()
	return int64(seconds) * 1e6
}

// firstAfter gives the first time in (from, to] that satisfies holds, which
// fails at from, holds at to, and changes once between them.
func firstAfter(from, to int64, holds func(int64) bool) int64 {
	n := sort.Search(int(to-from), func(i int) bool { return holds(from + 1 + int64(i)) })
	return from + 1 + int64(n)
}

func floor(t, width int64) int64 { return t - floorMod(t, width) }

func floorMod(a, b int64) int64 {
	r := a % b
	if r < 0 {
		r += b
	}
	return r
}

// dayOf gives the calendar day that holds t, counted from 1970-01-01: the latest
// one that the clock has shown.
func dayOf(zone *time.Location, t int64) int64 {
	offset := offsetAt(zone, t)
	shown := floor(t+offset, dayMicros) / dayMicros
	// Clocks are set back by a day at most.
	if zone != time.UTC && offsetAt(zone, t-dayMicros) > offset && firstInstant(zone, shown+1) <= t {
		return shown + 1
	}
	return shown
}

// firstInstant gives when the clock first showed a calendar day or, where the
// whole day was skipped, the one after it.
func firstInstant(zone *time.Location, day int64) int64 {
	const farthest = 16 * 3600e6 // no clock is ahead of UTC or behind it by more
	midnight := day * dayMicros
	if zone == time.UTC {
		return midnight
	}
	from, to := midnight-farthest, midnight+farthest
	before, after := offsetAt(zone, from), offsetAt(zone, to)
	if before == after {
		return midnight - before
	}
	change := firstAfter(from, to, func(u int64) bool { return offsetAt(zone, u) != before })
	if midnight-before < change {
		return midnight - before
	}
	return max(change, midnight-after)
}
