package viewfile_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/measure"
	"github.com/watershed-data/watershed/internal/viewfile"
	"github.com/watershed-data/watershed/internal/viewfile/viewfiletest"
)

// Files of DuckDB are read in internal/duckdb's tests. Here are the shapes that
// other engines write, and files that are not what they should be.

var (
	text  = column.Type{Kind: column.String}
	price = column.Type{Kind: column.Decimal, Precision: 12, Scale: 2}
	def   = &definition.Definition{Columns: []definition.Column{{Name: "product", Type: text}, {Name: "price", Type: price}, {Name: "weight", Type: column.Type{Kind: column.Float}}}}
	sales = definition.View{Name: "sales", By: []string{"product"}, Every: definition.Minute, Measures: []definition.Measure{
		{Name: "n", Func: definition.Count},
		{Name: "revenue", Func: definition.Sum, Column: "price", Type: price},
		{Name: "mean", Func: definition.Avg, Column: "price", Type: price},
		{Name: "least", Func: definition.Min, Column: "price", Type: price},
	}}
)

// group is a row of a file of the view above.
type group struct {
	Time      *int64   `parquet:"time,optional,timestamp(microsecond)"`
	Product   *string  `parquet:"product,optional"`
	N         int64    `parquet:"n"`
	Revenue   [16]byte `parquet:"revenue,decimal(2:38)"`
	MeanSum   int64    `parquet:"mean_sum,decimal(2:18)"`
	MeanCount int64    `parquet:"mean_count"`
	Least     int32    `parquet:"least,decimal(2:9)"`
}

func groupAt(i int) group {
	at, product := int64(i/2)*60e6, fmt.Sprintf("p%d", i%2)
	g := group{Time: &at, Product: &product, N: int64(i), MeanSum: -int64(i), MeanCount: 3, Least: -7}
	binary.BigEndian.PutUint64(g.Revenue[:], math.MaxUint64) // -1 in the upper half
	binary.BigEndian.PutUint64(g.Revenue[8:], uint64(i))
	return g
}

func file[T any](t testing.TB, rows []T, options ...parquet.WriterOption) *bytes.Reader {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b, options...)
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(b.Bytes())
}

func groups(n int) []group {
	out := make([]group, n)
	for i := range out {
		out[i] = groupAt(i)
	}
	return out
}

// counting counts the bytes read.
type counting struct {
	io.ReaderAt
	bytes int
}

func (c *counting) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, off)
	c.bytes += n
	return n, err
}

// TestScanGivesStates of the integers in whichever width they are stored, and
// reads no more than the range needs: by row groups, and by pages where an index
// allows it.
func TestScanGivesStates(t *testing.T) {
	t.Parallel()
	const n = 12_000
	for name, options := range map[string][]parquet.WriterOption{
		"row groups":     {parquet.MaxRowsPerRowGroup(1000)},
		"pages":          {parquet.PageBufferSize(4 << 10)},
		"no index":       {parquet.MaxRowsPerRowGroup(1000), parquet.DataPageStatistics(false)},
		"pages, version": {parquet.PageBufferSize(4 << 10), parquet.DataPageVersion(1)},
	} {
		r := file(t, groups(n), options...)
		counted := &counting{ReaderAt: r}
		f, err := viewfile.Open(counted, r.Size())
		if err != nil {
			t.Fatal(err)
		}
		if f.Rows() != n {
			t.Errorf("%s: the file has %d groups, want %d", name, f.Rows(), n)
		}
		for _, rng := range []struct{ from, to, first, end int64 }{
			{math.MinInt64, math.MaxInt64, 0, n},
			{3000 * 60e6, 3010 * 60e6, 6000, 6020},
			{3000*60e6 + 1, 3001*60e6 + 1, 6002, 6004},
			{-60e6, 0, 0, 0}, {n * 60e6, math.MaxInt64, 0, 0}, {7, 7, 0, 0},
		} {
			counted.bytes = 0
			at := rng.first
			err := f.Scan(def, sales, rng.from, rng.to, func(time int64, dims []column.Value, states []measure.State) error {
				wide := measure.Int128{Hi: -1, Lo: uint64(at)}
				want := fmt.Sprint(at/2*60e6, []column.Value{{Str: fmt.Sprintf("p%d", at%2)}}, []measure.State{
					{N: at}, {Sum: wide, Set: true}, {Sum: measure.FromInt64(-at), N: 3}, {Set: true, Val: column.Value{Int: -7}},
				})
				if got := fmt.Sprint(time, dims, states); got != want {
					t.Fatalf("%s: group %d is %s, want %s", name, at, got, want)
				}
				at++
				return nil
			})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if at != rng.end {
				t.Errorf("%s: [%d, %d) ends at group %d, want %d", name, rng.from, rng.to, at, rng.end)
			}
			if rng.end-rng.first < 100 && counted.bytes > int(r.Size())/4 {
				t.Errorf("%s: %d groups cost %d of the file's %d bytes", name, rng.end-rng.first, counted.bytes, r.Size())
			}
		}
	}
}

