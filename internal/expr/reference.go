package expr

import (
	"errors"
	"fmt"
	"math/big"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/decls"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/watershed-data/watershed/internal/column"
)

// reference evaluates the settled tree with cel-go's own evaluator and the
// functions of bindings.go. A null is one of cel-go's unknowns: those are
// absorbed by && and || as SQL's nulls are, and pass through everything else.
type reference struct {
	program cel.Program
	types   map[string]column.Type
	zone    *time.Location
	snippet func(id int64) string
}

// referenceLanguage is cel-go's environment with the functions of bindings.go.
var referenceLanguage = sync.OnceValues(func() (*cel.Env, error) {
	bindings := bindings()
	functions, err := declarations(func(name string) []decls.OverloadOpt {
		f, ok := bindings[name]
		if !ok {
			return nil // cel-go evaluates it by itself
		}
		opts := []decls.OverloadOpt{decls.FunctionBinding(f)}
		if name == coalesceFunction {
			opts = append(opts, decls.OverloadIsNonStrict())
		}
		return opts
	})
	if err != nil {
		return nil, err
	}
	env, err := cel.NewCustomEnv(cel.ClearMacros(), cel.FunctionDecls(functions...))
	if err != nil {
		return nil, fmt.Errorf("making cel-go's environment: %w", err)
	}
	return env, nil
})

func newReference(c *compilation, zone *time.Location) (*reference, error) {
	env, err := referenceLanguage()
	if err != nil {
		return nil, err
	}
	program, err := env.PlanProgram(c.tree)
	if err != nil {
		return nil, fmt.Errorf("planning with cel-go: %w", err)
	}
	return &reference{program: program, types: c.columns, zone: zone, snippet: c.snippet}, nil
}

func (r *reference) eval(e *Expr, get func(name string) column.Value) (column.Value, error) {
	row := make(map[string]any, len(e.Columns))
	for _, name := range e.Columns {
		row[name] = r.value(get(name), name)
	}
	out, _, err := r.program.Eval(row)
	var failure *types.Err
	if errors.As(err, &failure) {
		return column.Null, errors.New(reasonText(failure.Unwrap().Error(), r.snippet(failure.NodeID())))
	}
	if err != nil {
		return column.Null, fmt.Errorf("evaluating with cel-go: %w", err)
	}
	return columnValue(out, e.Type)
}

// value gives a column's value to cel-go.
func (r *reference) value(v column.Value, name string) ref.Val {
	if v.Null {
		return types.NewUnknown(0, types.NewAttributeTrail(name))
	}
	switch t := r.types[name]; t.Kind {
	case column.String:
		return types.String(v.Str)
	case column.Float:
		return types.Double(v.Float)
	case column.Bool:
		return types.Bool(v.Int != 0)
	case column.Decimal:
		return exact{digits: big.NewInt(v.Int), scale: t.Scale}
	case column.Date:
		return dateValue{time.Unix(v.Int*secondsPerDay, 0).UTC()}
	case column.Timestamp:
		return instantValue{time.UnixMicro(v.Int).In(r.zone)}
	default:
		return types.Int(v.Int)
	}
}

// columnValue takes a result of cel-go back.
func columnValue(v ref.Val, t column.Type) (column.Value, error) {
	switch v := v.(type) {
	case *types.Unknown:
		return column.Null, nil
	case types.String:
		return column.Value{Str: string(v)}, nil
	case types.Double:
		return column.Value{Float: float64(v)}, nil
	case types.Bool:
		return boolValue(bool(v)), nil
	case types.Int:
		return column.Value{Int: int64(v)}, nil
	case dateValue:
		return column.Value{Int: v.Unix() / secondsPerDay}, nil
	case instantValue:
		return column.Value{Int: v.UnixMicro()}, nil
	case exact:
		if v.scale == t.Scale {
			return column.Value{Int: v.digits.Int64()}, nil
		}
		return column.Null, fmt.Errorf("evaluating with cel-go: scale %d instead of %d", v.scale, t.Scale)
	}
	return column.Null, fmt.Errorf("evaluating with cel-go: a %T where a %s belongs", v, t)
}
