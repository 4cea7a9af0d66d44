package expr

import (
	"cmp"
	"math/bits"
	"strconv"
	"time"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"

	"github.com/watershed-data/watershed/internal/column"
)

// compareKernel compares two columns of one kind.
func compareKernel(operator string, left, right node) kernel {
	switch left.typ.Kind {
	case column.String:
		return orderedKernel(operator, left.kernel, right.kernel, func(v values) []string { return v.texts })
	case column.Float:
		return orderedKernel(operator, left.kernel, right.kernel, func(v values) []float64 { return v.floats })
	}
	if left.typ.Scale == right.typ.Scale {
		return orderedKernel(operator, left.kernel, right.kernel, func(v values) []int64 { return v.ints })
	}
	if k := compareConstant(operator, left, right); k != nil {
		return k
	}
	return scaledKernel(operator, left, right)
}

func orderedKernel[T cmp.Ordered](operator string, left, right kernel, of func(values) []T) kernel {
	return func(b *batch) values {
		l, r := left(b), right(b)
		out := values{state: b.strict(l, r), ints: b.ints.take(b.n)}
		compareOrdered(operator, out.ints, of(l), of(r))
		return out
	}
}

// compareOrdered has one loop per operator: the loop is what runs per row.
func compareOrdered[T cmp.Ordered](operator string, dst []int64, l, r []T) {
	l, r = l[:len(dst)], r[:len(dst)]
	switch operator {
	case operators.Equals:
		for i := range dst {
			dst[i] = bit(l[i] == r[i])
		}
	case operators.NotEquals:
		for i := range dst {
			dst[i] = bit(l[i] != r[i])
		}
	case operators.Less:
		for i := range dst {
			dst[i] = bit(l[i] < r[i])
		}
	case operators.LessEquals:
		for i := range dst {
			dst[i] = bit(l[i] <= r[i])
		}
	case operators.Greater:
		for i := range dst {
			dst[i] = bit(l[i] > r[i])
		}
	case operators.GreaterEquals:
		for i := range dst {
			dst[i] = bit(l[i] >= r[i])
		}
	}
}

// compareConstant brings a constant to the other side's scale, if its value
// has one there; nil otherwise.
func compareConstant(operator string, left, right node) kernel {
	if v := right.constant; v != nil {
		if at, ok := sameScale(v.Int, right.typ.Scale, left.typ.Scale); ok {
			return compareKernel(operator, left, constantNode(column.Value{Int: at}, left.typ))
		}
	}
	if v := left.constant; v != nil {
		if at, ok := sameScale(v.Int, left.typ.Scale, right.typ.Scale); ok {
			return compareKernel(operator, constantNode(column.Value{Int: at}, right.typ), right)
		}
	}
	return nil
}

// scaledKernel compares decimals of two scales exactly.
func scaledKernel(operator string, left, right node) kernel {
	fine := func(coarse, fine node) int64 { return powersOfTen[fine.typ.Scale-coarse.typ.Scale] }
	return func(b *batch) values {
		l, r := left.kernel(b), right.kernel(b)
		order := b.ints.take(b.n)
		if left.typ.Scale < right.typ.Scale {
			power := fine(left, right)
			for i := range order {
				order[i] = int64(compareScaled(l.ints[i], power, r.ints[i]))
			}
		} else {
			power := fine(right, left)
			for i := range order {
				order[i] = -int64(compareScaled(r.ints[i], power, l.ints[i]))
			}
		}
		zero := b.ints.take(b.n)
		clear(zero)
		out := values{state: b.strict(l, r), ints: b.ints.take(b.n)}
		compareOrdered(operator, out.ints, order, zero)
		return out
	}
}

