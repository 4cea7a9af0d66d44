package measure_test

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/measure"
)

var number = column.Type{Kind: column.Int}

func distinct(k int) measure.Measure {
	return measure.Measure{Measure: definition.Measure{Name: "places", Func: definition.Distinct, Column: "c", Type: number, K: k}}
}

func quantiles(t column.Type, e string) measure.Measure {
	return measure.Measure{Measure: definition.Measure{Name: "prices", Func: definition.Quantiles, Column: "c", Type: t, Error: e}}
}

// add adds a value as row logic would hand it over.
func add(t testing.TB, m measure.Measure, s *measure.State, v column.Value) {
	t.Helper()
	switch {
	case v.Null:
	case m.Func == definition.Distinct:
		v = column.Value{Int: measure.Hash(m.Type, v)}
	default:
		of, err := measure.NewBuckets(m.Type, m.Error)
		if err != nil {
			t.Fatal(err)
		}
		n, ok := of.Of(v)
		if !ok {
			t.Fatalf("%v has no bucket", v)
		}
		v = column.Value{Int: n}
	}
	m.Add(s, v)
}

// Any order, any split, any nesting of merges gives the same bytes, which decode
// to the same state.
func TestSketchesMergeInAnyOrder(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 2))
	ms := []measure.Measure{distinct(16), distinct(1024), quantiles(number, "0.01"), quantiles(column.Type{Kind: column.Float}, "0.05")}
	fold := func(values []column.Value) []measure.State {
		states := make([]measure.State, len(ms))
		for _, v := range values {
			for i, m := range ms {
				add(t, m, &states[i], v)
			}
		}
		return states
	}
	for range 300 {
		values := make([]column.Value, r.IntN(60))
		for i := range values {
			if values[i] = column.Null; r.IntN(5) > 0 {
				x := r.NormFloat64() * math.Pow(10, 6*r.Float64())
				values[i] = column.Value{Int: int64(x), Float: x}
			}
		}
		want := measure.Encode(ms, fold(values))
		r.Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
		merged := make([]measure.State, len(ms))
		for rest := values; len(rest) > 0; {
			n := 1 + r.IntN(len(rest))
			part := fold(rest[:n])
			before := measure.Encode(ms, part)
			if r.IntN(2) == 0 {
				measure.MergeAll(ms, merged, part)
				if !slices.Equal(measure.Encode(ms, part), before) {
					t.Fatal("merging changed the state that was added")
				}
			} else {
				measure.MergeAll(ms, part, merged)
				merged = part
			}
			rest = rest[n:]
		}
		if got := measure.Encode(ms, merged); !slices.Equal(got, want) {
			t.Fatalf("values %v: merged %x, folded %x", values, got, want)
		}
		decoded, err := measure.Decode(ms, want)
		if err != nil || !slices.Equal(measure.Encode(ms, decoded), want) {
			t.Fatalf("decoding %x gives %v, %v", want, decoded, err)
		}
	}
}

// A state that goes on after it was merged must not change the one it came from:
// a real-time item keeps both.
func TestMergedStatesShareNothing(t *testing.T) {
	t.Parallel()
	for _, m := range []measure.Measure{distinct(16), quantiles(number, "0.01")} {
		var old, merged measure.State
		for i := range 5 {
			add(t, m, &old, column.Value{Int: int64(10 * i)})
		}
		want := m.Append(nil, old)
		m.Merge(&merged, old)
		for i := range 50 {
			add(t, m, &merged, column.Value{Int: int64(i)})
		}
		if got := m.Append(nil, old); !slices.Equal(got, want) {
			t.Errorf("%s: adding to the merged state changed its part to %x, want %x", m, got, want)
		}
	}
}

