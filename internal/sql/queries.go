package sql

import (
	"fmt"
	"slices"
	"strings"

	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/rowlogic"
	"github.com/watershed-data/watershed/internal/view"
	"github.com/watershed-data/watershed/internal/viewfile"
)

// The relations that the queries of a run read. Without an event id, stored and
// rows are one.
const (
	rows       = "rows"       // what views are made of
	stored     = "stored"     // the rows as row logic made them, which the figures are of
	duplicates = "duplicates" // the positions of duplicates
)

// dialect is what engines write differently.
type dialect struct {
	name      func(string) string                      // quotes an identifier
	literal   func(string) string                      // quotes a text
	timestamp func(micros string) string               // of microseconds since 1970-01-01 UTC
	date      func(days string) string                 // of days since 1970-01-01
	decimal   func(units string, t column.Type) string // of an integer, the units of the last digit
	sum       func(integers string) string             // exact, up to 38 digits
	emptyList string                                   // of integers
	lists     func(g groups, m definition.Measure, columns []string, elements string) string
	sorted    bool // a query sorts its rows; otherwise who stores them does
}

// queries renders, in one dialect, what a run reads of its rows.
type queries struct {
	dialect
	def *definition.Definition
}

// all is the relation of the rows as they are stored.
func (q queries) all() string {
	if q.def.Events.ID == "" {
		return q.name(rows)
	}
	return q.name(stored)
}

// columns lists the columns that figures and views read.
func (q queries) columns() []string {
	var out []string
	for _, c := range archive.Columns(q.def) {
		if q.needs(c.Name) {
			out = append(out, c.Name)
		}
	}
	return out
}

func (q queries) needs(column string) bool {
	switch column {
	case archive.ShardColumn, archive.HashHighColumn, archive.HashLowColumn:
		return true
	case archive.PositionColumn, archive.ArrivalColumn, archive.IDHighColumn, archive.IDLowColumn:
		return q.def.Events.ID != "" // to find duplicates
	}
	for _, v := range q.def.AllViews() {
		if timed(v, column) || !v.Outcomes && column == definition.OutcomeColumn {
			return true
		}
		for _, dim := range v.By {
			if dim == column {
				return true
			}
		}
		for _, m := range v.Measures {
			if m.Input() == column {
				return true
			}
		}
		if v.Where != nil && v.WhereColumn() == column {
			return true
		}
	}
	return false
}

// timed reports whether a column holds time buckets of a grain that the view
// keeps.
func timed(v definition.View, column string) bool {
	return slices.ContainsFunc(v.Grains(), func(g definition.Grain) bool {
		return g != definition.None && column == archive.TimeColumn(g)
	})
}

// fields quotes columns of a relation and joins them to a list, one a line.
func (q queries) fields(relation string, columns []string) string {
	out := make([]string, len(columns))
	for i, c := range columns {
		out[i] = relation + "." + q.name(c)
	}
	return strings.Join(out, ",\n  ")
}

// again is the query for the halves of identities that occur more than once.
//
// Only these go through the window that finds duplicates, and they are few: to
// count all identities is cheap, to sort all rows is not. Half an identity does to
// leave out nearly all others.
func (q queries) again() string {
	high := q.name(archive.IDHighColumn)
	return fmt.Sprintf("SELECT %[1]s\n  FROM %[2]s\n  WHERE %[1]s IS NOT NULL\n  GROUP BY %[1]s\n  HAVING count(*) > 1", high, q.name(stored))
}

// since is how long after the row before of the same identity, in the order of
// positions, a row arrived. Positions order an identity's rows over its whole
// lineage: sequence numbers grow when a shard splits or merges.
func (q queries) since() string {
	return fmt.Sprintf("s.%[1]s - lag(s.%[1]s) OVER (PARTITION BY s.%[2]s, s.%[3]s ORDER BY s.%[4]s)",
		q.name(archive.ArrivalColumn), q.name(archive.IDHighColumn), q.name(archive.IDLowColumn), q.name(archive.PositionColumn))
}

// judged is the query for the rows with the outcome that they have among all
// others.
func (q queries) judged() string {
	shard, position := q.name(archive.ShardColumn), q.name(archive.PositionColumn)
	var list []string
	for _, c := range q.columns() {
		of := "s." + q.name(c)
		switch c {
		case definition.OutcomeColumn:
			of = fmt.Sprintf("CASE WHEN d.%s IS NULL OR %s = %s THEN %s ELSE %s END AS %s",
				position, of, q.literal(string(rowlogic.Erased)), of, q.literal(string(rowlogic.Duplicate)), q.name(c))
		case definition.ReasonColumn:
			of = fmt.Sprintf("CASE WHEN d.%s IS NULL THEN %s END AS %s", position, of, q.name(c))
		case archive.PositionColumn, archive.ArrivalColumn, archive.IDHighColumn, archive.IDLowColumn:
			continue
		}
		list = append(list, of)
	}
	return fmt.Sprintf("SELECT\n  %s\nFROM %s AS s\nLEFT JOIN %s AS d ON s.%s = d.%s AND s.%s = d.%s",
		strings.Join(list, ",\n  "), q.name(stored), q.name(duplicates), shard, shard, position, position)
}

