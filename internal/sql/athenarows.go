package sql

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
	"github.com/watershed-data/watershed/internal/viewfile"
)

// The columns that the rows of a merged view have besides those of the table.
const (
	copyColumn   = "ws_copy"   // which copy of a row it is, from 1
	behindColumn = "ws_behind" // the row lies behind the cut
)

// maxRetention is the longest that a stream of Kinesis keeps events.
const maxRetention = 365 * 24 * time.Hour

// slack is by how much arrivals may go backwards, as for the speed layer, and the
// clock that a version is sealed by may differ from the stream's.
const slack = time.Hour

// rows gives the relations up to judgedRelation.
//
// Firehose and a repair may store an event twice, so one row is kept per position, as
// a batch run does it when figures differ. Rows of loads are left out: they belong to
// an answer from the version on that holds them, and it holds all of them.
func (q *merged) rows() ([]relation, error) {
	cut, err := q.cut()
	if err != nil {
		return nil, err
	}
	identified := q.Def.Events.ID != ""
	where := []string{"r." + name(archive.ShardColumn) + " NOT LIKE " + literal(protocol.LoadPrefix+"%")}
	behind, from := "true", fmt.Sprintf("FROM %s.%s AS r", name(q.Database), name(RowsTable))
	if cut != "" {
		behind = fmt.Sprintf("(c.through IS NULL OR r.%s > c.through)", name(archive.PositionColumn))
		from += fmt.Sprintf("\nLEFT JOIN %s AS c ON r.%s = c.shard", cutRelation, name(archive.ShardColumn))
		where = append(where, fmt.Sprintf("r.%s >= %d", name(archive.ArrivalColumn), q.earliest()))
		if !identified {
			where = append(where, behind)
		}
	}
	selected := q.columns()
	for i, c := range selected {
		selected[i] = "r." + name(c)
	}
	selected = append(selected, behind+" AS "+behindColumn, fmt.Sprintf(
		"row_number() OVER (PARTITION BY r.%s, r.%s ORDER BY CASE r.%s WHEN %s THEN 0 ELSE 1 END, r.%s DESC, r.%s, r.%s) AS %s",
		name(archive.ShardColumn), name(archive.PositionColumn), name(definition.OutcomeColumn), literal(string(rowlogic.Erased)),
		name(archive.RowLogicColumn), name(archive.HashHighColumn), name(archive.HashLowColumn), copyColumn))
	behindIt := fmt.Sprintf("SELECT\n  %s\n%s\nWHERE %s", strings.Join(selected, ",\n  "), from, strings.Join(where, "\nAND "))
	out := []relation{{storedRelation, behindIt}, {judgedRelation, q.judged(identified)}}
	if cut != "" {
		out = append([]relation{{cutRelation, cut}}, out...)
	}
	return out, nil
}

// cut gives the last position of each shard of the version; "" if it has none.
func (q *merged) cut() (string, error) {
	if q.manifest == nil {
		return "", nil
	}
	var values []string
	for _, shard := range slices.Sorted(maps.Keys(q.manifest.Cut)) {
		if err := checkText("shard", shard); err != nil {
			return "", err
		}
		if !protocol.IsLoad(shard) {
			values = append(values, fmt.Sprintf("(%s, %s)", literal(shard), literal(q.manifest.Cut[shard].Through.Key())))
		}
	}
	if len(values) == 0 {
		return "", nil
	}
	return "SELECT * FROM (VALUES\n  " + strings.Join(values, ",\n  ") + "\n) AS c (shard, through)", nil
}

// earliest gives an arrival, milliseconds since 1970-01-01 UTC, before which no row
// matters. When the version was sealed, whatever was not in it was in the stream
// still or had not arrived. What decides whether such an event is a duplicate came
// at most the window before it.
func (q *merged) earliest() int64 {
	retention := q.Retention
	if retention == 0 {
		retention = maxRetention
	}
	back := retention + slack
	if q.Def.Events.ID != "" {
		back += q.Def.Events.DedupeWithin + slack
	}
	return q.manifest.T - back.Milliseconds()
}