// Below k distinct is exact; above it the estimate is as good as it says: over
// many sets its mean error is near none, and its spread near 1/sqrt(k-2).
func TestDistinct(t *testing.T) {
	t.Parallel()
	m := distinct(64)
	for _, n := range []int{0, 1, 62, 63} {
		var s measure.State
		for i := range 3 * n {
			add(t, m, &s, column.Value{Int: int64(i % n)})
		}
		if r, err := m.Read(s); err != nil || r.Value.Int != int64(n) {
			t.Errorf("%d distinct values are counted as %d (%v)", n, r.Value.Int, err)
		}
	}
	const sets, n = 400, 2000
	sum, squares := 0.0, 0.0
	for set := range sets {
		var s measure.State
		for i := range n {
			add(t, m, &s, column.Value{Int: int64(set*n + i)})
		}
		r, err := m.Read(s)
		if err != nil {
			t.Fatal(err)
		}
		off := float64(r.Value.Int)/n - 1
		sum, squares = sum+off, squares+off*off
	}
	mean, spread := sum/sets, math.Sqrt(squares/sets)
	if want := 1 / math.Sqrt(62); math.Abs(mean) > want/5 || spread < want*0.8 || spread > want*1.2 {
		t.Errorf("the estimates are off by %.4f on average with a spread of %.4f, want 0 and %.4f", mean, spread, want)
	}
}

// The ends of what hashes can be: an estimate is never below what was seen and
// never overflows.
func TestDistinctAtTheEnds(t *testing.T) {
	t.Parallel()
	m := distinct(16)
	for name, c := range map[string]struct {
		first, step int64
		want        int64
	}{
		"the lowest hashes":  {math.MinInt64, 1, math.MaxInt64},
		"the highest hashes": {math.MaxInt64 - 15, 1, 16},
		"spread evenly":      {math.MinInt64 + 1<<59, 1 << 60, 15},
	} {
		var s measure.State
		for i := range int64(16) {
			m.Add(&s, column.Value{Int: c.first + i*c.step})
		}
		want := max(16, c.want)
		if r, err := m.Read(s); err != nil || r.Value.Int != want {
			t.Errorf("%s: %d, want %d (%v)", name, r.Value.Int, want, err)
		}
	}
}

// The law of quantiles: every reported one is within the relative error of the
// true one, exactly for ints and decimals, for floats up to their last bit.
func TestQuantilesAreWithinTheirError(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(9, 2))
	texts := []string{"0", "0.001", "0.25", "0.5", "0.9", "0.99", "0.999", "1"}
	for range 400 {
		e := []string{"0.001", "0.0125", "0.01", "0.05", "0.2", "0.25"}[r.IntN(6)]
		kind := []column.Kind{column.Int, column.Float}[r.IntN(2)]
		if kind == column.Float && e == "0.001" {
			e = "0.01"
		}
		m := quantiles(column.Type{Kind: kind}, e)
		values := sample(r, kind)
		var s measure.State
		for _, v := range values {
			add(t, m, &s, v)
		}
		slices.SortFunc(values, func(a, b column.Value) int { return measure.Compare(kind, a, b) })
		for _, text := range texts {
			q, err := measure.ParseQuantile(text)
			if err != nil {
				t.Fatal(err)
			}
			got, err := m.Quantile(s, q)
			if err != nil {
				t.Fatal(err)
			}
			share, _ := new(big.Rat).SetString(text)
			rank := share.Mul(share, big.NewRat(int64(len(values)-1), 1))
			true_ := exact(kind, values[new(big.Int).Quo(rank.Num(), rank.Denom()).Int64()])
			shown := exact(kind, got.Value)
			allowed, _ := new(big.Rat).SetString(e)
			if got.Big != nil {
				_, scale := m.ResultType()
				shown = new(big.Rat).SetFrac(got.Big, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil))
			} else {
				allowed.Add(allowed, new(big.Rat).SetFloat64(0x1p-52))
			}
			off := new(big.Rat).Sub(shown, true_)
			if off.Abs(off).Cmp(allowed.Mul(allowed, new(big.Rat).Abs(true_))) > 0 {
				t.Fatalf("quantile %s of %d values with error %s is %s, and truly %s", text, len(values), e, shown.FloatString(20), true_.FloatString(20))
			}
		}
	}
}

