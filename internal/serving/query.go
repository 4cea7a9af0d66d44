package serving

import (
	"slices"
	"strings"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/measure"
	"github.com/watershed-data/watershed/internal/view"
)

// TimeColumn names the column of an answer that holds the bucket's start.
const TimeColumn = "time"

// Query asks for a part of one view. The zero value of every field but View
// means "as the view declares it".
type Query struct {
	View     string
	By       []string         // dimensions in the order to show them; nil: all of the view; empty: none
	Measures []string         // in the order to show them; none: all of the view
	From, To string           // bounds of bucket starts, [From, To); see ParseTime; "": unbounded
	Every    definition.Grain // "": the view's
	Order    []Order
	Limit    int    // rows; 0: no limit
	Cursor   string // Answer.Next of the page before; the rest of the query must be the same
}

// Order orders rows by one column of the answer.
type Order struct {
	Name string
	Desc bool
}

// ParseOrder reads an order as users write it: column names, descending ones
// with a minus before them. An empty list is the default order.
func ParseOrder(names []string) []Order {
	var out []Order
	for _, name := range names {
		bare, desc := strings.CutPrefix(name, "-")
		out = append(out, Order{Name: bare, Desc: desc})
	}
	return out
}

// plan is a checked query.
type plan struct {
	view     definition.View
	zone     timeZone
	grain    definition.Grain
	from, to int64 // of bucket starts; see inRange

	dims     []column.Type // of the view
	by       []int         // asked dimensions, as indices of dims
	byTypes  []column.Type
	allDims  bool // by is all dims in the view's order
	all      []measure.Measure
	measures []int // asked measures, as indices of all
	order    []term
	columns  []Column
}

// term is one column that rows are ordered by, as an index of plan.columns.
type term struct {
	column int
	desc   bool
}

// timed reports whether the answer has a time column.
func (p *plan) timed() bool { return p.grain != definition.None }

// keyColumns is the number of columns before the measures.
func (p *plan) keyColumns() int {
	if p.timed() {
		return len(p.by) + 1
	}
	return len(p.by)
}

// byKey reports whether rows are ordered without looking at measures.
func (p *plan) byKey() bool {
	return !slices.ContainsFunc(p.order, func(t term) bool { return t.column >= p.keyColumns() })
}

func (s *Service) plan(q Query) (*plan, error) {
	v, ok := s.def.View(q.View)
	if !ok {
		return nil, s.unknownView(q.View)
	}
	p := &plan{view: v, zone: timeZone{s.def.Zone}, grain: q.Every, all: measure.New(v)}
	for _, name := range v.By {
		c, _ := s.def.Column(name)
		p.dims = append(p.dims, c.Type)
	}
	for _, step := range []func(Query) error{p.chooseGrain, p.chooseRange, p.chooseDims, p.chooseMeasures} {
		if err := step(q); err != nil {
			return nil, err
		}
	}
	p.makeColumns()
	if err := p.chooseOrder(q); err != nil {
		return nil, err
	}
	if q.Limit < 0 {
		return nil, invalid("limit", "limit must be at least 1; leave it out for all rows")
	}
	return p, nil
}

func (s *Service) unknownView(name string) *Error {
	var names []string
	for _, v := range s.def.AllViews() {
		names = append(names, v.Name)
	}
	if name == "" {
		return invalid("view", "name the view to query; pipeline %s has %s", s.def.Pipeline, list(names))
	}
	return &Error{Code: NotFound, Field: "view", Message: "there is no view " + quote(name) + "; pipeline " + s.def.Pipeline + " has " + list(names)}
}

func (p *plan) chooseGrain(q Query) error {
	kept := p.view.Every
	if q.Every == "" {
		p.grain = kept
		return nil
	}
	var usable []string
	for _, g := range grains {
		if view.RollsUp(kept, g) {
			usable = append(usable, string(g))
		}
	}
	switch {
	case !view.Known(q.Every):
		return invalid("every", "%s is no grain; view %s keeps %s, so write one of %s", quote(string(q.Every)), p.view.Name, kept, list(usable))
	case view.RollsUp(kept, q.Every):
		return nil
	case view.RollsUp(q.Every, kept):
		return invalid("every", "view %s keeps %s, and nothing finer; write one of %s, or declare a view with every: %s", p.view.Name, kept, list(usable), q.Every)
	}
	return invalid("every", "buckets of %s do not fit into buckets of %s; view %s can be read by %s", kept, q.Every, p.view.Name, list(usable))
}

