package definition

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/expr"
)

const (
	maxSteps       = 500
	maxAssignments = 1000 // in all steps
	maxReason      = 200  // code points
)

// stepKinds are the cleaning steps by their keys.
var stepKinds = []StepKind{Set, Default, Require, Drop}

// clean reads the cleaning steps, in order.
func (c *checker) clean(e entry) {
	steps, _ := c.list(e, "clean", "clean: with steps such as - require: \"price >= 0\"")
	for i, n := range steps {
		if c.over(n, i+1, maxSteps, "cleaning steps") {
			return
		}
		c.step(n)
	}
}

// step reads one cleaning step, which has one kind.
func (c *checker) step(n *yaml.Node) {
	reported := len(c.problems)
	fields := c.fields(entry{key: n, value: n}, "a cleaning step", "one of set, default, require and drop",
		"set", "default", "require", "drop", "reason")
	var kinds []StepKind
	for _, kind := range stepKinds {
		if _, ok := fields[string(kind)]; ok {
			kinds = append(kinds, kind)
		}
	}
	switch {
	case len(kinds) == 0 && len(c.problems) > reported:
		return
	case len(kinds) == 0:
		c.fail(n, "write one of set, default, require and drop", "this cleaning step does nothing")
		return
	case len(kinds) > 1:
		c.fail(n, "begin each with a - of its own: steps run in order", "%s and %s stand in one cleaning step", kinds[0], kinds[1])
	}
	if reason, ok := fields["reason"]; ok && kinds[0] != Require {
		c.fail(reason.key, "remove it", "only require has a reason")
	}
	step := Step{Kind: kinds[0]}
	e := fields[string(step.Kind)]
	switch step.Kind {
	case Set:
		step.Assign = c.set(e)
	case Default:
		step.Assign = c.defaults(e)
	default:
		step.Expr = c.condition(e)
		step.Reason = c.reason(fields, step)
	}
	c.def.Clean = append(c.def.Clean, step)
}

// reason reads why a require rejects: the given text, else the expression's.
func (c *checker) reason(fields map[string]entry, step Step) string {
	e, ok := fields["reason"]
	if step.Kind != Require || !ok {
		if step.Kind == Require && step.Expr != nil {
			return oneLine(step.Expr.Text)
		}
		return ""
	}
	text, ok := c.text(e, "reason", "reason: negative price")
	if ok && (len([]rune(text)) > maxReason || strings.ContainsFunc(text, unicode.IsControl)) {
		c.fail(e.value, fmt.Sprintf("write one line of at most %d characters", maxReason), "this reason is too long or has more than one line")
	}
	return text
}

// condition reads an expression that must be a bool.
func (c *checker) condition(e entry) *expr.Expr {
	x := c.expression(e, maps.Clone(c.types))
	if x != nil && x.Type.Kind != column.Bool {
		c.fail(e.value, "write a comparison, such as "+example(x), "%s wants a condition, and this is %s", e.name(), article(x.Type))
		return nil
	}
	return x
}

// example gives a condition on the expression's value.
func example(x *expr.Expr) string {
	if x.Type.Kind == column.String {
		return "product == 'test'"
	}
	return "price >= 0"
}

// expression compiles an expression over the given columns; nil after a problem.
func (c *checker) expression(e entry, types map[string]column.Type) *expr.Expr {
	text, ok := c.text(e, e.name(), e.name()+`: and an expression in quotes, such as "price >= 0"`)
	if !ok {
		return nil
	}
	x, err := expr.Compile(text, types, c.def.Zone)
	if err == nil {
		return x
	}
	for _, word := range identifiers.FindAllString(text, -1) {
		if c.broken[word] {
			return nil
		}
	}
	var wrong *expr.Error
	if !errors.As(err, &wrong) {
		wrong = &expr.Error{Message: err.Error(), Remedy: "see docs/definition.md for what expressions may hold"}
	}
	line, col := c.locate(e.value, wrong.Offset)
	c.report(line, col, wrong.Message, wrong.Remedy)
	return nil
}

