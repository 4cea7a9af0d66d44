package main

import (
	"testing"
	"time"
)

// Without this, a pipeline that is started every half an hour and makes a version
// every hour never makes one.
func TestTheTimerOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	for age, want := range map[time.Duration]time.Duration{
		0:                time.Hour,
		40 * time.Minute: 20 * time.Minute,
		time.Hour:        0,
		30 * time.Hour:   0,
		-3 * time.Hour:   time.Hour, // the clock was set back
	} {
		if got := untilDue(time.Hour, age); got != want {
			t.Errorf("a version that is %s old is followed in %s, want %s", age, got, want)
		}
	}
}
