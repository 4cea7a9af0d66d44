package view_test

import (
	"math/rand/v2"
	"sort"
	"testing"
	"time"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/view"
)

// oddZones change their clocks in ways that most do not: by half an hour, at
// midnight, from after midnight to before it, over the date line, in Ramadan, by
// two hours.
var oddZones = []string{
	"UTC", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Beirut", "America/Havana",
	"America/St_Johns", "Pacific/Apia", "Pacific/Kwajalein", "Africa/Casablanca", "Africa/Monrovia", "Antarctica/Troll", "America/Sitka",
}

func zoneOf(t *testing.T, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// changes gives the times around which a zone's clock changes, in microseconds.
func changes(zone *time.Location) (out []int64) {
	offset := func(hour int64) int { _, s := time.Unix(hour*3600, 0).In(zone).Zone(); return s }
	for hour := int64(-900_000); hour < 700_000; hour += 24 { // 1867 to 2049
		if offset(hour) != offset(hour+24) {
			out = append(out, (hour+12)*3600e6)
		}
	}
	return append(out, 0)
}

// near gives a random time, most of them near a change of the clock.
func near(r *rand.Rand, at []int64) int64 {
	if r.IntN(8) == 0 {
		return r.Int64N(6e15) - 3e15
	}
	return at[r.IntN(len(at))] + r.Int64N(4*24*3600e6) - 2*24*3600e6
}

var timed = []definition.Grain{
	definition.Minute, definition.FiveMinutes, definition.FifteenMinutes, definition.Hour, definition.Day, definition.Week, definition.Month,
}

// Without this, a bucket is two stretches of time, a range of time cuts one in
// two, or a coarse bucket counts a part of a fine one.
func TestBucketsAreStretchesThatNest(t *testing.T) {
	t.Parallel()
	for i, name := range oddZones {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			zone := zoneOf(t, name)
			at := changes(zone)
			r := rand.New(rand.NewPCG(7, uint64(i)))
			for range 1500 {
				one := near(r, at)
				other := one + r.Int64N(30*3600e6)
				for _, g := range timed {
					start := view.Bucket(g, zone, one)
					if start > one || view.Bucket(g, zone, start) != start {
						t.Fatalf("the %s bucket of %s begins at %s", g, utc(one), utc(start))
					}
					if later := view.Bucket(g, zone, other); later < start {
						t.Fatalf("the %s bucket of %s begins at %s, before that of %s", g, utc(other), utc(later), utc(one))
					}
					for _, coarse := range timed {
						if view.RollsUp(g, coarse) && view.Bucket(coarse, zone, start) != view.Bucket(coarse, zone, one) {
							t.Fatalf("the %s bucket of %s does not lie in one of %s", g, utc(one), coarse)
						}
					}
				}
			}
		})
	}
}

func utc(t int64) string { return time.UnixMicro(t).UTC().Format(time.RFC3339Nano) }

// The clock was set back from 00:01 to 23:01 of the day before: the hour that
// the old day had again belongs to the new one.
func TestADayThatComesAgain(t *testing.T) {
	t.Parallel()
	zone := zoneOf(t, "America/St_Johns")
	for at, want := range map[string]string{
		"2010-11-07T02:29:59Z": "2010-11-06T02:30:00Z", // 23:59 of the 6th, for the first time
		"2010-11-07T02:30:30Z": "2010-11-07T02:30:00Z", // 00:00 of the 7th
		"2010-11-07T03:00:00Z": "2010-11-07T02:30:00Z", // 23:30 of the 6th, for the second time
		"2010-11-08T03:29:59Z": "2010-11-07T02:30:00Z",
	} {
		u, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if got := utc(view.Bucket(definition.Day, zone, u.UnixMicro())); got != want {
			t.Errorf("%s is of the day that began at %s, want %s", at, got, want)
		}
	}
}