// sample makes values of both signs and many magnitudes, some of them on bounds.
func sample(r *rand.Rand, k column.Kind) []column.Value {
	values := make([]column.Value, 1+r.IntN(300))
	digits := 18 * r.Float64()
	for i := range values {
		x := (r.Float64()*2 - 0.5) * math.Pow(10, digits*r.Float64()) / 2
		v := column.Value{Int: int64(x)}
		if r.IntN(30) == 0 {
			v.Int = []int64{math.MinInt64, math.MaxInt64, 0, 1, -1, 2, 3}[r.IntN(7)]
		}
		if k == column.Float {
			v = column.Value{Float: x}
			if r.IntN(30) == 0 {
				v.Float = []float64{0, 1e-18, -1e-18, 1e18, -1e18, 1.5, 2.25, 3.375, 0.6666666666666666}[r.IntN(9)]
			}
		}
		values[i] = v
	}
	return values
}

func exact(k column.Kind, v column.Value) *big.Rat {
	if k == column.Float {
		return new(big.Rat).SetFloat64(v.Float)
	}
	return new(big.Rat).SetInt64(v.Int)
}

func TestQuantileNames(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"0.5": "0.5 p50", ".5": "0.5 p50", "0.50": "0.5 p50", "0": "0 p0", "1": "1 p100", "1.0": "1 p100", "0.999": "0.999 p99_9",
		"0.005": "0.005 p0_5", "0.000001": "0.000001 p0_0001", "0.07": "0.07 p7", "0.123456": "0.123456 p12_3456",
	} {
		q, err := measure.ParseQuantile(text)
		if got := fmt.Sprint(q, " ", q.Suffix()); err != nil || got != want {
			t.Errorf("quantile %s is %s (%v), want %s", text, got, err, want)
		}
	}
	for _, bad := range []string{"", "p50", "50", "1.5", "1.01", "-0.1", "0.1234567", "1e-1", "0.", ".", " 0.5", "NaN"} {
		if q, err := measure.ParseQuantile(bad); err == nil {
			t.Errorf("%q is taken for the quantile %s", bad, q)
		}
	}
}

// The columns of answers: one for each measure, several for quantiles.
func TestOutputs(t *testing.T) {
	t.Parallel()
	price := column.Type{Kind: column.Decimal, Precision: 12, Scale: 2}
	var s measure.State
	for _, cents := range []int64{1600, 1600, 1600, 3200} {
		add(t, quantiles(price, "0.01"), &s, column.Value{Int: cents})
	}
	var shown []string
	most, err := measure.ParseQuantile("1")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range quantiles(price, "0.01").Outputs(append(measure.DefaultQuantiles(), most)) {
		r, err := o.Read(s)
		if err != nil {
			t.Fatal(err)
		}
		shown = append(shown, fmt.Sprint(o.Name, " ", o.Type, " ", r.Big))
	}
	// 16.00 and 32.00, each within 1 %.
	want := []string{"prices_p50 decimal(38,4) 158785", "prices_p90 decimal(38,4) 158785", "prices_p99 decimal(38,4) 158785", "prices_p100 decimal(38,4) 319818"}
	if !slices.Equal(shown, want) {
		t.Errorf("the outputs are %v", shown)
	}
	if o := distinct(16).Outputs(nil); len(o) != 1 || o[0].Name != "places" || o[0].Type != "int" || o[0].Big {
		t.Errorf("the outputs of a distinct are %v", o)
	}
	if _, err := quantiles(price, "0.01").Read(s); err == nil {
		t.Error("quantiles were read as if they had one result")
	}
}

