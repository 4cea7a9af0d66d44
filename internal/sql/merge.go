package sql

import (
	"errors"
	"fmt"
	"strings"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/viewfile"
)

// states is the relation of all states that are merged.
const states = "ws_states"

// Merge gives the query that adds up states: over relations with the columns of
// viewfile.Layout, such as view files and the results of View, it gives one row
// for each group, in the same columns and the same order. A relation is what may
// stand behind FROM; the caller has quoted it.
func (d DuckDB) Merge(v definition.View, relations ...string) (string, error) {
	layout, err := viewfile.NewLayout(d.Def, v)
	if err != nil {
		return "", err
	}
	if len(relations) == 0 {
		return "", errors.New("rendering view " + v.Name + ": there is nothing to merge")
	}
	g := newGroups(duckDB, v, layout)
	columns := strings.Join(duckDB.names(layout.Columns()), ", ")
	all := make([]string, len(relations))
	for i, r := range relations {
		all[i] = "  SELECT " + columns + " FROM " + r
	}
	before := states + " AS (\n" + strings.Join(all, "\n  UNION ALL\n") + "\n)"
	selected := append([]string(nil), g.keys...)
	for i, m := range v.Measures {
		for _, c := range layout.States[i] {
			if !c.List {
				selected = append(selected, valueMerge(m, c)+" AS "+name(c.Name))
			}
		}
	}
	selected = append(selected, "count(*) AS "+parts)
	base := "SELECT " + strings.Join(selected, ", ") + "\nFROM " + states + g.groupBy()
	elements := func(m definition.Measure, columns []viewfile.Column) string {
		list := fmt.Sprintf("SELECT %sunnest(%s) AS %s", g.prefix(), name(columns[0].Name), element)
		if m.Func == definition.Quantiles {
			list += fmt.Sprintf(", unnest(%s) AS %s", name(columns[1].Name), times)
		}
		return list + " FROM " + states
	}
	return g.query([]string{before}, base, elements), nil
}

// valueMerge merges a state that is one value, or one part of a state.
func valueMerge(m definition.Measure, c viewfile.Column) string {
	of := name(c.Name)
	switch {
	case m.Func == definition.Min || m.Func == definition.Max:
		return string(m.Func) + "(" + of + ")"
	case c.Type.Kind == column.Decimal:
		return fmt.Sprintf("CAST(sum(%s) AS DECIMAL(%d,%d))", of, c.Type.Precision, c.Type.Scale)
	}
	return "CAST(sum(" + of + ") AS BIGINT)"
}