// TestNullsAndNone: a null dimension is a group of its own, and with grain none
// every group is at time 0.
func TestNullsAndNone(t *testing.T) {
	t.Parallel()
	type row struct {
		Product *string `parquet:"product,optional"`
		N       int64   `parquet:"n"`
		Most    *string `parquet:"most,optional"`
	}
	view := definition.View{Name: "v", By: []string{"product"}, Every: definition.None, Measures: []definition.Measure{
		{Name: "n", Func: definition.Count}, {Name: "most", Func: definition.Max, Column: "product", Type: text},
	}}
	empty, word := "", "word\x00"
	r := file(t, []row{{nil, 1, nil}, {&empty, 2, &empty}, {&word, 3, &word}})
	var got []string
	collect := func(time int64, dims []column.Value, states []measure.State) error {
		got = append(got, fmt.Sprintf("%d %v %v", time, dims[0], states[1]))
		return nil
	}
	if err := viewfiletest.Scan(r, r.Size(), def, view, 0, 1, collect); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, c := range []struct {
		dim   column.Value
		state measure.State
	}{
		{column.Null, measure.State{}},
		{column.Value{}, measure.State{Set: true}},
		{column.Value{Str: word}, measure.State{Set: true, Val: column.Value{Str: word}}},
	} {
		want = append(want, fmt.Sprintf("0 %v %v", c.dim, c.state))
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the groups are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	got = nil
	if err := viewfiletest.Scan(r, r.Size(), def, view, 1, math.MaxInt64, collect); err != nil || got != nil {
		t.Errorf("time 0 is outside the range, and %v came (%v)", got, err)
	}
}

// TestRefuses lists files whose numbers would be wrong.
func TestRefuses(t *testing.T) {
	t.Parallel()
	type noN struct {
		Time    int64  `parquet:"time,timestamp(microsecond)"`
		Product string `parquet:"product"`
	}
	type millis struct {
		Time int64 `parquet:"time,timestamp(millisecond)"`
		N    int64 `parquet:"n"`
	}
	type scale struct {
		Time int64 `parquet:"time,timestamp(microsecond)"`
		N    int64 `parquet:"n,decimal(3:18)"`
	}
	type double struct {
		Time int64   `parquet:"time,timestamp(microsecond)"`
		N    float64 `parquet:"n"`
	}
	count := definition.View{Name: "v", Every: definition.Minute, Measures: []definition.Measure{{Name: "n", Func: definition.Count}}}
	sum := definition.View{Name: "v", Every: definition.Minute, Measures: []definition.Measure{{Name: "n", Func: definition.Sum, Column: "price", Type: price}}}
	backwards := groups(100)
	backwards[50], backwards[10] = backwards[10], backwards[50]
	timeless := groups(3)
	timeless[1].Time = nil
	whole := file(t, groups(100))
	damaged := make([]byte, whole.Size())
	_, _ = whole.ReadAt(damaged, 0)
	for i := 4; i < 300; i++ {
		damaged[i] ^= 0xff
	}
	for name, c := range map[string]struct {
		file *bytes.Reader
		view definition.View
		want string
	}{
		"missing column": {file(t, []noN{{}}), count, "no column n"},
		"milliseconds":   {file(t, []millis{{}}), count, "column time"},
		"other scale":    {file(t, []scale{{}}), sum, "column n"},
		"double sum":     {file(t, []double{{}}), sum, "column n"},
		"double count":   {file(t, []double{{}}), count, "column n"},
		"backwards":      {file(t, backwards), sales, "order"},
		"no time":        {file(t, timeless), sales, "no time"},
		"float measure":  {file(t, []scale{{}}), definition.View{Measures: []definition.Measure{{Name: "n", Func: definition.Min, Column: "weight", Type: column.Type{Kind: column.Float}}}}, "want float"},
		"float dim":      {file(t, groups(1)), definition.View{By: []string{"weight"}}, "float"},
		"empty file":     {bytes.NewReader(nil), sales, "opening"},
		"cut file":       {bytes.NewReader(damaged[:len(damaged)-20]), sales, "opening"},
		"damaged page":   {bytes.NewReader(damaged), sales, "reading"},
	} {
		err := viewfiletest.Scan(c.file, c.file.Size(), def, c.view, math.MinInt64, math.MaxInt64, func(int64, []column.Value, []measure.State) error { return nil })
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: the error is %v, want one with %q", name, err, c.want)
		}
	}
}

// TestScanStops hands back the caller's own error.
func TestScanStops(t *testing.T) {
	t.Parallel()
	r := file(t, groups(100))
	enough := errors.New("enough")
	n := 0
	err := viewfiletest.Scan(r, r.Size(), def, sales, math.MinInt64, math.MaxInt64, func(int64, []column.Value, []measure.State) error { n++; return enough })
	if err != enough || n != 1 {
		t.Errorf("the scan went on for %d groups and gave %v", n, err)
	}
}