// keeps are rollups by age, of the views' first grain.
func keeps() [][]definition.Keep {
	const day = 24 * time.Hour
	return [][]definition.Keep{
		{{For: day, Every: definition.Hour}, {Every: definition.Day}},
		{{For: 90 * time.Minute, Every: definition.FifteenMinutes}, {For: 5 * day, Every: definition.Hour}, {Every: definition.Week}},
		{{For: time.Second, Every: definition.Minute}, {For: 2 * day, Every: definition.Day}, {Every: definition.Month}},
		{{For: 3 * day, Every: definition.Day}, {Every: definition.Week}},
	}
}

// end gives when a bucket has ended: the first time that lies in another.
func end(g definition.Grain, zone *time.Location, start int64) int64 {
	const longest = 35 * 24 * 3600e6
	return start + int64(sort.Search(longest, func(i int) bool { return view.Bucket(g, zone, start+int64(i)) != start }))
}

// Without this, layers do not agree about which buckets of a version are kept
// at which grain, a rolled-up bucket comes apart again in a later version, or
// what was rolled up twice differs from what was rolled up once.
func TestRollupByAge(t *testing.T) {
	t.Parallel()
	for i, name := range oddZones {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			zone := zoneOf(t, name)
			at := changes(zone)
			r := rand.New(rand.NewPCG(8, uint64(i)))
			for range 400 {
				keep := keeps()[r.IntN(len(keeps()))]
				v := definition.View{Every: keep[0].Every, Keep: keep}
				one := near(r, at)
				sealed := one/1000 + r.Int64N(40*24*3600e3)
				now := view.RolledUp(v, zone, sealed)
				// The grain is what the contract says: the coarsest whose bucket has ended for long enough.
				want := v.Every
				for i := len(keep) - 1; i > 0; i-- {
					coarse := keep[i].Every
					if end(coarse, zone, view.Bucket(coarse, zone, one)) <= sealed*1000-keep[i-1].For.Microseconds() {
						want = coarse
						break
					}
				}
				if got := now.Grain(one); got != want {
					t.Fatalf("%v at %s keeps %s by %s, want %s", keep, utc(sealed*1000), utc(one), got, want)
				}
				start := now.Bucket(one)
				if start != view.Bucket(want, zone, one) || now.Bucket(start) != start || now.Grain(start) != want {
					t.Fatalf("%v at %s keeps %s in the bucket of %s", keep, utc(sealed*1000), utc(one), utc(start))
				}
				later := view.RolledUp(v, zone, sealed+r.Int64N(40*24*3600e3))
				if twice, once := later.Bucket(start), later.Bucket(one); twice != once {
					t.Fatalf("%v: %s, which was in %s, is in %s now, directly in %s", keep, utc(one), utc(start), utc(twice), utc(once))
				}
				if !view.RollsUp(want, later.Grain(one)) {
					t.Fatalf("%v: %s was kept by %s and later by %s", keep, utc(one), want, later.Grain(one))
				}
				fine := view.Unrolled(v, zone).Bucket(one)
				if fine != view.Bucket(v.Every, zone, one) || now.Bucket(fine) != start {
					t.Fatalf("%v: the bucket %s of %s rolls up into %s, want %s", keep, utc(fine), utc(one), utc(now.Bucket(fine)), utc(start))
				}
			}
		})
	}
}

// Two versions keep buckets alike until T has taken a coarse bucket's end past
// the age.
func TestRollupsAreEqualBetweenSteps(t *testing.T) {
	t.Parallel()
	v := definition.View{Every: definition.Hour, Keep: keeps()[0]}
	at := func(text string) view.Rollup {
		u, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			t.Fatal(err)
		}
		return view.RolledUp(v, time.UTC, u.UnixMilli())
	}
	if !at("2014-11-02T00:00:00Z").Equal(at("2014-11-02T23:59:59.999Z")) {
		t.Error("a version within the day rolls up something else")
	}
	if at("2014-11-02T23:59:59.999Z").Equal(at("2014-11-03T00:00:00Z")) {
		t.Error("a version of the next day rolls up nothing more")
	}
}
