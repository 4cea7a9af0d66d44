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

// order of the grains, finest first.
var order = map[definition.Grain]int{
	definition.Minute: 1, definition.FiveMinutes: 2, definition.FifteenMinutes: 3, definition.Hour: 4,
	definition.Day: 5, definition.Week: 6, definition.Month: 7, definition.None: 8,
}

// Known reports whether g is a grain.
func Known(g definition.Grain) bool { return order[g] > 0 }

// RollsUp reports whether every bucket of the fine grain lies in one bucket of
// the coarse one. Weeks do not lie in months.
func RollsUp(fine, coarse definition.Grain) bool {
	if fine == definition.Week && coarse == definition.Month {
		return false
	}
	return order[fine] > 0 && order[fine] <= order[coarse]
}

const dayMicros = 24 * 3600e6

// Bucket gives the start of the bucket that holds the time t. Times are
// microseconds since 1970-01-01 UTC.
//
// Buckets follow the zone's wall clock. A bucket shorter than a day never
// spans a change of the clock: the hour that is passed twice in autumn makes
// two buckets. A day begins at its first instant, even where midnight is
// skipped or passed twice. Weeks begin on Monday.
func Bucket(g definition.Grain, zone *time.Location, t int64) int64 {
	if g == definition.None {
		return 0
	}
	width, fixed := widths[g]
	if zone == time.UTC {
		if fixed {
			return floor(t, width)
		}
		if g == definition.Day {
			return floor(t, dayMicros)
		}
	}
	at := time.UnixMicro(t).In(zone)
	if fixed {
		offset := offsetAt(zone, t)
		start := floor(t+offset, width) - offset
		if offsetAt(zone, start) == offset {
			return start
		}
		// The clock changed inside: the bucket begins with the change.
		return firstAfter(start, t, func(u int64) bool { return offsetAt(zone, u) == offset })
	}
	year, month, day := at.Date()
	switch g {
	case definition.Week:
		day -= (int(at.Weekday()) + 6) % 7
	case definition.Month:
		day = 1
	}
	return firstInstant(year, month, day, zone)
}

// offsetAt gives how far the zone's clock is ahead of UTC, in microseconds.
//
// time.Time.ZoneBounds would tell where that ends, but in Go 1.26 it is wrong
// on some days after the last transition that the zone's table lists.
func offsetAt(zone *time.Location, t int64) int64 {
	_, seconds := time.UnixMicro(t).In(zone).Zone()
	return int64(seconds) * 1e6
}

// firstAfter gives the first time in (from, to] that satisfies holds, which
// fails at from, holds at to, and changes once between them.
func firstAfter(from, to int64, holds func(int64) bool) int64 {
	n := sort.Search(int(to-from), func(i int) bool { return holds(from + 1 + int64(i)) })
	return from + 1 + int64(n)
}

func floor(t, width int64) int64 {
	r := t % width
	if r < 0 {
		r += width
	}
	return t - r
}

// firstInstant gives the first instant of a calendar day: midnight, but for days
// on which midnight is skipped or passed twice.
func firstInstant(year int, month time.Month, day int, zone *time.Location) int64 {
	const aDay = 24 * 3600e6
	midnight := time.Date(year, month, day, 0, 0, 0, 0, zone).UnixMicro()
	want := time.Date(year, month, day, 0, 0, 0, 0, time.UTC).UnixMicro() // the day as a number
	if offset := offsetAt(zone, midnight); midnight+offset == want && offsetAt(zone, midnight-aDay/4) == offset {
		return midnight
	}
	return firstAfter(want-2*aDay, want+2*aDay, func(u int64) bool { return u+offsetAt(zone, u) >= want })
}
