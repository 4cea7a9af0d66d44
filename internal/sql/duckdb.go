package sql

import (
	"fmt"
	"slices"
	"strings"

	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
	"github.com/watershed-data/watershed/internal/view"
	"github.com/watershed-data/watershed/internal/viewfile"
)

// Source is the rows that a version is made of.
type Source struct {
	Files    []string                     // pinned files of the master dataset, as the engine opens them
	Cut      map[string]protocol.Position // the last position of each shard; rows of other shards are left out
	Distinct bool                         // one row per position: an erased one, else one of the newest row logic
	Since    *Since                       // nil: every row up to the cut
}

// DuckDB renders the SQL of DuckDB.
type DuckDB struct {
	Def *definition.Definition
}

// The relations that the queries of a run read. Without an event id, stored and
// rows are one.
const (
	rows       = `"rows"`       // what views are made of
	stored     = `"stored"`     // the rows as row logic made them, which the figures are of
	duplicates = `"duplicates"` // the positions of duplicates
)

// Rows gives the statements that make the relation of a source's rows, with the
// columns that figures and views need. They go before the queries, in the same
// transaction.
//
// The relation is a view: to read a column again is cheaper than to stage rows.
// Keeping one row per position is not, so that is staged once.
func (d DuckDB) Rows(s Source) ([]string, error) {
	first := d.noRows(s)
	if len(s.Files) > 0 && len(s.Cut) > 0 {
		var err error
		if first, err = d.stored(s); err != nil {
			return nil, err
		}
	}
	if d.Def.Events.ID == "" {
		return []string{first}, nil
	}
	return []string{first, d.duplicates(), d.judged() + s.Since.added()}, nil
}

// all is the relation of the rows as they are stored.
func (d DuckDB) all() string {
	if d.Def.Events.ID == "" {
		return rows
	}
	return stored
}

