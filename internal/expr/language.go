package expr

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/checker"
	"cel.dev/cel-go/common/containers"
	"cel.dev/cel-go/common/decls"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"github.com/watershed-data/watershed/internal/column"
)

// The language's types as the checker sees them. Decimals carry no scale here:
// settle infers it, since the checker's types cannot.
var (
	textType      = types.StringType
	intType       = types.IntType
	boolType      = types.BoolType
	floatType     = types.DoubleType
	decimalType   = types.NewOpaqueType("decimal")
	dateType      = types.NewOpaqueType("date")
	timestampType = types.NewOpaqueType("timestamp")
	listType      = types.NewListType(types.DynType)
)

var checkedTypes = map[column.Kind]*types.Type{
	column.String: textType, column.Int: intType, column.Bool: boolType, column.Float: floatType,
	column.Decimal: decimalType, column.Date: dateType, column.Timestamp: timestampType,
}

// numbers are the types that mix in one operator; settle brings both sides to
// one type.
var numbers = []*types.Type{intType, decimalType, floatType}

// Functions that the compiler adds and a user cannot write.
const (
	coalesceFunction = "coalesce"
	decimalFunction  = "decimal"
	rescaleFunction  = "@rescale" // decimal and a larger scale
)

// maxArguments bounds a list of arguments; only coalesce gets near it.
const maxArguments = 100

// signature is one way to call a function.
type signature struct {
	args   []*types.Type
	result *types.Type
}

// function is one function or operator of the language.
type function struct {
	name       string // as cel-go knows it
	remedy     string // how to call it
	method     bool   // x.name(...) works besides name(x, ...)
	signatures []signature
}

func takes(result *types.Type, args ...*types.Type) signature {
	return signature{args: args, result: result}
}

// pairs gives signatures for two arguments of one type, and for every mixture
// of two numbers if mixed gives its result.
func pairs(result func(a, b *types.Type) *types.Type, same ...*types.Type) []signature {
	var out []signature
	for _, t := range same {
		out = append(out, takes(result(t, t), t, t))
	}
	for _, a := range numbers {
		for _, b := range numbers {
			out = append(out, takes(result(a, b), a, b))
		}
	}
	return out
}

func alwaysBool(_, _ *types.Type) *types.Type { return boolType }

// exactResult is the type of arithmetic: a float literal becomes a decimal.
func exactResult(a, b *types.Type) *types.Type {
	if a == intType && b == intType {
		return intType
	}
	return decimalType
}

// branchResult is the type of one of two values.
func branchResult(a, b *types.Type) *types.Type {
	switch {
	case a == b:
		return a
	case a == decimalType || b == decimalType:
		return decimalType
	default:
		return floatType
	}
}

func conditional() []signature {
	var out []signature
	for _, s := range pairs(branchResult, textType, boolType, dateType, timestampType) {
		out = append(out, takes(s.result, append([]*types.Type{boolType}, s.args...)...))
	}
	return out
}

func membership() []signature {
	var out []signature
	for _, t := range []*types.Type{textType, intType, decimalType, floatType, boolType, dateType, timestampType} {
		out = append(out, takes(boolType, t, listType))
	}
	return out
}

const (
	arithmeticRemedy = "takes ints and decimals (floats can only be compared; declare the column decimal(p,s)); convert a string with int(x) or decimal(x, scale)"
	compareRemedy    = "compares two numbers, two strings, two dates or two timestamps; convert one side with string(x), as in string(due) > '2014-11-01', int(x) or decimal(x, scale)"
	equalRemedy      = "needs the same type on both sides; convert one side with string(x), int(x) or decimal(x, scale)"
	logicRemedy      = "needs bools: compare the value with something, for instance qty > 0"
)