// arithmetic gives the kernel of + - * and the sign; + also joins texts.
func (b *builder) arithmetic(e ast.Expr, operator string, args []node) kernel {
	switch args[0].typ.Kind {
	case column.String:
		return concatKernel(b.reason(e.ID(), textTooLong), args[0].kernel, args[1].kernel)
	case column.Int:
		return intKernel(operator, b.reason(e.ID(), intOverflow), args)
	case column.Decimal:
		return decimalKernel(operator, b.reason(e.ID(), decimalOverflow), args)
	}
	return nil
}

func intKernel(operator string, overflow uint16, args []node) kernel {
	if operator == operators.Negate {
		return checkedUnary(args[0].kernel, overflow, func(a int64) (int64, bool) { return -a, a == 0 || a != -a })
	}
	switch operator {
	case operators.Add:
		return checkedBinary(args, overflow, addInts)
	case operators.Subtract:
		return checkedBinary(args, overflow, subtractInts)
	default:
		return checkedBinary(args, overflow, multiplyInts)
	}
}

func addInts(a, b int64) (int64, bool) {
	sum := a + b
	return sum, (a^sum)&(b^sum) >= 0
}

func subtractInts(a, b int64) (int64, bool) {
	difference := a - b
	return difference, (a^b)&(a^difference) >= 0
}

func multiplyInts(a, b int64) (int64, bool) {
	high, low := bits.Mul64(magnitude(a), magnitude(b))
	product := a * b
	if (a < 0) != (b < 0) {
		return product, high == 0 && low <= 1<<63
	}
	return product, high == 0 && low < 1<<63
}

func decimalKernel(operator string, overflow uint16, args []node) kernel {
	if operator == operators.Negate {
		arg := args[0].kernel
		return func(b *batch) values {
			a := arg(b)
			out := values{state: a.state, ints: b.ints.take(b.n)}
			for i := range out.ints {
				out.ints[i] = -a.ints[i]
			}
			return out
		}
	}
	if operator == operators.Multiply {
		return checkedBinary(args, overflow, multiplyDecimals)
	}
	sign := int64(1)
	if operator == operators.Subtract {
		sign = -1
	}
	left, right := args[0].typ.Scale, args[1].typ.Scale
	switch {
	case left == right:
		return checkedBinary(args, overflow, func(x, y int64) (int64, bool) {
			sum := x + sign*y
			return sum, !outOfRange(sum)
		})
	case left < right:
		power := powersOfTen[right-left]
		return checkedBinary(args, overflow, func(x, y int64) (int64, bool) { return addScaled(x, power, sign*y) })
	default:
		power := powersOfTen[left-right]
		return checkedBinary(args, overflow, func(x, y int64) (int64, bool) { return addScaled(sign*y, power, x) })
	}
}

// checkedBinary applies f to two columns of ints; false fails the row.
func checkedBinary(args []node, overflow uint16, f func(a, b int64) (int64, bool)) kernel {
	left, right := args[0].kernel, args[1].kernel
	return func(b *batch) values {
		l, r := left(b), right(b)
		m := marks{b: b, state: b.strict(l, r)}
		out := b.ints.take(b.n)
		ls, rs := l.ints[:len(out)], r.ints[:len(out)]
		for i := range out {
			v, ok := f(ls[i], rs[i])
			if !ok && !m.skip(i) {
				m.fail(i, overflow)
			}
			out[i] = v
		}
		return values{state: m.state, ints: out}
	}
}

// checkedUnary applies f to a column of ints; false fails the row.
func checkedUnary(arg kernel, overflow uint16, f func(a int64) (int64, bool)) kernel {
	return func(b *batch) values {
		a := arg(b)
		m := marks{b: b, state: a.state}
		out := b.ints.take(b.n)
		for i := range out {
			v, ok := f(a.ints[i])
			if !ok && !m.skip(i) {
				m.fail(i, overflow)
			}
			out[i] = v
		}
		return values{state: m.state, ints: out}
	}
}

