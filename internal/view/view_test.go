package view_test

import (
	"cmp"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/view"
)

func randomTuple(r *rand.Rand, types []column.Type) []column.Value {
	out := make([]column.Value, len(types))
	for i, t := range types {
		switch {
		case r.IntN(4) == 0:
			out[i] = column.Null
		case t.Kind == column.String:
			out[i].Str = []string{"", "\x00", "a", "a\x00", "a\x00b", "a\xff", "ab", "ä", "\x00\xff"}[r.IntN(9)]
		default:
			out[i].Int = []int64{math.MinInt64, -1, 0, 1, math.MaxInt64}[r.IntN(5)]
		}
	}
	return out
}

func compareTuples(types []column.Type, a, b []column.Value) int {
	for i, t := range types {
		x, y := a[i], b[i]
		if x.Null != y.Null {
			if x.Null {
				return -1
			}
			return 1
		}
		if t.Kind == column.String {
			if c := strings.Compare(x.Str, y.Str); c != 0 {
				return c
			}
		} else if c := cmp.Compare(x.Int, y.Int); c != 0 {
			return c
		}
	}
	return 0
}

func TestTheByteOrderOfDimensionsIsTheirOrder(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	types := []column.Type{{Kind: column.String}, {Kind: column.Int}, {Kind: column.String}}
	for range 20000 {
		a, b := randomTuple(r, types), randomTuple(r, types)
		ea, eb := view.EncodeDims(types, a), view.EncodeDims(types, b)
		if got, want := strings.Compare(ea, eb), compareTuples(types, a, b); got != want {
			t.Fatalf("%v and %v: encoded %d, values %d", a, b, got, want)
		}
		back, err := view.DecodeDims(types, ea)
		if err != nil || compareTuples(types, a, back) != 0 {
			t.Fatalf("%v comes back as %v, %v", a, back, err)
		}
		if len(ea) > 0 {
			if _, err := view.DecodeDims(types, ea[:len(ea)-1]); err == nil {
				t.Fatalf("%v decodes without its last byte", a)
			}
		}
	}
}

