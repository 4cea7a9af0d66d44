package stack

import (
	"testing"
	"time"

	"github.com/watershed-data/watershed/internal/definition"
)

// The alarm comes when runs have failed to come for a while, and CloudWatch takes
// it: at most a day of periods, or a week of hours.
func TestHowLongAVersionMayBeAway(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		batch  definition.Batch
		period time.Duration
		n      int
	}{
		{definition.Batch{}, 0, 0}, // by hand
		{definition.Batch{Continuous: true}, 15 * time.Minute, 4},
		{definition.Batch{Every: time.Second}, 5 * time.Minute, 3},
		{definition.Batch{Every: 90 * time.Minute}, 90 * time.Minute, 3},
		{definition.Batch{Every: 10*time.Minute + time.Second}, 11 * time.Minute, 3},
		{definition.Batch{Every: 8 * time.Hour}, 8 * time.Hour, 3},
		{definition.Batch{Every: 12 * time.Hour}, time.Hour, 36},
		{definition.Batch{Every: 3 * 24 * time.Hour}, time.Hour, 168},
		{definition.Batch{Every: 7 * 24 * time.Hour}, 0, 0}, // further than CloudWatch looks back
	} {
		period, n := versionAge(c.batch)
		if period != c.period || n != c.n {
			t.Errorf("%s: %d periods of %s, want %d of %s", c.batch, n, period, c.n, c.period)
		}
		if n > 0 && (period < c.batch.Every && time.Duration(n)*period <= c.batch.Every || period%time.Minute != 0) {
			t.Errorf("%s: %d periods of %s end before a run can", c.batch, n, period)
		}
	}
}
