package measure

import (
	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
)

// Output is one column in which an answer shows a measure: its result, or one of
// its quantiles.
type Output struct {
	Name string
	Type string      // as answers print it; of a Big result decimal(38,s)
	Of   column.Type // of Result.Value; if Big, the scale of Result.Big
	Big  bool        // the result is Result.Big

	measure  Measure
	quantile *Quantile // nil: the measure's one result
}

// Outputs gives the columns in which answers show the measure. Only quantiles
// have several, one for each that is asked for: prices_p50, prices_p99.
func (m Measure) Outputs(quantiles []Quantile) []Output {
	name, scale := m.ResultType()
	out := Output{Name: m.Name, Type: name, Of: m.Type, measure: m}
	switch m.Func {
	case definition.Count, definition.Distinct:
		out.Of = column.Type{Kind: column.Int}
	case definition.Sum, definition.Avg:
		out.Of, out.Big = column.Type{Kind: column.Decimal, Scale: scale}, true
	case definition.Quantiles:
		if m.Type.Kind != column.Float {
			out.Of, out.Big = column.Type{Kind: column.Decimal, Scale: scale}, true
		}
		list := make([]Output, len(quantiles))
		for i := range quantiles {
			list[i] = out
			list[i].Name += "_" + quantiles[i].Suffix()
			list[i].quantile = &quantiles[i]
		}
		return list
	}
	return []Output{out}
}

// Read gives the output's value of a state of its measure.
func (o Output) Read(s State) (Result, error) {
	if o.quantile != nil {
		return o.measure.Quantile(s, *o.quantile)
	}
	return o.measure.Read(s)
}

// Share gives the quantile that the output is, as a share of the values: over of unit.
// The output is one of a measure's quantiles.
func (o Output) Share() (over, unit int64) { return o.quantile.Share() }