func TestBuckets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ zone, at, grain, want string }{
		{"UTC", "2014-11-01T19:35:41.158Z", "1m", "2014-11-01T19:35:00Z"},
		{"UTC", "2014-11-01T19:35:41.158Z", "5m", "2014-11-01T19:35:00Z"},
		{"UTC", "2014-11-01T19:35:41.158Z", "15m", "2014-11-01T19:30:00Z"},
		{"UTC", "2014-11-01T19:35:41.158Z", "1h", "2014-11-01T19:00:00Z"},
		{"UTC", "2014-11-01T19:35:41.158Z", "1d", "2014-11-01T00:00:00Z"},
		{"UTC", "2014-11-01T19:35:41.158Z", "1w", "2014-10-27T00:00:00Z"},
		{"UTC", "2014-11-01T19:35:41.158Z", "1mo", "2014-11-01T00:00:00Z"},
		{"UTC", "2014-11-01T19:35:41.158Z", "none", "1970-01-01T00:00:00Z"},
		{"UTC", "1969-12-31T23:59:59.999999Z", "1h", "1969-12-31T23:00:00Z"},
		{"UTC", "0001-01-01T00:00:00Z", "1d", "0001-01-01T00:00:00Z"},
		{"Asia/Kolkata", "2014-11-01T19:35:41Z", "1h", "2014-11-01T19:30:00Z"},
		{"Asia/Kolkata", "2014-11-01T19:35:41Z", "1d", "2014-11-01T18:30:00Z"},
		// Spring forward in New York: 2013-03-10 02:00 -> 03:00. The day has 23 hours.
		{"America/New_York", "2013-03-10T06:59:59Z", "1h", "2013-03-10T06:00:00Z"},
		{"America/New_York", "2013-03-10T07:00:00Z", "1h", "2013-03-10T07:00:00Z"},
		{"America/New_York", "2013-03-11T03:59:59Z", "1d", "2013-03-10T05:00:00Z"},
		// Fall back: 2013-11-03 02:00 -> 01:00. The hour from 1 to 2 is passed twice.
		{"America/New_York", "2013-11-03T05:30:00Z", "1h", "2013-11-03T05:00:00Z"},
		{"America/New_York", "2013-11-03T06:30:00Z", "1h", "2013-11-03T06:00:00Z"},
		{"America/New_York", "2013-11-04T04:59:59Z", "1d", "2013-11-03T04:00:00Z"},
		// Lord Howe turns back half an hour: 2013-04-07 02:00 (+11) -> 01:30 (+10:30).
		{"Australia/Lord_Howe", "2013-04-06T14:59:00Z", "1h", "2013-04-06T14:00:00Z"},
		{"Australia/Lord_Howe", "2013-04-06T15:10:00Z", "1h", "2013-04-06T15:00:00Z"},
		// São Paulo skipped midnight: 2013-10-20 began at 01:00.
		{"America/Sao_Paulo", "2013-10-20T03:30:00Z", "1d", "2013-10-20T03:00:00Z"},
		{"America/Sao_Paulo", "2013-10-20T02:59:59Z", "1d", "2013-10-19T03:00:00Z"},
		// Havana passed midnight twice: 2013-11-03 01:00 -> 00:00.
		{"America/Havana", "2013-11-03T05:30:00Z", "1d", "2013-11-03T04:00:00Z"},
		{"America/Havana", "2013-11-03T04:30:00Z", "1d", "2013-11-03T04:00:00Z"},
		// Far behind the zone's table of transitions.
		{"America/New_York", "2040-12-31T23:30:00Z", "1h", "2040-12-31T23:00:00Z"},
		{"Australia/Lord_Howe", "2044-12-31T13:10:00Z", "1h", "2044-12-31T13:00:00Z"},
		{"Australia/Adelaide", "2040-12-31T13:45:00Z", "1d", "2040-12-31T13:30:00Z"},
		// Samoa skipped a whole day: 2011-12-30.
		{"Pacific/Apia", "2011-12-30T09:30:00Z", "1d", "2011-12-29T10:00:00Z"},
		{"Pacific/Apia", "2011-12-30T10:30:00Z", "1d", "2011-12-30T10:00:00Z"},
		{"America/New_York", "2013-11-03T05:30:00Z", "1w", "2013-10-28T04:00:00Z"},
		{"America/New_York", "2013-11-03T05:30:00Z", "1mo", "2013-11-01T04:00:00Z"},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse(time.RFC3339Nano, c.at)
		if err != nil {
			t.Fatal(err)
		}
		got := time.UnixMicro(view.Bucket(definition.Grain(c.grain), zone, at.UnixMicro())).UTC().Format(time.RFC3339Nano)
		if got != c.want {
			t.Errorf("%s in %s by %s: %s, want %s", c.at, c.zone, c.grain, got, c.want)
		}
	}
}

// Rolling the bucket up is bucketing directly, and buckets partition time.
func TestRollingUpIsBucketingDirectly(t *testing.T) {
	t.Parallel()
	grains := []definition.Grain{definition.Minute, definition.FiveMinutes, definition.FifteenMinutes, definition.Hour, definition.Day, definition.Week, definition.Month, definition.None}
	r := rand.New(rand.NewPCG(5, 6))
	for _, name := range []string{"UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Sao_Paulo", "Africa/Cairo", "Pacific/Apia"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for range 4000 {
			at := r.Int64N(4e15) // 1970 to 2096
			for _, fine := range grains {
				start := view.Bucket(fine, zone, at)
				if fine != definition.None && (start > at || view.Bucket(fine, zone, start) != start) {
					t.Fatalf("%s by %s of %d begins at %d", name, fine, at, start)
				}
				for _, coarse := range grains {
					if view.RollsUp(fine, coarse) && fine != definition.None {
						if rolled, direct := view.Bucket(coarse, zone, start), view.Bucket(coarse, zone, at); rolled != direct {
							t.Fatalf("%s: %d by %s then %s is %d, directly %d", name, at, fine, coarse, rolled, direct)
						}
					}
				}
			}
		}
	}
}
