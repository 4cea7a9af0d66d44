package oracle

import (
	"fmt"
	"iter"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
)

// Cell is one cell of a view as text. See Text for the form of values.
type Cell struct {
	Key    string   // see Key
	Values []string // one per measure, in order of declaration
}

// Text gives a value's canonical text: null, strings quoted as Go quotes them,
// everything else as answers print it.
func Text(t column.Type, v column.Value) string {
	switch {
	case v.Null:
		return "null"
	case t.Kind == column.String:
		return strconv.Quote(v.Str)
	case t.Kind == column.Decimal:
		return decimalText(v.Int, t)
	case t.Kind == column.Bool:
		return strconv.FormatBool(v.Int != 0)
	case t.Kind == column.Date:
		return time.Unix(v.Int*86400, 0).UTC().Format(time.DateOnly)
	case t.Kind == column.Timestamp:
		return timeText(time.UnixMicro(v.Int))
	case t.Kind == column.Float:
		return strconv.FormatFloat(v.Float, 'g', -1, 64)
	}
	return strconv.FormatInt(v.Int, 10)
}

// Key joins the texts that name a cell: the start of its bucket, unless the
// view has none, and its dimensions.
func Key(texts ...string) string { return strings.Join(texts, " ") }

// timeText writes RFC 3339 in UTC with no fraction, milliseconds or
// microseconds.
func timeText(t time.Time) string {
	layout := "2006-01-02T15:04:05Z"
	switch micros := t.Nanosecond() / 1000; {
	case micros%1000 != 0:
		layout = "2006-01-02T15:04:05.000000Z"
	case micros != 0:
		layout = "2006-01-02T15:04:05.000Z"
	}
	return t.UTC().Format(layout)
}

func decimalText(n int64, t column.Type) string {
	return new(big.Rat).SetFrac(big.NewInt(n), power(t.Scale)).FloatString(t.Scale)
}

// cells are the cells of one view.
type cells struct {
	view  definition.View
	zone  *time.Location
	time  string        // the event time's column
	seal  time.Time     // of the version whose buckets these are; zero: there is none yet
	types []column.Type // of the dimensions
	byKey map[string][]tally
	// wanted says which cells are kept; nil: all.
	wanted func(view, key string) bool
}

// tally is what one measure has seen of one cell.
type tally struct {
	rows   int64    // rows, whatever they hold
	values int64    // rows whose column is not null
	sum    *big.Int // of the scaled values; nil until there is one
	least  column.Value
	most   column.Value

	hashes  map[int64]bool // distinct
	buckets map[int]int64  // quantiles
}

func newCells(def *definition.Definition, v definition.View) *cells {
	c := &cells{view: v, zone: zoneOf(def), time: def.Events.Time, byKey: map[string][]tally{}}
	for _, name := range v.By {
		col, _ := def.Column(name)
		c.types = append(c.types, col.Type)
	}
	return c
}

// holds reports whether the view counts the row.
func (c *cells) holds(r row) bool {
	if c.view.Where == nil {
		return true
	}
	v, err := c.view.Where.EvalCEL(r.get)
	return err == nil && !v.Null && v.Int != 0
}

func (c *cells) add(r row) {
	var texts []string
	if c.view.Every != definition.None {
		texts = append(texts, timeText(kept(c.view, c.zone, c.seal, time.UnixMicro(r.get(c.time).Int))))
	}
	for i, name := range c.view.By {
		texts = append(texts, Text(c.types[i], r.get(name)))
	}
	key := Key(texts...)
	if c.wanted != nil && !c.wanted(c.view.Name, key) {
		return
	}
	cell := c.byKey[key]
	if cell == nil {
		cell = make([]tally, len(c.view.Measures))
		c.byKey[key] = cell
	}
	for i, m := range c.view.Measures {
		cell[i].add(m, r.get(m.Column))
	}
}

