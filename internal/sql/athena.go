package sql

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/tables"
	"github.com/watershed-data/watershed/internal/viewfile"
)

// Athena renders the SQL of Athena's engine version 3, which is Trino's: for each
// view a merged view, of the version's files and of the master dataset's rows that
// are not in them.
type Athena struct {
	Def      *definition.Definition
	Database string // of the catalog; all tables and views are in it
	Bucket   string // of the versions

	// Retention is how long the stream keeps events. A merged view does not look at rows
	// that arrived longer before its version was sealed: they are in it. 0: as long as
	// any stream can.
	Retention time.Duration
}

var athenaSQL = dialect{
	name:      name,
	literal:   literal,
	timestamp: athenaTime,
	date:      func(days string) string { return "date_add('day', " + days + ", DATE '1970-01-01')" },
	decimal:   athenaDecimal,
	sum:       func(integers string) string { return "sum(CAST(" + integers + " AS decimal(38,0)))" },
}

func (a Athena) queries() queries { return queries{athenaSQL, a.Def} }

// athenaTime turns microseconds since 1970-01-01 UTC into a time of that zone. As
// nanoseconds, the years that definitions know do not fit a bigint.
func athenaTime(micros string) string {
	return "CAST(from_unixtime_nanos(CAST(" + micros + " AS decimal(38,0)) * 1000) AT TIME ZONE 'UTC' AS timestamp(6))"
}

// athenaBucket is athenaTime for the start of a bucket, which is a whole second: of
// those, a float holds all.
func athenaBucket(micros string) string {
	return "CAST(from_unixtime(CAST(" + micros + " / 1000000 AS double)) AT TIME ZONE 'UTC' AS timestamp(3))"
}

// athenaDecimal multiplies by the unit, which is exact: what does not fit is an error.
func athenaDecimal(units string, t column.Type) string {
	if t.Scale == 0 {
		return fmt.Sprintf("CAST(%s AS decimal(%d,0))", units, t.Precision)
	}
	return fmt.Sprintf("CAST(CAST(%s AS decimal(38,0)) * %s AS decimal(%d,%d))", units, athenaUnit(t.Scale), t.Precision, t.Scale)
}

// athenaUnit is 10^-scale, exactly.
func athenaUnit(scale int) string { return "DECIMAL '0." + strings.Repeat("0", scale-1) + "1'" }

// RowsTable is the table of the master dataset.
const RowsTable = "rows"

// VersionsTable names the table of all versions of a view.
func VersionsTable(view string) string { return view + "_versions" }

// VersionColumn is the partition of a versions table. A query has to name versions.
const VersionColumn = "version"

// Merged gives the merged views of all views of the definition. Without a manifest
// there is no version yet, and they are of rows alone.
func (a Athena) Merged(m *protocol.Manifest) ([]tables.View, error) {
	var out []tables.View
	for _, v := range a.Def.AllViews() {
		merged, err := a.View(v, m)
		if err != nil {
			return nil, err
		}
		out = append(out, merged)
	}
	return out, nil
}

// View gives the merged view of one view. Its columns are those of an answer that
// asks for everything, without quantiles whose relative errors are so small that the text
// would be too long; its description names them.
func (a Athena) View(v definition.View, m *protocol.Manifest) (tables.View, error) {
	layout, err := viewfile.NewLayout(a.Def, v)
	if err != nil {
		return tables.View{}, err
	}
	values, err := newMiddles(v)
	if err != nil {
		return tables.View{}, fmt.Errorf("rendering view %s: %w", v.Name, err)
	}
	q := &merged{Athena: a, view: v, layout: layout, middles: values, manifest: m}
	query, err := q.query()
	if err != nil {
		return tables.View{}, fmt.Errorf("rendering view %s: %w", v.Name, err)
	}
	out := tables.View{Name: v.Name, Description: q.description(), SQL: query, Columns: q.resultColumns()}
	if m != nil {
		out.Seq = m.Seq
	}
	return out, nil
}

// Tables gives the tables of the views' versions.
func (a Athena) Tables() ([]tables.Table, error) {
	if err := a.CheckNames(); err != nil {
		return nil, err
	}
	var out []tables.Table
	for _, v := range a.Def.AllViews() {
		layout, err := viewfile.NewLayout(a.Def, v)
		if err != nil {
			return nil, err
		}
		folder := a.folder()
		t := tables.Table{
			Name:        VersionsTable(v.Name),
			Description: "The states of " + v.Name + " in the versions that are kept, before rows that came later. Ask for a version.",
			Location:    folder,
			Partitions:  []tables.Column{{Name: VersionColumn, Hive: "string", SQL: "varchar"}},
			Parameters: map[string]string{
				"classification":                        "parquet",
				"projection.enabled":                    "true",
				"projection." + VersionColumn + ".type": "injected",
				"storage.location.template":             folder + "${" + VersionColumn + "}/" + v.Name + "/",
			},
		}
		for _, c := range layout.Columns() {
			t.Columns = append(t.Columns, storedColumn(c))
		}
		out = append(out, t)
	}
	return out, nil
}

