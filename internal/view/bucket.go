package view

import (
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
		_, seconds := at.Zone()
		offset := int64(seconds) * 1e6
		start := floor(t+offset, width) - offset
		if since, _ := at.ZoneBounds(); !since.IsZero() {
			start = max(start, since.UnixMicro())
		}
		return start
	}
	year, month, day := at.Date()
	switch g {
	case definition.Week:
		day -= (int(at.Weekday()) + 6) % 7
	case definition.Month:
		day = 1
	}
	return firstInstant(year, month, day, zone).UnixMicro()
}

func floor(t, width int64) int64 {
	r := t % width
	if r < 0 {
		r += width
	}
	return t - r
}

// firstInstant gives the first instant of a calendar day. time.Date may answer
// with either side where midnight is skipped or passed twice.
func firstInstant(year int, month time.Month, day int, zone *time.Location) time.Time {
	want := time.Date(year, month, day, 0, 0, 0, 0, time.UTC) // normalises the day
	at := time.Date(year, month, day, 0, 0, 0, 0, zone)
	since, until := at.ZoneBounds()
	if !sameDay(at, want) { // midnight is skipped, and at lies before the jump
		return until
	}
	if since.IsZero() {
		return at
	}
	if h, m, s := at.Clock(); h+m+s > 0 { // midnight is skipped, and at lies behind the jump
		return since
	}
	_, before := since.Add(-time.Second).Zone()
	if earlier := want.Add(-time.Duration(before) * time.Second); earlier.Before(since) { // passed twice
		return earlier.In(zone)
	}
	return at
}

func sameDay(a, b time.Time) bool {
	ay, am, ad := a.Date()
	by, bm, bd := b.Date()
	return ay == by && am == bm && ad == bd
}