// newest is the order of the rows of one position, of which the first counts: an
// erased one, else one of the newest row logic.
func (q queries) newest() string {
	return fmt.Sprintf("ORDER BY %s = %s DESC, %s DESC, %s, %s", "m."+q.name(definition.OutcomeColumn), q.literal(string(rowlogic.Erased)),
		"m."+q.name(archive.RowLogicColumn), "m."+q.name(archive.HashHighColumn), "m."+q.name(archive.HashLowColumn))
}

// figures gives the query for what the double entry compares: shard, number of
// rows, sums of the upper and of the lower halves of the hashes, as exact
// integers of up to 38 digits.
func (q queries) figures() string {
	shard := q.name(archive.ShardColumn)
	query := fmt.Sprintf("SELECT\n  %s,\n  count(*),\n  %s,\n  %s\nFROM %s\nGROUP BY %s",
		shard, q.sum(q.name(archive.HashHighColumn)), q.sum(q.name(archive.HashLowColumn)), q.all(), shard)
	if q.sorted {
		query += "\nORDER BY " + shard
	}
	return query
}

// view gives the query for a view's groups with their states, for a version that
// was sealed at t, milliseconds since 1970-01-01 UTC.
func (q queries) view(v definition.View, t int64) (string, error) {
	layout, err := viewfile.NewLayout(q.def, v)
	if err != nil {
		return "", err
	}
	keys, selected := q.grouped(v, layout, t)
	taken, group := q.taken(v), ""
	if len(keys) > 0 {
		group = "\nGROUP BY " + strings.Join(keys, ", ")
	}
	named := selected[:len(keys):len(keys)]
	for i, m := range v.Measures {
		for j, c := range layout.States[i] {
			if !c.List {
				selected = append(selected, q.state(m, j, c)+" AS "+q.name(c.Name))
			}
		}
	}
	if slices.ContainsFunc(layout.Columns(), func(c viewfile.Column) bool { return c.List }) {
		base := "SELECT\n  " + strings.Join(append(selected, "count(*) AS "+parts), ",\n  ") + "\n" + taken + group
		return newGroups(q.dialect, v, layout).query(nil, base, func(m definition.Measure, _ []viewfile.Column) string {
			of := "r." + q.name(m.Input())
			list := append(named, of+" AS "+element)
			if m.Func == definition.Quantiles {
				list = append(list, "1 AS "+times)
			}
			return "SELECT " + strings.Join(list, ", ") + "\n" + taken + "\nAND " + of + " IS NOT NULL"
		}), nil
	}
	query := "SELECT\n  " + strings.Join(selected, ",\n  ") + "\n" + taken + group
	switch {
	case len(keys) == 0:
		query += "\nHAVING count(*) > 0" // no row, no group
	case q.sorted:
		query += "\nORDER BY " + strings.Join(keys, " NULLS FIRST, ") + " NULLS FIRST"
	}
	return query, nil
}

// bucket gives the start of the bucket that a row is kept in by the version that
// was sealed at t. Which grain that is depends on constants only: the buckets
// were made with the row.
func (q queries) bucket(v definition.View, t int64) string {
	finest := "r." + q.name(archive.TimeColumn(v.Every))
	if len(v.Keep) == 0 {
		return finest
	}
	var b strings.Builder
	b.WriteString("CASE")
	for _, l := range view.RolledUp(v, q.def.Zone, t).Levels() {
		coarse := "r." + q.name(archive.TimeColumn(l.Every))
		fmt.Fprintf(&b, " WHEN %s < %d THEN %s", coarse, l.Before, coarse)
	}
	fmt.Fprintf(&b, " ELSE %s END", finest)
	return b.String()
}

// grouped gives what tells a view's groups apart, as it is stored, and the same as
// it is selected.
func (q queries) grouped(v definition.View, layout viewfile.Layout, t int64) (keys, selected []string) {
	if layout.Timed {
		key := q.bucket(v, t)
		keys = append(keys, key)
		selected = append(selected, q.timestamp(key)+" AS "+q.name(viewfile.TimeColumn))
	}
	for _, c := range layout.Dims {
		key := "r." + q.name(c.Name)
		keys = append(keys, key)
		selected = append(selected, q.logical(key, c.Type)+" AS "+q.name(c.Name))
	}
	return keys, selected
}

// taken is the rows that a view takes.
func (q queries) taken(v definition.View) string {
	from := fmt.Sprintf("FROM %s AS r", q.name(rows))
	if v.Outcomes {
		return from
	}
	from += fmt.Sprintf("\nWHERE r.%s = %s", q.name(definition.OutcomeColumn), q.literal(string(rowlogic.Accepted)))
	if v.Where != nil {
		from += "\nAND r." + q.name(v.WhereColumn())
	}
	return from
}

// state is the aggregate behind column j of a measure's state. Integers are
// added up as they are stored.
func (q queries) state(m definition.Measure, j int, c viewfile.Column) string {
	if m.Column == "" {
		return "count(*)"
	}
	of := "r." + q.name(m.Input())
	switch {
	case m.Func == definition.Count || m.Func == definition.Avg && j == 1:
		return "count(" + of + ")"
	case m.Func == definition.Sum || m.Func == definition.Avg:
		return q.logical(q.sum(of), c.Type)
	}
	return q.logical(string(m.Func)+"("+of+")", c.Type)
}

// logical turns a stored value into one of the column's type.
func (q queries) logical(e string, t column.Type) string {
	switch t.Kind {
	case column.Timestamp:
		return q.timestamp(e)
	case column.Date:
		return q.date(e)
	case column.Decimal:
		return q.decimal(e, t)
	}
	return e
}
