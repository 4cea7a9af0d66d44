package measure

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"sync"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
)

// Buckets maps the values of a type to the buckets of quantiles, as DDSketch
// does: with g = (1+e)/(1-e) for the relative error e, a magnitude x lies in the
// bucket with the smallest i for which x <= g^i. One value in the middle of a
// bucket is within e of all in it.
//
// The bounds are a table, computed once with integers and held against values
// by comparison alone: no logarithm and no floating-point arithmetic decides, so
// every machine finds the same bucket.
//
// Buckets are numbered in the order of values: 0 is the value zero, 1 the first
// bucket of positive values, -1 that of negative ones. For ints and decimals,
// which are taken as scaled integers, bucket 1 is that of i = 0, the magnitude
// 1. For floats it is the bucket that holds definition.MinQuantileFloat.
type Buckets struct {
	digits int       // of e after the point
	whole  []uint64  // the bounds of magnitudes of ints and decimals, rounded down
	float  []float64 // or those of floats, rounded down
}

// tables holds the Buckets that were made, by tableKey. There are few: one for
// each error that a definition names, and for some of them two.
var tables sync.Map

type tableKey struct {
	relativeError string
	float         bool
}

// NewBuckets gives the buckets of a type's values with a relative error, which
// is written as definition.Measure does.
func NewBuckets(t column.Type, relativeError string) (*Buckets, error) {
	key := tableKey{relativeError, t.Kind == column.Float}
	if b, ok := tables.Load(key); ok {
		return b.(*Buckets), nil
	}
	r, err := newRatio(relativeError)
	if err != nil {
		return nil, err
	}
	b := &Buckets{digits: r.digits}
	if key.float {
		b.float = r.floats()
	} else {
		b.whole = r.integers()
	}
	stored, _ := tables.LoadOrStore(key, b)
	return stored.(*Buckets), nil
}

// Of gives the bucket of a value that is not null; false for a float whose
// magnitude is outside of what the buckets cover.
func (b *Buckets) Of(v column.Value) (int64, bool) {
	if b.float != nil {
		return b.ofFloat(v.Float)
	}
	magnitude, sign := uint64(v.Int), int64(1)
	switch {
	case v.Int == 0:
		return 0, true
	case v.Int < 0:
		magnitude, sign = -magnitude, -1 // also of the smallest integer
	}
	i, _ := slices.BinarySearch(b.whole, magnitude)
	return sign * int64(i+1), true
}

func (b *Buckets) ofFloat(x float64) (int64, bool) {
	sign := int64(1)
	switch {
	case x == 0:
		return 0, true
	case x < 0:
		x, sign = -x, -1
	}
	if !(x >= definition.MinQuantileFloat && x <= definition.MaxQuantileFloat) {
		return 0, false
	}
	i, _ := slices.BinarySearch(b.float, x)
	return sign * int64(i+1), true
}

// valid reports whether there is a bucket of that number.
func (b *Buckets) valid(bucket int64) bool {
	n := int64(len(b.whole) + len(b.float))
	return -n <= bucket && bucket <= n
}

// middle gives the value that stands for a bucket of ints or decimals, times
// 10^digits: if a is the smallest magnitude in it and b the largest, 2ab/(a+b),
// which is equally far from both relative to them, cut off behind the digits.
// a(1+e) and b(1-e), between which it lies, have no more digits, so what is cut
// off makes no error larger than e.
func (b *Buckets) middle(bucket int64) *big.Int {
	if bucket == 0 {
		return new(big.Int)
	}
	i := max(bucket, -bucket) - 1
	low := uint64(1)
	if i > 0 {
		low = b.whole[i-1] + 1
	}
	x, y := new(big.Int).SetUint64(low), new(big.Int).SetUint64(b.whole[i])
	sum := new(big.Int).Add(x, y)
	m := x.Mul(x, y)
	m.Mul(m.Lsh(m, 1), power10(b.digits))
	m.Quo(m, sum)
	if bucket < 0 {
		m.Neg(m)
	}
	return m
}

