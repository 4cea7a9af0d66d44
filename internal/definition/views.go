package definition

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/watershed-data/watershed/internal/column"
)

const (
	maxViews      = 200
	maxDimensions = 32
	maxMeasures   = 100 // per view
)

// Grains gives the grains that a view can have in this release, finest first.
func Grains() []Grain {
	all := []Grain{Minute, FiveMinutes, FifteenMinutes, Hour, Day, Week, Month, None}
	return slices.DeleteFunc(all, func(g Grain) bool { _, refused := later["every: "+string(g)]; return refused })
}

// function is what a measure's function takes.
type function struct {
	usage string
	kinds []column.Kind // of its column; none: it takes no column
}

// functions are the measures' functions. Those of the contract that have no
// Func yet are refused by the table of later.
var functions = map[string]function{
	string(Count): {usage: "count"},
	string(Sum):   {usage: "sum(price)", kinds: []column.Kind{column.Int, column.Decimal}},
	string(Min):   {usage: "min(price)", kinds: []column.Kind{column.Int, column.Decimal, column.Timestamp, column.String}},
	string(Max):   {usage: "max(price)", kinds: []column.Kind{column.Int, column.Decimal, column.Timestamp, column.String}},
	string(Avg):   {usage: "avg(price)", kinds: []column.Kind{column.Int, column.Decimal}},
	"distinct":    {usage: "distinct(zipcode)"},
	"quantiles":   {usage: "quantiles(price, 0.01)"},
}

func (c *checker) views(e entry) {
	const example = "views: with entries such as sales: {by: [product], every: 1h, measures: {sales: count}}"
	list := c.entries(e, "views", example)
	if e.value.Kind == yaml.MappingNode && len(e.value.Content) == 0 {
		c.fail(e.value, "write "+example, "there is no view")
	}
	for i, e := range list {
		if c.over(e.key, i+1, maxViews, "views") {
			return
		}
		if c.name(e.key, "view") {
			c.view(e)
		}
	}
}

func (c *checker) view(e entry) {
	v := View{Name: e.name()}
	what := "view " + v.Name
	fields := c.fields(e, what, "{by: [product], every: 1h, measures: {sales: count}}", "by", "every", "where", "measures", "keep")
	if e.value.Kind != yaml.MappingNode {
		return
	}
	if f, ok := fields["by"]; ok {
		v.By = c.dimensions(f)
	} else {
		c.fail(e.key, "add by: with its dimensions, or by: [] for one group", "%s has no by", what)
	}
	if f, ok := fields["every"]; ok {
		v.Every = c.grain(f)
	} else {
		c.fail(e.key, "add every: 1h, another grain, or every: none", "%s has no every", what)
	}
	for _, name := range []string{"where", "keep"} {
		if f, ok := fields[name]; ok {
			c.refuse(f.key, name)
		}
	}
	if f, ok := fields["measures"]; ok {
		v.Measures = c.measures(f, v)
	} else {
		c.fail(e.key, "add measures: {sales: count}", "%s has no measures", what)
	}
	c.def.Views = append(c.def.Views, v)
}

// dimensions reads the columns that a view groups by.
func (c *checker) dimensions(e entry) []string {
	by := []string{}
	items, _ := c.list(e, "by", "by: [product], or by: [] for one group")
	for i, n := range items {
		if c.over(n, i+1, maxDimensions, "dimensions") {
			break
		}
		name, ok := c.text(entry{key: n, value: n}, "a dimension", "the name of a column")
		if !ok {
			continue
		}
		col, ok := c.column(n, name)
		switch {
		case ok && col.Type.Kind == column.Float:
			c.fail(n, "declare the column as decimal(p,s)", "%s is a float, and floats are no dimensions", name)
		case slices.Contains(by, name):
			c.fail(n, "keep one of them", "the dimension %s appears twice", name)
		}
		by = append(by, name)
	}
	return by
}

