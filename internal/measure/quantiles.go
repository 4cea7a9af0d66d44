package measure

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/watershed-data/watershed/internal/column"
)

// The state of quantiles is how many values fell into each bucket.

// Bucket is how many values fell into one bucket; see Buckets for its number.
type Bucket struct {
	Number int64
	Count  int64 // at least 1
}

func byNumber(b Bucket, number int64) int { return cmp.Compare(b.Number, number) }

// addBucket counts one value. The buckets are the caller's to change.
func addBucket(buckets []Bucket, number int64) []Bucket {
	at, there := slices.BinarySearchFunc(buckets, number, byNumber)
	if there {
		buckets[at].Count++
		return buckets
	}
	return slices.Insert(buckets, at, Bucket{number, 1})
}

// mergeBuckets adds up the counts of both, in memory of its own.
func mergeBuckets(a, b []Bucket) []Bucket {
	if len(b) == 0 {
		return a
	}
	out := make([]Bucket, 0, max(len(a), len(b)))
	for len(a)+len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].Number < b[0].Number:
			out, a = append(out, a[0]), a[1:]
		case len(a) == 0 || b[0].Number < a[0].Number:
			out, b = append(out, b[0]), b[1:]
		default:
			out, a, b = append(out, Bucket{a[0].Number, a[0].Count + b[0].Count}), a[1:], b[1:]
		}
	}
	return out
}

func appendBuckets(dst []byte, buckets []Bucket) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(buckets)))
	last := int64(0)
	for i, b := range buckets {
		if i == 0 {
			dst = binary.AppendVarint(dst, b.Number)
		} else {
			dst = binary.AppendUvarint(dst, uint64(b.Number-last))
		}
		dst = binary.AppendUvarint(dst, uint64(b.Count))
		last = b.Number
	}
	return dst
}

// buckets reads buckets, which must be in order and of the mapping.
func (d *decoder) buckets(of *Buckets) []Bucket {
	n := d.uvarint()
	if d.bad || n > uint64(len(d.src))/2 { // a bucket takes two bytes at least
		d.bad, d.src = true, nil
		return nil
	}
	if n == 0 {
		return nil
	}
	out := make([]Bucket, n)
	for i := range out {
		if i == 0 {
			out[i].Number = d.varint()
		} else {
			step := d.uvarint()
			out[i].Number = out[i-1].Number + int64(step)
			d.bad = d.bad || out[i].Number <= out[i-1].Number
		}
		out[i].Count = int64(d.uvarint())
		d.bad = d.bad || out[i].Count <= 0 || !of.valid(out[i].Number)
	}
	return out
}

// OfBuckets gives the state of quantiles with these buckets and their counts. The
// buckets must be in order, each once, and the counts positive.
func (m Measure) OfBuckets(numbers, counts []int64) (State, error) {
	of, err := NewBuckets(m.Type, m.Error)
	switch {
	case err != nil:
		return State{}, err
	case len(numbers) != len(counts):
		return State{}, fmt.Errorf("reading measure %s: a state has %d buckets and %d counts", m.Name, len(numbers), len(counts))
	case len(numbers) == 0:
		return State{}, nil
	}
	out := make([]Bucket, len(numbers))
	for i := range out {
		out[i] = Bucket{numbers[i], counts[i]}
		if i > 0 && numbers[i] <= numbers[i-1] || counts[i] <= 0 || !of.valid(numbers[i]) {
			return State{}, fmt.Errorf("reading measure %s: the buckets of a state are damaged", m.Name)
		}
	}
	return State{Buckets: out}, nil
}

// Quantile is a share of the values, from 0 to 1, exactly.
type Quantile struct {
	text       string // without zeros at the end
	over, unit int64  // the share is over/unit
}

// DefaultQuantiles are those that an answer shows if none are asked for.
func DefaultQuantiles() []Quantile {
	return []Quantile{{"0.5", 5, 10}, {"0.9", 9, 10}, {"0.99", 99, 100}}
}

var quantilePattern = regexp.MustCompile(`^(0|1|0?\.[0-9]{1,6}|1\.0{1,6})$`)

