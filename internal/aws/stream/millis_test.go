package stream

import (
	"math/rand/v2"
	"testing"
	"time"

	smithytime "github.com/aws/smithy-go/time"
)

// The SDK makes a time of a floating-point number of seconds. Lambda and Firehose say
// the same moment in digits, and the hash of an event is over its millisecond.
func TestArrivalsAreExact(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	from, until := time.Date(2005, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli(), time.Date(2038, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	for range 1_000_000 {
		want := from + random.Int64N(until-from)
		if got := millis(smithytime.ParseEpochSeconds(float64(want) / 1000)); got != want {
			t.Fatalf("%d ms are read as %d", want, got)
		}
	}
}
