package sql

import (
	"fmt"
	"strings"

	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/protocol"
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

// duckDB is the dialect of DuckDB. The sum of BIGINT is an exact 128-bit integer.
var duckDB = dialect{
	name:      name,
	literal:   literal,
	timestamp: func(micros string) string { return "make_timestamp(" + micros + ")" },
	date:      func(days string) string { return "(DATE '1970-01-01' + " + days + ")" },
	decimal:   duckDBDecimal,
	sum:       func(integers string) string { return "sum(" + integers + ")" },
	emptyList: "[]",
	lists:     duckDBLists,
	sorted:    true,
}

func (d DuckDB) queries() queries { return queries{duckDB, d.Def} }

// duckDBDecimal casts without a fraction, then multiplies by the unit, which is
// exact and keeps all digits.
func duckDBDecimal(units string, t column.Type) string {
	whole := fmt.Sprintf("CAST(%s AS DECIMAL(%d,0))", units, max(t.Precision, column.MaxPrecision))
	if t.Scale == 0 {
		return fmt.Sprintf("CAST(%s AS DECIMAL(%d,0))", units, t.Precision)
	}
	unit := fmt.Sprintf("CAST(0.%s1 AS DECIMAL(%d,%d))", strings.Repeat("0", t.Scale-1), t.Scale+1, t.Scale)
	return fmt.Sprintf("CAST(%s * %s AS DECIMAL(%d,%d))", whole, unit, t.Precision, t.Scale)
}

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

// stored makes the relation of the rows up to the cut as they are in the files.
func (d DuckDB) stored(s Source) (string, error) {
	kind := "VIEW"
	if s.Distinct {
		kind = "TABLE"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE TEMP %s %s AS\nSELECT\n  %s%s\nFROM read_parquet([\n", kind, d.queries().all(), d.queries().fields("m", d.queries().columns()), s.Since.mark(d.Def))
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
		fmt.Fprintf(&b, "\nQUALIFY row_number() OVER (PARTITION BY %s, %s %s) = 1", shard, position, d.queries().newest())
	}
	return b.String(), nil
}

// duplicates makes the relation of the rows before which, in the order of
// positions, comes one of the same identity that arrived at most the window
// earlier.
func (d DuckDB) duplicates() string {
	high := name(archive.IDHighColumn)
	return fmt.Sprintf(`CREATE TEMP TABLE %s AS
WITH again AS (
  %s
)
SELECT s.%s, s.%s
FROM %s AS s
JOIN again ON s.%s = again.%s
QUALIFY %s <= %d`,
		name(duplicates), d.queries().again(), name(archive.ShardColumn), name(archive.PositionColumn), name(stored), high, high,
		d.queries().since(), d.Def.Events.DedupeWithin.Milliseconds())
}

// judged makes the relation of the rows with the outcome that they have among
// all others.
func (d DuckDB) judged() string {
	return fmt.Sprintf("CREATE TEMP VIEW %s AS\n%s", name(rows), d.queries().judged())
}

// noRows makes the relation without any row; read_parquet takes no empty list.
func (d DuckDB) noRows(s Source) string {
	types := map[archive.Physical]string{
		archive.Text: "VARCHAR", archive.Int64: "BIGINT", archive.Int32: "INTEGER",
		archive.Boolean: "BOOLEAN", archive.Double: "DOUBLE",
	}
	var lines []string
	for _, c := range archive.Columns(d.Def) {
		if d.queries().needs(c.Name) {
			lines = append(lines, name(c.Name)+" "+types[c.Physical])
		}
	}
	if s.Since.mark(d.Def) != "" {
		lines = append(lines, addedColumn+" BOOLEAN")
	}
	return fmt.Sprintf("CREATE TEMP TABLE %s (\n  %s\n)", d.queries().all(), strings.Join(lines, ",\n  "))
}

// Figures gives the query for what the double entry compares: shard, number of
// rows, sums of the upper and of the lower halves of the hashes, as exact
// integers of up to 128 bits.
func (d DuckDB) Figures() string { return d.queries().figures() }

// View gives the query for a view's groups with their states, in the columns and
// the order of viewfile.Layout, for a version that was sealed at t, milliseconds
// since 1970-01-01 UTC: by it, old buckets are rolled up.
func (d DuckDB) View(v definition.View, t int64) (string, error) { return d.queries().view(v, t) }

// Copy gives the statement that stores a query's rows as one Parquet file with
// row groups of about the given number of rows. It writes no other file.
func (d DuckDB) Copy(query, file string, rowGroup int) (string, error) {
	if err := checkText("file name", file); err != nil {
		return "", err
	}
	return fmt.Sprintf("COPY (\n%s\n) TO %s (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE %d, USE_TMP_FILE false)", query, literal(file), rowGroup), nil
}

// duckDBLists makes one row for each group that has an element, with the columns
// of a measure's state.
func duckDBLists(g groups, m definition.Measure, columns []string, elements string) string {
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

func comma(i, n int) string {
	if i < n-1 {
		return ","
	}
	return ""
}
