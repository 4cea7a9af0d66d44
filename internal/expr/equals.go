package expr

import (
	"fmt"
	"time"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"

	"github.com/watershed-data/watershed/internal/column"
)

// Equals reads a condition that names values of one column and does nothing else:
// column == value, or column in [value, ...]. The column is an int, a bool or a
// string. The error is an *Error.
func Equals(text, name string, t column.Type) ([]column.Value, error) {
	e, err := compile(text, map[string]column.Type{name: t}, time.UTC)
	if err != nil {
		return nil, err
	}
	tree, _, err := parse(text)
	if err != nil {
		return nil, err
	}
	values, ok := valuesOf(tree.Expr(), name, t)
	if !ok || e.Type.Kind != column.Bool {
		return nil, &Error{
			Message: "the condition does not name single values of " + name,
			Remedy:  fmt.Sprintf("write %[1]s == value, or %[1]s in [value, value]", name),
		}
	}
	return values, nil
}

func valuesOf(e ast.Expr, name string, t column.Type) ([]column.Value, bool) {
	if e.Kind() != ast.CallKind || len(e.AsCall().Args()) != 2 {
		return nil, false
	}
	left, right := e.AsCall().Args()[0], e.AsCall().Args()[1]
	list := []ast.Expr{right}
	switch e.AsCall().FunctionName() {
	case operators.Equals:
		if left.Kind() == ast.LiteralKind {
			left, list = right, []ast.Expr{left}
		}
	case operators.In:
		if right.Kind() != ast.ListKind {
			return nil, false
		}
		list = right.AsList().Elements()
	default:
		return nil, false
	}
	if left.Kind() != ast.IdentKind || left.AsIdent() != name {
		return nil, false
	}
	var values []column.Value
	for _, e := range list {
		v, ok := literalOf(e, t)
		if !ok {
			return nil, false
		}
		values = append(values, v)
	}
	return values, len(values) > 0
}

func literalOf(e ast.Expr, t column.Type) (v column.Value, ok bool) {
	if e.Kind() != ast.LiteralKind {
		return column.Null, false
	}
	switch value := e.AsLiteral().Value().(type) {
	case string:
		return column.Value{Str: value}, t.Kind == column.String
	case int64:
		return column.Value{Int: value}, t.Kind == column.Int
	case bool:
		if value {
			v.Int = 1
		}
		return v, t.Kind == column.Bool
	}
	return column.Null, false
}