// language is everything an expression can call.
var language = []function{
	{name: operators.Add, remedy: "+ adds ints and decimals or joins two strings; convert one side with string(x), int(x) or decimal(x, scale)",
		signatures: append(pairs(exactResult), takes(textType, textType, textType))},
	{name: operators.Subtract, remedy: "- " + arithmeticRemedy, signatures: pairs(exactResult)},
	{name: operators.Multiply, remedy: "* " + arithmeticRemedy, signatures: pairs(exactResult)},
	{name: operators.Negate, remedy: "- " + arithmeticRemedy, signatures: []signature{takes(intType, intType), takes(decimalType, decimalType)}},
	{name: operators.Less, remedy: "< " + compareRemedy, signatures: pairs(alwaysBool, textType, dateType, timestampType)},
	{name: operators.LessEquals, remedy: "<= " + compareRemedy, signatures: pairs(alwaysBool, textType, dateType, timestampType)},
	{name: operators.Greater, remedy: "> " + compareRemedy, signatures: pairs(alwaysBool, textType, dateType, timestampType)},
	{name: operators.GreaterEquals, remedy: ">= " + compareRemedy, signatures: pairs(alwaysBool, textType, dateType, timestampType)},
	{name: operators.Equals, remedy: "== " + equalRemedy, signatures: pairs(alwaysBool, textType, boolType, dateType, timestampType)},
	{name: operators.NotEquals, remedy: "!= " + equalRemedy, signatures: pairs(alwaysBool, textType, boolType, dateType, timestampType)},
	{name: operators.LogicalAnd, remedy: "&& " + logicRemedy, signatures: []signature{takes(boolType, boolType, boolType)}},
	{name: operators.LogicalOr, remedy: "|| " + logicRemedy, signatures: []signature{takes(boolType, boolType, boolType)}},
	{name: operators.LogicalNot, remedy: "! " + logicRemedy, signatures: []signature{takes(boolType, boolType)}},
	{name: operators.Conditional, remedy: "write condition ? value : other with a bool condition and two values of one type", signatures: conditional()},
	{name: operators.In, remedy: "write x in ['a', 'b'] with constants of the type of x; for a part of a string write contains(s, part)", signatures: membership()},

	{name: "lower", method: true, remedy: "write lower(s) with a string", signatures: []signature{takes(textType, textType)}},
	{name: "upper", method: true, remedy: "write upper(s) with a string", signatures: []signature{takes(textType, textType)}},
	{name: "trim", method: true, remedy: "write trim(s) with a string", signatures: []signature{takes(textType, textType)}},
	{name: "substr", method: true, remedy: "write substr(s, from, length) with a string and two ints; from counts from 0",
		signatures: []signature{takes(textType, textType, intType, intType)}},
	{name: "size", method: true, remedy: "write size(s) with a string", signatures: []signature{takes(intType, textType)}},
	{name: "contains", method: true, remedy: "write contains(s, part) with two strings", signatures: []signature{takes(boolType, textType, textType)}},
	{name: "startsWith", method: true, remedy: "write startsWith(s, prefix) with two strings", signatures: []signature{takes(boolType, textType, textType)}},
	{name: "endsWith", method: true, remedy: "write endsWith(s, suffix) with two strings", signatures: []signature{takes(boolType, textType, textType)}},
	{name: "matches", method: true, remedy: "write matches(s, '^[0-9]+$') with a string and a regular expression (RE2) in quotes",
		signatures: []signature{takes(boolType, textType, textType)}},
	{name: "replace", method: true, remedy: "write replace(s, old, new) with three strings",
		signatures: []signature{takes(textType, textType, textType, textType)}},

	{name: "int", remedy: "write int(x) with a string, an int or a decimal",
		signatures: []signature{takes(intType, intType), takes(intType, textType), takes(intType, decimalType)}},
	{name: "string", remedy: "write string(x) with a string, int, decimal, bool, date or timestamp",
		signatures: []signature{takes(textType, textType), takes(textType, intType), takes(textType, decimalType), takes(textType, boolType),
			takes(textType, dateType), takes(textType, timestampType)}},
	{name: decimalFunction, remedy: `write decimal(n) with an int, decimal("0.5") with a number in quotes, or decimal(s, scale) with a string and its digits after the point`,
		signatures: []signature{takes(decimalType, intType), takes(decimalType, decimalType), takes(decimalType, floatType),
			takes(decimalType, textType), takes(decimalType, textType, intType)}},

	{name: "year", method: true, remedy: "write year(t) with a timestamp or a date", signatures: timePart(timestampType, dateType)},
	{name: "month", method: true, remedy: "write month(t) with a timestamp or a date", signatures: timePart(timestampType, dateType)},
	{name: "day", method: true, remedy: "write day(t) with a timestamp or a date", signatures: timePart(timestampType, dateType)},
	{name: "weekday", method: true, remedy: "write weekday(t) with a timestamp or a date; Monday is 1, Sunday is 7", signatures: timePart(timestampType, dateType)},
	{name: "hour", method: true, remedy: "write hour(t) with a timestamp; a date has no hour", signatures: timePart(timestampType)},

	{name: coalesceFunction, remedy: "write coalesce(a, b) with two or more values of one type", signatures: pairs(branchResult, textType, boolType, dateType, timestampType)},
	{name: rescaleFunction, signatures: []signature{takes(decimalType, decimalType, intType)}},
}