// middleFloat is middle for floats: the float nearest to 2ab/(a+b).
func (b *Buckets) middleFloat(bucket int64) float64 {
	if bucket == 0 {
		return 0
	}
	i := max(bucket, -bucket) - 1
	low := definition.MinQuantileFloat
	if i > 0 {
		low = math.Nextafter(b.float[i-1], math.Inf(1))
	}
	x, y := new(big.Rat).SetFloat64(low), new(big.Rat).SetFloat64(b.float[i])
	sum := new(big.Rat).Add(x, y)
	x.Mul(x, y)
	x.Add(x, x)
	m, _ := x.Quo(x, sum).Float64()
	if bucket < 0 {
		m = -m
	}
	return m
}

func power10(n int) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
}

// ratio is g = (1+e)/(1-e) as a quotient of integers.
type ratio struct {
	over, under int64
	digits      int // of e after the point
}

func newRatio(relativeError string) (ratio, error) {
	fraction, ok := strings.CutPrefix(relativeError, "0.")
	e, parsed := new(big.Int).SetString(fraction, 10)
	if !ok || !parsed || e.Sign() <= 0 || len(fraction) > 9 {
		return ratio{}, fmt.Errorf("preparing quantiles: %q is not a relative error between 0 and 1", relativeError)
	}
	one := power10(len(fraction)).Int64()
	return ratio{over: one + e.Int64(), under: one - e.Int64(), digits: len(fraction)}, nil
}

// The powers of g are followed with this many bits; after a hundred thousand
// steps, each of which may be off by one in the last bit, they are right to more
// than rightBits.
const (
	powerBits = 320
	rightBits = 280
)

// power is a power of g, and its neighbours between which the exact one lies.
type power struct {
	ratio
	exponent int64
	x        *big.Float
}

func (r ratio) one() *power {
	return &power{ratio: r, x: new(big.Float).SetPrec(powerBits).SetInt64(1)}
}

// up goes to the next power, down to the one before.
func (p *power) up()   { p.step(p.over, p.under, 1) }
func (p *power) down() { p.step(p.under, p.over, -1) }

func (p *power) step(times, by, steps int64) {
	p.x.Mul(p.x, new(big.Float).SetInt64(times))
	p.x.Quo(p.x, new(big.Float).SetInt64(by))
	p.exponent += steps
}

// floor rounds the exact power down with the given function, which gives equal
// results for all numbers that round down to the same. If the two neighbours
// round down to different ones, the exact power is computed.
func floor[T comparable](p *power, round func(*big.Float) T) T {
	margin := new(big.Float).SetPrec(powerBits).SetMantExp(p.x, -rightBits)
	below := round(new(big.Float).SetPrec(powerBits).Sub(p.x, margin))
	above := round(new(big.Float).SetPrec(powerBits).Add(p.x, margin))
	if below == above {
		return below
	}
	n := big.NewInt(max(p.exponent, -p.exponent))
	over, under := new(big.Int).Exp(big.NewInt(p.over), n, nil), new(big.Int).Exp(big.NewInt(p.under), n, nil)
	if p.exponent < 0 {
		over, under = under, over
	}
	exact := new(big.Float).SetPrec(powerBits).SetMode(big.ToZero)
	return round(exact.Quo(new(big.Float).SetInt(over), new(big.Float).SetInt(under)))
}

// integers gives the bounds of the magnitudes 1 to 2^63, rounded down.
func (r ratio) integers() []uint64 {
	const last = 1 << 63 // the magnitude of the smallest integer
	round := func(x *big.Float) uint64 { n, _ := x.Uint64(); return n }
	var out []uint64
	for p := r.one(); ; p.up() {
		b := min(last, floor(p, round))
		if out = append(out, b); b == last {
			return out
		}
	}
}

// floats gives the bounds of the magnitudes of floats, rounded down to floats.
// The last one is the largest magnitude.
func (r ratio) floats() []float64 {
	round := func(x *big.Float) float64 {
		f, _ := new(big.Float).SetPrec(53).SetMode(big.ToZero).Set(x).Float64()
		return f
	}
	p := r.one()
	for floor(p, round) >= definition.MinQuantileFloat {
		p.down()
	}
	var out []float64
	for {
		p.up()
		b := min(definition.MaxQuantileFloat, floor(p, round))
		if out = append(out, b); b == definition.MaxQuantileFloat {
			return out
		}
	}
}
