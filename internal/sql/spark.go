package sql

import (
	"errors"
	"fmt"
	"strings"

	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/job"
	"github.com/watershed-data/watershed/internal/viewfile"
)

// Spark renders the SQL of Spark 3.5. Files are not named in it: whoever runs it
// makes the relation `files` of them, with Columns, and sorts a view's rows by
// Order as it stores them.
//
// Its statements follow settings of the session, which Rows therefore makes first.
type Spark struct {
	Def *definition.Definition
}

// files is the relation of the rows in the files, cut or not.
const files = "files"

// place is where a row stands in a window. No column of the user's begins with ws_.
const place = "ws_place"

// settings are what the statements rely on, wherever they run.
var settings = []string{
	// What does not fit is an error; without, Spark makes null of it.
	"SET spark.sql.ansi.enabled=true",
	"SET spark.sql.session.timeZone=UTC",
	// Multiplying by the unit of a decimal keeps all digits of the fraction.
	"SET spark.sql.decimalOperations.allowPrecisionLoss=false",
	// Files that Firehose wrote have their columns in lower case.
	"SET spark.sql.caseSensitive=false",
	// A backslash in a literal escapes, and ${name} in a statement is not replaced.
	"SET spark.sql.parser.escapedStringLiterals=false",
	"SET spark.sql.variable.substitute=false",
	// Each task gives away no more than the k smallest hashes of a group. Spark does so
	// only below a threshold, of 1000 by default.
	"SET spark.sql.optimizer.windowGroupLimitThreshold=1000000",
}

var sparkSQL = dialect{
	name:      sparkName,
	literal:   sparkLiteral,
	timestamp: func(micros string) string { return "timestamp_micros(" + micros + ")" },
	date:      func(days string) string { return "date_from_unix_date(" + days + ")" },
	decimal:   sparkDecimal,
	sum:       func(integers string) string { return "sum(CAST(" + integers + " AS DECIMAL(38,0)))" },
	emptyList: "CAST(array() AS ARRAY<BIGINT>)",
	lists:     sparkLists,
}

func (s Spark) queries() queries { return queries{sparkSQL, s.Def} }

// Columns lists the columns of `files` that the statements read.
func (s Spark) Columns() []job.Column {
	types := map[archive.Physical]job.Type{
		archive.Text: job.String, archive.Int64: job.BigInt, archive.Int32: job.Int, archive.Boolean: job.Boolean, archive.Double: job.Double,
	}
	var out []job.Column
	for _, c := range archive.Columns(s.Def) {
		switch c.Name {
		case archive.PositionColumn, archive.RowLogicColumn, definition.OutcomeColumn: // for the cut, and for one row per position
		default:
			if !s.queries().needs(c.Name) {
				continue
			}
		}
		out = append(out, job.Column{Name: c.Name, Type: types[c.Physical]})
	}
	return out
}

// Order lists the columns by which a view's rows are stored in order, nulls first.
func (s Spark) Order(v definition.View) []string {
	var out []string
	if v.Every != definition.None {
		out = append(out, viewfile.TimeColumn)
	}
	return append(out, v.By...)
}

// Rows gives the statements that make the relation of a source's rows, with the
// columns that figures and views need. Its list of files is not looked at. They may
// run more than once in a session.
//
// The relation is a view: to read a column again is cheaper than to stage rows.
// Keeping one row per position is not, nor is finding duplicates, so these are
// staged once.
func (s Spark) Rows(source Source) ([]string, error) {
	if source.Since != nil {
		return nil, errors.New("rendering SQL: Spark computes versions from all rows, not since another one")
	}
	first, err := s.stored(source)
	if err != nil {
		return nil, err
	}
	out := append(settings[:len(settings):len(settings)], first)
	if source.Distinct {
		out = append(out, "CACHE TABLE "+s.queries().all())
	}
	if s.Def.Events.ID == "" {
		return out, nil
	}
	return append(out, s.duplicates(), "CACHE TABLE "+sparkName(duplicates), sparkView(rows)+s.queries().judged()), nil
}

// Figures gives the query for what the double entry compares: shard, number of
// rows, sums of the upper and of the lower halves of the hashes, as exact integers
// of up to 38 digits.
func (s Spark) Figures() string { return s.queries().figures() }

// View gives the query for a view's groups with their states, in the columns of
// viewfile.Layout and in no order, for a version that was sealed at t, milliseconds
// since 1970-01-01 UTC: by it, old buckets are rolled up.
func (s Spark) View(v definition.View, t int64) (string, error) { return s.queries().view(v, t) }

