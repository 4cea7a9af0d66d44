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
	dialect
	view   definition.View
	layout viewfile.Layout
	keys   []string // the quoted columns that tell groups apart
}

func newGroups(d dialect, v definition.View, l viewfile.Layout) groups {
	g := groups{dialect: d, view: v, layout: l}
	if l.Timed {
		g.keys = append(g.keys, g.name(viewfile.TimeColumn))
	}
	for _, c := range l.Dims {
		g.keys = append(g.keys, g.name(c.Name))
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
		columns := g.names(g.layout.States[i])
		if !g.layout.States[i][0].List {
			selected = append(selected, g.from(groupRelation, columns)...)
			continue
		}
		relation := fmt.Sprintf("ws_measure_%d", i+1)
		with = append(with, relation+" AS (\n"+indented(g.lists(g, m, columns, indented(indented(elements(m, g.layout.States[i])))))+"\n)")
		joins += "\nLEFT JOIN " + relation + " ON " + g.same(relation)
		for _, c := range columns {
			selected = append(selected, fmt.Sprintf("coalesce(%s.%s, %s) AS %s", relation, c, g.emptyList, c))
		}
	}
	query := "WITH " + strings.Join(with, ",\n") + "\nSELECT\n  " + strings.Join(selected, ",\n  ") + "\nFROM " + groupRelation + joins
	if len(g.keys) == 0 {
		return query + fmt.Sprintf("\nWHERE %s.%s > 0", groupRelation, parts) // of nothing, there is no group
	}
	if !g.sorted {
		return query
	}
	order := make([]string, len(g.keys))
	for i, k := range g.keys {
		order[i] = groupRelation + "." + k + " NULLS FIRST"
	}
	return query + "\nORDER BY " + strings.Join(order, ", ")
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
func (d dialect) names(columns []viewfile.Column) []string {
	out := make([]string, len(columns))
	for i, c := range columns {
		out[i] = d.name(c.Name)
	}
	return out
}

func indented(text string) string { return "  " + strings.ReplaceAll(text, "\n", "\n  ") }