// Rows gives the table of the master dataset, in a bucket. It has no partitions:
// whoever merges files or repairs a hole writes them beside Firehose's, and a reader
// has to see them all.
func (a Athena) Rows(bucket string) tables.Table {
	types := map[archive.Physical]tables.Column{
		archive.Text: {Hive: "string", SQL: "varchar"}, archive.Int64: {Hive: "bigint", SQL: "bigint"}, archive.Int32: {Hive: "int", SQL: "integer"},
		archive.Boolean: {Hive: "boolean", SQL: "boolean"}, archive.Double: {Hive: "double", SQL: "double"},
	}
	t := tables.Table{
		Name:        RowsTable,
		Description: "The master dataset: a row for each event, also rejected and dropped ones",
		Location:    "s3://" + bucket + "/master/" + a.Def.Generation + "/",
		Parameters:  map[string]string{"classification": "parquet"},
	}
	for _, c := range archive.Columns(a.Def) {
		of := types[c.Physical]
		of.Name = c.Name
		t.Columns = append(t.Columns, of)
	}
	return t
}

// folder is where the versions lie.
func (a Athena) folder() string { return "s3://" + a.Bucket + "/views/" + a.Def.Generation + "/" }

// CheckNames refuses views that are called as one of the tables.
func (a Athena) CheckNames() error {
	taken := map[string]string{RowsTable: "the table of the master dataset"}
	for _, v := range a.Def.AllViews() {
		taken[VersionsTable(v.Name)] = "the table of the versions of " + v.Name
	}
	var errs []error
	for _, v := range a.Def.Views {
		if what, ok := taken[v.Name]; ok {
			errs = append(errs, fmt.Errorf("the view %s has the name of %s in the catalog; rename it", v.Name, what))
		}
	}
	return errors.Join(errs...)
}

// storedColumn is a column of a versions table, as it lies in the files.
//
// Athena reads times of Parquet files only to the millisecond, and ours are finer. So
// all but the start of a bucket are read as the integers that they are stored as,
// microseconds since 1970-01-01 UTC.
func storedColumn(c viewfile.Column) tables.Column {
	out := resultColumn(c.Name, c.Type)
	if c.Type.Kind == column.Timestamp && c.Name != viewfile.TimeColumn {
		out.Hive, out.SQL = "bigint", "bigint"
	}
	if c.List {
		out.Hive, out.SQL = "array<"+out.Hive+">", "array("+out.SQL+")"
	}
	return out
}

// resultColumn is a column of a merged view.
func resultColumn(name string, t column.Type) tables.Column {
	c := tables.Column{Name: name}
	switch t.Kind {
	case column.String:
		c.Hive, c.SQL = "string", "varchar"
	case column.Int:
		c.Hive, c.SQL = "bigint", "bigint"
	case column.Decimal:
		c.Hive = fmt.Sprintf("decimal(%d,%d)", t.Precision, t.Scale)
		c.SQL = c.Hive
	case column.Bool:
		c.Hive, c.SQL = "boolean", "boolean"
	case column.Date:
		c.Hive, c.SQL = "date", "date"
	case column.Float:
		c.Hive, c.SQL = "double", "double"
	case column.Timestamp:
		c.Hive, c.SQL = "timestamp", "timestamp(6)"
		if name == viewfile.TimeColumn {
			c.SQL = "timestamp(3)" // buckets begin with a second
		}
	}
	return c
}

// merged is the rendering of one merged view.
type merged struct {
	Athena
	view     definition.View
	layout   viewfile.Layout
	middles  middles
	manifest *protocol.Manifest // nil: there is no version yet
}

// The relations of a merged view's query.
const (
	cutRelation    = "ws_cut"
	storedRelation = "ws_stored" // rows behind the cut and, if there is an event id, those shortly before it
	judgedRelation = "ws_judged" // one row per position, with its outcome
	tailRelation   = "ws_tail"   // the groups of the rows behind the cut, with their states
	mergedRelation = "ws_merged"
	middleRelation = "ws_middles"
)

