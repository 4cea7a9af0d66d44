package cost

import (
	"math"
	"strconv"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
)

// Sizes in bytes that are usual rather than largest.
const (
	itemBytes      = 300 // of a real-time item besides dimensions and states
	dimensionBytes = 24
	textBytes      = 24 // that min or max keeps
	segmentBytes   = 24 // of an event in a dedup segment
	bucketBytes    = 3  // of a bucket of quantiles
)

// itemSize is the usual size in bytes of an item of a view that has seen n events
// when its epoch ends: an item keeps the state after its last batch and the one
// before.
func itemSize(v definition.View, n float64) float64 {
	size := itemBytes + dimensionBytes*float64(len(v.By))
	for _, m := range v.Measures {
		size += 2 * stateSize(m, n)
	}
	return size
}

// stateSize is the usual size of a measure's state while it sees n events, each
// of another value: texts are short, and the values that quantiles are taken of
// span two powers of ten.
func stateSize(m definition.Measure, n float64) float64 {
	switch {
	case m.Func == definition.Distinct:
		return float64(m.StateBytes()-8*m.K) + 8*filled(float64(m.K), n)
	case m.Func == definition.Quantiles:
		relative, err := strconv.ParseFloat(m.Error, 64)
		if err != nil || relative <= 0 {
			break // no checked definition has it
		}
		return bucketBytes * filled(math.Ceil(math.Ln10/relative), n)
	case (m.Func == definition.Min || m.Func == definition.Max) && m.Type.Kind == column.String:
		return textBytes
	}
	return float64(m.StateBytes())
}

// filled is how many of k places are taken on average while n values come one by
// one.
func filled(k, n float64) float64 {
	if n <= k {
		return n / 2
	}
	return k * (1 - k/(2*n))
}

// touched is how many of g groups are expected among n events that fall into
// them evenly.
func touched(g, n float64) float64 {
	if g <= 1 {
		return min(g, n)
	}
	return -g * math.Expm1(n*math.Log1p(-1/g))
}

// seconds is how long a time bucket of a grain lasts.
func seconds(g definition.Grain) float64 {
	switch g {
	case definition.Minute:
		return 60
	case definition.FiveMinutes:
		return 300
	case definition.FifteenMinutes:
		return 900
	case definition.Hour:
		return 3600
	case definition.Day:
		return 86_400
	case definition.Week:
		return 7 * 86_400
	case definition.Month:
		return month
	}
	return math.Inf(1)
}
