package measure_test

import (
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/measure"
)

var (
	decimal = column.Type{Kind: column.Decimal, Precision: 12, Scale: 2}
	text    = column.Type{Kind: column.String}
)

func all() []measure.Measure {
	return measure.New(definition.View{Measures: []definition.Measure{
		{Name: "rows", Func: definition.Count},
		{Name: "sum", Func: definition.Sum, Column: "c", Type: decimal},
		{Name: "min", Func: definition.Min, Column: "c", Type: decimal},
		{Name: "max", Func: definition.Max, Column: "c", Type: decimal},
		{Name: "avg", Func: definition.Avg, Column: "c", Type: decimal},
	}})
}

func texts() []measure.Measure {
	return measure.New(definition.View{Measures: []definition.Measure{
		{Name: "first", Func: definition.Min, Column: "c", Type: text},
		{Name: "last", Func: definition.Max, Column: "c", Type: text},
	}})
}

func fold(ms []measure.Measure, values []column.Value) []measure.State {
	states := make([]measure.State, len(ms))
	for _, v := range values {
		for i, m := range ms {
			m.Add(&states[i], v)
		}
	}
	return states
}

func randomValues(r *rand.Rand, n int) []column.Value {
	out := make([]column.Value, n)
	for i := range out {
		switch r.IntN(6) {
		case 0:
			out[i] = column.Null
		case 1:
			out[i] = column.Value{Int: []int64{math.MaxInt64, math.MinInt64, 0, -1, 1}[r.IntN(5)]}
		default:
			out[i] = column.Value{Int: r.Int64N(2000) - 1000}
		}
		if !out[i].Null {
			out[i].Str = []string{"", "a", "b", "a\x00", "ä", "zz"}[r.IntN(6)]
		}
	}
	return out
}

// Any order, any split, any nesting of merges gives the same bytes.
func TestMergingInAnyOrderAndSplitGivesTheSameBytes(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		for _, ms := range [][]measure.Measure{all(), texts()} {
			values := randomValues(r, r.IntN(12))
			want := measure.Encode(ms, fold(ms, values))
			r.Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
			parts := [][]measure.State{make([]measure.State, len(ms))} // the identity takes part
			for rest := values; ; {
				n := r.IntN(len(rest) + 1)
				parts = append(parts, fold(ms, rest[:n]))
				if rest = rest[n:]; len(rest) == 0 {
					break
				}
			}
			for len(parts) > 1 {
				i := r.IntN(len(parts) - 1)
				a, b := parts[i], parts[i+1]
				if r.IntN(2) == 0 {
					a, b = b, a
				}
				measure.MergeAll(ms, a, b)
				parts = slices.Replace(parts, i, i+2, a)
			}
			if got := measure.Encode(ms, parts[0]); !slices.Equal(got, want) {
				t.Fatalf("values %v: merged %x, folded %x", values, got, want)
			}
			decoded, err := measure.Decode(ms, want)
			if err != nil || !slices.Equal(measure.Encode(ms, decoded), want) {
				t.Fatalf("decoding %x gives %v, %v", want, decoded, err)
			}
		}
	}
}

