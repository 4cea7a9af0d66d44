package rowlogic

import (
	"fmt"
	"strings"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
)

// step is one cleaning step, ready to run over batches.
type step struct {
	definition.Step
	assigns      []assign
	reasonFailed string // of Require and Drop
}

// assign is one assignment of a Set or a Default.
type assign struct {
	definition.Assign
	column       int // index in Batch.Columns
	reasonFailed string
	reasonUnfit  string
}

func (l *Logic) prepareSteps(steps []definition.Step) error {
	for n, d := range steps {
		s, err := l.prepareStep(d)
		if err != nil {
			return fmt.Errorf("preparing row logic: step %d of clean: %w", n+1, err)
		}
		l.steps = append(l.steps, s)
	}
	return nil
}

func (l *Logic) prepareStep(d definition.Step) (step, error) {
	s := step{Step: d}
	switch d.Kind {
	case definition.Require, definition.Drop:
		if d.Expr == nil || d.Expr.Type.Kind != column.Bool {
			return step{}, fmt.Errorf("%s needs an expression that is a bool", d.Kind)
		}
		s.reasonFailed = reasonFailed(d.Expr.Text)
		if s.Reason == "" { // an empty reason would read as none
			s.Reason = printable(d.Expr.Text)
		}
	case definition.Set, definition.Default:
		for _, a := range d.Assign {
			prepared, err := l.prepareAssign(d.Kind, a)
			if err != nil {
				return step{}, err
			}
			s.assigns = append(s.assigns, prepared)
		}
	default:
		return step{}, fmt.Errorf("%q is not a step", d.Kind)
	}
	return s, nil
}

func (l *Logic) prepareAssign(k definition.StepKind, d definition.Assign) (assign, error) {
	at, ok := l.index[d.Column]
	if !ok {
		return assign{}, fmt.Errorf("%s is not a column", d.Column)
	}
	a := assign{Assign: d, column: at}
	if k == definition.Default {
		return a, nil
	}
	to := l.columns[at].Type
	if d.Expr == nil || !storable(d.Expr.Type, to) {
		return assign{}, fmt.Errorf("column %s needs an expression that is %s", d.Column, article(to.String()))
	}
	a.reasonFailed = reasonFailed(d.Expr.Text)
	a.reasonUnfit = d.Column + ": does not fit " + to.String()
	return a, nil
}

// run runs the step over the rows that are still accepted.
func (s *step) run(b *Batch) {
	switch s.Kind {
	case definition.Set:
		s.set(b)
	case definition.Default:
		s.fillNulls(b)
	case definition.Require:
		s.require(b)
	case definition.Drop:
		s.drop(b)
	}
}

// set stores the assignments' values. All expressions are evaluated before any
// is stored, and stored into new vectors: an expression's result may be the
// very vector that another assignment replaces.
func (s *step) set(b *Batch) {
	n := len(b.Events)
	stored := make([]*column.Vector, len(s.assigns))
	for k := range s.assigns {
		a := &s.assigns[k]
		result, failures := a.Expr.Eval(b.Vector, n)
		stored[k] = a.store(b, result, failures)
	}
	for k := range s.assigns {
		b.Columns[s.assigns[k].column] = stored[k]
	}
}

// store gives the assigned column with the results in all accepted rows, and
// rejects rows that failed or whose result does not fit.
func (a *assign) store(b *Batch, result *column.Vector, failures map[int]string) *column.Vector {
	old := b.Columns[a.column]
	to := column.NewVector(old.Type, old.Len())
	for i := range b.Outcome {
		if !b.Accepted(i) {
			to.Set(i, old.At(i))
			continue
		}
		if why, failed := failures[i]; failed {
			b.reject(i, a.failed(why))
			continue
		}
		value := result.At(i)
		fitting, ok := fit(value, result.Type, to.Type)
		if !ok {
			b.reject(i, a.unfit(value, result.Type, to.Type))
			continue
		}
		to.Set(i, fitting)
	}
	return to
}

