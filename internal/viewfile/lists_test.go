package viewfile_test

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/measure"
	"github.com/watershed-data/watershed/internal/viewfile/viewfiletest"
)

var sketches = definition.View{Name: "sketches", Every: definition.Minute, Measures: []definition.Measure{
	{Name: "n", Func: definition.Count},
	{Name: "places", Func: definition.Distinct, Column: "product", Type: text, K: 1024},
	{Name: "prices", Func: definition.Quantiles, Column: "price", Type: price, Error: "0.01"},
}}

// lists is a row of a file of the view above, as other engines write it.
type lists struct {
	Time    int64   `parquet:"time,timestamp(microsecond)"`
	N       int64   `parquet:"n"`
	Hashes  []int64 `parquet:"places_hashes,list,optional"`
	Buckets []int64 `parquet:"prices_buckets,list"`
	Counts  []int64 `parquet:"prices_counts,list"`
}

// listsAt makes lists of no elements up to more than a page holds.
func listsAt(i int) lists {
	l := lists{Time: int64(i) * 60e6, N: int64(i)}
	for h := range i * 37 % 900 {
		l.Hashes = append(l.Hashes, math.MinInt64+int64(h)*1e15)
	}
	for b := range i * 11 % 50 {
		l.Buckets, l.Counts = append(l.Buckets, int64(b-20)), append(l.Counts, int64(i+b+1))
	}
	return l
}

// TestScanGivesLists: every list comes back with its row, in whole files and in
// ranges of them, however pages cut the lists.
func TestScanGivesLists(t *testing.T) {
	t.Parallel()
	const n = 600
	rows := make([]lists, n)
	for i := range rows {
		rows[i] = listsAt(i)
	}
	for name, options := range map[string][]parquet.WriterOption{
		"row groups":     {parquet.MaxRowsPerRowGroup(100)},
		"pages":          {parquet.PageBufferSize(2 << 10)},
		"pages, version": {parquet.PageBufferSize(2 << 10), parquet.DataPageVersion(1)},
	} {
		r := file(t, rows, options...)
		for _, rng := range []struct{ from, to int }{{0, n}, {300, 310}, {n - 1, n}} {
			at := rng.from
			err := viewfiletest.Scan(r, r.Size(), def, sketches, int64(rng.from)*60e6, int64(rng.to)*60e6, func(_ int64, _ []column.Value, states []measure.State) error {
				want := listsAt(at)
				var buckets []measure.Bucket
				for i, b := range want.Buckets {
					buckets = append(buckets, measure.Bucket{Number: b, Count: want.Counts[i]})
				}
				if got, want := fmt.Sprint(states), fmt.Sprint([]measure.State{{N: want.N}, {Hashes: want.Hashes}, {Buckets: buckets}}); got != want {
					t.Fatalf("%s: group %d is %s, want %s", name, at, got, want)
				}
				at++
				return nil
			})
			if err != nil || at != rng.to {
				t.Errorf("%s: [%d, %d) ends at %d (%v)", name, rng.from, rng.to, at, err)
			}
		}
	}
}

// TestRefusesLists whose numbers would be wrong.
func TestRefusesLists(t *testing.T) {
	t.Parallel()
	type value struct {
		Time    int64   `parquet:"time,timestamp(microsecond)"`
		N       int64   `parquet:"n"`
		Hashes  int64   `parquet:"places_hashes"`
		Buckets []int64 `parquet:"prices_buckets,list"`
		Counts  []int64 `parquet:"prices_counts,list"`
	}
	type many struct {
		Time int64   `parquet:"time,timestamp(microsecond)"`
		N    []int64 `parquet:"n,list"`
	}
	for name, c := range map[string]struct {
		file *bytes.Reader
		want string
	}{
		"a value for a list": {file(t, []value{{}}), "places_hashes"},
		"a list for a value": {file(t, []many{{}}), "no column n"},
		"hashes twice":       {file(t, []lists{{Hashes: []int64{3, 3}}}), "places"},
		"hashes backwards":   {file(t, []lists{{Hashes: []int64{3, 2}}}), "places"},
		"too few counts":     {file(t, []lists{{Buckets: []int64{1, 2}, Counts: []int64{1}}}), "prices"},
		"an impossible one":  {file(t, []lists{{Buckets: []int64{99999}, Counts: []int64{1}}}), "prices"},
	} {
		err := viewfiletest.Scan(c.file, c.file.Size(), def, sketches, math.MinInt64, math.MaxInt64, func(int64, []column.Value, []measure.State) error { return nil })
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: the error is %v, want one with %q", name, err, c.want)
		}
	}
}
