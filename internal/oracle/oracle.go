package oracle

import (
	"slices"
	"time"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/protocol"
)

// Outcome says what became of an event.
type Outcome string

// The outcomes.
const (
	Accepted Outcome = "accepted"
	Rejected Outcome = "rejected"
	Dropped  Outcome = "dropped"
)

// Oracle holds the cells of all views over the events added so far. Its memory
// grows with the cells, not with the events. It is not safe for concurrent use.
type Oracle struct {
	def      *definition.Definition
	views    []*cells // the user's, in order of declaration
	outcomes map[Outcome]int64
}

// New makes the oracle of a definition, over no events. It keeps the cells of
// the named views, of all if none is named.
func New(def *definition.Definition, views ...string) *Oracle {
	o := &Oracle{def: def, outcomes: map[Outcome]int64{}}
	for _, v := range def.Views {
		if len(views) == 0 || slices.Contains(views, v.Name) {
			o.views = append(o.views, newCells(def, v))
		}
	}
	return o
}

// Add adds one event and says what became of it. Each event is added once; the
// order does not matter.
func (o *Oracle) Add(ev protocol.Event) Outcome {
	row, outcome := o.row(ev.Data)
	if outcome == Accepted {
		for _, c := range o.views {
			if c.holds(row) {
				c.add(row)
			}
		}
	}
	o.outcomes[outcome]++
	return outcome
}

// Outcomes gives the number of events per outcome.
func (o *Oracle) Outcomes() map[Outcome]int64 { return o.outcomes }

// row is an event's values, by column. A column that is not in it is null.
type row map[string]column.Value

func (r row) get(name string) column.Value {
	if v, ok := r[name]; ok {
		return v
	}
	return column.Null
}

// row makes an event's row: its bytes, then its values, then the steps of
// clean, then what must not be null. The first that fails decides.
func (o *Oracle) row(data []byte) (row, Outcome) {
	object, err := decode(data)
	if err != nil {
		return nil, Rejected
	}
	r := row{}
	for _, c := range o.def.Events.Columns {
		v, err := read(c, object)
		if err != nil {
			return nil, Rejected
		}
		r[c.Name] = v
	}
	for _, s := range o.def.Clean {
		if outcome := o.step(s, r); outcome != Accepted {
			return nil, outcome
		}
	}
	for _, c := range o.def.Columns {
		if !c.Optional && !c.Derived && r.get(c.Name).Null {
			return nil, Rejected
		}
	}
	for _, v := range o.def.Views {
		if v.Every != definition.None && r.get(o.def.Events.Time).Null {
			return nil, Rejected
		}
		if v.Where != nil {
			if _, err := v.Where.EvalCEL(r.get); err != nil {
				return nil, Rejected
			}
		}
	}
	return r, Accepted
}

func zoneOf(def *definition.Definition) *time.Location {
	if def.Zone == nil {
		return time.UTC
	}
	return def.Zone
}

// step applies one step of clean to the row. It gives Accepted if the row goes on.
func (o *Oracle) step(s definition.Step, r row) Outcome {
	switch s.Kind {
	case definition.Default:
		for _, a := range s.Assign {
			if r.get(a.Column).Null {
				r[a.Column] = a.Value
			}
		}
	case definition.Set:
		set := row{}
		for _, a := range s.Assign {
			v, err := a.Expr.EvalCEL(r.get) // as before the step
			if err == nil {
				v, err = o.fit(a, v)
			}
			if err != nil {
				return Rejected
			}
			set[a.Column] = v
		}
		for name, v := range set {
			r[name] = v
		}
	case definition.Require, definition.Drop:
		v, err := s.Expr.EvalCEL(r.get)
		yes := err == nil && !v.Null && v.Int != 0
		switch {
		case err != nil, s.Kind == definition.Require && !yes:
			return Rejected
		case s.Kind == definition.Drop && yes:
			return Dropped
		}
	}
	return Accepted
}

// fit turns an expression's value into one of the column it is set to.
func (o *Oracle) fit(a definition.Assign, v column.Value) (column.Value, error) {
	c, _ := o.def.Column(a.Column)
	if v.Null || c.Type.Kind != column.Decimal {
		return v, nil
	}
	text := decimalText(v.Int, a.Expr.Type)
	return readDecimal(c.Type, text)
}
