package viewfile

import (
	"fmt"
	"strings"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
)

// TimeColumn is the column with the start of a group's time bucket. A view with
// grain none has none.
const TimeColumn = "time"

// sumDigits is the precision of sums.
const sumDigits = 38

// Column is one column of a view file. Its type is the logical one: a decimal
// of 38 digits for sums, which column.Type does not allow elsewhere.
type Column struct {
	Name string
	Type column.Type
	List bool // it holds lists of such values, none of them null
}

// Layout is the columns of a view's files. Rows are ordered by time, then
// dimensions, nulls first.
type Layout struct {
	Timed  bool // there is a time column; it comes first
	Dims   []Column
	States [][]Column // per measure: one column; for avg the sum and the count; for quantiles the buckets and their counts
}

// NewLayout gives the layout of a view's files. It is an error if two columns
// would have the same name to an SQL engine, where case does not count.
func NewLayout(def *definition.Definition, v definition.View) (Layout, error) {
	l := Layout{Timed: v.Every != definition.None}
	for _, name := range v.By {
		c, ok := def.Column(name)
		if !ok {
			return Layout{}, fmt.Errorf("laying out view %s: there is no column %s", v.Name, name)
		}
		if c.Type.Kind == column.Float {
			return Layout{}, fmt.Errorf("laying out view %s: the float column %s cannot be a dimension", v.Name, name)
		}
		l.Dims = append(l.Dims, Column{Name: name, Type: c.Type})
	}
	for _, m := range v.Measures {
		columns, err := stateColumns(m)
		if err != nil {
			return Layout{}, fmt.Errorf("laying out view %s: %w", v.Name, err)
		}
		l.States = append(l.States, columns)
	}
	seen := map[string]bool{}
	for _, c := range l.Columns() {
		if key := strings.ToLower(c.Name); seen[key] {
			return Layout{}, fmt.Errorf("laying out view %s: two columns are called %s", v.Name, c.Name)
		} else {
			seen[key] = true
		}
	}
	return l, nil
}

func stateColumns(m definition.Measure) ([]Column, error) {
	count := column.Type{Kind: column.Int}
	sum := column.Type{Kind: column.Decimal, Precision: sumDigits, Scale: m.Type.Scale}
	switch m.Func {
	case definition.Count:
		return []Column{{Name: m.Name, Type: count}}, nil
	case definition.Sum:
		return []Column{{Name: m.Name, Type: sum}}, nil
	case definition.Avg:
		return []Column{{Name: m.Name + "_sum", Type: sum}, {Name: m.Name + "_count", Type: count}}, nil
	case definition.Distinct:
		return []Column{{Name: m.Name + "_hashes", Type: count, List: true}}, nil
	case definition.Quantiles:
		return []Column{{Name: m.Name + "_buckets", Type: count, List: true}, {Name: m.Name + "_counts", Type: count, List: true}}, nil
	case definition.Min, definition.Max:
		return []Column{{Name: m.Name, Type: m.Type}}, nil
	}
	return nil, fmt.Errorf("measure %s has the unknown function %s", m.Name, m.Func)
}

// Columns lists all columns in the order in which they are stored.
func (l Layout) Columns() []Column {
	var out []Column
	if l.Timed {
		out = append(out, Column{Name: TimeColumn, Type: column.Type{Kind: column.Timestamp}})
	}
	out = append(out, l.Dims...)
	for _, columns := range l.States {
		out = append(out, columns...)
	}
	return out
}
