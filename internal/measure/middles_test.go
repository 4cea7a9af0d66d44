package measure

import (
	"math"
	"testing"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
)

// Whoever reads quantiles without this package, as SQL does, has only these values.
func TestMiddlesAreWhatQuantilesRead(t *testing.T) {
	t.Parallel()
	largest := func(p int) int64 { return power10(p).Int64() - 1 }
	for _, c := range []struct {
		of    column.Type
		e     string
		value column.Value // the largest
	}{
		{column.Type{Kind: column.Int}, "0.01", column.Value{Int: math.MaxInt64}},
		{column.Type{Kind: column.Decimal, Precision: 18, Scale: 18}, "0.05", column.Value{Int: largest(18)}},
		{column.Type{Kind: column.Decimal, Precision: 3, Scale: 2}, "0.02", column.Value{Int: largest(3)}},
		{column.Type{Kind: column.Decimal, Precision: 5}, "0.25", column.Value{Int: largest(5)}},
		{column.Type{Kind: column.Float}, "0.1", column.Value{Float: definition.MaxQuantileFloat}},
	} {
		m := Measure{definition.Measure{Name: "q", Func: definition.Quantiles, Column: "x", Type: c.of, Error: c.e}}
		list, err := m.Middles()
		if err != nil {
			t.Fatal(err)
		}
		buckets, err := NewBuckets(c.of, c.e)
		if err != nil {
			t.Fatal(err)
		}
		last, ok := buckets.Of(c.value)
		if !ok || int(last) > len(list) {
			t.Errorf("%s: %d values stand for buckets, and the largest value is in bucket %d", c.of, len(list), last)
		}
		for i, got := range list {
			for _, sign := range []int64{1, -1} {
				result, err := m.Quantile(State{Buckets: []Bucket{{Number: sign * int64(i+1), Count: 1}}}, DefaultQuantiles()[0])
				if err != nil {
					t.Fatal(err)
				}
				want := column.AppendText(nil, column.Type{Kind: column.Float}, result.Value)
				if result.Big != nil {
					_, scale := m.ResultType()
					want = []byte(decimal(result.Big, scale))
				}
				if sign < 0 {
					got = "-" + got
				}
				if got != string(want) {
					t.Fatalf("%s: %s stands for bucket %d, a quantile reads %s", c.of, got, sign*int64(i+1), want)
				}
			}
		}
	}
}
