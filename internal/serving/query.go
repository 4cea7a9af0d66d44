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
	View      string
	By        []string         // dimensions and attributes of lookups in the order to show them; nil: all dimensions of the view; empty: none
	Measures  []string         // in the order to show them; none: all of the view
	Quantiles []string         // from 0 to 1, of the measures that have some; none: 0.5, 0.9 and 0.99
	From, To  string           // bounds of bucket starts, [From, To); see ParseTime; "": unbounded
	Every     definition.Grain // "": each bucket as the view keeps it
	Where     string           // a condition over the view's dimensions and their attributes, in CEL; "": none
	Order     []Order
	Limit     int    // rows; 0: no limit
	Cursor    string // Answer.Next of the page before; the rest of the query must be the same
}

// Order orders rows by one column of the answer, or by an attribute of one of
// its dimensions.
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
	grain    definition.Grain // of the answer; if it is asKept, the finest that the view keeps
	asKept   bool             // buckets come at the grain that each is kept at, of a view that rolls up by age
	from, to int64            // of bucket starts; see inRange

	dims     []column.Type // of the view
	by       []dimension   // asked dimensions, made of the view's
	byTypes  []column.Type
	allDims  bool // by is all dims in the view's order
	all      []measure.Measure
	measures []int // asked measures, as indices of all
	outputs  []output
	order    []term
	columns  []Column
	where    *filter // nil: every cell
	joins    *joins
}

// output is one column of the answer that shows a measure.
type output struct {
	measure.Output
	state int // index of plan.measures
}

// term is what rows are ordered by: a column, as an index of plan.columns, or an
// attribute of an asked dimension that is no column.
type term struct {
	column    int
	attribute *dimension // made of the asked dimensions; nil: the column
	desc      bool
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
	p.joins = &joins{def: s.def, tables: s.Lookups}
	for _, name := range v.By {
		c, _ := s.def.Column(name)
		p.dims = append(p.dims, c.Type)
	}
	for _, step := range []func(Query) error{p.chooseGrain, p.chooseRange, p.chooseDims, p.chooseMeasures, p.chooseOutputs, p.chooseWhere} {
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
		p.grain, p.asKept = kept, len(p.view.Keep) > 0
		return nil
	}
	var usable []string
	for _, g := range definition.Grains() {
		if view.RollsUp(kept, g) {
			usable = append(usable, string(g))
		}
	}
	switch {
	case !view.Known(q.Every):
		return invalid("every", "%s is no grain; view %s keeps %s, so write one of %s", quote(string(q.Every)), p.view.Name, kept, list(usable))
	case view.RollsUp(kept, q.Every):
		return nil
	case kept == definition.None:
		return invalid("every", "view %s has one bucket over all time (every: none), and nothing finer; leave every out, or declare a view with every: %s", p.view.Name, q.Every)
	case view.RollsUp(q.Every, kept):
		return invalid("every", "view %s keeps %s, and nothing finer; write one of %s, or declare a view with every: %s", p.view.Name, kept, list(usable), q.Every)
	}
	return invalid("every", "buckets of %s do not fit into buckets of %s; view %s can be read by %s", kept, q.Every, p.view.Name, list(usable))
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
		if slices.Contains(names[:i], name) {
			return invalid("by", "dimension %s is named twice", name)
		}
		d, err := p.dimension(name)
		if err != nil {
			return err
		}
		p.by, p.byTypes = append(p.by, d), append(p.byTypes, d.of)
	}
	p.allDims = slices.Equal(names, p.view.By)
	return nil
}

// dimension finds a dimension of the view, or an attribute of one.
func (p *plan) dimension(name string) (dimension, error) {
	if at := slices.Index(p.view.By, name); at >= 0 {
		return dimension{name: name, dim: at, of: p.dims[at]}, nil
	}
	if !strings.Contains(name, ".") {
		return dimension{}, invalid("by", "view %s has no dimension %s; it has %s", p.view.Name, quote(name), list(p.view.By))
	}
	d, err := p.joins.attribute("by", name, p.view.By)
	if err == nil && d.of.Kind == column.Float {
		err = invalid("by", "%s is a float, and floats do not tell groups apart; use it in where, or make it a decimal in the file", name)
	}
	return d, err
}

// measureNames lists the view's measures.
func (p *plan) measureNames() []string {
	names := make([]string, len(p.all))
	for i, m := range p.all {
		names[i] = m.Name
	}
	return names
}

func (p *plan) chooseMeasures(q Query) error {
	known := p.measureNames()
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

// chooseOutputs finds the columns that show the asked measures.
func (p *plan) chooseOutputs(q Query) error {
	quantiles := measure.DefaultQuantiles()
	if len(q.Quantiles) > 0 {
		quantiles = nil
	}
	for _, text := range q.Quantiles {
		asked, err := measure.ParseQuantile(text)
		if err != nil {
			return invalid("quantile", "%s", err.Error())
		}
		if slices.Contains(quantiles, asked) {
			return invalid("quantile", "quantile %s is named twice", asked)
		}
		quantiles = append(quantiles, asked)
	}
	for i, m := range p.measures {
		for _, o := range p.all[m].Outputs(quantiles) {
			p.outputs = append(p.outputs, output{o, i})
		}
	}
	if len(q.Quantiles) > 0 && !slices.ContainsFunc(p.measures, func(m int) bool { return p.all[m].IsQuantiles() }) {
		return invalid("quantile", "no measure of view %s that is asked for has quantiles; leave quantile out", p.view.Name)
	}
	return nil
}

func (p *plan) makeColumns() {
	if p.timed() {
		p.columns = append(p.columns, Column{Name: TimeColumn, Type: column.Timestamp.String(), kind: timeValue})
	}
	for _, d := range p.by {
		p.columns = append(p.columns, Column{Name: d.name, Type: d.of.String(), kind: plainValue, of: d.of})
	}
	for _, o := range p.outputs {
		p.columns = append(p.columns, measureColumn(o.Output))
	}
}

func (p *plan) chooseOrder(q Query) error {
	var names []string
	for _, c := range p.columns {
		names = append(names, c.Name)
	}
	for i, o := range q.Order {
		if slices.ContainsFunc(q.Order[:i], func(before Order) bool { return before.Name == o.Name }) {
			return invalid("order", "column %s is named twice in the order", o.Name)
		}
		t := term{column: slices.Index(names, o.Name), desc: o.Desc}
		if t.column < 0 && strings.Contains(o.Name, ".") {
			// An attribute of a dimension that is shown need not be shown itself.
			d, err := p.joins.attribute("order", o.Name, p.asked())
			if err != nil {
				return err
			}
			t.attribute = &d
		} else if t.column < 0 {
			return invalid("order", "the answer has no column %s to order by; it has %s", quote(o.Name), list(names))
		}
		p.order = append(p.order, t)
	}
	return nil
}

// asked names the asked dimensions.
func (p *plan) asked() []string {
	names := make([]string, len(p.by))
	for i, d := range p.by {
		names[i] = d.name
	}
	return names
}
