package expr

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/watershed-data/watershed/internal/column"
)

// settle infers the type of every node, scales of decimals included, and
// rewrites the checked tree so that both evaluators find operands of one type:
// a number beside a decimal becomes a decimal, a literal such as 0.5 beside one
// becomes decimal("0.5") from its own text, and the two values of ?: and
// coalesce get one scale.
func (c *compilation) settle(e ast.Expr) *Error {
	t, err := c.settledType(e)
	if err == nil {
		c.types[e.ID()] = t
	}
	return err
}

func (c *compilation) settledType(e ast.Expr) (column.Type, *Error) {
	switch e.Kind() {
	case ast.IdentKind:
		return c.columns[e.AsIdent()], nil
	case ast.LiteralKind:
		return literalType(e.AsLiteral()), nil
	default:
		return c.settleCall(e)
	}
}

func literalType(v ref.Val) column.Type {
	switch v.(type) {
	case types.Int:
		return column.Type{Kind: column.Int}
	case types.Double:
		return column.Type{Kind: column.Float}
	case types.Bool:
		return column.Type{Kind: column.Bool}
	default:
		return column.Type{Kind: column.String}
	}
}

func (c *compilation) settleCall(e ast.Expr) (column.Type, *Error) {
	name := e.AsCall().FunctionName()
	args := arguments(e.AsCall())
	if name == operators.In {
		return column.Type{Kind: column.Bool}, c.settleIn(e, args)
	}
	for _, a := range args {
		if err := c.settle(a); err != nil {
			return column.Type{}, err
		}
	}
	switch name {
	case operators.Add, operators.Subtract, operators.Multiply:
		return c.settleArithmetic(e, name, args[0], args[1])
	case operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		_, err := c.unify(e, args, 0)
		return column.Type{Kind: column.Bool}, err
	case operators.Conditional:
		return c.settleBranches(e, args, 1)
	case coalesceFunction:
		return c.settleBranches(e, args, 0)
	case operators.Negate:
		return c.types[args[0].ID()], nil
	case decimalFunction:
		return c.settleDecimal(e, args)
	case "matches":
		return column.Type{Kind: column.Bool}, c.vetPattern(args[1])
	default:
		return kindOf(c.tree.GetType(e.ID())), nil
	}
}

func kindOf(t *types.Type) column.Type {
	for kind, checked := range checkedTypes {
		if checked.IsExactType(t) {
			return column.Type{Kind: kind}
		}
	}
	return column.Type{}
}

// maxPattern bounds a pattern's bytes: repetitions make big programs of it.
const maxPattern = 1000