// stored makes the relation of the rows up to the cut as they are in the files.
func (d DuckDB) stored(s Source) (string, error) {
	kind := "VIEW"
	if s.Distinct {
		kind = "TABLE"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE TEMP %s %s AS\nSELECT\n  %s%s\nFROM read_parquet([\n", kind, d.all(), fields("m", d.columns()), s.Since.mark(d.Def))
	for i, f := range s.Files {
		if err := checkText("file name", f); err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "  %s%s\n", literal(f), comma(i, len(s.Files)))
	}
	b.WriteString("], hive_partitioning = false) AS m\n" + s.Since.join(d.Def, shards(s.Cut)) + "JOIN (VALUES\n")
	for i, shard := range shards(s.Cut) {
		if err := checkText("shard", shard); err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "  (%s, %s)%s\n", literal(shard), literal(s.Cut[shard].Key()), comma(i, len(s.Cut)))
	}
	shard, position := "m."+name(archive.ShardColumn), "m."+name(archive.PositionColumn)
	fmt.Fprintf(&b, ") AS cut (shard, through)\nON %s = cut.shard AND %s <= cut.through", shard, position)
	if s.Distinct {
		fmt.Fprintf(&b, "\nQUALIFY row_number() OVER (PARTITION BY %s, %s ORDER BY %s = %s DESC, %s DESC, %s, %s) = 1",
			shard, position, "m."+name(definition.OutcomeColumn), literal(string(rowlogic.Erased)), "m."+name(archive.RowLogicColumn), "m."+name(archive.HashHighColumn), "m."+name(archive.HashLowColumn))
	}
	return b.String(), nil
}

// duplicates makes the relation of the rows before which, in the order of
// positions, comes one of the same identity that arrived at most the window
// earlier. Positions order an identity's rows over its whole lineage: sequence
// numbers grow when a shard splits or merges.
//
// Only identities that occur again go through the window, which are few: to
// count all of them is cheap, to sort all rows is not. Half an identity does to
// leave out nearly all others.
func (d DuckDB) duplicates() string {
	high, low := name(archive.IDHighColumn), name(archive.IDLowColumn)
	position, arrival := name(archive.PositionColumn), name(archive.ArrivalColumn)
	return fmt.Sprintf(`CREATE TEMP TABLE %[1]s AS
WITH again AS (
  SELECT %[3]s
  FROM %[2]s
  WHERE %[3]s IS NOT NULL
  GROUP BY %[3]s
  HAVING count(*) > 1
)
SELECT s.%[5]s, s.%[6]s
FROM %[2]s AS s
JOIN again ON s.%[3]s = again.%[3]s
QUALIFY s.%[7]s - lag(s.%[7]s) OVER (PARTITION BY s.%[3]s, s.%[4]s ORDER BY s.%[6]s) <= %[8]d`,
		duplicates, stored, high, low, name(archive.ShardColumn), position, arrival, d.Def.Events.DedupeWithin.Milliseconds())
}

// judged makes the relation of the rows with the outcome that they have among
// all others.
func (d DuckDB) judged() string {
	shard, position := name(archive.ShardColumn), name(archive.PositionColumn)
	var list []string
	for _, c := range d.columns() {
		of := "s." + name(c)
		switch c {
		case definition.OutcomeColumn:
			of = fmt.Sprintf("CASE WHEN d.%s IS NULL OR %s = %s THEN %s ELSE %s END AS %s",
				position, of, literal(string(rowlogic.Erased)), of, literal(string(rowlogic.Duplicate)), name(c))
		case definition.ReasonColumn:
			of = fmt.Sprintf("CASE WHEN d.%s IS NULL THEN %s END AS %s", position, of, name(c))
		case archive.PositionColumn, archive.ArrivalColumn, archive.IDHighColumn, archive.IDLowColumn:
			continue
		}
		list = append(list, of)
	}
	return fmt.Sprintf("CREATE TEMP VIEW %s AS\nSELECT\n  %s\nFROM %s AS s\nLEFT JOIN %s AS d ON s.%s = d.%s AND s.%s = d.%s",
		rows, strings.Join(list, ",\n  "), stored, duplicates, shard, shard, position, position)
}

// noRows makes the relation without any row; read_parquet takes no empty list.
func (d DuckDB) noRows(s Source) string {
	types := map[archive.Physical]string{
		archive.Text: "VARCHAR", archive.Int64: "BIGINT", archive.Int32: "INTEGER",
		archive.Boolean: "BOOLEAN", archive.Double: "DOUBLE",
	}
	var lines []string
	for _, c := range archive.Columns(d.Def) {
		if d.needs(c.Name) {
			lines = append(lines, name(c.Name)+" "+types[c.Physical])
		}
	}
	if s.Since.mark(d.Def) != "" {
		lines = append(lines, addedColumn+" BOOLEAN")
	}
	return fmt.Sprintf("CREATE TEMP TABLE %s (\n  %s\n)", d.all(), strings.Join(lines, ",\n  "))
}

// columns lists the columns that figures and views read.
func (d DuckDB) columns() []string {
	var out []string
	for _, c := range archive.Columns(d.Def) {
		if d.needs(c.Name) {
			out = append(out, c.Name)
		}
	}
	return out
}

func (d DuckDB) needs(column string) bool {
	switch column {
	case archive.ShardColumn, archive.HashHighColumn, archive.HashLowColumn:
		return true
	case archive.PositionColumn, archive.ArrivalColumn, archive.IDHighColumn, archive.IDLowColumn:
		return d.Def.Events.ID != "" // to find duplicates
	}
	for _, v := range d.Def.AllViews() {
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

// bucket gives the start of the bucket that a row is kept in by the version that
// was sealed at t. Which grain that is depends on constants only: the buckets
// were made with the row.
func (d DuckDB) bucket(v definition.View, t int64) string {
	finest := "r." + name(archive.TimeColumn(v.Every))
	if len(v.Keep) == 0 {
		return finest
	}
	var b strings.Builder
	b.WriteString("CASE")
	for _, l := range view.RolledUp(v, d.Def.Zone, t).Levels() {
		coarse := "r." + name(archive.TimeColumn(l.Every))
		fmt.Fprintf(&b, " WHEN %s < %d THEN %s", coarse, l.Before, coarse)
	}
	fmt.Fprintf(&b, " ELSE %s END", finest)
	return b.String()
}

// Figures gives the query for what the double entry compares: shard, number of
// rows, sums of the upper and of the lower halves of the hashes, as exact
// integers of up to 128 bits.
func (d DuckDB) Figures() string {
	shard := name(archive.ShardColumn)
	return fmt.Sprintf("SELECT\n  %s,\n  count(*),\n  sum(%s),\n  sum(%s)\nFROM %s\nGROUP BY %s\nORDER BY %s",
		shard, name(archive.HashHighColumn), name(archive.HashLowColumn), d.all(), shard, shard)
}

// View gives the query for a view's groups with their states, in the columns and
// the order of viewfile.Layout, for a version that was sealed at t, milliseconds
// since 1970-01-01 UTC: by it, old buckets are rolled up.
func (d DuckDB) View(v definition.View, t int64) (string, error) {
	layout, err := viewfile.NewLayout(d.Def, v)
	if err != nil {
		return "", err
	}
	keys, selected := d.grouped(v, layout, t)
	taken, group := d.taken(v), ""
	if len(keys) > 0 {
		group = "\nGROUP BY " + strings.Join(keys, ", ")
	}
	named := selected[:len(keys):len(keys)]
	for i, m := range v.Measures {
		for j, c := range layout.States[i] {
			if !c.List {
				selected = append(selected, d.state(m, j, c)+" AS "+name(c.Name))
			}
		}
	}
	if slices.ContainsFunc(layout.Columns(), func(c viewfile.Column) bool { return c.List }) {
		base := "SELECT\n  " + strings.Join(append(selected, "count(*) AS "+parts), ",\n  ") + "\n" + taken + group
		return newGroups(v, layout).query(nil, base, func(m definition.Measure, _ []viewfile.Column) string {
			of := "r." + name(m.Input())
			list := append(named, of+" AS "+element)
			if m.Func == definition.Quantiles {
				list = append(list, "1 AS "+times)
			}
			return "SELECT " + strings.Join(list, ", ") + "\n" + taken + "\nAND " + of + " IS NOT NULL"
		}), nil
	}
	query := "SELECT\n  " + strings.Join(selected, ",\n  ") + "\n" + taken + group
	if len(keys) == 0 {
		return query + "\nHAVING count(*) > 0", nil // no row, no group
	}
	return query + "\nORDER BY " + strings.Join(keys, " NULLS FIRST, ") + " NULLS FIRST", nil
}

// grouped gives what tells a view's groups apart, as it is stored, and the same as
// it is selected.
func (d DuckDB) grouped(v definition.View, layout viewfile.Layout, t int64) (keys, selected []string) {
	if layout.Timed {
		key := d.bucket(v, t)
		keys = append(keys, key)
		selected = append(selected, "make_timestamp("+key+") AS "+name(viewfile.TimeColumn))
	}
	for _, c := range layout.Dims {
		key := "r." + name(c.Name)
		keys = append(keys, key)
		selected = append(selected, d.logical(key, c.Type)+" AS "+name(c.Name))
	}
	return keys, selected
}

// taken is the rows that a view takes.
func (d DuckDB) taken(v definition.View) string {
	from := fmt.Sprintf("FROM %s AS r", rows)
	if v.Outcomes {
		return from
	}
	from += fmt.Sprintf("\nWHERE r.%s = %s", name(definition.OutcomeColumn), literal(string(rowlogic.Accepted)))
	if v.Where != nil {
		from += "\nAND r." + name(v.WhereColumn())
	}
	return from
}

// Copy gives the statement that stores a query's rows as one Parquet file with
// row groups of about the given number of rows. It writes no other file.
func (d DuckDB) Copy(query, file string, rowGroup int) (string, error) {
	if err := checkText("file name", file); err != nil {
		return "", err
	}
	return fmt.Sprintf("COPY (\n%s\n) TO %s (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE %d, USE_TMP_FILE false)", query, literal(file), rowGroup), nil
}

// state is the aggregate behind column j of a measure's state. Integers are
// added up as they are stored; the sum of BIGINT is an exact 128-bit integer.
func (d DuckDB) state(m definition.Measure, j int, c viewfile.Column) string {
	if m.Column == "" {
		return "count(*)"
	}
	of := "r." + name(m.Input())
	switch {
	case m.Func == definition.Count || m.Func == definition.Avg && j == 1:
		return "count(" + of + ")"
	case m.Func == definition.Sum || m.Func == definition.Avg:
		return d.logical("sum("+of+")", c.Type)
	}
	return d.logical(string(m.Func)+"("+of+")", c.Type)
}

// logical turns a stored value into one of the column's type. A decimal is
// stored as an integer: cast without a fraction, then multiplied by its unit,
// which is exact and keeps all digits.
func (d DuckDB) logical(e string, t column.Type) string {
	switch t.Kind {
	case column.Timestamp:
		return "make_timestamp(" + e + ")"
	case column.Date:
		return "(DATE '1970-01-01' + " + e + ")"
	case column.Decimal:
		whole := fmt.Sprintf("CAST(%s AS DECIMAL(%d,0))", e, max(t.Precision, column.MaxPrecision))
		if t.Scale == 0 {
			return fmt.Sprintf("CAST(%s AS DECIMAL(%d,0))", e, t.Precision)
		}
		unit := fmt.Sprintf("CAST(0.%s1 AS DECIMAL(%d,%d))", strings.Repeat("0", t.Scale-1), t.Scale+1, t.Scale)
		return fmt.Sprintf("CAST(%s * %s AS DECIMAL(%d,%d))", whole, unit, t.Precision, t.Scale)
	}
	return e
}

func comma(i, n int) string {
	if i < n-1 {
		return ","
	}
	return ""
}
