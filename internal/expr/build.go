package expr

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"github.com/watershed-data/watershed/internal/column"
)

// builder turns the settled tree into kernels.
type builder struct {
	*compilation
	names   []string // Expr.Columns
	zone    *time.Location
	reasons []string
}

// maxReasons is what a row's state can number.
const maxReasons = 1<<16 - 1 - int(failed)

// reason registers why rows may fail at a node, and gives its state.
func (b *builder) reason(id int64, kind string) uint16 {
	text := reasonText(kind, b.snippet(id))
	at := slices.Index(b.reasons, text)
	if at < 0 {
		at = len(b.reasons)
		b.reasons = append(b.reasons, text)
	}
	return uint16(at) + failed
}

func reasonText(kind, snippet string) string { return kind + " in " + snippet }

// What can fail in a row. No reason holds a value of the row: they are counted.
const (
	intOverflow     = "int overflow"
	decimalOverflow = "decimal overflow"
	notAnInt        = "text is not an int"
	notADecimal     = "text is not a decimal"
	manyDigits      = "text has more digits after the point than the scale"
	notWhole        = "decimal is not a whole number"
	textTooLong     = "text longer than 1 MiB"
)

// maxText bounds the bytes of a text that + or replace makes: a page of events
// makes thousands of them at once.
const maxText = 64 << 10

func (b *builder) build(e ast.Expr) (node, *Error) {
	switch e.Kind() {
	case ast.IdentKind:
		name := e.AsIdent()
		return columnNode(slices.Index(b.names, name), b.columns[name]), nil
	case ast.LiteralKind:
		return constantNode(literalValue(e), b.types[e.ID()]), nil
	}
	call := e.AsCall()
	args := arguments(call)
	if call.FunctionName() == operators.In {
		args = append([]ast.Expr{args[0]}, args[1].AsList().Elements()...)
	}
	nodes := make([]node, len(args))
	for i, a := range args {
		n, err := b.build(a)
		if err != nil {
			return node{}, err
		}
		nodes[i] = n
	}
	k := b.call(e, call.FunctionName(), nodes)
	if k == nil {
		return node{}, b.errorAt(e.ID(), "this is a defect: report it with the expression", "%s cannot be computed", b.snippet(e.ID()))
	}
	return b.fold(e, node{kernel: k, typ: b.types[e.ID()]}, nodes)
}

func literalValue(e ast.Expr) column.Value {
	switch v := e.AsLiteral().(type) {
	case types.Int:
		return column.Value{Int: int64(v)}
	case types.Double:
		return column.Value{Float: float64(v)}
	case types.Bool:
		return boolValue(bool(v))
	case types.String:
		return column.Value{Str: string(v)}
	}
	return column.Null
}

func boolValue(v bool) column.Value {
	if v {
		return column.Value{Int: 1}
	}
	return column.Value{}
}

// fold computes a node of constants once. One that fails would fail on every
// row, so it is an error of the definition.
func (b *builder) fold(e ast.Expr, n node, args []node) (node, *Error) {
	for _, a := range args {
		if a.constant == nil {
			return n, nil
		}
	}
	one := &batch{n: 1}
	result, failures := one.vector(n.kernel(one), n.typ, b.reasons)
	if reason, bad := failures[0]; bad {
		return node{}, b.errorAt(e.ID(), "it has the same value on every row: write a constant that works", "%s", reason)
	}
	return constantNode(result.At(0), n.typ), nil
}

// call gives the kernel of a call; nil if there is none.
func (b *builder) call(e ast.Expr, name string, args []node) kernel {
	switch name {
	case operators.LogicalAnd:
		return andKernel(args[0].kernel, args[1].kernel)
	case operators.LogicalOr:
		return orKernel(args[0].kernel, args[1].kernel)
	case operators.LogicalNot:
		return notKernel(args[0].kernel)
	case operators.Conditional:
		return conditionalKernel(args[0].kernel, args[1].kernel, args[2])
	case coalesceFunction:
		return coalesceKernel(args[0].kernel, args[1])
	case operators.In:
		return inKernel(args[0], args[1:])
	case operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		return compareKernel(name, args[0], args[1])
	case operators.Add, operators.Subtract, operators.Multiply, operators.Negate:
		return b.arithmetic(e, name, args)
	case "int", "string", decimalFunction, rescaleFunction:
		return b.conversion(e, name, args)
	case "year", "month", "day", "hour", "weekday":
		return timeKernel(name, args[0], b.zone)
	default:
		return b.textFunction(e, name, args)
	}
}

func (b *builder) textFunction(e ast.Expr, name string, args []node) kernel {
	switch name {
	case "lower", "upper", "trim":
		return mapTextKernel(name, args[0].kernel)
	case "size":
		return sizeKernel(args[0].kernel)
	case "substr":
		return substrKernel(args[0].kernel, args[1].kernel, args[2].kernel)
	case "contains", "startsWith", "endsWith":
		return searchKernel(name, args[0].kernel, args[1].kernel)
	case "matches":
		pattern, err := regexp.Compile(args[1].constant.Str)
		if err != nil {
			return nil
		}
		return matchesKernel(pattern, args[0].kernel)
	case "replace":
		return replaceKernel(b.reason(e.ID(), textTooLong), args[0].kernel, args[1].kernel, args[2].kernel)
	}
	return nil
}

// finish checks what only the whole tree shows.
func (b *builder) finish() *Error {
	if len(b.reasons) > maxReasons {
		return &Error{Message: fmt.Sprintf("the expression can fail in more than %d ways", maxReasons), Remedy: "split it over several set steps"}
	}
	return nil
}
