package measure

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
)

// State is the state of one measure of one group. The zero State is the
// identity: the state over no rows. Which fields are used depends on the
// function; states of different measures are never mixed.
type State struct {
	N   int64        // count: rows; avg: values
	Sum Int128       // sum, avg: scaled by the column's scale
	Set bool         // sum, min, max: at least one value was seen
	Val column.Value // min, max

	Hashes  []int64  // distinct: the k smallest, in order, each once
	Buckets []Bucket // quantiles: in order, each once
}

// Measure computes one measure: adds rows to its state, merges states, reads
// the result. Merge is associative and commutative with the zero State as its
// identity, bit for bit.
type Measure struct {
	definition.Measure
}

// New makes the measures of a view.
func New(view definition.View) []Measure {
	out := make([]Measure, len(view.Measures))
	for i, m := range view.Measures {
		out[i] = Measure{m}
	}
	return out
}

// IsQuantiles reports whether the measure is read by Quantile, not by Read.
func (m Measure) IsQuantiles() bool { return m.Func == definition.Quantiles }

// Add adds one row to the state: the value of the column that the measure's Input
// names, which for distinct is a Hash and for quantiles a bucket's number. The
// value is ignored by a count of rows.
func (m Measure) Add(s *State, v column.Value) {
	if m.Func == definition.Count && m.Column == "" {
		s.N++
		return
	}
	if v.Null {
		return
	}
	switch m.Func {
	case definition.Count:
		s.N++
	case definition.Sum:
		s.Sum, s.Set = s.Sum.Add(FromInt64(v.Int)), true
	case definition.Avg:
		s.Sum, s.N = s.Sum.Add(FromInt64(v.Int)), s.N+1
	case definition.Min, definition.Max:
		m.offer(s, v)
	case definition.Distinct:
		s.Hashes = addHash(s.Hashes, m.K, v.Int)
	case definition.Quantiles:
		s.Buckets = addBucket(s.Buckets, v.Int)
	}
}

// Merge adds the state t to s. It does not change t, and takes copies of its
// lists.
func (m Measure) Merge(s *State, t State) {
	switch m.Func {
	case definition.Count:
		s.N += t.N
	case definition.Sum:
		s.Sum, s.Set = s.Sum.Add(t.Sum), s.Set || t.Set
	case definition.Avg:
		s.Sum, s.N = s.Sum.Add(t.Sum), s.N+t.N
	case definition.Min, definition.Max:
		if t.Set {
			m.offer(s, t.Val)
		}
	case definition.Distinct:
		s.Hashes = mergeHashes(s.Hashes, t.Hashes, m.K)
	case definition.Quantiles:
		s.Buckets = mergeBuckets(s.Buckets, t.Buckets)
	}
}

func (m Measure) offer(s *State, v column.Value) {
	if !s.Set {
		s.Set, s.Val = true, v
		return
	}
	c := Compare(m.Type.Kind, v, s.Val)
	if m.Func == definition.Min && c < 0 || m.Func == definition.Max && c > 0 {
		s.Val = v
	}
}

// Compare orders two values of a kind, nulls first, texts by their bytes.
func Compare(k column.Kind, a, b column.Value) int {
	switch {
	case a.Null || b.Null:
		switch {
		case a.Null && b.Null:
			return 0
		case a.Null:
			return -1
		}
		return 1
	case k == column.String:
		if a.Str == b.Str {
			return 0
		} else if a.Str < b.Str {
			return -1
		}
		return 1
	case k == column.Float:
		if a.Float == b.Float {
			return 0
		} else if a.Float < b.Float {
			return -1
		}
		return 1
	case a.Int < b.Int:
		return -1
	case a.Int > b.Int:
		return 1
	}
	return 0
}

// Append encodes the state behind dst. Equal states have equal bytes.
func (m Measure) Append(dst []byte, s State) []byte {
	switch m.Func {
	case definition.Count:
		return binary.AppendVarint(dst, s.N)
	case definition.Avg:
		dst = binary.AppendVarint(dst, s.N)
		return appendInt128(dst, s.Sum)
	case definition.Sum:
		if !s.Set {
			return append(dst, 0)
		}
		return appendInt128(append(dst, 1), s.Sum)
	case definition.Distinct:
		return appendHashes(dst, s.Hashes)
	case definition.Quantiles:
		return appendBuckets(dst, s.Buckets)
	}
	if !s.Set {
		return append(dst, 0)
	}
	dst = append(dst, 1)
	switch m.Type.Kind {
	case column.String:
		dst = binary.AppendUvarint(dst, uint64(len(s.Val.Str)))
		return append(dst, s.Val.Str...)
	case column.Float:
		return binary.BigEndian.AppendUint64(dst, math.Float64bits(s.Val.Float))
	}
	return binary.AppendVarint(dst, s.Val.Int)
}

// Decode reads a state off src and gives the rest.
func (m Measure) Decode(src []byte) (s State, rest []byte, err error) {
	d := decoder{src: src}
	switch m.Func {
	case definition.Count:
		s.N = d.varint()
	case definition.Avg:
		s.N = d.varint()
		s.Sum = d.int128()
	case definition.Sum:
		if s.Set = d.flag(); s.Set {
			s.Sum = d.int128()
		}
	case definition.Distinct:
		s.Hashes = d.hashes(m.K)
	case definition.Quantiles:
		of, err := NewBuckets(m.Type, m.Error)
		if err != nil {
			return State{}, nil, err
		}
		s.Buckets = d.buckets(of)
	default:
		if s.Set = d.flag(); s.Set {
			s.Val = d.value(m.Type.Kind)
		}
	}
	if d.bad {
		return State{}, nil, fmt.Errorf("decoding the state of measure %s: the bytes are damaged", m.Name)
	}
	return s, d.src, nil
}

