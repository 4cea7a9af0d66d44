package viewfile_test

import (
	"bytes"
	_ "embed"
	"fmt"
	"math"
	"math/big"
	"testing"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/measure"
	"github.com/watershed-data/watershed/internal/viewfile"
)

// A file that Spark 3.5.6 wrote with the settings of glue/batch.py, but for smaller
// pages; testdata/spark.py makes it. What Spark computes is held against Go in
// internal/duckdb.
//
//go:embed testdata/spark.parquet
var sparkFile []byte

// sparkView is the view that the file is of.
func sparkView() (*definition.Definition, definition.View) {
	decimal := func(p, s int) column.Type { return column.Type{Kind: column.Decimal, Precision: p, Scale: s} }
	def := &definition.Definition{Columns: []definition.Column{
		{Name: "product", Type: text}, {Name: "price", Type: decimal(12, 2)}, {Name: "tiny", Type: decimal(4, 3)},
		{Name: "yes", Type: column.Type{Kind: column.Bool}}, {Name: "day", Type: column.Type{Kind: column.Date}},
		{Name: "heat", Type: column.Type{Kind: column.Float}},
	}}
	return def, definition.View{Name: "v", By: []string{"product", "price", "tiny", "yes", "day"}, Every: definition.Minute, Measures: []definition.Measure{
		{Name: "n", Func: definition.Count},
		{Name: "revenue", Func: definition.Sum, Column: "price", Type: decimal(12, 2)},
		{Name: "heat", Func: definition.Max, Column: "heat", Type: column.Type{Kind: column.Float}},
		{Name: "places", Func: definition.Distinct, Column: "product", Type: text, K: 1024},
		{Name: "prices", Func: definition.Quantiles, Column: "price", Type: decimal(12, 2), Error: "0.01"},
	}}
}

// sparkGroup is group i of the file.
func sparkGroup(i int64) string {
	truth := map[bool]int64{true: 1}
	dims := []column.Value{{Str: fmt.Sprint("p", i)}, {Int: i - 100}, {Int: i}, {Int: truth[i%3 == 0]}, {Int: i - 300}}
	if i%2 == 0 {
		dims[0] = column.Null
	}
	sum, _ := new(big.Int).SetString(fmt.Sprintf("-%d0000000000000000000025", i), 10)
	wide := measure.Int128{Hi: new(big.Int).Rsh(sum, 64).Int64(), Lo: new(big.Int).And(sum, new(big.Int).SetUint64(math.MaxUint64)).Uint64()}
	states := []measure.State{{N: i}, {Sum: wide, Set: true}, {Set: true, Val: column.Value{Float: float64(i) / 8}}, {}, {}}
	for h := range i % 5 {
		states[3].Hashes = append(states[3].Hashes, (i-300)*10+h+1)
	}
	if i%4 != 0 {
		states[4].Buckets = []measure.Bucket{{Number: -7, Count: 1}, {Number: i, Count: i + 1}}
	}
	return fmt.Sprint((i/2-100)*60e6, dims, states)
}

// TestSparkFile: of the ways in which Spark stores numbers, nulls and lists, each
// gives the same states as DuckDB's; and its index of pages spares reading.
func TestSparkFile(t *testing.T) {
	t.Parallel()
	def, v := sparkView()
	counted := &counting{ReaderAt: bytes.NewReader(sparkFile)}
	f, err := viewfile.Open(counted, int64(len(sparkFile)))
	if err != nil {
		t.Fatal(err)
	}
	whole := 0
	for _, rng := range []struct{ from, to, first, end int64 }{
		{math.MinInt64, math.MaxInt64, 0, 600},
		{-100 * 60e6, -98 * 60e6, 0, 4},
		{-60e6, 60e6, 198, 202},
		{199 * 60e6, math.MaxInt64, 598, 600},
	} {
		counted.bytes = 0
		at := rng.first
		err := f.Scan(def, v, rng.from, rng.to, func(time int64, dims []column.Value, states []measure.State) error {
			if got, want := fmt.Sprint(time, dims, states), sparkGroup(at); got != want {
				t.Fatalf("group %d is\n%s, want\n%s", at, got, want)
			}
			at++
			return nil
		})
		if err != nil || at != rng.end {
			t.Errorf("[%d, %d) ends at group %d, want %d (%v)", rng.from, rng.to, at, rng.end, err)
		}
		if rng.first > 300 && counted.bytes > whole/2 { // a reader's buffer holds the other half of these short columns
			t.Errorf("the last groups cost %d bytes, all of them %d", counted.bytes, whole)
		}
		whole = max(whole, counted.bytes)
	}
}
