package serving

import (
	"math/big"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/measure"
)

// Answer is the answer to a query, and of which events it is made.
type Answer struct {
	View      string
	Version   *string           // nil: no version is published yet
	Watershed *string           // T of the version, RFC 3339; nil: no version is published yet
	Freshness *string           // the arrival that every shard has reached, RFC 3339; nil: a shard has nothing committed yet
	Complete  bool              // see Why
	Why       string            // why it is not complete
	Committed map[string]string // the position up to which the answer holds each shard's events; "": none of them
	Kept      []KeptGrain       // how wide buckets are that are as the view keeps them, the oldest first; nil: of one grain
	Lookups   []LookupState     // those that the query used
	Columns   []Column
	Next      *string // cursor of the next page; nil: this is the last one

	plan *plan
	rows []row
}

// KeptGrain is a grain of an answer whose buckets are as a view keeps them that
// rolls up by age.
type KeptGrain struct {
	Every  definition.Grain `json:"every"`
	Before string           `json:"before,omitempty"` // buckets that begin before this time, RFC 3339, and in no coarser one; "": the others
}

// Column is one column of an answer.
type Column struct {
	Name string
	Type string // as the definition writes types
	kind valueKind
	of   column.Type
}

// valueKind says what a column's values are made of.
type valueKind uint8

const (
	timeValue  valueKind = iota // a bucket's start
	plainValue                  // a column.Value of type Column.of
	bigValue                    // a scaled integer of up to 38 digits, Column.of.Scale
)

func measureColumn(o measure.Output) Column {
	c := Column{Name: o.Name, Type: o.Type, kind: plainValue, of: o.Of}
	if o.Big {
		c.kind = bigValue
	}
	return c
}

// numeric reports whether values are numbers, for a table's alignment.
func (c Column) numeric() bool {
	k := c.of.Kind
	return c.kind == bigValue || c.kind == plainValue && (k == column.Int || k == column.Decimal || k == column.Float)
}

// fill takes the answer's rows out of the groups.
func (a *Answer) fill(g *groups, limit int, version string) error {
	rows, err := g.rows()
	if err != nil {
		return err
	}
	if limit > 0 && len(rows) > limit {
		rows = rows[:limit]
		next := a.plan.seal(cursor{version: version, key: rows[limit-1].sort})
		a.Next = &next
	}
	a.rows = rows
	// A sum out of range is an error of the answer, and has to be known before
	// the first byte of it is written.
	for _, r := range rows {
		for _, o := range a.plan.outputs {
			if _, err := o.read(r.states); err != nil {
				return err
			}
		}
	}
	return nil
}

// Len is the number of rows.
func (a *Answer) Len() int { return len(a.rows) }

// Value is a value of an answer as every format prints it.
type Value struct {
	Null bool
	Text string
}

// Row gives the values of row i, in the order of the columns.
func (a *Answer) Row(i int) ([]Value, error) {
	cells, err := a.cells(nil, a.rows[i])
	if err != nil {
		return nil, err
	}
	out := make([]Value, len(cells))
	for i, c := range cells {
		out[i] = Value{Null: c.null}
		if !c.null {
			out[i].Text = string(a.Columns[i].append(nil, a.plan.zone, c))
		}
	}
	return out, nil
}

// cell is a value of an answer before it is printed.
type cell struct {
	null  bool
	value column.Value
	big   *big.Int
}

// cells appends the values of a row.
func (a *Answer) cells(dst []cell, r row) ([]cell, error) {
	t, dims, err := a.plan.decodeKey(r.key)
	if err != nil {
		return nil, err
	}
	if a.plan.timed() {
		dst = append(dst, cell{value: column.Value{Int: t}})
	}
	for _, d := range dims {
		dst = append(dst, cell{null: d.Null, value: d})
	}
	for _, o := range a.plan.outputs {
		result, err := o.read(r.states)
		if err != nil {
			return nil, err
		}
		dst = append(dst, cell{null: result.Null, value: result.Value, big: result.Big})
	}
	return dst, nil
}

// append appends a value that is not null as text.
func (c Column) append(dst []byte, zone timeZone, x cell) []byte {
	switch c.kind {
	case timeValue:
		return zone.append(dst, x.value.Int)
	case bigValue:
		return appendScaled(dst, x.big, c.of.Scale)
	}
	return column.AppendText(dst, c.of, x.value)
}

// appendScaled appends x / 10^scale with all digits of the scale.
func appendScaled(dst []byte, x *big.Int, scale int) []byte {
	if x.Sign() < 0 {
		dst = append(dst, '-')
		x = new(big.Int).Neg(x)
	}
	start := len(dst)
	dst = x.Append(dst, 10)
	if scale == 0 {
		return dst
	}
	for len(dst)-start <= scale { // at least one digit before the point
		dst = append(dst, 0)
		copy(dst[start+1:], dst[start:])
		dst[start] = '0'
	}
	point := len(dst) - scale
	dst = append(dst, 0)
	copy(dst[point+1:], dst[point:])
	dst[point] = '.'
	return dst
}

// each calls fn with the cells of every row.
func (a *Answer) each(fn func(cells []cell) error) error {
	var cells []cell
	var err error
	for _, r := range a.rows {
		if cells, err = a.cells(cells[:0], r); err != nil {
			return err
		}
		if err := fn(cells); err != nil {
			return err
		}
	}
	return nil
}
