package oracle

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"

	"github.com/zeebo/xxh3"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
)

// Quantiles are those that a cell's text names, as p0=1 p50=2.97: with the ends,
// since a value in a wrong bucket shows there first.
var Quantiles = []string{"0", "0.01", "0.1", "0.25", "0.5", "0.75", "0.9", "0.99", "1"}

// What quantiles take: magnitudes of floats, besides zero.
const (
	leastFloat = 1e-18
	mostFloat  = 1e18
	longest    = 4096 // bytes of a text that a view keeps
)

// hashOf is the hash of a value that distinct counts.
func hashOf(t column.Type, v column.Value) int64 {
	data := []byte(v.Str)
	if t.Kind != column.String {
		data = binary.BigEndian.AppendUint64(nil, uint64(v.Int))
	}
	return int64(xxh3.Hash(data))
}

// smallest gives the k smallest of a set, in order.
func smallest(set map[int64]bool, k int) []int64 {
	all := slices.Sorted(maps.Keys(set))
	return all[:min(k, len(all))]
}

// seen adds a value to a distinct. Of the set only the k smallest matter.
func (t *tally) seen(m definition.Measure, v column.Value) {
	if t.hashes == nil {
		t.hashes = map[int64]bool{}
	}
	t.hashes[hashOf(m.Type, v)] = true
	if len(t.hashes) > 4*m.K {
		kept := map[int64]bool{}
		for _, h := range smallest(t.hashes, m.K) {
			kept[h] = true
		}
		t.hashes = kept
	}
}

// distinct is the number of values while the state holds all hashes, else
// (k-1) 2^64 / d, rounded down, with the distance d from the lowest integer to
// behind the k-th smallest hash; at least k, at most what an int holds.
func (t *tally) distinct(k int) string {
	hashes := smallest(t.hashes, k)
	if len(hashes) < k {
		return strconv.Itoa(len(hashes))
	}
	distance := new(big.Int).Sub(big.NewInt(hashes[k-1]), big.NewInt(math.MinInt64))
	distance.Add(distance, big.NewInt(1))
	n := new(big.Int).Lsh(big.NewInt(int64(k-1)), 64)
	n.Quo(n, distance)
	if n.Cmp(big.NewInt(int64(k))) < 0 {
		n.SetInt64(int64(k))
	}
	if !n.IsInt64() {
		n.SetInt64(math.MaxInt64)
	}
	return n.String()
}

// ladder is the bounds of quantiles' buckets: the powers of (1+e)/(1-e), which
// are exact quotients of integers, rounded down. A magnitude belongs to the first
// bound that it does not pass.
type ladder struct {
	digits int // of e
	whole  []uint64
	float  []float64
}

var (
	laddersMu sync.Mutex
	ladders   = map[string]*ladder{}
)

func ladderOf(m definition.Measure) *ladder {
	laddersMu.Lock()
	defer laddersMu.Unlock()
	key := fmt.Sprint(m.Error, m.Type.Kind == column.Float)
	if ladders[key] == nil {
		ladders[key] = newLadder(m)
	}
	return ladders[key]
}

func newLadder(m definition.Measure) *ladder {
	e, _ := new(big.Rat).SetString(m.Error)
	one := big.NewRat(1, 1)
	step := new(big.Rat).Quo(new(big.Rat).Add(one, e), new(big.Rat).Sub(one, e))
	up, down := step.Num(), step.Denom()
	l := &ladder{digits: len(m.Error) - len("0.")}
	x, y := big.NewInt(1), big.NewInt(1) // the power is x / y
	if m.Type.Kind != column.Float {
		for end := uint64(1 << 63); len(l.whole) == 0 || l.whole[len(l.whole)-1] < end; {
			bound := new(big.Int).Quo(x, y)
			if !bound.IsUint64() {
				bound.SetUint64(math.MaxUint64)
			}
			l.whole = append(l.whole, min(end, bound.Uint64()))
			x.Mul(x, up)
			y.Mul(y, down)
		}
		return l
	}
	bound := func(x, y *big.Int) float64 {
		q := new(big.Float).SetPrec(53).SetMode(big.ToZero)
		f, _ := q.Quo(new(big.Float).SetInt(x), new(big.Float).SetInt(y)).Float64()
		return f
	}
	for bound(x, y) < mostFloat {
		l.float = append(l.float, bound(x, y))
		x.Mul(x, up)
		y.Mul(y, down)
	}
	l.float = append(l.float, mostFloat)
	for x, y := new(big.Int).Set(down), new(big.Int).Set(up); bound(x, y) >= leastFloat; {
		l.float = append(l.float, bound(x, y))
		x.Mul(x, down)
		y.Mul(y, up)
	}
	slices.Sort(l.float)
	return l
}