// ParseQuantile reads a quantile: a number from 0 to 1 with at most 6 digits
// after the point.
func ParseQuantile(text string) (Quantile, error) {
	if !quantilePattern.MatchString(text) {
		return Quantile{}, fmt.Errorf("%q is not a quantile; write a number from 0 to 1 with at most 6 digits after the point, such as 0.95", text)
	}
	whole, fraction, _ := strings.Cut(text, ".")
	fraction = strings.TrimRight(fraction, "0")
	q := Quantile{text: cmp.Or(whole, "0"), unit: power10(len(fraction)).Int64()}
	if fraction != "" {
		q.text += "." + fraction
	}
	q.over, _ = strconv.ParseInt(strings.Replace(q.text, ".", "", 1), 10, 64)
	return q, nil
}

// String gives the quantile as users write it, in its one form.
func (q Quantile) String() string { return q.text }

// Suffix is what the quantile adds to a measure's name: p50 of 0.5, p99_9 of
// 0.999.
func (q Quantile) Suffix() string {
	percent := 100 * q.over
	text := strconv.FormatInt(percent/q.unit, 10)
	if rest := percent % q.unit; rest > 0 {
		digits := len(strconv.FormatInt(q.unit, 10)) - 1
		text += "_" + strings.TrimRight(fmt.Sprintf("%0*d", digits, rest), "0")
	}
	return "p" + text
}

// rank gives the place, from 0, of the quantile among n values in order, n > 0:
// share * (n-1), rounded down.
func (q Quantile) rank(n int64) int64 {
	high, low := bits.Mul64(uint64(q.over), uint64(n-1))
	rank, _ := bits.Div64(high, low, uint64(q.unit)) // fits: over <= unit
	return int64(rank)
}

// Quantile reads one quantile of the measure's values: within the measure's
// relative error of the value that stands, in their order, at the quantile times
// their number less one, rounded down. Of ints and decimals it is Big, with as
// many more digits after the point than the column as the relative error has. Of
// floats it is a float: within the error and the rounding of one float. Over no
// value it is null.
func (m Measure) Quantile(s State, q Quantile) (Result, error) {
	of, err := NewBuckets(m.Type, m.Error)
	if err != nil {
		return Result{}, err
	}
	n := int64(0)
	for _, b := range s.Buckets {
		n += b.Count
	}
	if n == 0 {
		return Result{Null: true}, nil
	}
	rank := q.rank(n)
	for _, b := range s.Buckets {
		if rank -= b.Count; rank >= 0 {
			continue
		}
		if m.Type.Kind == column.Float {
			return Result{Value: column.Value{Float: of.middleFloat(b.Number)}}, nil
		}
		return Result{Big: of.middle(b.Number)}, nil
	}
	return Result{}, fmt.Errorf("reading %s: the state holds no value at rank %d", m.Name, q.rank(n))
}

// Share gives the quantile as a share of the values: over of unit.
func (q Quantile) Share() (over, unit int64) { return q.over, q.unit }

// Middles gives the results that stand for the buckets of the measure's positive
// values, from the first one on as far as its type's values reach, as texts of
// decimals or of the shortest floats. Those of negative values are the same with the
// other sign; zero stands for itself.
func (m Measure) Middles() ([]string, error) {
	of, err := NewBuckets(m.Type, m.Error)
	if err != nil {
		return nil, err
	}
	if of.float != nil {
		out := make([]string, len(of.float))
		for i := range out {
			out[i] = strconv.FormatFloat(of.middleFloat(int64(i+1)), 'g', -1, 64)
		}
		return out, nil
	}
	largest := column.Value{Int: math.MinInt64} // of all magnitudes
	if m.Type.Kind == column.Decimal {
		largest.Int = -power10(m.Type.Precision).Int64()
	}
	last, _ := of.Of(largest)
	_, scale := m.ResultType()
	out := make([]string, -last)
	for i := range out {
		out[i] = decimal(of.middle(int64(i+1)), scale)
	}
	return out, nil
}

// decimal writes units of 10^-scale.
func decimal(units *big.Int, scale int) string {
	return new(big.Rat).SetFrac(units, power10(scale)).FloatString(scale)
}