func (a *assign) failed(why string) problem {
	return problem{a.reasonFailed, fmt.Sprintf("setting %s: %s", a.Column, why)}
}

func (a *assign) unfit(v column.Value, from, to column.Type) problem {
	return problem{a.reasonUnfit, fmt.Sprintf("setting %s: %s does not fit %s", a.Column, column.FormatText(from, v), to)}
}

// fillNulls stores the constants of a Default.
func (s *step) fillNulls(b *Batch) {
	for _, a := range s.assigns {
		c := b.Columns[a.column]
		for i, null := range c.Nulls {
			if null && b.Accepted(i) {
				c.Set(i, a.Value)
			}
		}
	}
}

func (s *step) require(b *Batch) {
	result, failures := s.Expr.Eval(b.Vector, len(b.Events))
	for i := range b.Outcome {
		if !b.Accepted(i) {
			continue
		}
		if why, failed := failures[i]; failed {
			b.reject(i, problem{s.reasonFailed, "requiring: " + why})
		} else if result.Nulls[i] || result.Int[i] == 0 {
			b.reject(i, problem{s.Reason, s.explain(b, i, result.At(i))})
		}
	}
}

func (s *step) drop(b *Batch) {
	result, failures := s.Expr.Eval(b.Vector, len(b.Events))
	for i := range b.Outcome {
		if !b.Accepted(i) {
			continue
		}
		if why, failed := failures[i]; failed {
			b.reject(i, problem{s.reasonFailed, "dropping: " + why})
		} else if !result.Nulls[i] && result.Int[i] != 0 {
			b.Outcome[i] = Dropped
		}
	}
}

// explain says what the required expression gave, and for which values.
func (s *step) explain(b *Batch, i int, result column.Value) string {
	const most = 80 // bytes of the expression: its values matter more
	var out strings.Builder
	text := s.Expr.Text
	if len(text) > most {
		text = text[:cut(text, most)] + "..."
	}
	out.WriteString(text + " is " + shown(s.Expr.Type, result))
	for k, name := range s.Expr.Columns {
		if k == 0 {
			out.WriteString(" for ")
		} else {
			out.WriteString(", ")
		}
		c := b.Vector(name)
		out.WriteString(name + " = " + shown(c.Type, c.At(i)))
	}
	return out.String()
}

// shown is a value as details show it.
func shown(t column.Type, v column.Value) string {
	switch {
	case v.Null:
		return "null"
	case t.Kind == column.String:
		return quote(v.Str)
	}
	return column.FormatText(t, v)
}

// storable says whether values of one type can be assigned to a column of
// another.
func storable(from, to column.Type) bool {
	return from.Kind == to.Kind || from.Kind == column.Int && to.Kind == column.Decimal
}

// fit gives a value of one type as a value of another that it is storable in,
// exactly; false if it cannot be. Decimals are rescaled and held to their
// precision, also when the type stays the same: arithmetic may have passed it.
func fit(v column.Value, from, to column.Type) (column.Value, bool) {
	switch {
	case to.Kind == column.Float && v.Float == 0:
		return column.Value{Null: v.Null}, true // -0 and 0 are one value
	case v.Null || to.Kind != column.Decimal:
		return v, true
	}
	x := v.Int
	for s := from.Scale; s > to.Scale; s-- {
		if x%10 != 0 {
			return column.Null, false
		}
		x /= 10
	}
	bound := pow10(to.Precision)
	for s := from.Scale; s < to.Scale; s++ {
		if x >= bound || x <= -bound {
			return column.Null, false // and the next product might wrap
		}
		x *= 10
	}
	return column.Value{Int: x}, x < bound && x > -bound
}

// pow10 gives 10^n for n up to column.MaxPrecision.
func pow10(n int) int64 {
	p := int64(1)
	for range n {
		p *= 10
	}
	return p
}
