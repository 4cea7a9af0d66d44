package oracle

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/measure"
)

// TestSketchesAreThoseOfTheMeasures: distinct and quantiles, whose results depend
// on every hash and every bucket, of states merged from two.
func TestSketchesAreThoseOfTheMeasures(t *testing.T) {
	t.Parallel()
	g := generator{rand.New(rand.NewPCG(2, 3))}
	for range 400 {
		m, value := g.sketch()
		own, a, b := tally{}, measure.State{}, measure.State{}
		for range g.IntN(200) {
			v := value()
			own.add(m.Measure, v)
			into := &a
			if g.IntN(2) == 0 {
				into = &b
			}
			m.Add(into, inputOf(t, m, v))
		}
		m.Merge(&a, b)
		if own, theirs := own.text(m.Measure), sketchText(t, m, a); own != theirs {
			t.Fatalf("%s of %s is %s, the measure says %s", m, m.Type, own, theirs)
		}
	}
}

// sketch makes a measure and what its column holds.
func (g generator) sketch() (measure.Measure, func() column.Value) {
	types := []column.Type{{Kind: column.Int}, {Kind: column.Float}, {Kind: column.String}, {Kind: column.Decimal, Precision: 18, Scale: g.IntN(19)}}
	m := definition.Measure{Name: "m", Column: "x", Func: definition.Quantiles, Type: types[g.IntN(4)], Error: g.pick("0.01", "0.25", "0.2", "0.05", "0.003", "0.0125")}
	if m.Type.Kind == column.String || m.Type.Kind != column.Float && g.IntN(2) == 0 {
		m.Func, m.Error, m.K = definition.Distinct, "", 16+g.IntN(30)
	}
	size := math.Pow(10, 18*g.Float64())
	return measure.Measure{Measure: m}, func() column.Value {
		x := size * g.NormFloat64()
		switch {
		case g.IntN(8) == 0:
			return column.Null
		case m.Type.Kind == column.String:
			return column.Value{Str: fmt.Sprint(int(x) % 100)}
		case m.Type.Kind == column.Float && math.Abs(x) > mostFloat:
			return column.Value{Float: g.edge()}
		case m.Type.Kind == column.Float:
			return column.Value{Float: x}
		case g.IntN(20) == 0:
			return column.Value{Int: []int64{math.MinInt64, math.MaxInt64, 0, 1, -1}[g.IntN(5)]}
		}
		return column.Value{Int: int64(x)}
	}
}

func (g generator) edge() float64 {
	return []float64{0, leastFloat, -leastFloat, mostFloat, -mostFloat, 1, math.Nextafter(1, 2)}[g.IntN(7)]
}

// inputOf is what row logic makes of a value.
func inputOf(t *testing.T, m measure.Measure, v column.Value) column.Value {
	t.Helper()
	switch {
	case v.Null:
		return v
	case m.Func == definition.Distinct:
		return column.Value{Int: measure.Hash(m.Type, v)}
	}
	buckets, err := measure.NewBuckets(m.Type, m.Error)
	if err != nil {
		t.Fatal(err)
	}
	n, ok := buckets.Of(v)
	if !ok {
		t.Fatalf("%v has no bucket", v)
	}
	return column.Value{Int: n}
}

func sketchText(t *testing.T, m measure.Measure, s measure.State) string {
	t.Helper()
	if m.Func == definition.Distinct {
		r, err := m.Read(s)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(r.Value.Int)
	}
	var texts []string
	for _, text := range Quantiles {
		q, err := measure.ParseQuantile(text)
		if err != nil {
			t.Fatal(err)
		}
		r, err := m.Quantile(s, q)
		_, scale := m.ResultType()
		switch {
		case err != nil:
			t.Fatal(err)
		case r.Null:
			return "null"
		case r.Big != nil:
			texts = append(texts, q.Suffix()+"="+new(big.Rat).SetFrac(r.Big, power(scale)).FloatString(scale))
		default:
			texts = append(texts, q.Suffix()+"="+column.FormatText(m.Type, r.Value))
		}
	}
	return strings.Join(texts, " ")
}