func (t *tally) add(m definition.Measure, v column.Value) {
	t.rows++
	if m.Column == "" || v.Null {
		return
	}
	if t.values == 0 || less(m.Type.Kind, v, t.least) {
		t.least = v
	}
	if t.values == 0 || less(m.Type.Kind, t.most, v) {
		t.most = v
	}
	t.values++
	if m.Func == definition.Sum || m.Func == definition.Avg {
		if t.sum == nil {
			t.sum = new(big.Int)
		}
		t.sum.Add(t.sum, big.NewInt(v.Int))
	}
	switch m.Func {
	case definition.Distinct:
		t.seen(m, v)
	case definition.Quantiles:
		t.fall(m, v)
	}
}

func less(k column.Kind, a, b column.Value) bool {
	switch k {
	case column.String:
		return a.Str < b.Str
	case column.Float:
		return a.Float < b.Float
	}
	return a.Int < b.Int
}

// text gives the measure's result.
func (t *tally) text(m definition.Measure) string {
	switch {
	case m.Func == definition.Count && m.Column == "":
		return strconv.FormatInt(t.rows, 10)
	case m.Func == definition.Count:
		return strconv.FormatInt(t.values, 10)
	case m.Func == definition.Distinct:
		return t.distinct(m.K)
	case t.values == 0:
		return "null"
	case m.Func == definition.Quantiles:
		return t.quantiles(m)
	case m.Func == definition.Sum:
		return new(big.Rat).SetFrac(t.sum, power(m.Type.Scale)).FloatString(m.Type.Scale)
	case m.Func == definition.Avg:
		scale := m.Type.Scale
		mean := new(big.Rat).SetFrac(t.sum, new(big.Int).Mul(big.NewInt(t.values), power(scale)))
		return halfEven(mean, scale+6)
	case m.Func == definition.Min:
		return Text(m.Type, t.least)
	case m.Func == definition.Max:
		return Text(m.Type, t.most)
	}
	panic(fmt.Sprintf("the oracle does not know the measure %s", m.Func))
}

// halfEven writes x with the given digits after the point, rounded half to even.
func halfEven(x *big.Rat, digits int) string {
	unit := new(big.Rat).SetFrac(power(digits), big.NewInt(1))
	scaled := new(big.Rat).Mul(x, unit)
	floor := new(big.Int).Div(scaled.Num(), scaled.Denom()) // Euclidean: rounds down, the denominator is positive
	above := new(big.Rat).Sub(scaled, new(big.Rat).SetInt(floor))
	switch above.Cmp(big.NewRat(1, 2)) {
	case 1:
		floor.Add(floor, big.NewInt(1))
	case 0:
		floor.Add(floor, new(big.Int).And(floor, big.NewInt(1)))
	}
	return new(big.Rat).SetFrac(floor, power(digits)).FloatString(digits)
}

// Cells gives the cells of a view, in no particular order.
func (o *Oracle) Cells(view string) iter.Seq[Cell] {
	return func(yield func(Cell) bool) {
		if view == definition.OutcomesView {
			for v := range o.outcomes {
				if !yield(o.verdict(v)) {
					return
				}
			}
			return
		}
		for _, c := range o.views {
			if c.view.Name != view {
				continue
			}
			for key := range c.byKey {
				if !yield(c.cell(key)) {
					return
				}
			}
		}
	}
}

// Cell gives the cell of a view under a key; false if no event fell into it.
func (o *Oracle) Cell(view, key string) (Cell, bool) {
	if view == definition.OutcomesView {
		for v := range o.outcomes {
			if c := o.verdict(v); c.Key == key {
				return c, true
			}
		}
	}
	for _, c := range o.views {
		if c.view.Name == view && c.byKey[key] != nil {
			return c.cell(key), true
		}
	}
	return Cell{}, false
}

// verdict gives a cell of the built-in view.
func (o *Oracle) verdict(v Verdict) Cell {
	text := column.Type{Kind: column.String}
	reason := column.Value{Str: v.Reason, Null: v.Reason == ""}
	return Cell{
		Key:    Key(Text(text, column.Value{Str: string(v.Outcome)}), Text(text, reason)),
		Values: []string{strconv.FormatInt(o.outcomes[v], 10)},
	}
}

func (c *cells) cell(key string) Cell {
	out := Cell{Key: key}
	for i, m := range c.view.Measures {
		out.Values = append(out.Values, c.byKey[key][i].text(m))
	}
	return out
}