func (q *merged) query() (string, error) {
	rows, err := q.rows()
	if err != nil {
		return "", err
	}
	both, err := q.merge()
	if err != nil {
		return "", err
	}
	with := append(rows, relation{tailRelation, q.tail()}, relation{mergedRelation, both})
	selected := append(q.keys(), q.results()...)
	from := "FROM " + mergedRelation
	if list := q.middles.selected; len(list) > 0 {
		with = append(with, relation{middleRelation, "SELECT\n  " + strings.Join(list, ",\n  ")})
		from += "\nCROSS JOIN " + middleRelation
	}
	text := make([]string, len(with))
	for i, r := range with {
		text[i] = r.name + " AS (\n" + indented(r.query) + "\n)"
	}
	return "WITH " + strings.Join(text, ",\n") + "\nSELECT\n  " + strings.Join(selected, ",\n  ") + "\n" + from, nil
}

// relation is a query that another one reads by a name.
type relation struct{ name, query string }

// keys quotes the columns that tell groups apart.
func (q *merged) keys() []string { return newGroups(athenaSQL, q.view, q.layout).keys }

// groupBy makes groups of the keys; where there are none, no group of nothing.
func groupBy(keys []string) string {
	if len(keys) == 0 {
		return "\nHAVING count(*) > 0"
	}
	return "\nGROUP BY " + strings.Join(keys, ", ")
}

// merge gives the query for all groups with their states: those of the version's
// files and those of the rows behind it, at most one of each for a group.
func (q *merged) merge() (string, error) {
	var sources []string
	if q.manifest != nil && len(q.manifest.Views[q.view.Name]) > 0 {
		files, err := q.files()
		if err != nil {
			return "", err
		}
		sources = append(sources, files)
	}
	sources = append(sources, "SELECT * FROM "+tailRelation)
	selected := q.keys()
	for i, m := range q.view.Measures {
		for _, c := range q.states(i) {
			selected = append(selected, mergeState(m, c)+" AS "+name(c.Name))
		}
	}
	from := "FROM (\n" + indented(strings.Join(sources, "\nUNION ALL\n")) + "\n)"
	return "SELECT\n  " + strings.Join(selected, ",\n  ") + "\n" + from + groupBy(q.keys()), nil
}

// states gives the columns of a measure's state in the query: those of the files, but
// for quantiles one list, of pairs of a bucket and its count.
func (q *merged) states(measure int) []viewfile.Column {
	columns := q.layout.States[measure]
	if q.view.Measures[measure].Func == definition.Quantiles {
		return columns[:1]
	}
	return columns
}

// mergeState merges the states of a group, of which there are two at most.
func mergeState(m definition.Measure, c viewfile.Column) string {
	of := name(c.Name)
	switch m.Func {
	case definition.Min, definition.Max:
		return string(m.Func) + "(" + of + ")"
	case definition.Distinct:
		return fmt.Sprintf("slice(array_sort(array_distinct(flatten(array_agg(%s)))), 1, %d)", of, m.K)
	case definition.Quantiles:
		return "array_sort(flatten(array_agg(" + of + ")))"
	}
	return "sum(" + of + ")"
}

// files gives the query for the states in the version's files. Which files is written
// down, because an attempt that was given up may have left others beside them.
func (q *merged) files() (string, error) {
	var selected []string
	if q.layout.Timed {
		selected = append(selected, name(viewfile.TimeColumn))
	}
	for _, c := range q.layout.Dims {
		selected = append(selected, fromFile(c))
	}
	for i, m := range q.view.Measures {
		columns := q.layout.States[i]
		if m.Func == definition.Quantiles {
			selected = append(selected, fmt.Sprintf("zip(%s, %s) AS %s", name(columns[0].Name), name(columns[1].Name), name(columns[0].Name)))
			continue
		}
		for _, c := range columns {
			selected = append(selected, fromFile(c))
		}
	}
	version := q.manifest.Version
	paths := make([]string, 0, len(q.manifest.Views[q.view.Name]))
	for _, f := range q.manifest.Views[q.view.Name] {
		if err := checkText("file name", f.Name); err != nil {
			return "", err
		}
		paths = append(paths, literal(q.folder()+version+"/"+f.Name))
	}
	slices.Sort(paths)
	return fmt.Sprintf("SELECT\n  %s\nFROM %s.%s\nWHERE %s = %s\nAND \"$path\" IN (\n  %s\n)",
		strings.Join(selected, ",\n  "), name(q.Database), name(VersionsTable(q.view.Name)),
		name(VersionColumn), literal(version), strings.Join(paths, ",\n  ")), nil
}

// fromFile reads a column of a file.
func fromFile(c viewfile.Column) string {
	if c.Type.Kind == column.Timestamp && c.Name != viewfile.TimeColumn {
		return athenaTime(name(c.Name)) + " AS " + name(c.Name)
	}
	return name(c.Name)
}