var identifiers = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*`)

// set reads assignments, all of which see the columns from before the step.
func (c *checker) set(e entry) []Assign {
	var assigns []Assign
	var created []Column
	before := maps.Clone(c.types)
	for _, e := range c.assignments(e, `set: {product: "lower(product)"}`) {
		x := c.expression(e, before)
		_, exists := before[e.name()]
		switch {
		case exists && x != nil:
			c.fits(e, x)
		case !exists && c.columnName(e.key):
			col := Column{Name: e.name(), Optional: true, Derived: true}
			if x != nil {
				col.Type = derivedType(x.Type)
			}
			c.broken[col.Name] = x == nil
			created = append(created, col)
		}
		assigns = append(assigns, Assign{Column: e.name(), Expr: x})
	}
	for _, col := range created {
		if c.over(e.key, len(c.def.Columns)+1, maxColumns, "columns, those that set creates included") {
			break
		}
		c.addColumn(col)
	}
	return assigns
}

// derivedType is the type of a column that a set creates. Its decimals have all
// digits: nothing was declared that could overflow earlier.
func derivedType(t column.Type) column.Type {
	if t.Kind == column.Decimal {
		t.Precision = column.MaxPrecision
	}
	return t
}

// assignments gives the entries of a set or default.
func (c *checker) assignments(e entry, example string) []entry {
	list := c.entries(e, e.name(), example)
	if e.value.Kind == yaml.MappingNode && len(e.value.Content) == 0 {
		c.fail(e.value, "write "+example, "%s has no column", e.name())
	}
	c.assigned += len(list)
	if c.assigned > maxAssignments {
		c.over(e.key, c.assigned, maxAssignments, "columns in set and default")
		return nil
	}
	return list
}

// fits checks that an expression's values are values of the column it is
// assigned to: of its kind, and decimals with no more digits after the point.
func (c *checker) fits(e entry, x *expr.Expr) {
	col, ok := c.column(e.key, e.name())
	if !ok {
		return
	}
	to, from := col.Type, x.Type
	switch {
	case to.Kind != from.Kind:
		c.fail(e.value, c.conversion(x, to), "column %s is %s, and this is %s", col.Name, article(to), article(from))
	case to.Kind == column.Decimal && from.Scale > to.Scale:
		c.fail(e.value, fmt.Sprintf("declare the column with scale %d, or set a new column", from.Scale),
			"column %s has %d digits after the point, and this has %d", col.Name, to.Scale, from.Scale)
	}
}

// conversion says how to make an expression's value one of a type.
func (c *checker) conversion(x *expr.Expr, to column.Type) string {
	if _, err := expr.Compile(to.Kind.String()+"("+x.Text+")", c.types, c.def.Zone); err == nil {
		return fmt.Sprintf("convert it with %s(), or set a new column", to.Kind)
	}
	return "set a new column"
}

// defaults reads constants, which are values of their columns.
func (c *checker) defaults(e entry) []Assign {
	var assigns []Assign
	for _, e := range c.assignments(e, `default: {zipcode: "00000"}`) {
		col, ok := c.column(e.key, e.name())
		if !ok {
			continue
		}
		n := e.value
		if n.Kind != yaml.ScalarNode || isNull(n) {
			c.fail(e.place(), "write a constant, in quotes if it is a text", "the default of %s must be a value", col.Name)
			continue
		}
		value, err := column.ParseText(col.Type, n.Value, col.Zone)
		if err != nil {
			c.fail(n, "write "+constant(col.Type), "the default of %s: %s", col.Name, err)
			continue
		}
		assigns = append(assigns, Assign{Column: col.Name, Value: value})
	}
	return assigns
}

// constant says what a constant of a type looks like.
func constant(t column.Type) string {
	switch t.Kind {
	case column.Int:
		return "a whole number, such as 0"
	case column.Decimal:
		return "a number that fits, such as " + column.FormatText(t, column.Value{})
	case column.Bool:
		return "true or false"
	case column.Date:
		return `a day, such as "2014-11-01"`
	case column.Float:
		return "a number, such as 0.5"
	case column.Timestamp:
		return `a time, such as "2014-11-01T19:35:41Z"`
	}
	return "a value of its type"
}