func (c *compilation) vetPattern(pattern ast.Expr) *Error {
	text, ok := textLiteral(pattern)
	if !ok {
		return c.errorAt(pattern.ID(), "write the pattern in quotes: matches(s, '^[0-9]+$')", "the pattern of matches must be a constant")
	}
	if len(text) > maxPattern {
		return c.errorAt(pattern.ID(), "write a shorter one, or several with ||", "the pattern has %d bytes; %d are allowed", len(text), maxPattern)
	}
	if _, err := regexp.Compile(text); err != nil {
		return c.errorAt(pattern.ID(), "write a regular expression of RE2; backslashes are easiest in r'...'", "the pattern is no regular expression: %s",
			strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return nil
}

func textLiteral(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().(types.String)
	return string(s), ok
}

// settleArithmetic gives ints an int, and everything else an exact decimal.
func (c *compilation) settleArithmetic(e ast.Expr, name string, a, b ast.Expr) (column.Type, *Error) {
	ta, tb := c.types[a.ID()], c.types[b.ID()]
	if ta.Kind == tb.Kind && (ta.Kind == column.Int || ta.Kind == column.String) {
		return ta, nil
	}
	args := []ast.Expr{a, b}
	for i, arg := range args {
		d, err := c.asDecimal(e, arg)
		if err != nil {
			return column.Type{}, err
		}
		args[i] = d
	}
	c.recall(e, name, args)
	ta, tb = c.types[args[0].ID()], c.types[args[1].ID()]
	if name == operators.Multiply {
		if ta.Scale+tb.Scale > column.MaxPrecision {
			return column.Type{}, c.errorAt(e.ID(), "multiply columns with fewer digits after the point",
				"%s has %d digits after the point; a decimal has at most %d", c.snippet(e.ID()), ta.Scale+tb.Scale, column.MaxPrecision)
		}
		return decimalOf(ta.Precision+tb.Precision, ta.Scale+tb.Scale), nil
	}
	t := widest(ta, tb)
	return decimalOf(t.Precision+1, t.Scale), nil
}

// widest is the decimal that holds every value of both, as far as 18 digits do.
func widest(a, b column.Type) column.Type {
	scale := max(a.Scale, b.Scale)
	return decimalOf(max(a.Precision-a.Scale, b.Precision-b.Scale)+scale, scale)
}

func decimalOf(precision, scale int) column.Type {
	return column.Type{Kind: column.Decimal, Precision: max(1, min(precision, column.MaxPrecision)), Scale: scale}
}

// settleBranches gives the two values of ?: or coalesce, which begin at
// argument first, one type.
func (c *compilation) settleBranches(e ast.Expr, args []ast.Expr, first int) (column.Type, *Error) {
	args, err := c.unify(e, args, first)
	if err != nil {
		return column.Type{}, err
	}
	ta, tb := c.types[args[first].ID()], c.types[args[first+1].ID()]
	if ta.Kind != column.Decimal {
		return ta, nil
	}
	t := widest(ta, tb)
	for i := first; i < first+2; i++ {
		args[i] = c.rescaled(e, args[i], t)
	}
	c.recall(e, e.AsCall().FunctionName(), args)
	return t, nil
}

// rescaled gives a decimal the scale of t, if it has less.
func (c *compilation) rescaled(owner, e ast.Expr, t column.Type) ast.Expr {
	if c.types[e.ID()].Scale == t.Scale {
		return e
	}
	scale := c.literal(owner, types.Int(t.Scale))
	return c.call(owner, rescaleFunction, t, decimalType, e, scale)
}

// unify brings the two arguments from first on to one type.
func (c *compilation) unify(e ast.Expr, args []ast.Expr, first int) ([]ast.Expr, *Error) {
	out := append([]ast.Expr(nil), args...)
	pair := out[first : first+2]
	ka, kb := c.types[pair[0].ID()].Kind, c.types[pair[1].ID()].Kind
	switch {
	case ka == kb:
		return out, nil
	case ka == column.Float && kb == column.Int && !c.compares(e, pair[0]):
		pair[1] = c.asFloat(e, pair[1])
	case kb == column.Float && ka == column.Int && !c.compares(e, pair[1]):
		pair[0] = c.asFloat(e, pair[0])
	default:
		for i := range pair {
			d, err := c.asDecimal(e, pair[i])
			if err != nil {
				return nil, err
			}
			pair[i] = d
		}
	}
	if pair[0] == nil || pair[1] == nil {
		return nil, c.errorAt(e.ID(), "floats compare with floats and with whole numbers written out, for instance 100", "%s mixes an int and a float", c.snippet(e.ID()))
	}
	c.recall(e, e.AsCall().FunctionName(), out)
	return out, nil
}

// compares tells whether e compares an int with a float literal: that is done
// exactly, as decimals. The values of ?: and coalesce stay floats.
func (c *compilation) compares(e, float ast.Expr) bool {
	name := e.AsCall().FunctionName()
	return float.Kind() == ast.LiteralKind && name != operators.Conditional && name != coalesceFunction
}

// asFloat turns an int literal into the same float; nil if there is none.
func (c *compilation) asFloat(owner, e ast.Expr) ast.Expr {
	if e.Kind() != ast.LiteralKind {
		return nil
	}
	n, ok := e.AsLiteral().(types.Int)
	if !ok || n > 1<<53 || n < -1<<53 {
		return nil
	}
	return c.literal(owner, types.Double(n))
}

// asDecimal turns a number into a decimal of the same value.
func (c *compilation) asDecimal(owner, e ast.Expr) (ast.Expr, *Error) {
	t := c.types[e.ID()]
	if t.Kind == column.Decimal {
		return e, nil
	}
	if e.Kind() == ast.LiteralKind {
		return c.literalDecimal(owner, e)
	}
	if t.Kind == column.Int {
		return c.call(owner, decimalFunction, decimalOf(column.MaxPrecision, 0), decimalType, e), nil
	}
	return nil, c.errorAt(owner.ID(), `a float is not exact: declare the column decimal(p,s), or write a constant as decimal("0.5"); floats can only be compared with floats`,
		"%s mixes a float with exact numbers", c.snippet(owner.ID()))
}

// literalDecimal turns a number literal into decimal("its text").
func (c *compilation) literalDecimal(owner, e ast.Expr) (ast.Expr, *Error) {
	text, ok := c.numberText(e)
	if !ok {
		return nil, c.errorAt(e.ID(), `write it as decimal("0.5")`, "the number cannot be read exactly")
	}
	value, scale, err := parseDecimalLiteral(text)
	if err != nil {
		return nil, c.errorAt(e.ID(), "write at most 18 digits, or compare with a float column", "%s is no decimal: %s", text, err)
	}
	return c.call(owner, decimalFunction, constantType(value, scale), decimalType, c.literal(owner, types.String(formatDecimal(value, scale)))), nil
}

func constantType(value int64, scale int) column.Type {
	digits := len(strconv.FormatInt(value, 10))
	if value < 0 {
		digits--
	}
	return decimalOf(max(digits, scale), scale)
}

var numberLiteral = regexp.MustCompile(`^(-?)[ \t\r\n\f]*((?:[0-9]+\.[0-9]+|[0-9]+|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)`)

// numberText gives a number literal's digits from the source, so that 0.1 is
// one tenth. It trusts them only if they read as the value that was parsed.
func (c *compilation) numberText(e ast.Expr) (string, bool) {
	if n, ok := e.AsLiteral().(types.Int); ok {
		return strconv.FormatInt(int64(n), 10), true
	}
	value, ok := e.AsLiteral().(types.Double)
	at := c.offset(e.ID())
	if !ok || at > len(c.text) {
		return "", false
	}
	m := numberLiteral.FindStringSubmatch(string(c.text[at:]))
	if m == nil {
		return "", false
	}
	text := m[1] + m[2]
	read, err := strconv.ParseFloat(text, 64)
	return text, err == nil && read == float64(value)
}

// settleDecimal settles the user's own decimal(...).
func (c *compilation) settleDecimal(e ast.Expr, args []ast.Expr) (column.Type, *Error) {
	remedy := functionsByName[decimalFunction].remedy
	if len(args) == 2 {
		scale, ok := args[1].AsLiteral().(types.Int)
		if args[1].Kind() != ast.LiteralKind || !ok || scale < 0 || scale > column.MaxPrecision {
			return column.Type{}, c.errorAt(args[1].ID(), "write it as a number, for instance decimal(s, 2)", "the scale must be a constant from 0 to %d", column.MaxPrecision)
		}
		return decimalOf(column.MaxPrecision, int(scale)), nil
	}
	switch t := c.types[args[0].ID()]; t.Kind {
	case column.Int:
		return decimalOf(column.MaxPrecision, 0), nil
	case column.Decimal:
		return t, nil
	case column.Float:
		if args[0].Kind() != ast.LiteralKind {
			return column.Type{}, c.errorAt(e.ID(), "declare the column decimal(p,s)", "a float has no exact decimal")
		}
		d, err := c.literalDecimal(e, args[0])
		if err != nil {
			return column.Type{}, err
		}
		c.recall(e, decimalFunction, []ast.Expr{d})
		return c.types[d.ID()], nil
	}
	text, ok := textLiteral(args[0])
	if !ok {
		return column.Type{}, c.errorAt(e.ID(), "give the digits after the point: decimal("+c.snippet(args[0].ID())+", 2)", "decimal of a string needs a scale")
	}
	value, scale, err := parseDecimalLiteral(text)
	if err != nil {
		return column.Type{}, c.errorAt(args[0].ID(), remedy, "%q is no decimal: %s", text, err)
	}
	return constantType(value, scale), nil
}

// settleIn gives the elements of a list the type of what is looked for.
func (c *compilation) settleIn(e ast.Expr, args []ast.Expr) *Error {
	if err := c.settle(args[0]); err != nil {
		return err
	}
	t := c.types[args[0].ID()]
	elements := append([]ast.Expr(nil), args[1].AsList().Elements()...)
	for i, element := range elements {
		if err := c.settle(element); err != nil {
			return err
		}
		if !isConstant(element) {
			return c.errorAt(element.ID(), "write constants in the list, and compare with columns by == and ||", "%s is not a constant", c.snippet(element.ID()))
		}
		fitted, err := c.fitElement(e, element, t)
		if err != nil {
			return err
		}
		elements[i] = fitted
	}
	list := c.factory.NewList(args[1].ID(), elements, nil)
	c.tree.SetType(list.ID(), listType)
	c.recall(e, operators.In, []ast.Expr{args[0], list})
	return nil
}

// isConstant accepts literals, and decimal of one.
func isConstant(e ast.Expr) bool {
	if e.Kind() != ast.CallKind {
		return e.Kind() == ast.LiteralKind
	}
	call := e.AsCall()
	if call.FunctionName() != decimalFunction {
		return false
	}
	for _, a := range call.Args() {
		if !isConstant(a) {
			return false
		}
	}
	return true
}

func (c *compilation) fitElement(owner, e ast.Expr, want column.Type) (ast.Expr, *Error) {
	have := c.types[e.ID()]
	switch {
	case have.Kind == want.Kind:
		return e, nil
	case want.Kind == column.Decimal && (have.Kind == column.Int || have.Kind == column.Float):
		return c.asDecimal(owner, e)
	case want.Kind == column.Float && have.Kind == column.Int:
		if f := c.asFloat(owner, e); f != nil {
			return f, nil
		}
	}
	return nil, c.errorAt(e.ID(), fmt.Sprintf("write constants of type %s in the list", want.Kind), "%s is %s, not %s",
		c.snippet(e.ID()), withArticle(have.Kind.String()), withArticle(want.Kind.String()))
}

// literal makes a literal node on behalf of owner.
func (c *compilation) literal(owner ast.Expr, v ref.Val) ast.Expr {
	e := c.factory.NewLiteral(c.newID(owner.ID()), v)
	c.types[e.ID()] = literalType(v)
	c.tree.SetType(e.ID(), v.Type().(*types.Type))
	return e
}

// call makes a call node on behalf of owner.
func (c *compilation) call(owner ast.Expr, name string, t column.Type, checked *types.Type, args ...ast.Expr) ast.Expr {
	e := c.factory.NewCall(c.newID(owner.ID()), name, args...)
	c.types[e.ID()] = t
	c.tree.SetType(e.ID(), checked)
	c.refer(e, name, args)
	return e
}

// recall gives a call other arguments, and the overload that fits them.
func (c *compilation) recall(e ast.Expr, name string, args []ast.Expr) {
	e.SetKindCase(c.factory.NewCall(e.ID(), name, args...))
	c.refer(e, name, args)
}

func (c *compilation) refer(e ast.Expr, name string, args []ast.Expr) {
	ts := make([]*types.Type, len(args))
	for i, a := range args {
		ts[i] = listType
		if t, ok := c.types[a.ID()]; ok {
			ts[i] = checkedTypes[t.Kind]
		}
	}
	c.tree.SetReference(e.ID(), ast.NewFunctionReference(overloadID(name, ts, false)))
}