func TestResults(t *testing.T) {
	t.Parallel()
	v := func(xs ...int64) (out []column.Value) {
		for _, x := range xs {
			out = append(out, column.Value{Int: x})
		}
		return out
	}
	for _, c := range []struct {
		name          string
		values        []column.Value
		rows          int64
		sum, avg      string // scaled by 10^2 and 10^8; "" is null
		min, max      int64
		nothingToShow bool
	}{
		{name: "no rows", nothingToShow: true},
		{name: "only nulls", values: []column.Value{column.Null, column.Null}, rows: 2, nothingToShow: true},
		{name: "nulls are skipped", values: append(v(100, 200), column.Null), rows: 3, sum: "300", avg: "150000000", min: 100, max: 200},
		{name: "thirds round down", values: v(100, 0, 0), rows: 3, sum: "100", avg: "33333333", min: 0, max: 100},
		{name: "two thirds round up", values: v(100, 100, 0), rows: 3, sum: "200", avg: "66666667", min: 0, max: 100},
		{name: "negative thirds round to nearest", values: v(-100, -100, 0), rows: 3, sum: "-200", avg: "-66666667", min: -100, max: 0},
		{name: "sums pass 64 bits", values: v(math.MaxInt64, math.MaxInt64), rows: 2, sum: "18446744073709551614", avg: "9223372036854775807000000", min: math.MaxInt64, max: math.MaxInt64},
		{name: "and come back", values: v(math.MaxInt64, math.MaxInt64, math.MinInt64, math.MinInt64), rows: 4, sum: "-2", avg: "-500000", min: math.MinInt64, max: math.MaxInt64},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ms := all()
			states := fold(ms, c.values)
			var got [5]measure.Result
			for i, m := range ms {
				var err error
				if got[i], err = m.Read(states[i]); err != nil {
					t.Fatal(err)
				}
			}
			if got[0].Value.Int != c.rows {
				t.Errorf("count %d, want %d", got[0].Value.Int, c.rows)
			}
			for _, r := range got[1:] {
				if r.Null != c.nothingToShow {
					t.Fatalf("results %v: null is %v", got, r.Null)
				}
			}
			if c.nothingToShow {
				return
			}
			if got[1].Big.String() != c.sum || got[4].Big.String() != c.avg || got[2].Value.Int != c.min || got[3].Value.Int != c.max {
				t.Errorf("sum %v avg %v min %v max %v", got[1].Big, got[4].Big, got[2].Value.Int, got[3].Value.Int)
			}
		})
	}
}

// 2^k values round exactly in the middle: half to even.
func TestAveragesRoundHalfToEven(t *testing.T) {
	t.Parallel()
	m := measure.New(definition.View{Measures: []definition.Measure{{Name: "avg", Func: definition.Avg, Column: "c", Type: column.Type{Kind: column.Int}}}})[0]
	for sum, want := range map[int64]int64{1: 7812, 3: 23438, -1: -7812, -3: -23438, 5: 39062} { // sum / 128: 0.0078125, 0.0234375, ...
		got, err := m.Read(measure.State{N: 128, Sum: measure.FromInt64(sum)})
		if err != nil || got.Big.Int64() != want {
			t.Errorf("%d/128 = %v (%v), want %d", sum, got.Big, err, want)
		}
	}
}

func TestASumBeyond38DigitsIsAnErrorWhenRead(t *testing.T) {
	t.Parallel()
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(38), nil)
	m := measure.New(definition.View{Measures: []definition.Measure{{Name: "s", Func: definition.Sum, Column: "c", Type: decimal}}})[0]
	for _, sign := range []int64{1, -1} {
		x := new(big.Int).Mul(limit, big.NewInt(sign))
		over, ok := measure.FromBig(x)
		if !ok || over.Big().Cmp(x) != 0 {
			t.Fatalf("%v does not survive: %v", x, over.Big())
		}
		if r, err := m.Read(measure.State{Set: true, Sum: over}); err == nil {
			t.Errorf("a sum of %v is read as %v", x, r.Big)
		}
		inside := over.Add(measure.FromInt64(-sign))
		if r, err := m.Read(measure.State{Set: true, Sum: inside}); err != nil || r.Big.CmpAbs(limit) >= 0 {
			t.Errorf("a sum of 38 digits is not read: %v %v", r.Big, err)
		}
	}
}

func TestDamagedStatesAreErrors(t *testing.T) {
	t.Parallel()
	ms := all()
	whole := measure.Encode(ms, fold(ms, []column.Value{{Int: 7}}))
	for n := range whole {
		if _, err := measure.Decode(ms, whole[:n]); err == nil {
			t.Errorf("%d of %d bytes decode", n, len(whole))
		}
	}
	if _, err := measure.Decode(ms, append(slices.Clone(whole), 0)); err == nil {
		t.Error("a byte too many decodes")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{2, 1, 0, 2})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, ms := range [][]measure.Measure{all(), texts()} {
			if states, err := measure.Decode(ms, b); err == nil {
				if _, err := measure.Decode(ms, measure.Encode(ms, states)); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}
