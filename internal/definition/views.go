package definition

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/watershed-data/watershed/internal/column"
)

const (
	maxViews      = 200
	maxDimensions = 32
	maxMeasures   = 100 // per view
)

// function is what a measure's function takes.
type function struct {
	usage       string
	kinds       []column.Kind // of its column
	least, most int           // arguments behind the column
}

var (
	// numbers are the kinds that can be added up.
	numbers = []column.Kind{column.Int, column.Decimal}
	// exact are the kinds of which two values are the same or not.
	exact = []column.Kind{column.String, column.Int, column.Decimal, column.Timestamp, column.Date, column.Bool}
	// ordered are the kinds of which one value is the smallest: all.
	ordered = []column.Kind{column.Int, column.Decimal, column.Float, column.Timestamp, column.Date, column.Bool, column.String}
)

// functions are the measures' functions.
var functions = map[Func]function{
	Count:     {usage: "count, or count(zipcode) for the rows in which zipcode is not null", kinds: ordered},
	Sum:       {usage: "sum(price)", kinds: numbers},
	Min:       {usage: "min(price)", kinds: ordered},
	Max:       {usage: "max(price)", kinds: ordered},
	Avg:       {usage: "avg(price)", kinds: numbers},
	Distinct:  {usage: "distinct(zipcode), or distinct(zipcode, 4096) to keep more hashes", kinds: exact, most: 1},
	Quantiles: {usage: "quantiles(price, 0.01)", kinds: []column.Kind{column.Int, column.Decimal, column.Float}, least: 1, most: 1},
}

func (c *checker) views(e entry) {
	const example = "views: with entries such as sales: {by: [product], every: 1h, measures: {sales: count}}"
	list := c.entries(e, "views", example)
	if e.value.Kind == yaml.MappingNode && len(e.value.Content) == 0 {
		c.fail(e.value, "write "+example, "there is no view")
	}
	c.unread = len(list) == 0
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
		c.unread = true
		return
	}
	if f, ok := fields["by"]; ok {
		before := len(c.problems)
		v.By = c.dimensions(f)
		c.unread = c.unread || len(c.problems) > before
	} else {
		c.unread = true
		c.fail(e.key, "add by: with its dimensions, or by: [] for one group", "%s has no by", what)
	}
	if f, ok := fields["every"]; ok {
		v.Every = c.grain(f)
	} else {
		c.fail(e.key, "add every: 1h, another grain, or every: none", "%s has no every", what)
	}
	if f, ok := fields["keep"]; ok {
		v.Keep = c.keep(f, v)
	}
	if f, ok := fields["where"]; ok {
		v.Where = c.condition(f)
	}
	reported := len(c.problems)
	if f, ok := fields["measures"]; ok {
		v.Measures = c.measures(f, v)
	} else {
		c.fail(e.key, "add measures: {sales: count}", "%s has no measures", what)
	}
	if len(c.problems) == reported {
		c.fitsItem(e, v)
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
			c.fail(n, exactly(col), "%s is a float, and floats are no dimensions", name)
		case slices.Contains(by, name):
			c.fail(n, "keep one of them", "the dimension %s appears twice", name)
		}
		by = append(by, name)
	}
	return by
}

// exactly says how a float column becomes a decimal.
func exactly(col Column) string {
	if col.Derived {
		return `write decimal("0.5") for a constant where set creates ` + col.Name
	}
	return "declare " + col.Name + " as decimal(p,s)"
}

func (c *checker) grain(e entry) Grain {
	names := make([]string, 0, len(grains))
	for _, g := range grains {
		names = append(names, string(g))
	}
	all := "write one of " + strings.Join(names, ", ")
	text, ok := c.text(e, "every", "every: 1h")
	switch {
	case !ok:
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
		c.takeNames(e, m, taken, measures)
		measures = append(measures, m)
	}
	return measures
}

// takeNames takes the names of a measure's columns, which must be free.
func (c *checker) takeNames(e entry, m Measure, taken map[string]string, before []Measure) {
	clash := func(name, holder string) {
		c.fail(e.key, "choose another name", "the measure %s needs the name %s, which belongs to %s", m.Name, name, holder)
	}
	if m.Func == Quantiles {
		for _, name := range slices.Sorted(maps.Keys(taken)) {
			if isQuantileOf(m.Name, name) {
				clash(name, taken[name])
				return
			}
		}
	}
	for _, output := range m.Outputs() {
		if holder, there := taken[output]; there {
			clash(output, holder)
			return
		}
		for _, b := range before {
			if b.Func == Quantiles && isQuantileOf(b.Name, output) {
				clash(output, "the quantiles "+b.Name)
				return
			}
		}
		taken[output] = "the measure " + m.Name
	}
}