// stored makes the relation of the rows up to the cut as they are in the files.
func (s Spark) stored(source Source) (string, error) {
	q := s.queries()
	create := "CREATE OR REPLACE TEMP VIEW " + q.all() + " AS\n"
	if len(source.Cut) == 0 {
		return create + "SELECT\n  " + q.fields("m", q.columns()) + "\nFROM " + q.name(files) + " AS m\nWHERE false", nil
	}
	columns := q.fields("m", q.columns())
	shard, position := "m."+q.name(archive.ShardColumn), "m."+q.name(archive.PositionColumn)
	if source.Distinct {
		columns += fmt.Sprintf(",\n  row_number() OVER (PARTITION BY %s, %s %s) AS %s", shard, position, q.newest(), place)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "SELECT\n  %s\nFROM %s AS m\nJOIN (VALUES\n", columns, q.name(files))
	for i, shard := range shards(source.Cut) {
		if err := checkText("shard", shard); err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "  (%s, %s)%s\n", q.literal(shard), q.literal(source.Cut[shard].Key()), comma(i, len(source.Cut)))
	}
	fmt.Fprintf(&b, ") AS cut (shard, through)\nON %s = cut.shard AND %s <= cut.through", shard, position)
	if !source.Distinct {
		return create + b.String(), nil
	}
	return fmt.Sprintf("%sSELECT\n  %s\nFROM (\n%s\n) AS m\nWHERE %s = 1", create, q.fields("m", q.columns()), indented(b.String()), place), nil
}

// duplicates makes the relation of the rows before which, in the order of
// positions, comes one of the same identity that arrived at most the window
// earlier.
func (s Spark) duplicates() string {
	q := s.queries()
	shard, position, high := q.name(archive.ShardColumn), q.name(archive.PositionColumn), q.name(archive.IDHighColumn)
	return fmt.Sprintf(`%sWITH again AS (
  %s
)
SELECT %s, %s
FROM (
  SELECT s.%s, s.%s, %s AS ws_since
  FROM %s AS s
  JOIN again ON s.%s = again.%s
)
WHERE ws_since <= %d`,
		sparkView(duplicates), q.again(), shard, position, shard, position, q.since(), q.name(stored), high, high, s.Def.Events.DedupeWithin.Milliseconds())
}

func sparkView(relation string) string {
	return "CREATE OR REPLACE TEMP VIEW " + sparkName(relation) + " AS\n"
}

// sparkName quotes an identifier.
func sparkName(s string) string { return "`" + strings.ReplaceAll(s, "`", "``") + "`" }

// sparkLiteral quotes a text. A doubled quote would end one literal and begin
// another, which Spark joins.
func sparkLiteral(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// sparkDecimal casts without a fraction, then multiplies by the unit, which keeps
// all digits.
func sparkDecimal(units string, t column.Type) string {
	whole := fmt.Sprintf("CAST(%s AS DECIMAL(%d,0))", units, max(t.Precision, column.MaxPrecision))
	if t.Scale > 0 {
		whole += fmt.Sprintf(" * CAST(0.%s1 AS DECIMAL(%d,%d))", strings.Repeat("0", t.Scale-1), t.Scale+1, t.Scale)
	}
	return fmt.Sprintf("CAST(%s AS DECIMAL(%d,%d))", whole, t.Precision, t.Scale)
}

// sparkLists makes one row for each group that has an element, with the columns of
// a measure's state. Only what ends up in a list is collected: the k smallest
// hashes, or one pair for each bucket.
func sparkLists(g groups, m definition.Measure, columns []string, elements string) string {
	keys := g.prefix()
	if m.Func == definition.Quantiles {
		return fmt.Sprintf(`SELECT %[1]stransform(ws_pairs, p -> p.%[2]s) AS %[4]s, transform(ws_pairs, p -> p.%[3]s) AS %[5]s
FROM (
  SELECT %[1]sarray_sort(collect_list(struct(%[2]s, %[3]s))) AS ws_pairs
  FROM (
    SELECT %[1]s%[2]s, sum(%[3]s) AS %[3]s
    FROM (
%[6]s)
    GROUP BY %[1]s%[2]s
  )%[7]s
)`, keys, element, times, columns[0], columns[1], indented(elements), strings.ReplaceAll(g.groupBy(), "\n", "\n  "))
	}
	smallest := fmt.Sprintf("SELECT DISTINCT %s%s FROM (\n%s)", keys, element, elements)
	if len(g.keys) == 0 {
		// A window over one group would have a single task sort all elements.
		smallest += fmt.Sprintf("\n  ORDER BY %s LIMIT %d", element, m.K)
	} else {
		smallest = fmt.Sprintf(`SELECT %[1]s%[2]s, row_number() OVER (PARTITION BY %[3]s ORDER BY %[2]s) AS %[4]s
  FROM (%[5]s)`, keys, element, strings.Join(g.keys, ", "), place, smallest)
	}
	query := fmt.Sprintf("SELECT %sarray_sort(collect_list(%s)) AS %s\nFROM (\n  %s\n)", keys, element, columns[0], smallest)
	if len(g.keys) == 0 {
		return query
	}
	return query + fmt.Sprintf("\nWHERE %s <= %d%s", place, m.K, g.groupBy())
}
