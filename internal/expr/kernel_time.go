package expr

import (
	"math"
	"time"

	"github.com/watershed-data/watershed/internal/column"
)

const (
	secondsPerDay    = 24 * 60 * 60
	microsPerSecond  = 1_000_000
	daysPerEra       = 146_097 // 400 years
	daysToEra        = 719_468 // from 0000-03-01 to 1970-01-01
	thursday         = 4       // 1970-01-01
	daysPerWeek      = 7
	daysPerYear      = 365
	firstMonthOfYear = 3 // years begin in March, so that leap days end them
)

// timeKernel takes times apart: year, month, day, hour, weekday.
func timeKernel(part string, arg node, zone *time.Location) kernel {
	take := map[string]func(days, second int64) int64{
		"year":    func(days, _ int64) int64 { y, _, _ := civil(days); return y },
		"month":   func(days, _ int64) int64 { _, m, _ := civil(days); return m },
		"day":     func(days, _ int64) int64 { _, _, d := civil(days); return d },
		"hour":    func(_, second int64) int64 { return second / 3600 },
		"weekday": func(days, _ int64) int64 { return 1 + modulo(days+thursday-1, daysPerWeek) },
	}[part]
	isDate := arg.typ.Kind == column.Date
	return func(b *batch) values {
		a := arg.kernel(b)
		out := values{state: a.state, ints: b.ints.take(b.n)}
		if isDate {
			for i, days := range a.ints {
				out.ints[i] = take(days, 0)
			}
			return out
		}
		clock := wallClock{zone: zone, until: math.MinInt64}
		for i, micros := range a.ints {
			seconds := floorDivide(micros, microsPerSecond)
			local := seconds + clock.offset(seconds)
			days := floorDivide(local, secondsPerDay)
			out.ints[i] = take(days, local-days*secondsPerDay)
		}
		return out
	}
}

// wallClock remembers the zone's last offset and for how long it holds: times
// of a batch lie close together, and asking the zone is slow.
type wallClock struct {
	zone        *time.Location
	from, until int64 // seconds since 1970 UTC, [from, until)
	seconds     int64 // east of UTC
}

// offset gives the zone's offset in seconds at a time in seconds since 1970.
func (w *wallClock) offset(at int64) int64 {
	if at >= w.from && at < w.until {
		return w.seconds
	}
	t := time.Unix(at, 0).In(w.zone)
	_, east := t.Zone()
	w.seconds, w.from, w.until = int64(east), math.MinInt64, math.MaxInt64
	start, end := t.ZoneBounds()
	if !start.IsZero() {
		w.from = start.Unix()
	}
	if !end.IsZero() {
		w.until = end.Unix()
	}
	return w.seconds
}

func floorDivide(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func modulo(a, b int64) int64 {
	return a - floorDivide(a, b)*b
}

// civil gives the Gregorian date of a day since 1970-01-01, by Howard
// Hinnant's algorithm.
func civil(days int64) (year, month, day int64) {
	days += daysToEra
	era := floorDivide(days, daysPerEra)
	d := days - era*daysPerEra // of the era
	y := (d - d/1460 + d/36524 - d/(daysPerEra-1)) / daysPerYear
	d -= daysPerYear*y + y/4 - y/100 // of the year that begins in March
	m := (5*d + 2) / 153
	day = d - (153*m+2)/5 + 1
	month = m + firstMonthOfYear
	if month > 12 {
		month -= 12
		y++
	}
	return y + era*400, month, day
}
