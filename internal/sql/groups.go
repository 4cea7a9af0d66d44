package sql

import (
	"fmt"
	"strings"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/viewfile"
)

// groups renders a query for a view's groups in which some measures have states
// that are lists. Each of those is a relation of its own, of elements that are
// grouped and sorted before they become lists, and joined to the groups at the
// end: rows and elements that do not fit in memory spill. An aggregate that keeps
// a heap or a map for each group, as min(x, n) and histogram do, cannot.
type groups struct {
	view   definition.View
	layout viewfile.Layout
	keys   []string // the quoted columns that tell groups apart
}

func newGroups(v definition.View, l viewfile.Layout) groups {
	g := groups{view: v, layout: l}
	if l.Timed {
		g.keys = append(g.keys, name(viewfile.TimeColumn))
	}
	for _, c := range l.Dims {
		g.keys = append(g.keys, name(c.Name))
	}
	return g
}

// The relations and columns that a query has of its own. No column of the user's
// begins with ws_.
const (
	groupRelation = "ws_groups"
	parts         = "ws_parts" // of a group: how many rows or states it is made of
	element       = "ws_element"
	times         = "ws_times"
)

// source is a query for the elements of a measure's lists: the keys, element, and
// for quantiles times, how often it occurs.
type source func(m definition.Measure, columns []viewfile.Column) string

// query joins the groups, which base gives with their keys, the states that are
// values, and parts, to the lists of elements. before are relations that base and
// the elements read.
func (g groups) query(before []string, base string, elements source) string {
	with := append(before, groupRelation+" AS (\n"+indented(base)+"\n)")
	selected, joins := g.from(groupRelation, g.keys), ""
	for i, m := range g.view.Measures {
		columns := names(g.layout.States[i])
		if !g.layout.States[i][0].List {
			selected = append(selected, g.from(groupRelation, columns)...)
			continue
		}
		relation := fmt.Sprintf("ws_measure_%d", i+1)
		with = append(with, relation+" AS (\n"+indented(g.lists(m, columns, indented(indented(elements(m, g.layout.States[i])))))+"\n)")
		joins += "\nLEFT JOIN " + relation + " ON " + g.same(relation)
		for _, c := range columns {
			selected = append(selected, fmt.Sprintf("coalesce(%s.%s, []) AS %s", relation, c, c))
		}
	}
	query := "WITH " + strings.Join(with, ",\n") + "\nSELECT\n  " + strings.Join(selected, ",\n  ") + "\nFROM " + groupRelation + joins
	if len(g.keys) == 0 {
		return query + fmt.Sprintf("\nWHERE %s.%s > 0", groupRelation, parts) // of nothing, there is no group
	}
	order := make([]string, len(g.keys))
	for i, k := range g.keys {
		order[i] = groupRelation + "." + k + " NULLS FIRST"
	}
	return query + "\nORDER BY " + strings.Join(order, ", ")
}

// lists makes one row for each group that has an element, with the columns of a
// measure's state.
func (g groups) lists(m definition.Measure, columns []string, elements string) string {
	keys := g.prefix()
	if m.Func == definition.Quantiles {
		return fmt.Sprintf(`SELECT %[1]slist(%[2]s ORDER BY %[2]s) AS %[4]s, list(%[3]s ORDER BY %[2]s) AS %[5]s
FROM (
  SELECT %[1]s%[2]s, CAST(sum(%[3]s) AS BIGINT) AS %[3]s
  FROM (
%[6]s)
  GROUP BY %[1]s%[2]s
)%[7]s`, keys, element, times, columns[0], columns[1], elements, g.groupBy())
	}
	partition := ""
	if len(g.keys) > 0 {
		partition = "PARTITION BY " + strings.Join(g.keys, ", ") + " "
	}
	return fmt.Sprintf(`SELECT %[1]slist(%[2]s ORDER BY %[2]s) AS %[3]s
FROM (
  SELECT %[1]s%[2]s
  FROM (SELECT DISTINCT %[1]s%[2]s FROM (
%[4]s))
  QUALIFY row_number() OVER (%[5]sORDER BY %[2]s) <= %[6]d
)%[7]s`, keys, element, columns[0], elements, partition, m.K, g.groupBy())
}

// prefix lists the keys before other columns.
func (g groups) prefix() string {
	if len(g.keys) == 0 {
		return ""
	}
	return strings.Join(g.keys, ", ") + ", "
}

func (g groups) groupBy() string {
	if len(g.keys) == 0 {
		return ""
	}
	return "\nGROUP BY " + strings.Join(g.keys, ", ")
}

// same is the condition that a relation's row is of the group; null is a group of
// its own.
func (g groups) same(relation string) string {
	if len(g.keys) == 0 {
		return "true"
	}
	same := make([]string, len(g.keys))
	for i, k := range g.keys {
		same[i] = fmt.Sprintf("%s.%s IS NOT DISTINCT FROM %s.%s", groupRelation, k, relation, k)
	}
	return strings.Join(same, " AND ")
}

// from takes columns out of a relation under their own names.
func (g groups) from(relation string, columns []string) []string {
	out := make([]string, len(columns))
	for i, c := range columns {
		out[i] = relation + "." + c + " AS " + c
	}
	return out
}

// names quotes the names of columns.
func names(columns []viewfile.Column) []string {
	out := make([]string, len(columns))
	for i, c := range columns {
		out[i] = name(c.Name)
	}
	return out
}

func indented(text string) string { return "  " + strings.ReplaceAll(text, "\n", "\n  ") }
