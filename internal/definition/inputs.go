package definition

import (
	"slices"
	"strings"

	"github.com/watershed-data/watershed/internal/column"
)

// The names of inputs begin with one of these. What follows is a column's or a
// view's name, which cannot begin with ws_.
const (
	distinctStart = "ws_distinct_"
	bucketStart   = "ws_bucket_"
	whereStart    = "ws_where_"
)

// Input is a column that row logic makes for the views out of a row's other
// columns, and stores with the row, so that SQL only groups and merges: the
// hash that distinct counts, the bucket that quantiles count, and whether a view
// takes the row. It is null where the column it is made of is null.
type Input struct {
	Name    string
	Type    column.Type // int for hashes and buckets, bool for where
	Measure Measure     // of hashes and buckets: a measure that reads it
	View    string      // of where: the view that it chooses the rows of
}

// Input is the name of the row's column that the measure adds up: its own, the
// one that row logic makes of it, or "" for the count of rows.
func (m Measure) Input() string {
	switch m.Func {
	case Distinct:
		return distinctStart + m.Column
	case Quantiles:
		return bucketStart + m.Column + "_" + strings.ReplaceAll(m.Error, ".", "_")
	}
	return m.Column
}

// WhereColumn is the name of the row's column that says whether the view takes
// the row; "" if it takes every accepted one.
func (v View) WhereColumn() string {
	if v.Where == nil {
		return ""
	}
	return whereStart + v.Name
}

// Inputs lists the columns that row logic makes for the views: those of measures
// in order of first use, then those of where in the order of views.
func (d *Definition) Inputs() []Input {
	var out []Input
	for _, v := range d.Views {
		for _, m := range v.Measures {
			name := m.Input()
			if name == m.Column || slices.ContainsFunc(out, func(i Input) bool { return i.Name == name }) {
				continue
			}
			out = append(out, Input{Name: name, Type: column.Type{Kind: column.Int}, Measure: m})
		}
	}
	for _, v := range d.Views {
		if v.Where != nil {
			out = append(out, Input{Name: v.WhereColumn(), Type: column.Type{Kind: column.Bool}, View: v.Name})
		}
	}
	return out
}