func (c *checker) grain(e entry) Grain {
	names := make([]string, 0, 8)
	for _, g := range Grains() {
		names = append(names, string(g))
	}
	all := "write one of " + strings.Join(names, ", ")
	text, ok := c.text(e, "every", "every: 1h")
	switch {
	case !ok || c.refuse(e.value, "every: "+text):
	case !slices.Contains(names, text):
		c.fail(e.value, all, "%q is not a grain", text)
	case Grain(text) != None && c.def.Events.Time == "":
		c.fail(e.value, "add time: with a timestamp column to events, or write every: none", "time buckets need the event time, and events has no time")
	}
	return Grain(text)
}

// measures reads a view's measures, whose outputs must have names of their own.
func (c *checker) measures(e entry, v View) []Measure {
	var measures []Measure
	taken := map[string]string{}
	for _, d := range v.By {
		taken[d] = "a dimension of this view"
	}
	list := c.entries(e, "measures", "measures: {sales: count}")
	if e.value.Kind == yaml.MappingNode && len(e.value.Content) == 0 {
		c.fail(e.value, "write measures: {sales: count}", "view %s has no measure", v.Name)
	}
	for i, e := range list {
		if c.over(e.key, i+1, maxMeasures, "measures in view "+v.Name) {
			break
		}
		if !c.name(e.key, "measure") {
			continue
		}
		m, ok := c.measure(e)
		if !ok {
			m = Measure{Name: e.name()}
		}
		for _, output := range m.Outputs() {
			if holder, clash := taken[output]; clash {
				c.fail(e.key, "choose another name", "the measure %s needs the name %s, which belongs to %s", m.Name, output, holder)
				break
			}
			taken[output] = "the measure " + m.Name
		}
		measures = append(measures, m)
	}
	return measures
}

// Outputs gives the names of the columns in which a measure is stored and read:
// its own, and for avg also its sum and count.
func (m Measure) Outputs() []string {
	if m.Func == Avg {
		return []string{m.Name, m.Name + "_sum", m.Name + "_count"}
	}
	return []string{m.Name}
}

var call = regexp.MustCompile(`^\s*([A-Za-z_][A-Za-z0-9_]*)\s*(?:\(([^()]*)\))?\s*$`)

// measure reads a measure: a function, or a function of a column.
func (c *checker) measure(e entry) (Measure, bool) {
	m := Measure{Name: e.name()}
	const example = "a measure such as count or sum(price)"
	text, ok := c.text(e, "a measure", example)
	if !ok {
		return m, false
	}
	match := call.FindStringSubmatch(text)
	if match == nil {
		c.fail(e.value, "write "+example, "%q is not a measure", text)
		return m, false
	}
	name, arg := match[1], strings.TrimSpace(match[2])
	f, known := functions[name]
	switch {
	case !known:
		c.fail(e.value, suggest(name, slices.Sorted(maps.Keys(functions)), "the measures are "), "%q is not a measure", name)
	case name == "distinct":
		c.refuse(e.value, "distinct(column)")
	case name == "quantiles":
		c.refuse(e.value, "quantiles(column,e)")
	case name == string(Count) && arg != "":
		c.refuse(e.value, "count(column)")
	case name == string(Count) && strings.Contains(text, "("):
		c.fail(e.value, "write count", "count of rows takes no brackets")
	case name == string(Count):
		m.Func = Count
		return m, true
	default:
		return c.overColumn(e, Measure{Name: m.Name, Func: Func(name), Column: arg}, f)
	}
	return m, false
}

// overColumn checks a measure that is a function of one column.
func (c *checker) overColumn(e entry, m Measure, f function) (Measure, bool) {
	if !namePattern.MatchString(m.Column) {
		c.fail(e.value, "write "+f.usage, "%s takes the name of one column", m.Func)
		return m, false
	}
	col, ok := c.column(e.value, m.Column)
	if !ok {
		return m, false
	}
	if !slices.Contains(f.kinds, col.Type.Kind) {
		c.fail(e.value, fmt.Sprintf("name a column of type %s", kindsText(f.kinds)), "%s takes no %s, and %s is one", m.Func, col.Type.Kind, col.Name)
		return m, false
	}
	m.Type = col.Type
	return m, true
}

// kindsText lists kinds for a message.
func kindsText(kinds []column.Kind) string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.String()
	}
	if len(names) == 1 {
		return names[0]
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}
