package oracle

import (
	"iter"
	"time"

	"github.com/watershed-data/watershed/internal/definition"
)

// bucket gives the start of the bucket that holds t. Buckets follow the zone's
// clocks; the day of a clock's change is shorter or longer, and a bucket within
// a day never spans the change. A day that the clocks show again for some minutes,
// after they showed the next one, does not get these minutes: the next one does.
func bucket(g definition.Grain, zone *time.Location, t time.Time) time.Time {
	t = t.In(zone)
	day := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	switch g {
	case definition.Minute:
		return within(t, 1)
	case definition.FiveMinutes:
		return within(t, 5)
	case definition.FifteenMinutes:
		return within(t, 15)
	case definition.Hour:
		return within(t, 60)
	}
	if next := day.AddDate(0, 0, 1); !dawn(next, zone).After(t) {
		day = next
	}
	switch g {
	case definition.Week:
		for day.Weekday() != time.Monday {
			day = day.AddDate(0, 0, -1)
		}
	case definition.Month:
		day = day.AddDate(0, 0, 1-day.Day())
	}
	return dawn(day, zone)
}

// kept gives the start of the bucket in which a view keeps t: the coarsest of its
// keep that had ended, when the version was sealed, for as long as the entry
// before it says; else the finest. Without a version sealed is zero.
func kept(v definition.View, zone *time.Location, sealed, t time.Time) time.Time {
	for i := len(v.Keep) - 1; i > 0 && !sealed.IsZero(); i-- {
		coarse := v.Keep[i].Every
		start := bucket(coarse, zone, t)
		if bucket(coarse, zone, sealed.Add(-v.Keep[i-1].For)).After(start) { // another has begun by then, so this one has ended
			return start
		}
	}
	return bucket(v.Every, zone, t)
}

// within gives the moment at which the clock last showed a multiple of the
// given minutes past the hour, or at which it was last changed.
func within(t time.Time, minutes int) time.Time {
	past := time.Duration(t.Minute()%minutes)*time.Minute + time.Duration(t.Second())*time.Second + time.Duration(t.Nanosecond())
	start := t.Add(-past)
	_, offset := t.Zone()
	for at := t; ; {
		since, _ := at.ZoneBounds()
		if since.IsZero() || !since.After(start) {
			return start
		}
		at = since.Add(-1)
		if _, before := at.Zone(); before != offset { // else only the zone's name was changed
			return since
		}
	}
}

// dawn gives the first moment of a calendar day, which is not midnight where
// the clocks skip it. A day that the zone skipped whole has none; no moment
// lies in it.
func dawn(day time.Time, zone *time.Location) time.Time {
	for p := range periods(day, zone) {
		t := day.Add(-p.offset)
		if t.Before(p.from) {
			t = p.from
		}
		if y, m, d := t.In(zone).Date(); p.holds(t) && y == day.Year() && m == day.Month() && d == day.Day() {
			return t
		}
	}
	// The clocks skipped the whole day (Samoa, 30 December 2011): weeks and months
	// that would begin with it begin with the day after.
	return dawn(day.AddDate(0, 0, 1), zone)
}

// period is a time in which a zone's clocks were not changed.
type period struct {
	from, to time.Time // [from, to)
	offset   time.Duration
}

func (p period) holds(t time.Time) bool { return !t.Before(p.from) && t.Before(p.to) }

// periods gives a zone's periods around the moments at which its clocks can
// show the wall time, which is written as if it were UTC; earliest first.
func periods(wall time.Time, zone *time.Location) iter.Seq[period] {
	return func(yield func(period) bool) {
		last := wall.Add(48 * time.Hour)
		for t := wall.Add(-48 * time.Hour); t.Before(last); {
			_, seconds := t.In(zone).Zone()
			from, to := t.In(zone).ZoneBounds()
			if from.IsZero() {
				from = wall.AddDate(-1, 0, 0)
			}
			if to.IsZero() {
				to = wall.AddDate(1, 0, 0)
			}
			if !to.After(t) { // ZoneBounds ends a period at itself on the last day of 2040, 2044 ...
				to = t.Add(time.Hour)
			}
			if !yield(period{from, to, time.Duration(seconds) * time.Second}) {
				return
			}
			t = to
		}
	}
}
