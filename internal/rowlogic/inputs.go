package rowlogic

import (
	"fmt"
	"slices"
	"strings"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/expr"
	"github.com/watershed-data/watershed/internal/measure"
)

// input makes one column for the views out of the definition's columns; see
// definition.Input. of is null where the column is null.
type input struct {
	name string
	typ  column.Type
	from int // the column it is made of
	of   func(column.Value) column.Value
}

// choice is the condition by which a view takes rows.
type choice struct {
	name         string // of the input
	where        *expr.Expr
	reasonFailed string
}

// fence keeps values out that a view could not hold; see definition.MaxText and
// definition.MinQuantileFloat.
type fence struct {
	column int
	reason string
	beyond func(column.Value) (detail string)
}

// prepareInputs finds what views need besides the definition's columns.
func (l *Logic) prepareInputs(def *definition.Definition) error {
	for _, v := range def.Views {
		for _, name := range v.By {
			l.fenceText(name)
		}
		for _, m := range v.Measures {
			if m.Func == definition.Min || m.Func == definition.Max {
				l.fenceText(m.Column)
			}
		}
		if v.Where != nil {
			if v.Where.Type.Kind != column.Bool {
				return fmt.Errorf("preparing row logic: where of view %s is no condition", v.Name)
			}
			l.choices = append(l.choices, choice{v.WhereColumn(), v.Where, reasonFailed(v.Where.Text)})
		}
	}
	for _, in := range def.Inputs() {
		if in.View != "" {
			continue
		}
		if err := l.prepareInput(in); err != nil {
			return fmt.Errorf("preparing row logic: %w", err)
		}
	}
	// The first problem gives the reason, and the order of views decides nothing.
	slices.SortFunc(l.fences, func(a, b fence) int { return a.column - b.column })
	slices.SortFunc(l.choices, func(a, b choice) int { return strings.Compare(a.name, b.name) })
	return nil
}

func (l *Logic) prepareInput(in definition.Input) error {
	at, ok := l.index[in.Measure.Column]
	if !ok {
		return fmt.Errorf("%s is made of %s, which is not a column", in.Name, in.Measure.Column)
	}
	t := l.columns[at].Type
	ready := input{name: in.Name, typ: in.Type, from: at}
	switch in.Measure.Func {
	case definition.Distinct:
		ready.of = func(v column.Value) column.Value { return column.Value{Int: measure.Hash(t, v)} }
	case definition.Quantiles:
		buckets, err := measure.NewBuckets(t, in.Measure.Error)
		if err != nil {
			return err
		}
		if t.Kind == column.Float {
			l.fenceFloat(at, buckets)
		}
		ready.of = func(v column.Value) column.Value {
			number, _ := buckets.Of(v) // what has no bucket was rejected
			return column.Value{Int: number}
		}
	}
	l.inputs = append(l.inputs, ready)
	return nil
}

// fenceText holds a text column that views keep to definition.MaxText.
func (l *Logic) fenceText(name string) {
	at, ok := l.index[name]
	if !ok || l.columns[at].Type.Kind != column.String || l.fenced(at) {
		return
	}
	l.fences = append(l.fences, fence{at, reasonLong(name), func(v column.Value) string {
		if len(v.Str) <= definition.MaxText {
			return ""
		}
		return fmt.Sprintf("%s has %d bytes: %s", name, len(v.Str), quote(v.Str))
	}})
}

// fenceFloat holds a float column to what quantiles tell apart.
func (l *Logic) fenceFloat(at int, buckets *measure.Buckets) {
	if l.fenced(at) {
		return
	}
	name := l.columns[at].Name
	l.fences = append(l.fences, fence{at, reasonMagnitude(name), func(v column.Value) string {
		if _, ok := buckets.Of(v); ok {
			return ""
		}
		return fmt.Sprintf("%s is %s, and quantiles take zero and magnitudes from %g to %g", name,
			column.FormatText(column.Type{Kind: column.Float}, v), definition.MinQuantileFloat, definition.MaxQuantileFloat)
	}})
}

func (l *Logic) fenced(at int) bool {
	return slices.ContainsFunc(l.fences, func(f fence) bool { return f.column == at })
}

func reasonLong(column string) string {
	return fmt.Sprintf("%s: longer than %d bytes", column, definition.MaxText)
}

func reasonMagnitude(column string) string { return column + ": outside the range of quantiles" }

// checkFences rejects accepted rows with a value that a view could not hold.
func (l *Logic) checkFences(b *Batch) {
	for _, f := range l.fences {
		c := b.Columns[f.column]
		for i, null := range c.Nulls {
			if null || !b.Accepted(i) {
				continue
			}
			if detail := f.beyond(c.At(i)); detail != "" {
				b.reject(i, problem{f.reason, detail})
			}
		}
	}
}

// choose decides for each view with a condition which rows it takes. Null is
// false. A row on which a condition fails is rejected.
func (l *Logic) choose(b *Batch) {
	for _, c := range l.choices {
		result, failures := c.where.Eval(b.Vector, len(b.Events))
		for i, why := range failures {
			if b.Accepted(i) {
				b.reject(i, problem{c.reasonFailed, "choosing by where: " + why})
			}
		}
		taken := column.NewVector(column.Type{Kind: column.Bool}, len(b.Events))
		for i := range taken.Nulls {
			if b.Accepted(i) {
				taken.Set(i, column.Value{Int: result.Int[i]}) // null is 0
			}
		}
		b.Inputs[c.name] = taken
	}
}

// fillInputs makes the inputs of accepted rows; in others they are null.
func (l *Logic) fillInputs(b *Batch) {
	for _, in := range l.inputs {
		from := b.Columns[in.from]
		made := column.NewVector(in.typ, len(b.Events))
		for i, null := range from.Nulls {
			if !null && b.Accepted(i) {
				made.Set(i, in.of(from.At(i)))
			}
		}
		b.Inputs[in.name] = made
	}
	for _, c := range l.choices {
		for i := range b.Outcome {
			if !b.Accepted(i) { // by the condition of another view
				b.Inputs[c.name].Set(i, column.Null)
			}
		}
	}
}

// Chosen is the column that says which rows a view takes; nil if it takes every
// accepted one.
func (b *Batch) Chosen(v definition.View) *column.Vector {
	if v.Where == nil {
		return nil
	}
	return b.Inputs[v.WhereColumn()]
}