// No item can pass the bound that the definition is held to: states of the most
// hashes, of all buckets with large counts, and of the longest texts.
func TestLargestStatesKeepTheirBounds(t *testing.T) {
	t.Parallel()
	for _, typ := range []column.Type{number, {Kind: column.Float}, {Kind: column.Decimal, Precision: 4, Scale: 2}, {Kind: column.Decimal, Precision: 18}} {
		for _, e := range []string{"0.25", "0.05", "0.01", "0.0033", "0.001"} {
			m := quantiles(typ, e)
			most := int64(math.MaxInt64)
			if typ.Kind == column.Decimal {
				most = int64(math.Pow10(typ.Precision)) - 1
			}
			of, err := measure.NewBuckets(typ, e)
			if err != nil {
				t.Fatal(err)
			}
			last, _ := of.Of(column.Value{Int: most, Float: definition.MaxQuantileFloat})
			var numbers, counts []int64
			for n := -last; n <= last; n++ {
				numbers, counts = append(numbers, n), append(counts, 1<<35-1)
			}
			s, err := m.OfBuckets(numbers, counts)
			if err != nil {
				t.Fatal(err)
			}
			if got := len(m.Append(nil, s)); got > m.StateBytes() || got < m.StateBytes()*9/10 {
				t.Errorf("the largest state of quantiles(%s, %s) has %d bytes, and the definition reckons with %d", typ, e, got, m.StateBytes())
			}
		}
	}
	var s measure.State
	for i := range int64(5000) {
		add(t, distinct(4096), &s, column.Value{Int: i})
	}
	if got, most := len(distinct(4096).Append(nil, s)), distinct(4096).StateBytes(); got > most {
		t.Errorf("4096 hashes take %d bytes, and the definition reckons with %d", got, most)
	}
	for _, m := range all() {
		state := measure.State{N: math.MinInt64, Set: true, Sum: measure.Int128{Hi: math.MinInt64, Lo: math.MaxUint64}, Val: column.Value{Int: math.MinInt64}}
		if got := len(m.Append(nil, state)); got > m.StateBytes() {
			t.Errorf("%s takes %d bytes, and the definition reckons with %d", m, got, m.StateBytes())
		}
	}
	longest := measure.State{Set: true, Val: column.Value{Str: string(make([]byte, definition.MaxText))}}
	for _, m := range texts() {
		if got := len(m.Append(nil, longest)); got > m.StateBytes() {
			t.Errorf("%s takes %d bytes, and the definition reckons with %d", m, got, m.StateBytes())
		}
	}
}

// Damaged states are errors, never numbers.
func TestDamagedSketches(t *testing.T) {
	t.Parallel()
	d, q := distinct(16), quantiles(number, "0.01")
	for name, err := range map[string]error{
		"hashes twice":        second(d.OfHashes([]int64{1, 1})),
		"hashes out of order": second(d.OfHashes([]int64{2, 1})),
		"too many hashes":     second(d.OfHashes(make([]int64, 17))),
		"a bucket twice":      second(q.OfBuckets([]int64{1, 1}, []int64{1, 1})),
		"no count":            second(q.OfBuckets([]int64{1, 2}, []int64{1})),
		"a count of zero":     second(q.OfBuckets([]int64{1}, []int64{0})),
		"no such bucket":      second(q.OfBuckets([]int64{1 << 40}, []int64{1})),
	} {
		if err == nil {
			t.Errorf("%s: read without an error", name)
		}
	}
	for _, m := range []measure.Measure{d, q} {
		var s measure.State
		for i := range int64(10) {
			add(t, m, &s, column.Value{Int: i * 1000})
		}
		whole := m.Append(nil, s)
		for n := range whole {
			if _, _, err := m.Decode(whole[:n]); err == nil {
				t.Errorf("%s: %d of %d bytes decode", m, n, len(whole))
			}
		}
	}
}

func second(_ measure.State, err error) error { return err }
