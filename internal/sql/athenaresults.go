package sql

import (
	"fmt"
	"math/big"
	"strings"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/measure"
	"github.com/watershed-data/watershed/internal/tables"
)

// Results are read from the states as internal/measure reads them, by exact
// arithmetic of integers and decimals: what does not fit 38 digits is an error of the
// query, never another number.

// middlesBytes bounds the numbers for quantiles that a view's text holds; see middles.
const middlesBytes = 160 << 10

// results gives the expressions of the measures' results.
func (q *merged) results() []string {
	var out []string
	for i, m := range q.view.Measures {
		switch m.Func {
		case definition.Avg:
			out = append(out, average(q.layout.States[i][0].Name, q.layout.States[i][1].Name, m.Type.Scale)+" AS "+name(m.Name))
		case definition.Distinct:
			out = append(out, estimate(name(q.layout.States[i][0].Name), m.K)+" AS "+name(m.Name))
		case definition.Quantiles:
			column, ok := q.middles.column[m.Name]
			if !ok {
				continue
			}
			for _, o := range (measure.Measure{Measure: m}).Outputs(measure.DefaultQuantiles()) {
				over, unit := o.Share()
				out = append(out, quantile(name(q.layout.States[i][0].Name), over, unit, middleRelation+"."+column)+" AS "+name(o.Name))
			}
		default:
			out = append(out, name(m.Name))
		}
	}
	return out
}

// resultColumns gives the columns of the view.
func (q *merged) resultColumns() []tables.Column {
	var out []tables.Column
	if q.layout.Timed {
		out = append(out, resultColumn("time", column.Type{Kind: column.Timestamp}))
	}
	for _, c := range q.layout.Dims {
		out = append(out, resultColumn(c.Name, c.Type))
	}
	for _, m := range q.view.Measures {
		if m.Func == definition.Quantiles && q.middles.column[m.Name] == "" {
			continue
		}
		for _, o := range (measure.Measure{Measure: m}).Outputs(measure.DefaultQuantiles()) {
			t := o.Of
			if o.Big {
				t.Precision = sumDigits
			}
			out = append(out, resultColumn(o.Name, t))
		}
	}
	return out
}

// sumDigits is the precision of results that are sums, averages or quantiles.
const sumDigits = 38

// description says what the view is, for people who look into the catalog.
func (q *merged) description() string {
	text := "The view " + q.view.Name + ": "
	if q.manifest == nil {
		text += "of all rows, because there is no version yet."
	} else {
		text += "version " + q.manifest.Version + " and the rows that came later."
	}
	if left := q.middles.left; len(left) > 0 {
		text += " Without " + strings.Join(left, ", ") + ", whose relative error is too small for a query in Athena."
	}
	return text
}

// average divides a sum by its count, rounded half to even behind six digits more
// than the sum has. Division of decimals rounds half away from zero; where it is a
// half, one is taken back if the result is odd. To stay within 38 digits, what is
// left over is divided apart.
func average(sum, count string, scale int) string {
	units := name(sum)
	if scale > 0 {
		// By multiplying, a decimal of 38 digits would keep its scale, and overflow.
		units = fmt.Sprintf("CAST(replace(CAST(%s AS varchar), '.', '') AS decimal(38,0))", units)
	}
	n := fmt.Sprintf("CAST(nullif(%s, 0) AS decimal(19,0))", name(count))
	rest := fmt.Sprintf("(%s %% %s * 1000000)", units, n)
	rounded := fmt.Sprintf("(%s / %s)", rest, n)
	half := fmt.Sprintf("CASE WHEN abs(%s %% %s) * 2 = %s AND %s %% 2 <> 0 THEN sign(%s) ELSE 0 END", rest, n, n, rounded, rest)
	whole := fmt.Sprintf("(%s - %s %% %s) / %s * 1000000", units, units, n, n)
	return fmt.Sprintf("CAST((%s + %s - %s) * %s AS decimal(38,%d))", whole, rounded, half, athenaUnit(scale+6), scale+6)
}

// estimate counts the different values by their k smallest hashes; see
// measure.estimate, of which this is the same.
func estimate(hashes string, k int) string {
	range64 := new(big.Int).Lsh(big.NewInt(int64(k-1)), 64)
	over := "DECIMAL '" + range64.String() + "'"
	distance := fmt.Sprintf("(CAST(element_at(%s, %d) AS decimal(20,0)) + DECIMAL '9223372036854775809')", hashes, k)
	n := fmt.Sprintf("(%s - %s %% %s) / %s", over, over, distance, distance)
	return fmt.Sprintf("CASE WHEN cardinality(%[1]s) < %[2]d THEN cardinality(%[1]s) ELSE CAST(least(greatest(%[3]s, %[2]d), DECIMAL '9223372036854775807') AS bigint) END", hashes, k, n)
}

// quantile finds the bucket at the quantile's place among all values, and gives the
// value that stands for it. Pairs of a bucket and its count come in order; a bucket
// may come twice.
func quantile(pairs string, over, unit int64, middles string) string {
	number := fmt.Sprintf("reduce(%s, CAST(0 AS bigint), (n, x) -> n + x[2], n -> n)", pairs)
	rank := fmt.Sprintf("(%s - 1) * %d / %d", number, over, unit)
	const pair = "row(bigint, bigint)" // how many values to pass over, and the bucket once it is found
	return fmt.Sprintf(`reduce(
    %[1]s,
    CAST(ROW(%[2]s, NULL) AS %[3]s),
    (s, x) -> CASE WHEN s[2] IS NOT NULL THEN s WHEN x[2] > s[1] THEN CAST(ROW(0, x[1]) AS %[3]s) ELSE CAST(ROW(s[1] - x[2], NULL) AS %[3]s) END,
    s -> CASE WHEN s[2] = 0 THEN 0 WHEN s[2] < 0 THEN -element_at(%[4]s, -s[2]) ELSE element_at(%[4]s, s[2]) END
  )`, pairs, rank, pair, middles)
}

// middles is the values that stand for the buckets of positive values, for all
// quantiles of a view. No engine computes them exactly, so they are in the text.
type middles struct {
	selected []string          // the columns of middleRelation, each a list
	column   map[string]string // of a measure's list; measures of one type and error share it
	left     []string          // measures for whose lists there is no room
}

func newMiddles(v definition.View) (middles, error) {
	out := middles{column: map[string]string{}}
	size, columns := 0, map[string]string{}
	for _, m := range v.Measures {
		if m.Func != definition.Quantiles {
			continue
		}
		key := m.Type.String() + " " + m.Error
		if columns[key] == "" {
			list, err := (measure.Measure{Measure: m}).Middles()
			if err != nil {
				return middles{}, err
			}
			text := strings.Join(list, " ")
			if size+len(text) > middlesBytes {
				out.left = append(out.left, m.Name)
				continue
			}
			size += len(text)
			columns[key] = fmt.Sprintf("of_%d", len(columns)+1)
			out.selected = append(out.selected, fmt.Sprintf("CAST(split(%s, ' ') AS array(%s)) AS %s", literal(text), middleType(m), columns[key]))
		}
		out.column[m.Name] = columns[key]
	}
	return out, nil
}

func middleType(m definition.Measure) string {
	if m.Type.Kind == column.Float {
		return "double"
	}
	_, scale := (measure.Measure{Measure: m}).ResultType()
	return fmt.Sprintf("decimal(%d,%d)", sumDigits, scale)
}
