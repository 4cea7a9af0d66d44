// Package column holds typed values and columns: what row logic produces and
// every layer reads. It knows nothing of definitions, events or stores.
package column

import (
	"fmt"
	"regexp"
	"strconv"
)

// Kind is the kind of value a column holds.
type Kind uint8

// The kinds of the pipeline definition.
const (
	String Kind = iota + 1
	Int
	Decimal
	Bool
	Date
	Timestamp
	Float
)

var kindNames = map[Kind]string{String: "string", Int: "int", Decimal: "decimal", Bool: "bool", Date: "date", Timestamp: "timestamp", Float: "float"}

func (k Kind) String() string { return kindNames[k] }

// MaxPrecision is the number of digits of the widest decimal column: what a
// signed 64-bit integer holds in full.
const MaxPrecision = 18

// Type is a column's type; Precision and Scale are set for decimals only.
type Type struct {
	Kind      Kind
	Precision int // digits in all, 1 to MaxPrecision
	Scale     int // digits after the point, 0 to Precision
}

// String gives the type as the definition writes it, for instance decimal(12,2).
func (t Type) String() string {
	if t.Kind == Decimal {
		return fmt.Sprintf("decimal(%d,%d)", t.Precision, t.Scale)
	}
	return t.Kind.String()
}

var decimalType = regexp.MustCompile(`^decimal\(\s*(\d{1,2})\s*,\s*(\d{1,2})\s*\)$`)

// ParseType reads a type as the definition writes it.
func ParseType(text string) (Type, error) {
	if m := decimalType.FindStringSubmatch(text); m != nil {
		p, _ := strconv.Atoi(m[1])
		s, _ := strconv.Atoi(m[2])
		if p < 1 || p > MaxPrecision {
			return Type{}, fmt.Errorf("decimal precision %d is outside 1 to %d", p, MaxPrecision)
		}
		if s > p {
			return Type{}, fmt.Errorf("decimal scale %d is larger than its precision %d", s, p)
		}
		return Type{Kind: Decimal, Precision: p, Scale: s}, nil
	}
	for k, name := range kindNames {
		if name == text && k != Decimal {
			return Type{Kind: k}, nil
		}
	}
	return Type{}, fmt.Errorf("%q is not a type; write string, int, decimal(p,s), bool, date, timestamp or float", text)
}

// Value is one value of a column; its type stands beside it. The zero Value
// with Null set is null.
//
// Int holds ints, decimals (scaled by 10^scale), bools (0, 1), dates (days
// since 1970-01-01) and timestamps (microseconds since 1970-01-01 UTC).
type Value struct {
	Null  bool
	Int   int64
	Str   string
	Float float64
}

// Null is the null value of every type.
var Null = Value{Null: true}

// Vector is one column of a batch of rows. Str is used by strings, Float by
// floats, Int by every other kind; see Value for units. A null row holds the
// zero of its kind, so vectors compare equal when their values do.
type Vector struct {
	Type  Type
	Nulls []bool
	Int   []int64
	Str   []string
	Float []float64
}

// NewVector makes a vector of n rows, all null.
func NewVector(t Type, n int) *Vector {
	v := &Vector{Type: t, Nulls: make([]bool, n)}
	for i := range v.Nulls {
		v.Nulls[i] = true
	}
	switch t.Kind {
	case String:
		v.Str = make([]string, n)
	case Float:
		v.Float = make([]float64, n)
	default:
		v.Int = make([]int64, n)
	}
	return v
}

// Len is the number of rows.
func (v *Vector) Len() int { return len(v.Nulls) }

// At gives the value of row i.
func (v *Vector) At(i int) Value {
	if v.Nulls[i] {
		return Null
	}
	switch v.Type.Kind {
	case String:
		return Value{Str: v.Str[i]}
	case Float:
		return Value{Float: v.Float[i]}
	default:
		return Value{Int: v.Int[i]}
	}
}

// Set stores x in row i.
func (v *Vector) Set(i int, x Value) {
	v.Nulls[i] = x.Null
	switch v.Type.Kind {
	case String:
		v.Str[i] = x.Str
	case Float:
		v.Float[i] = x.Float
	default:
		v.Int[i] = x.Int
	}
}
