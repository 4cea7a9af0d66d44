package expr

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/watershed-data/watershed/internal/column"
)

// testColumns are the columns of generated expressions.
var testColumns = map[string]column.Type{
	"name": {Kind: column.String}, "code": {Kind: column.String}, "digits": {Kind: column.String},
	"qty": {Kind: column.Int}, "big": {Kind: column.Int},
	"price": {Kind: column.Decimal, Precision: 12, Scale: 2}, "whole": {Kind: column.Decimal, Precision: 18},
	"rate": {Kind: column.Decimal, Precision: 18, Scale: 6},
	"ok":   {Kind: column.Bool}, "paid": {Kind: column.Bool},
	"born": {Kind: column.Date}, "sold": {Kind: column.Timestamp}, "sent": {Kind: column.Timestamp},
	"temp": {Kind: column.Float}, "heat": {Kind: column.Float},
}

// generator writes well-typed expressions and rows for them.
type generator struct{ *rand.Rand }

func (g generator) pick(options ...string) string { return options[g.IntN(len(options))] }

// of writes an expression of a kind.
func (g generator) of(kind column.Kind, depth int) string {
	if depth > 0 && g.IntN(6) == 0 {
		return g.branches(kind, depth-1)
	}
	switch kind {
	case column.Bool:
		return g.condition(depth - 1)
	case column.String:
		return g.text(depth - 1)
	case column.Int:
		return g.int(depth - 1)
	case column.Decimal:
		return g.decimal(depth - 1)
	case column.Float:
		return g.pick("temp", "heat", "0.5", "-1.25e3")
	case column.Date:
		return "born"
	default:
		return g.pick("sold", "sent")
	}
}

func (g generator) branches(kind column.Kind, depth int) string {
	a, b := g.of(kind, depth), g.of(kind, depth)
	if kind == column.Decimal && g.IntN(3) == 0 {
		b = g.of(column.Int, depth)
	}
	if g.IntN(2) == 0 {
		return fmt.Sprintf("coalesce(%s, %s, %s)", a, b, g.of(kind, depth))
	}
	return fmt.Sprintf("(%s ? %s : %s)", g.of(column.Bool, depth), a, b)
}

func (g generator) number(depth int) string {
	switch g.IntN(4) {
	case 0:
		return g.pick("0.5", "1.00", "-0.125", ".75", "2.5e2")
	case 1:
		return g.of(column.Int, depth)
	default:
		return g.of(column.Decimal, depth)
	}
}

func (g generator) condition(depth int) string {
	if depth < 0 {
		return g.pick("ok", "paid", "true", "false")
	}
	compare := g.pick("<", "<=", ">", ">=", "==", "!=")
	switch g.IntN(14) {
	case 0, 1:
		return fmt.Sprintf("(%s && %s)", g.condition(depth-1), g.condition(depth-1))
	case 2, 3:
		return fmt.Sprintf("(%s || %s)", g.condition(depth-1), g.condition(depth-1))
	case 4:
		return fmt.Sprintf("!(%s)", g.condition(depth-1))
	case 5:
		kind := []column.Kind{column.String, column.Int, column.Date, column.Timestamp, column.Float}[g.IntN(5)]
		return fmt.Sprintf("%s %s %s", g.of(kind, depth), compare, g.of(kind, depth))
	case 6, 7:
		return fmt.Sprintf("%s %s %s", g.of(column.Decimal, depth), compare, g.number(depth))
	case 8:
		return fmt.Sprintf("%s %s %s", g.number(depth), compare, g.of(column.Decimal, depth))
	case 9:
		return fmt.Sprintf("%s %s %s", g.pick("temp", "heat"), compare, g.pick("0", "-7", "0.1", "heat", "temp"))
	case 10:
		return g.membership(depth)
	case 11:
		return fmt.Sprintf("%s(%s, %s)", g.pick("contains", "startsWith", "endsWith"), g.text(depth-1), g.text(depth-1))
	case 12:
		return fmt.Sprintf("matches(%s, %s)", g.text(depth-1), g.pick("'^a'", "'[0-9]+'", "r'\\s'", "'é|ß'", "''"))
	default:
		return fmt.Sprintf("((%s) %s (%s))", g.condition(depth-1), g.pick("==", "!="), g.condition(depth-1))
	}
}

func (g generator) membership(depth int) string {
	switch g.IntN(5) {
	case 0:
		return fmt.Sprintf("%s in ['a', 'Straße', '', '12']", g.text(depth-1))
	case 1:
		return fmt.Sprintf("%s in [1, -3, 5, 0, 9223372036854775807]", g.int(depth-1))
	case 2:
		return fmt.Sprintf("%s in [1, 2.5, decimal('12.50'), 0, -0.000001]", g.decimal(depth-1))
	case 3:
		return fmt.Sprintf("%s in [1, 0.5, 2, 3, 4, 5, 6, 7, 8, 9, 10]", g.of(column.Float, 0))
	default:
		return fmt.Sprintf("%s in []", g.text(depth-1))
	}
}