// Encode encodes the states of all measures of a group.
func Encode(ms []Measure, states []State) []byte {
	var dst []byte
	for i, m := range ms {
		dst = m.Append(dst, states[i])
	}
	return dst
}

// Decode decodes what Encode wrote.
func Decode(ms []Measure, src []byte) ([]State, error) {
	out := make([]State, len(ms))
	var err error
	for i, m := range ms {
		if out[i], src, err = m.Decode(src); err != nil {
			return nil, err
		}
	}
	if len(src) != 0 {
		return nil, errors.New("decoding states: bytes are left over")
	}
	return out, nil
}

// MergeAll adds the states t to s, measure by measure.
func MergeAll(ms []Measure, s, t []State) {
	for i, m := range ms {
		m.Merge(&s[i], t[i])
	}
}

// Result is a measure's value as an answer shows it. Big is set for sums,
// averages and the quantiles of exact numbers, and holds the value scaled by
// 10^Scale; otherwise Value holds it.
type Result struct {
	Null  bool
	Value column.Value
	Big   *big.Int
}

// avgDigits is how many digits an average has beyond its column's scale.
const avgDigits = 6

// ResultType gives the type name of a measure's results as answers print it,
// and the scale of decimal ones.
func (m Measure) ResultType() (name string, scale int) {
	switch m.Func {
	case definition.Count, definition.Distinct:
		return column.Int.String(), 0
	case definition.Sum:
		if m.Type.Kind == column.Int {
			return "decimal(38,0)", 0
		}
		return fmt.Sprintf("decimal(38,%d)", m.Type.Scale), m.Type.Scale
	case definition.Avg:
		s := m.Type.Scale + avgDigits
		return fmt.Sprintf("decimal(38,%d)", s), s
	case definition.Quantiles:
		if m.Type.Kind != column.Float {
			s := m.Type.Scale + len(m.Error) - len("0.")
			return fmt.Sprintf("decimal(38,%d)", s), s
		}
	}
	return m.Type.String(), m.Type.Scale
}

// Read gives the measure's result. Over no value it is null, and 0 for counts and
// distinct. Of quantiles, Quantile gives results.
// A sum beyond 38 digits is an error, never a wrapped number.
func (m Measure) Read(s State) (Result, error) {
	switch m.Func {
	case definition.Count:
		return Result{Value: column.Value{Int: s.N}}, nil
	case definition.Distinct:
		return Result{Value: column.Value{Int: estimate(s.Hashes, m.K)}}, nil
	case definition.Quantiles:
		return Result{}, fmt.Errorf("reading %s: it has no result but its quantiles", m.Name)
	case definition.Sum:
		if !s.Set {
			return Result{Null: true}, nil
		}
		if !s.Sum.Fits38() {
			return Result{}, fmt.Errorf("reading %s: the sum has more than 38 digits", m.Name)
		}
		return Result{Big: s.Sum.Big()}, nil
	case definition.Avg:
		if s.N == 0 {
			return Result{Null: true}, nil
		}
		return Result{Big: quotient(s.Sum.Big(), s.N)}, nil
	}
	if !s.Set {
		return Result{Null: true}, nil
	}
	return Result{Value: s.Val}, nil
}

// quotient gives sum * 10^avgDigits / n, rounded half to even.
func quotient(sum *big.Int, n int64) *big.Int {
	sum.Mul(sum, new(big.Int).Exp(big.NewInt(10), big.NewInt(avgDigits), nil))
	d := big.NewInt(n)
	q, r := new(big.Int).QuoRem(sum, d, new(big.Int)) // truncated
	twice := new(big.Int).Abs(r)
	twice.Lsh(twice, 1)
	if c := twice.Cmp(d); c > 0 || c == 0 && q.Bit(0) == 1 {
		q.Add(q, big.NewInt(int64(sum.Sign())))
	}
	return q
}

func appendInt128(dst []byte, x Int128) []byte {
	dst = binary.AppendVarint(dst, x.Hi)
	return binary.AppendUvarint(dst, x.Lo)
}

// decoder reads fields off bytes; bad is set at the first one that is damaged.
type decoder struct {
	src []byte
	bad bool
}

func (d *decoder) skip(n int) {
	if n <= 0 {
		d.bad, d.src = true, nil
		return
	}
	d.src = d.src[n:]
}

func (d *decoder) varint() int64 {
	x, n := binary.Varint(d.src)
	d.skip(n)
	return x
}

func (d *decoder) uvarint() uint64 {
	x, n := binary.Uvarint(d.src)
	d.skip(n)
	return x
}

func (d *decoder) flag() bool {
	if len(d.src) == 0 || d.src[0] > 1 {
		d.bad, d.src = true, nil
		return false
	}
	set := d.src[0] == 1
	d.src = d.src[1:]
	return set
}

func (d *decoder) value(k column.Kind) column.Value {
	switch k {
	case column.String:
		return column.Value{Str: d.text()}
	case column.Float:
		if len(d.src) < 8 {
			d.bad, d.src = true, nil
			return column.Value{}
		}
		bits := binary.BigEndian.Uint64(d.src)
		d.src = d.src[8:]
		return column.Value{Float: math.Float64frombits(bits)}
	}
	return column.Value{Int: d.varint()}
}

func (d *decoder) int128() Int128 { return Int128{Hi: d.varint(), Lo: d.uvarint()} }

func (d *decoder) text() string {
	n := d.uvarint()
	if d.bad || n > uint64(len(d.src)) {
		d.bad, d.src = true, nil
		return ""
	}
	s := string(d.src[:n])
	d.src = d.src[n:]
	return s
}