// Outputs gives the names of the columns in which a measure is stored and read:
// its own, and what its state consists of. Those in which quantiles are read
// depend on the query; see isQuantileOf.
func (m Measure) Outputs() []string {
	switch m.Func {
	case Avg:
		return []string{m.Name, m.Name + "_sum", m.Name + "_count"}
	case Distinct:
		return []string{m.Name, m.Name + "_hashes"}
	case Quantiles:
		return []string{m.Name, m.Name + "_buckets", m.Name + "_counts"}
	}
	return []string{m.Name}
}

var quantileEnd = regexp.MustCompile(`^_p[0-9]+(_[0-9]+)?$`)

// isQuantileOf reports whether a name is one in which quantiles of the measure
// can be read, such as prices_p50 and prices_p99_9.
func isQuantileOf(measure, name string) bool {
	end, ok := strings.CutPrefix(name, measure)
	return ok && quantileEnd.MatchString(end)
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
	m.Func = Func(match[1])
	f, known := functions[m.Func]
	switch {
	case !known:
		names := make([]string, 0, len(functions))
		for name := range functions {
			names = append(names, string(name))
		}
		slices.Sort(names)
		c.fail(e.value, suggest(match[1], names, "the measures are "), "%q is not a measure", match[1])
		return m, false
	case m.Func == Count && !strings.Contains(text, "("):
		return m, true
	}
	args := strings.Split(match[2], ",")
	for i := range args {
		args[i] = strings.TrimSpace(args[i])
	}
	return c.overColumn(e, m, f, args)
}

// overColumn checks a measure that is a function of one column, with what comes
// behind it.
func (c *checker) overColumn(e entry, m Measure, f function, args []string) (Measure, bool) {
	m.Column = args[0]
	args = args[1:]
	if !namePattern.MatchString(m.Column) || len(args) < f.least || len(args) > f.most {
		takes := "the name of one column"
		switch m.Func {
		case Distinct:
			takes += " and, if you like, how many hashes to keep"
		case Quantiles:
			takes += " and a relative error"
		}
		c.fail(e.value, "write "+f.usage, "%s takes %s", m.Func, takes)
		return m, false
	}
	col, ok := c.column(e.value, m.Column)
	if !ok {
		return m, false
	}
	if !slices.Contains(f.kinds, col.Type.Kind) {
		remedy := "name a column of type " + kindsText(f.kinds)
		if col.Type.Kind == column.Float {
			remedy = exactly(col) + ": a float feeds min, max and quantiles only"
		}
		c.fail(e.value, remedy, "%s takes no %s, and %s is one", m.Func, col.Type.Kind, col.Name)
		return m, false
	}
	m.Type = col.Type
	switch m.Func {
	case Distinct:
		m.K, ok = c.hashes(e, args)
	case Quantiles:
		m.Error, ok = c.relativeError(e, args[0])
	}
	return m, ok
}

// How many hashes a distinct keeps.
const (
	minK     = 16
	defaultK = 1024
	maxK     = 16384
)

// hashes reads how many hashes a distinct keeps.
func (c *checker) hashes(e entry, args []string) (int, bool) {
	if len(args) == 0 {
		return defaultK, true
	}
	k, err := strconv.Atoi(args[0])
	if err != nil || k < minK || k > maxK {
		c.fail(e.value, fmt.Sprintf("write a whole number from %d to %d; without one it is %d", minK, maxK, defaultK),
			"distinct cannot keep %q hashes", args[0])
		return 0, false
	}
	return k, true
}

var errorPattern = regexp.MustCompile(`^0?(\.[0-9]{1,4})$`)

// relativeError reads the relative error of quantiles and gives its one form.
func (c *checker) relativeError(e entry, arg string) (string, bool) {
	const least, most = "0.001", "0.25"
	if match := errorPattern.FindStringSubmatch(arg); match != nil {
		text := "0" + strings.TrimRight(match[1], "0")
		if text >= least && text <= most { // of one form, so that texts compare as the numbers do
			return text, true
		}
	}
	c.fail(e.value, fmt.Sprintf("write a number from %s to %s with at most 4 digits after the point, such as 0.01", least, most),
		"quantiles cannot have the relative error %q", arg)
	return "", false
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
