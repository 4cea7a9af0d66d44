package expr

import (
	"fmt"
	"math/big"
	"reflect"
	"regexp"
	"strings"
	"time"
	"unicode"

	"cel.dev/cel-go/common/functions"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// The functions of the reference evaluator. They share nothing with the
// kernels but the reasons' texts: big.Int for numbers, runes for texts, package
// time for times.

// opaque is what cel-go asks of a value and this language never uses.
type opaque struct{}

func (opaque) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("converting to %s: not supported", t)
}
func (opaque) ConvertToType(ref.Type) ref.Val { return types.NewErr("converting: not supported") }

// exact is a decimal.
type exact struct {
	opaque
	digits *big.Int
	scale  int
}

func (d exact) Type() ref.Type { return decimalType }
func (d exact) Value() any     { return d.rational() }
func (d exact) Equal(o ref.Val) ref.Val {
	return types.Bool(d.rational().Cmp(o.(exact).rational()) == 0)
}

func (d exact) rational() *big.Rat {
	return new(big.Rat).SetFrac(d.digits, tenTo(d.scale))
}

func tenTo(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// dateValue is a date in UTC, instantValue a time in the pipeline's zone.
type dateValue struct{ time.Time }

func (dateValue) ConvertToNative(t reflect.Type) (any, error) { return opaque{}.ConvertToNative(t) }
func (dateValue) ConvertToType(t ref.Type) ref.Val            { return opaque{}.ConvertToType(t) }
func (d dateValue) Equal(o ref.Val) ref.Val                   { return types.Bool(d.Time.Equal(o.(dateValue).Time)) }
func (dateValue) Type() ref.Type                              { return dateType }
func (d dateValue) Value() any                                { return d.Time }

type instantValue struct{ time.Time }

func (instantValue) ConvertToNative(t reflect.Type) (any, error) { return opaque{}.ConvertToNative(t) }
func (instantValue) ConvertToType(t ref.Type) ref.Val            { return opaque{}.ConvertToType(t) }
func (i instantValue) Equal(o ref.Val) ref.Val {
	return types.Bool(i.Time.Equal(o.(instantValue).Time))
}
func (instantValue) Type() ref.Type { return timestampType }
func (i instantValue) Value() any   { return i.Time }

// bindings gives the functions by name. == != && || ?: are cel-go's own.
func bindings() map[string]functions.FunctionOp {
	out := map[string]functions.FunctionOp{
		operators.Add:           func(a ...ref.Val) ref.Val { return add(a[0], a[1]) },
		operators.Subtract:      func(a ...ref.Val) ref.Val { return combine(a[0], a[1], (*big.Int).Sub) },
		operators.Multiply:      func(a ...ref.Val) ref.Val { return multiply(a[0], a[1]) },
		operators.Negate:        func(a ...ref.Val) ref.Val { return negate(a[0]) },
		operators.LogicalNot:    func(a ...ref.Val) ref.Val { return !a[0].(types.Bool) },
		operators.Less:          ordering(func(c int) bool { return c < 0 }),
		operators.LessEquals:    ordering(func(c int) bool { return c <= 0 }),
		operators.Greater:       ordering(func(c int) bool { return c > 0 }),
		operators.GreaterEquals: ordering(func(c int) bool { return c >= 0 }),
		operators.In:            func(a ...ref.Val) ref.Val { return memberOf(a[0], a[1].(traits.Lister)) },
		coalesceFunction:        firstKnown,
		decimalFunction:         toDecimal,
		rescaleFunction: func(a ...ref.Val) ref.Val {
			d, scale := a[0].(exact), int(a[1].(types.Int))
			return bounded(new(big.Int).Mul(d.digits, tenTo(scale-d.scale)), scale)
		},
		"int":    func(a ...ref.Val) ref.Val { return toInt(a[0]) },
		"string": func(a ...ref.Val) ref.Val { return toText(a[0]) },
	}
	addTextBindings(out)
	addTimeBindings(out)
	return out
}

func failure(kind string) ref.Val { return types.NewErrFromString(kind) }

// firstKnown is coalesce: an unknown is a null.
func firstKnown(args ...ref.Val) ref.Val {
	for _, a := range args[:len(args)-1] {
		if !types.IsUnknown(a) {
			return a
		}
	}
	return args[len(args)-1]
}

func memberOf(x ref.Val, list traits.Lister) ref.Val {
	for it := list.Iterator(); it.HasNext() == types.True; {
		if x.Equal(it.Next()) == types.True {
			return types.True
		}
	}
	return types.False
}

func add(a, b ref.Val) ref.Val {
	s, ok := a.(types.String)
	if !ok {
		return combine(a, b, (*big.Int).Add)
	}
	joined := s + b.(types.String)
	if len(joined) > maxText {
		return failure(textTooLong)
	}
	return joined
}

// combine adds or subtracts at the larger scale.
func combine(a, b ref.Val, f func(z, x, y *big.Int) *big.Int) ref.Val {
	if x, ok := a.(types.Int); ok {
		return boundedInt(f(new(big.Int), big.NewInt(int64(x)), big.NewInt(int64(b.(types.Int)))))
	}
	x, y := a.(exact), b.(exact)
	scale := max(x.scale, y.scale)
	at := func(d exact) *big.Int { return new(big.Int).Mul(d.digits, tenTo(scale-d.scale)) }
	return bounded(f(new(big.Int), at(x), at(y)), scale)
}

func multiply(a, b ref.Val) ref.Val {
	if x, ok := a.(types.Int); ok {
		return boundedInt(new(big.Int).Mul(big.NewInt(int64(x)), big.NewInt(int64(b.(types.Int)))))
	}
	x, y := a.(exact), b.(exact)
	return bounded(new(big.Int).Mul(x.digits, y.digits), x.scale+y.scale)
}

func negate(a ref.Val) ref.Val {
	if x, ok := a.(types.Int); ok {
		return boundedInt(new(big.Int).Neg(big.NewInt(int64(x))))
	}
	x := a.(exact)
	return bounded(new(big.Int).Neg(x.digits), x.scale)
}

func boundedInt(v *big.Int) ref.Val {
	if !v.IsInt64() {
		return failure(intOverflow)
	}
	return types.Int(v.Int64())
}

// bounded makes a decimal of at most 18 digits.
func bounded(digits *big.Int, scale int) ref.Val {
	if len(new(big.Int).Abs(digits).String()) > 18 {
		return failure(decimalOverflow)
	}
	return exact{digits: digits, scale: scale}
}

func ordering(holds func(order int) bool) functions.FunctionOp {
	return func(args ...ref.Val) ref.Val {
		switch a := args[0].(type) {
		case types.String:
			return types.Bool(holds(strings.Compare(string(a), string(args[1].(types.String)))))
		case types.Int:
			return types.Bool(holds(big.NewInt(int64(a)).Cmp(big.NewInt(int64(args[1].(types.Int))))))
		case types.Double:
			b := args[1].(types.Double)
			if a != a || b != b {
				return types.False // nothing is in order with a NaN
			}
			return types.Bool(holds(int(a.Compare(b).(types.Int))))
		case dateValue:
			return types.Bool(holds(a.Compare(args[1].(dateValue).Time)))
		case instantValue:
			return types.Bool(holds(a.Compare(args[1].(instantValue).Time)))
		default:
			return types.Bool(holds(a.(exact).rational().Cmp(args[1].(exact).rational())))
		}
	}
}

var (
	wholePattern   = regexp.MustCompile(`^[+-]?[0-9]+$`)
	decimalPattern = regexp.MustCompile(`^[+-]?[0-9]+(\.[0-9]+)?$`)
)

func toInt(v ref.Val) ref.Val {
	switch v := v.(type) {
	case types.String:
		n, ok := new(big.Int).SetString(string(v), 10)
		if !wholePattern.MatchString(string(v)) || !ok || !n.IsInt64() {
			return failure(notAnInt)
		}
		return types.Int(n.Int64())
	case exact:
		if r := v.rational(); r.IsInt() {
			return boundedInt(r.Num())
		}
		return failure(notWhole)
	default:
		return v
	}
}

func toDecimal(args ...ref.Val) ref.Val {
	switch v := args[0].(type) {
	case types.Int:
		return bounded(big.NewInt(int64(v)), 0)
	case types.String:
		if len(args) == 2 {
			return readDecimal(string(v), int(args[1].(types.Int)))
		}
		return readConstant(string(v))
	default:
		return v
	}
}

func readDecimal(s string, scale int) ref.Val {
	if !decimalPattern.MatchString(s) {
		return failure(notADecimal)
	}
	r, _ := new(big.Rat).SetString(s)
	r.Mul(r, new(big.Rat).SetInt(tenTo(scale)))
	if !r.IsInt() {
		return failure(manyDigits)
	}
	return bounded(r.Num(), scale)
}

// readConstant reads a constant that the definition holds; its digits after
// the point, less its exponent, are its scale.
func readConstant(s string) ref.Val {
	mantissa, exponent, hasExponent := strings.Cut(strings.ToLower(s), "e")
	_, fraction, _ := strings.Cut(mantissa, ".")
	scale := big.NewInt(int64(len(fraction)))
	if hasExponent {
		e, ok := new(big.Int).SetString(exponent, 10)
		if !ok {
			return failure(notADecimal)
		}
		scale.Sub(scale, e)
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return failure(notADecimal)
	}
	n := max(0, int(scale.Int64()))
	r.Mul(r, new(big.Rat).SetInt(tenTo(n)))
	return bounded(r.Num(), n)
}

func toText(v ref.Val) ref.Val {
	switch v := v.(type) {
	case types.Int:
		return types.String(fmt.Sprintf("%d", int64(v)))
	case types.Bool:
		return types.String(fmt.Sprintf("%t", bool(v)))
	case exact:
		return types.String(v.rational().FloatString(v.scale))
	case dateValue:
		return types.String(fmt.Sprintf("%04d-%02d-%02d", v.Year(), int(v.Month()), v.Day()))
	case instantValue:
		v.Time = v.UTC()
		text := fmt.Sprintf("%04d-%02d-%02dT%02d:%02d:%02d", v.Year(), int(v.Month()), v.Day(), v.Hour(), v.Minute(), v.Second())
		if v.Nanosecond() != 0 {
			text += strings.TrimRight(fmt.Sprintf(".%09d", v.Nanosecond()), "0")
		}
		return types.String(text + "Z")
	default:
		return v
	}
}

func addTextBindings(out map[string]functions.FunctionOp) {
	text := func(v ref.Val) string { return string(v.(types.String)) }
	out["lower"] = func(a ...ref.Val) ref.Val { return types.String(strings.Map(unicode.ToLower, text(a[0]))) }
	out["upper"] = func(a ...ref.Val) ref.Val { return types.String(strings.Map(unicode.ToUpper, text(a[0]))) }
	out["trim"] = func(a ...ref.Val) ref.Val { return types.String(strings.TrimFunc(text(a[0]), unicode.IsSpace)) }
	out["size"] = func(a ...ref.Val) ref.Val { return types.Int(len([]rune(text(a[0])))) }
	out["contains"] = func(a ...ref.Val) ref.Val { return types.Bool(strings.Contains(text(a[0]), text(a[1]))) }
	out["startsWith"] = func(a ...ref.Val) ref.Val { return types.Bool(strings.HasPrefix(text(a[0]), text(a[1]))) }
	out["endsWith"] = func(a ...ref.Val) ref.Val { return types.Bool(strings.HasSuffix(text(a[0]), text(a[1]))) }
	out["matches"] = func(a ...ref.Val) ref.Val { return a[0].(types.String).Match(a[1]) }
	out["substr"] = func(a ...ref.Val) ref.Val {
		runes := []rune(text(a[0]))
		clamp := func(v ref.Val, limit int) int { return int(min(max(int64(v.(types.Int)), 0), int64(limit))) }
		runes = runes[clamp(a[1], len(runes)):]
		return types.String(runes[:clamp(a[2], len(runes))])
	}
	out["replace"] = func(a ...ref.Val) ref.Val {
		if text(a[1]) == "" {
			return a[0]
		}
		replaced := strings.Join(strings.Split(text(a[0]), text(a[1])), text(a[2]))
		if len(replaced) > maxText {
			return failure(textTooLong)
		}
		return types.String(replaced)
	}
}

func addTimeBindings(out map[string]functions.FunctionOp) {
	part := func(f func(t time.Time) int) functions.FunctionOp {
		return func(a ...ref.Val) ref.Val {
			if d, ok := a[0].(dateValue); ok {
				return types.Int(f(d.Time))
			}
			return types.Int(f(a[0].(instantValue).Time))
		}
	}
	out["year"] = part(time.Time.Year)
	out["month"] = part(func(t time.Time) int { return int(t.Month()) })
	out["day"] = part(time.Time.Day)
	out["hour"] = part(time.Time.Hour)
	out["weekday"] = part(func(t time.Time) int {
		if t.Weekday() == time.Sunday {
			return 7
		}
		return int(t.Weekday())
	})
}