// grains in order, finest first.
var grains = []definition.Grain{
	definition.Minute, definition.FiveMinutes, definition.FifteenMinutes, definition.Hour,
	definition.Day, definition.Week, definition.Month, definition.None,
}

func (p *plan) chooseRange(q Query) error {
	p.from, p.to = unbounded.from, unbounded.to
	if p.view.Every == definition.None && q.From+q.To != "" {
		field := "from"
		if q.From == "" {
			field = "to"
		}
		return invalid(field, "view %s keeps no time (every: none), so there is no %s to choose by; leave it out", p.view.Name, field)
	}
	var err error
	if q.From != "" {
		if p.from, err = ParseTime(q.From, p.zone.Location); err != nil {
			return invalid("from", "%s", err.Error())
		}
	}
	if q.To != "" {
		if p.to, err = ParseTime(q.To, p.zone.Location); err != nil {
			return invalid("to", "%s", err.Error())
		}
	}
	if p.from >= p.to {
		return invalid("from", "from (%s) must be before to (%s); buckets that start at to are not shown", p.zone.format(p.from), p.zone.format(p.to))
	}
	return nil
}

func (p *plan) chooseDims(q Query) error {
	names := q.By
	if names == nil {
		names = p.view.By
	}
	for i, name := range names {
		at := slices.Index(p.view.By, name)
		switch {
		case at < 0 && strings.Contains(name, "."):
			return &Error{Code: NotSupported, Field: "by", Message: "lookups (" + name + ") are not supported yet in this release; view " + p.view.Name + " has the dimensions " + list(p.view.By)}
		case at < 0:
			return invalid("by", "view %s has no dimension %s; it has %s", p.view.Name, quote(name), list(p.view.By))
		case slices.Contains(names[:i], name):
			return invalid("by", "dimension %s is named twice", name)
		}
		p.by, p.byTypes = append(p.by, at), append(p.byTypes, p.dims[at])
	}
	p.allDims = slices.Equal(names, p.view.By)
	return nil
}

func (p *plan) chooseMeasures(q Query) error {
	var known []string
	for _, m := range p.all {
		known = append(known, m.Name)
	}
	names := q.Measures
	if len(names) == 0 {
		names = known
	}
	for i, name := range names {
		at := slices.Index(known, name)
		switch {
		case at < 0:
			return invalid("measures", "view %s has no measure %s; it has %s", p.view.Name, quote(name), list(known))
		case slices.Contains(names[:i], name):
			return invalid("measures", "measure %s is named twice", name)
		}
		p.measures = append(p.measures, at)
	}
	return nil
}

func (p *plan) makeColumns() {
	if p.timed() {
		p.columns = append(p.columns, Column{Name: TimeColumn, Type: column.Timestamp.String(), kind: timeValue})
	}
	for _, d := range p.by {
		t := p.dims[d]
		p.columns = append(p.columns, Column{Name: p.view.By[d], Type: t.String(), kind: plainValue, of: t})
	}
	for _, m := range p.measures {
		p.columns = append(p.columns, measureColumn(p.all[m]))
	}
}

func (p *plan) chooseOrder(q Query) error {
	var names []string
	for _, c := range p.columns {
		names = append(names, c.Name)
	}
	for _, o := range q.Order {
		at := slices.Index(names, o.Name)
		if at < 0 {
			return invalid("order", "the answer has no column %s to order by; it has %s", quote(o.Name), list(names))
		}
		if slices.ContainsFunc(p.order, func(t term) bool { return t.column == at }) {
			return invalid("order", "column %s is named twice in the order", o.Name)
		}
		p.order = append(p.order, term{column: at, desc: o.Desc})
	}
	return nil
}