// conversion gives the kernel of int(), string(), decimal() and of a change of
// scale.
func (b *builder) conversion(e ast.Expr, name string, args []node) kernel {
	x := args[0]
	t := b.types[e.ID()]
	if x.typ == t {
		return x.kernel
	}
	switch {
	case name == "string":
		return formatKernel(x)
	case name == rescaleFunction:
		power := powersOfTen[t.Scale-x.typ.Scale]
		return checkedUnary(x.kernel, b.reason(e.ID(), decimalOverflow), func(a int64) (int64, bool) { return multiplyDecimals(a, power) })
	case name == "int" && x.typ.Kind == column.Decimal:
		power := powersOfTen[x.typ.Scale]
		return checkedUnary(x.kernel, b.reason(e.ID(), notWhole), func(a int64) (int64, bool) { return a / power, a%power == 0 })
	case name == "int":
		bad := b.reason(e.ID(), notAnInt)
		return parseKernel(x.kernel, func(s string) (int64, uint16) {
			v, err := strconv.ParseInt(s, 10, 64)
			return v, reasonIf(err != nil, bad)
		})
	case x.typ.Kind == column.Int:
		return checkedUnary(x.kernel, b.reason(e.ID(), decimalOverflow), func(a int64) (int64, bool) { return a, !outOfRange(a) })
	default:
		return parseKernel(x.kernel, b.decimalReader(e, len(args) == 1, t.Scale))
	}
}

// decimalReader reads a text as a decimal: a constant of its own scale, or a
// text of the scale that the definition gives.
func (b *builder) decimalReader(e ast.Expr, constant bool, scale int) func(string) (int64, uint16) {
	reasons := map[error]uint16{
		errNoNumber:   b.reason(e.ID(), notADecimal),
		errFraction:   b.reason(e.ID(), manyDigits),
		errManyDigits: b.reason(e.ID(), decimalOverflow),
	}
	return func(s string) (v int64, reason uint16) {
		var err error
		if constant {
			v, _, err = parseDecimalLiteral(s)
		} else {
			v, err = parseDecimal(s, scale)
		}
		if err != nil {
			return 0, reasons[err]
		}
		return v, present
	}
}

func reasonIf(bad bool, reason uint16) uint16 {
	if bad {
		return reason
	}
	return present
}

// parseKernel reads texts; a state other than present fails the row.
func parseKernel(arg kernel, read func(string) (int64, uint16)) kernel {
	return func(b *batch) values {
		a := arg(b)
		m := marks{b: b, state: a.state}
		out := b.ints.take(b.n)
		for i, s := range a.texts {
			if m.skip(i) {
				out[i] = 0
				continue
			}
			v, reason := read(s)
			if reason != present {
				m.fail(i, reason)
			}
			out[i] = v
		}
		return values{state: m.state, ints: out}
	}
}

// formatKernel writes values as text.
func formatKernel(x node) kernel {
	format := formatterOf(x.typ)
	return func(b *batch) values {
		a := x.kernel(b)
		out := values{state: a.state, texts: b.texts.take(b.n)}
		m := marks{state: a.state}
		var buffer []byte
		for i, v := range a.ints {
			if m.skip(i) {
				out.texts[i] = ""
				continue
			}
			buffer = format(buffer[:0], v)
			out.texts[i] = string(buffer)
		}
		return out
	}
}

func formatterOf(t column.Type) func(dst []byte, v int64) []byte {
	switch t.Kind {
	case column.Decimal:
		return func(dst []byte, v int64) []byte { return appendDecimal(dst, v, t.Scale) }
	case column.Bool:
		return func(dst []byte, v int64) []byte { return strconv.AppendBool(dst, v != 0) }
	case column.Date:
		return appendDate
	case column.Timestamp:
		return func(dst []byte, v int64) []byte { return time.UnixMicro(v).UTC().AppendFormat(dst, time.RFC3339Nano) }
	default:
		return func(dst []byte, v int64) []byte { return strconv.AppendInt(dst, v, 10) }
	}
}

func appendDate(dst []byte, days int64) []byte {
	return time.Unix(days*secondsPerDay, 0).UTC().AppendFormat(dst, time.DateOnly)
}