func timePart(of ...*types.Type) []signature {
	var out []signature
	for _, t := range of {
		out = append(out, takes(intType, t))
	}
	return out
}

var functionsByName = func() map[string]function {
	m := map[string]function{}
	for _, f := range language {
		m[f.name] = f
	}
	return m
}()

// callableNames are the functions a user can name, sorted.
var callableNames = func() []string {
	var names []string
	for _, f := range language {
		if c := f.name[0]; c >= 'a' && c <= 'z' {
			names = append(names, f.name)
		}
	}
	slices.Sort(names)
	return names
}()

// overloadID names a signature, for instance substr(string,int,int).
func overloadID(name string, args []*types.Type, method bool) string {
	texts := make([]string, len(args))
	for i, t := range args {
		texts[i] = t.String()
	}
	if method {
		return fmt.Sprintf("%s.%s(%s)", texts[0], name, strings.Join(texts[1:], ","))
	}
	return fmt.Sprintf("%s(%s)", name, strings.Join(texts, ","))
}

// declarations gives the language to cel-go. The options of each overload, if
// any, come from bind.
func declarations(bind func(name string) []decls.OverloadOpt) ([]*decls.FunctionDecl, error) {
	var out []*decls.FunctionDecl
	for _, f := range language {
		var options []decls.OverloadOpt
		if bind != nil {
			options = bind(f.name)
		}
		var opts []decls.FunctionOpt
		for _, s := range f.signatures {
			opts = append(opts, decls.Overload(overloadID(f.name, s.args, false), s.args, s.result, options...))
			if f.method {
				opts = append(opts, decls.MemberOverload(overloadID(f.name, s.args, true), s.args, s.result, options...))
			}
		}
		d, err := decls.NewFunction(f.name, opts...)
		if err != nil {
			return nil, fmt.Errorf("declaring %s: %w", f.name, err)
		}
		out = append(out, d)
	}
	return out, nil
}

// languageChecker is the checker's environment without columns.
var languageChecker = sync.OnceValues(func() (*checker.Env, error) {
	env, err := checker.NewEnv(containers.DefaultContainer, types.NewEmptyRegistry())
	if err != nil {
		return nil, fmt.Errorf("making the checker: %w", err)
	}
	functions, err := declarations(nil)
	if err != nil {
		return nil, err
	}
	if err := env.AddFunctions(functions...); err != nil {
		return nil, fmt.Errorf("declaring functions: %w", err)
	}
	return env, nil
})

// columnChecker is the checker's environment for expressions over the columns.
func columnChecker(columns map[string]column.Type) (*checker.Env, error) {
	base, err := languageChecker()
	if err != nil {
		return nil, err
	}
	env, err := checker.NewEnv(containers.DefaultContainer, types.NewEmptyRegistry(), checker.ValidatedDeclarations(base))
	if err != nil {
		return nil, fmt.Errorf("making the checker: %w", err)
	}
	for name, t := range columns {
		checked := checkedTypes[t.Kind]
		if checked == nil {
			continue // vet refuses expressions that read it
		}
		if err := env.AddIdents(decls.NewVariable(name, checked)); err != nil {
			return nil, fmt.Errorf("declaring column %s: %w", name, err)
		}
	}
	return env, nil
}