// fall counts a value of quantiles in its bucket: 0 is zero, and below it are the
// negative ones.
func (t *tally) fall(m definition.Measure, v column.Value) {
	if t.buckets == nil {
		t.buckets = map[int]int64{}
	}
	l := ladderOf(m)
	at := 0
	switch {
	case m.Type.Kind == column.Float && v.Float != 0:
		at = 1 + sort.Search(len(l.float), func(i int) bool { return l.float[i] >= math.Abs(v.Float) })
	case v.Int != 0:
		magnitude := new(big.Int).Abs(big.NewInt(v.Int)).Uint64()
		at = 1 + sort.Search(len(l.whole), func(i int) bool { return l.whole[i] >= magnitude })
	}
	if v.Int < 0 || v.Float < 0 {
		at = -at
	}
	t.buckets[at]++
}

// quantiles writes all Quantiles.
func (t *tally) quantiles(m definition.Measure) string {
	var texts []string
	for _, q := range Quantiles {
		share, _ := new(big.Rat).SetString(q)
		rank := new(big.Rat).Mul(share, big.NewRat(t.values-1, 1))
		left := new(big.Int).Quo(rank.Num(), rank.Denom()).Int64()
		for _, at := range slices.Sorted(maps.Keys(t.buckets)) {
			if left -= t.buckets[at]; left < 0 {
				percent := new(big.Rat).Mul(share, big.NewRat(100, 1)).RatString()
				texts = append(texts, "p"+percent+"="+ladderOf(m).middle(m, at))
				break
			}
		}
	}
	return strings.Join(texts, " ")
}

// middle writes the value that stands for a bucket: 2ab/(a+b) of its least and
// its largest magnitude, cut off behind e's digits if it is a multiple of the
// column's unit, else as the nearest float.
func (l *ladder) middle(m definition.Measure, at int) string {
	i := max(at, -at) - 1
	sign := big.NewRat(1, 1)
	if at < 0 {
		sign.SetInt64(-1)
	}
	mean := func(a, b *big.Rat) *big.Rat {
		ab := new(big.Rat).Mul(a, b)
		return ab.Quo(ab.Add(ab, ab), new(big.Rat).Add(a, b))
	}
	if m.Type.Kind == column.Float {
		if at == 0 {
			return Text(m.Type, column.Value{})
		}
		a := leastFloat
		if i > 0 {
			a = math.Nextafter(l.float[i-1], math.MaxFloat64)
		}
		x := mean(new(big.Rat).SetFloat64(a), new(big.Rat).SetFloat64(l.float[i]))
		f, _ := x.Mul(x, sign).Float64()
		return Text(m.Type, column.Value{Float: f})
	}
	scale := m.Type.Scale + l.digits
	if at == 0 {
		return new(big.Rat).FloatString(scale)
	}
	a := uint64(1)
	if i > 0 {
		a = l.whole[i-1] + 1
	}
	x := mean(new(big.Rat).SetUint64(a), new(big.Rat).SetUint64(l.whole[i]))
	x.Mul(x, new(big.Rat).SetInt(power(l.digits)))
	cut := new(big.Rat).SetFrac(new(big.Int).Quo(x.Num(), x.Denom()), power(scale))
	return cut.Mul(cut, sign).FloatString(scale)
}

// tooMuch judges a row by what views cannot hold: long texts that are dimensions
// or of which there is a smallest, and floats that quantiles do not tell apart.
func (o *Oracle) tooMuch(r row) Verdict {
	for _, c := range o.def.Columns {
		v := r.get(c.Name)
		for _, view := range o.def.Views {
			kept := slices.Contains(view.By, c.Name)
			for _, m := range view.Measures {
				if m.Column != c.Name {
					continue
				}
				kept = kept || m.Func == definition.Min || m.Func == definition.Max
				x := math.Abs(v.Float)
				if m.Func == definition.Quantiles && c.Type.Kind == column.Float && x != 0 && (x < leastFloat || x > mostFloat) {
					return rejected("%s: outside the range of quantiles", c.Name)
				}
			}
			if kept && c.Type.Kind == column.String && len(v.Str) > longest {
				return rejected("%s: longer than %d bytes", c.Name, longest)
			}
		}
	}
	return accepted
}

// undecided judges a row by the conditions of views, by their names: one that
// cannot be evaluated rejects it.
func (o *Oracle) undecided(r row) Verdict {
	views := slices.SortedFunc(slices.Values(o.def.Views), func(a, b definition.View) int { return strings.Compare(a.Name, b.Name) })
	for _, v := range views {
		if v.Where == nil {
			continue
		}
		if _, err := v.Where.EvalCEL(r.get); err != nil {
			return failed(v.Where)
		}
	}
	return accepted
}
