package oracle

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/expr"
	"github.com/watershed-data/watershed/internal/protocol"
)

// Outcome says what became of an event.
type Outcome string

// The outcomes.
const (
	Accepted  Outcome = "accepted"
	Rejected  Outcome = "rejected"
	Dropped   Outcome = "dropped"
	Duplicate Outcome = "duplicate"
	Erased    Outcome = "erased"
)

// Oracle holds the cells of all views over the events added so far. Its memory
// grows with the cells, not with the events; see Log for what duplicates take. It
// is not safe for concurrent use.
type Oracle struct {
	def      *definition.Definition
	views    []*cells // the user's, in order of declaration
	outcomes map[Verdict]int64
}

// Verdict is an outcome and, for rejected events, the reason as users see it.
type Verdict struct {
	Outcome Outcome
	Reason  string // "" unless rejected
}

// New makes the oracle of a definition, over no events. It keeps the cells of
// the named views, of all if none is named.
func New(def *definition.Definition, views ...string) *Oracle {
	o := &Oracle{def: def, outcomes: map[Verdict]int64{}}
	for _, v := range def.Views {
		if len(views) == 0 || slices.Contains(views, v.Name) {
			o.views = append(o.views, newCells(def, v))
		}
	}
	return o
}

// SealedAt says when the version was sealed in whose buckets the cells are, for
// views that roll up by age. Without it, every bucket is of the view's own grain.
// It must be called before events are added.
func (o *Oracle) SealedAt(t time.Time) {
	for _, c := range o.views {
		c.seal = t
	}
}

// Only says which cells of the user's views to keep, so that any number of them
// can be gone through in parts. It must be called before events are added.
func (o *Oracle) Only(wanted func(view, key string) bool) {
	for _, c := range o.views {
		c.wanted = wanted
	}
}

// count adds a row to the cells it is in.
func (o *Oracle) count(r row, verdict Verdict) {
	if verdict == accepted {
		for _, c := range o.views {
			if c.holds(r) {
				c.add(r)
			}
		}
	}
	o.outcomes[verdict]++
}

// Outcomes gives the number of events per outcome.
func (o *Oracle) Outcomes() map[Outcome]int64 {
	out := map[Outcome]int64{}
	for v, n := range o.outcomes {
		out[v.Outcome] += n
	}
	return out
}

// row is an event's values, by column. A column that is not in it is null.
type row map[string]column.Value

func (r row) get(name string) column.Value {
	if v, ok := r[name]; ok {
		return v
	}
	return column.Null
}

// The verdicts that carry no reason.
var (
	accepted  = Verdict{Outcome: Accepted}
	dropped   = Verdict{Outcome: Dropped}
	duplicate = Verdict{Outcome: Duplicate}
	erased    = Verdict{Outcome: Erased}
)

func rejected(format string, args ...any) Verdict {
	return Verdict{Rejected, fmt.Sprintf(format, args...)}
}

// row makes an event's row: its place, its bytes, then its values, then the
// steps of clean, then what must not be null. The first that fails decides. id
// is what identifies the event: null if nothing does, or if its bytes or its
// values are unsound.
func (o *Oracle) row(ev protocol.Event) (r row, id column.Value, v Verdict) {
	if ev.Aggregated && ev.Stray {
		return nil, column.Null, rejected("wrong shard")
	}
	object, reason := o.decode(ev.Data)
	if reason != "" {
		return nil, column.Null, rejected("%s", reason)
	}
	r = row{}
	for _, c := range o.def.Events.Columns {
		v, err := read(c, object)
		switch {
		case errors.Is(err, errType):
			return nil, column.Null, rejected("%s: wrong type", c.Name)
		case err != nil:
			return nil, column.Null, rejected("%s: not %s", c.Name, article(c.Type.String()))
		}
		r[c.Name] = v
	}
	id = r.get(o.def.Events.ID)
	return r, id, o.clean(r)
}

// decode reads an event of the definition's format.
func (o *Oracle) decode(data []byte) (object map[string]any, reason string) {
	if o.def.Events.Format == "json" {
		return decodeJSON(data)
	}
	return decodeText(o.def.Events, data)
}

// clean judges a row by the steps of clean and by what must not be null.
func (o *Oracle) clean(r row) Verdict {
	for _, s := range o.def.Clean {
		if v := o.step(s, r); v != accepted {
			return v
		}
	}
	return o.complete(r)
}

// complete judges a row after clean.
func (o *Oracle) complete(r row) Verdict {
	for _, c := range o.def.Columns {
		if !c.Optional && !c.Derived && r.get(c.Name).Null {
			return rejected("missing %s", c.Name)
		}
	}
	for _, v := range o.def.Views {
		if v.Every != definition.None && r.get(o.def.Events.Time).Null {
			return rejected("missing %s", o.def.Events.Time)
		}
	}
	if v := o.tooMuch(r); v != accepted {
		return v
	}
	return o.undecided(r)
}

// article puts a or an before a type.
func article(noun string) string {
	if noun == "int" {
		return "an " + noun
	}
	return "a " + noun
}

// failed is the verdict over a row that an expression cannot be evaluated on.
// Its text is shown on one line of at most 200 bytes.
func failed(e *expr.Expr) Verdict {
	text := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, e.Text)
	if len(text) > 200 {
		text = strings.ToValidUTF8(text[:197], "") + "..."
	}
	return rejected("expression failed: %s", text)
}

func zoneOf(def *definition.Definition) *time.Location {
	if def.Zone == nil {
		return time.UTC
	}
	return def.Zone
}

// step applies one step of clean to the row. It gives accepted if the row goes on.
func (o *Oracle) step(s definition.Step, r row) Verdict {
	switch s.Kind {
	case definition.Default:
		for _, a := range s.Assign {
			if r.get(a.Column).Null {
				r[a.Column] = a.Value
			}
		}
	case definition.Set:
		return o.set(s.Assign, r)
	case definition.Require, definition.Drop:
		v, err := s.Expr.EvalCEL(r.get)
		yes := !v.Null && v.Int != 0
		switch {
		case err != nil:
			return failed(s.Expr)
		case s.Kind == definition.Require && !yes:
			return rejected("%s", s.Reason)
		case s.Kind == definition.Drop && yes:
			return dropped
		}
	}
	return accepted
}

// set makes the assignments of one step. All of them see the row from before it.
func (o *Oracle) set(assigns []definition.Assign, r row) Verdict {
	after := row{}
	for _, a := range assigns {
		v, err := a.Expr.EvalCEL(r.get)
		if err != nil {
			return failed(a.Expr)
		}
		to, _ := o.def.Column(a.Column)
		if to.Type.Kind == column.Decimal && !v.Null {
			if v, err = readDecimal(to.Type, decimalText(v.Int, a.Expr.Type)); err != nil {
				return rejected("%s: does not fit %s", a.Column, to.Type)
			}
		}
		if to.Type.Kind == column.Float && v.Float == 0 {
			v.Float = 0 // no negative zero
		}
		after[a.Column] = v
	}
	maps.Copy(r, after)
	return accepted
}