func (g generator) text(depth int) string {
	if depth < 0 {
		return g.pick("name", "code", "digits", "'a'", "''", "'Ünï\\u00df'", `"12.5"`)
	}
	switch g.IntN(8) {
	case 0:
		return fmt.Sprintf("(%s + %s)", g.text(depth-1), g.text(depth-1))
	case 1:
		return fmt.Sprintf("%s(%s)", g.pick("lower", "upper", "trim"), g.text(depth-1))
	case 2:
		return fmt.Sprintf("%s.%s()", g.pick("name", "code"), g.pick("lower", "upper", "trim"))
	case 3:
		return fmt.Sprintf("substr(%s, %s, %s)", g.text(depth-1), g.small(depth), g.small(depth))
	case 4:
		return fmt.Sprintf("replace(%s, %s, %s)", g.text(depth-1), g.text(-1), g.text(-1))
	case 5:
		kind := []column.Kind{column.String, column.Int, column.Decimal, column.Bool, column.Date, column.Timestamp}[g.IntN(6)]
		return fmt.Sprintf("string(%s)", g.of(kind, depth))
	default:
		return g.text(-1)
	}
}

func (g generator) small(depth int) string {
	if g.IntN(4) == 0 {
		return g.int(depth - 1)
	}
	return g.pick("0", "1", "2", "3", "-1", "100", "9223372036854775807")
}

func (g generator) int(depth int) string {
	if depth < 0 {
		return g.pick("qty", "big", "0", "1", "-3", "1000000007")
	}
	switch g.IntN(9) {
	case 0, 1:
		return fmt.Sprintf("(%s %s %s)", g.int(depth-1), g.pick("+", "-", "*"), g.int(depth-1))
	case 2:
		return fmt.Sprintf("-(%s)", g.int(depth-1))
	case 3:
		return fmt.Sprintf("size(%s)", g.text(depth-1))
	case 4:
		return fmt.Sprintf("int(%s)", g.text(depth-1))
	case 5:
		return fmt.Sprintf("int(%s)", g.decimal(depth-1))
	case 6:
		return fmt.Sprintf("%s(%s)", g.pick("year", "month", "day", "weekday"), g.pick("born", "sold", "sent"))
	case 7:
		return fmt.Sprintf("hour(%s)", g.pick("sold", "sent"))
	default:
		return g.int(-1)
	}
}

func (g generator) decimal(depth int) string {
	if depth < 0 {
		return g.pick("price", "whole", "rate", "decimal('0.5')", "decimal(3)", "decimal(-1.25)")
	}
	switch g.IntN(7) {
	case 0, 1, 2:
		a, b := g.decimal(depth-1), g.number(depth-1)
		if g.IntN(2) == 0 {
			a, b = b, a
		}
		return fmt.Sprintf("(%s %s %s)", a, g.pick("+", "-", "*"), b)
	case 3:
		return fmt.Sprintf("decimal(%s, %d)", g.text(depth-1), g.IntN(19))
	case 4:
		return fmt.Sprintf("decimal(%s)", g.int(depth-1))
	case 5:
		return fmt.Sprintf("-(%s)", g.decimal(depth-1))
	default:
		return g.decimal(-1)
	}
}

// batch makes n rows of the test columns.
func (g generator) batch(n int) map[string]*column.Vector {
	out := map[string]*column.Vector{}
	for name, t := range testColumns {
		v := column.NewVector(t, n)
		nulls := g.IntN(3) > 0 // some columns have none
		for i := range n {
			if !nulls || g.IntN(4) > 0 {
				v.Set(i, g.value(name, t))
			}
		}
		out[name] = v
	}
	return out
}

func (g generator) value(name string, t column.Type) column.Value {
	switch t.Kind {
	case column.String:
		if name == "digits" {
			return column.Value{Str: g.pick("0", "12", "-7", "+5", "12.50", "0.001", "1.", ".5", "1e3", " 1", "9223372036854775807", "9223372036854775808",
				"999999999999999999", "1000000000000000000", "-999999999999999999.990", "0000000000000000000000012", "１２", "")}
		}
		return column.Value{Str: g.pick("", "a", "abc", "Straße", "ÀÉÎ", "日本語テキスト", "😀 smile", "\x00nul", " \t\u00a0pad\u2003 ", "İı", "ǅ", "12", "a'b\"c\\", strings.Repeat("x", 300))}
	case column.Int:
		return column.Value{Int: g.extreme(math.MinInt64, math.MaxInt64)}
	case column.Decimal:
		limit := powersOfTen[t.Precision] - 1
		return column.Value{Int: g.extreme(-limit, limit)}
	case column.Bool:
		return column.Value{Int: g.Int64N(2)}
	case column.Date:
		return column.Value{Int: g.Int64N(3652059-2) - 719162 + 1} // years 1 to 9999
	case column.Timestamp:
		return column.Value{Int: g.instant()}
	default:
		values := []float64{0, math.Copysign(0, -1), 0.1, 0.5, 1, -7, 1e300, math.Inf(1), math.Inf(-1), math.NaN(), math.SmallestNonzeroFloat64}
		return column.Value{Float: values[g.IntN(len(values))]}
	}
}

func (g generator) extreme(low, high int64) int64 {
	switch g.IntN(5) {
	case 0:
		return []int64{low, high, low + 1, high - 1, 0, 1, -1}[g.IntN(7)]
	case 1:
		return min(max(g.Int64()-math.MaxInt64/2, low), high)
	default:
		return min(max(g.Int64N(2001)-1000, low), high)
	}
}

func (g generator) instant() int64 {
	if g.IntN(2) == 0 {
		return (g.Int64N(315537897599) - 62135596800) * 1_000_000 // years 1 to 9999
	}
	return 1_400_000_000_000_000 + g.Int64N(86_400_000_000*365*20)
}