// judged gives the rows with the outcome that they have among all others; see
// DuckDB.duplicates. Rows without an identity are alone with themselves, so that they
// are not sorted all together.
func (q *merged) judged(identified bool) string {
	var selected []string
	for _, c := range q.columns() {
		selected = append(selected, name(c))
	}
	from := fmt.Sprintf("FROM %s\nWHERE %s = 1", storedRelation, copyColumn)
	if !identified {
		return "SELECT\n  " + strings.Join(append(selected, behindColumn), ",\n  ") + "\n" + from
	}
	outcome, reason, high, position, arrival := name(definition.OutcomeColumn), name(definition.ReasonColumn), name(archive.IDHighColumn), name(archive.PositionColumn), name(archive.ArrivalColumn)
	const again = "ws_again"
	inner := append(slices.Clone(selected), behindColumn, fmt.Sprintf(
		"%[1]s IS NOT NULL AND %[2]s <> %[3]s AND %[4]s - lag(%[4]s) OVER (PARTITION BY %[1]s, %[5]s, CASE WHEN %[1]s IS NULL THEN %[6]s END ORDER BY %[6]s) <= %[7]d AS %[8]s",
		high, outcome, literal(string(rowlogic.Erased)), arrival, name(archive.IDLowColumn), position, q.Def.Events.DedupeWithin.Milliseconds(), again))
	for i, c := range selected {
		switch c {
		case outcome:
			selected[i] = fmt.Sprintf("CASE WHEN %s THEN %s ELSE %s END AS %s", again, literal(string(rowlogic.Duplicate)), outcome, outcome)
		case reason:
			selected[i] = fmt.Sprintf("CASE WHEN %s THEN NULL ELSE %s END AS %s", again, reason, reason)
		}
	}
	return fmt.Sprintf("SELECT\n  %s\nFROM (\n%s\n)", strings.Join(append(selected, behindColumn), ",\n  "),
		indented("SELECT\n  "+strings.Join(inner, ",\n  ")+"\n"+from))
}

// columns lists the columns of the master dataset that the view, and what comes
// before it, reads.
func (q *merged) columns() []string {
	needed := map[string]bool{definition.OutcomeColumn: true, q.view.WhereColumn(): true}
	for _, g := range q.view.Grains() {
		if g != definition.None {
			needed[archive.TimeColumn(g)] = true
		}
	}
	for _, d := range q.view.By {
		needed[d] = true
	}
	for _, m := range q.view.Measures {
		needed[m.Input()] = true
	}
	if q.Def.Events.ID != "" {
		for _, c := range []string{archive.PositionColumn, archive.ArrivalColumn, archive.IDHighColumn, archive.IDLowColumn} {
			needed[c] = true
		}
	}
	var out []string
	for _, c := range archive.Columns(q.Def) {
		if needed[c.Name] {
			out = append(out, c.Name)
		}
	}
	return out
}

// tail gives the groups of the rows behind the cut with their states, in the buckets
// of the version.
func (q *merged) tail() string {
	var selected, keys []string
	if q.layout.Timed {
		key := q.bucket()
		keys = append(keys, key)
		selected = append(selected, athenaBucket(key)+" AS "+name(viewfile.TimeColumn))
	}
	for _, c := range q.layout.Dims {
		keys = append(keys, "r."+name(c.Name))
		selected = append(selected, q.queries().logical("r."+name(c.Name), c.Type)+" AS "+name(c.Name))
	}
	for i, m := range q.view.Measures {
		for j, c := range q.states(i) {
			selected = append(selected, q.tailState(m, j, c)+" AS "+name(c.Name))
		}
	}
	from := fmt.Sprintf("FROM %s AS r\nWHERE r.%s", judgedRelation, behindColumn)
	if !q.view.Outcomes {
		from += fmt.Sprintf("\nAND r.%s = %s", name(definition.OutcomeColumn), literal(string(rowlogic.Accepted)))
	}
	if q.view.Where != nil {
		from += "\nAND r." + name(q.view.WhereColumn())
	}
	return "SELECT\n  " + strings.Join(selected, ",\n  ") + "\n" + from + groupBy(keys)
}

// bucket gives the start of the bucket that a row is kept in.
func (q *merged) bucket() string {
	if q.manifest == nil {
		return "r." + name(archive.TimeColumn(q.view.Every))
	}
	return q.queries().bucket(q.view, q.manifest.T)
}

// tailState is the aggregate behind column j of a measure's state.
func (q *merged) tailState(m definition.Measure, j int, c viewfile.Column) string {
	of := "r." + name(m.Input())
	switch m.Func {
	case definition.Distinct:
		return fmt.Sprintf("coalesce(array_agg(DISTINCT %s) FILTER (WHERE %s IS NOT NULL), ARRAY[])", of, of)
	case definition.Quantiles:
		return fmt.Sprintf("coalesce(map_entries(histogram(%s) FILTER (WHERE %s IS NOT NULL)), ARRAY[])", of, of)
	}
	return q.queries().state(m, j, c)
}
