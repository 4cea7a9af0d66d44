package serving

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/expr"
	"github.com/watershed-data/watershed/internal/measure"
)

// chooseWhere compiles the condition over the view's dimensions and their
// attributes.
func (p *plan) chooseWhere(q Query) error {
	if strings.TrimSpace(q.Where) == "" {
		return nil
	}
	columns := map[string]column.Type{}
	attributes := map[string]dimension{}
	for i, name := range p.view.By {
		columns[name] = p.dims[i]
		attributes[name] = dimension{name: name, dim: i, of: p.dims[i]}
	}
	for i, name := range p.view.By {
		l, ok := p.joins.def.LookupOf(name)
		if !ok || p.joins.tables == nil || !mentions(q.Where, name) {
			continue
		}
		table := p.joins.use(l.Name)
		for a, attribute := range table.Attributes {
			d := dimension{name: name + "." + attribute.Name, dim: i, table: table, attribute: a, of: attribute.Type}
			columns[d.name], attributes[d.name] = d.of, d
		}
	}
	e, err := expr.Compile(q.Where, columns, p.zone.Location)
	if err != nil {
		return p.whereError(q.Where, err)
	}
	if e.Type.Kind != column.Bool {
		return invalid("where", "where is a %s and must be a condition; write for instance %s == ...", e.Type, quote(q.Where))
	}
	f := &filter{expr: e}
	for _, name := range e.Columns {
		f.columns = append(f.columns, attributes[name])
	}
	p.where = f
	return nil
}

// mentions reports whether a condition names an attribute of the dimension: only
// then its lookup is read. It may say yes too often.
func mentions(where, dimension string) bool { return strings.Contains(where, dimension+".") }

// whereError says where in the condition the mistake is.
func (p *plan) whereError(where string, err error) error {
	var mistake *expr.Error
	if !errors.As(err, &mistake) {
		return invalid("where", "%s", err.Error())
	}
	text := []rune(where)
	at := min(mistake.Offset, len(text))
	place := fmt.Sprintf("at character %d", at+1)
	if at < len(text) {
		place += ", " + quote(string(text[at:]))
	}
	remedy := mistake.Remedy
	if strings.HasSuffix(mistake.Message, "no column "+TimeColumn) {
		remedy = "choose times with from and to; where is over the dimensions " + list(p.view.By)
	} else if slices.ContainsFunc(p.measureNames(), func(m string) bool { return strings.HasSuffix(mistake.Message, "no column "+m) }) {
		remedy = "a measure is not known before cells are merged; where is over the dimensions " + list(p.view.By)
	}
	message := mistake.Message
	if strings.HasPrefix(message, "a path such as ") {
		message, remedy = "nothing here has such an attribute", "view "+p.view.Name+": "+p.joins.remedy(p.view.By)
	}
	return invalid("where", "where, %s: %s; %s", place, message, remedy)
}

// filter is a query's condition on cells. One query uses it.
type filter struct {
	expr    *expr.Expr
	columns []dimension // as expr.Columns

	vectors []*column.Vector
	cells   []heldCell
}

// heldCell is a cell that waits for others, to be decided together with them.
type heldCell struct {
	time   int64
	dims   []column.Value
	key    string // the dims, encoded, if that is known
	states []measure.State
}

// filterRows is how many cells are decided together.
const filterRows = 256

// hold keeps a copy of a cell; full says to decide now.
func (f *filter) hold(t int64, dims []column.Value, key string, states []measure.State) (full bool) {
	f.cells = append(f.cells, heldCell{t, slices.Clone(dims), key, slices.Clone(states)})
	return len(f.cells) >= filterRows
}

// decide gives the cells that satisfy the condition to pass, and forgets all of
// them. A condition that cannot be computed for a cell is an error.
func (f *filter) decide(pass func(heldCell) error) error {
	n := len(f.cells)
	if n == 0 {
		return nil
	}
	defer func() { f.cells = f.cells[:0] }()
	if f.vectors == nil {
		for _, c := range f.columns {
			f.vectors = append(f.vectors, column.NewVector(c.of, filterRows))
		}
	}
	for i, c := range f.columns {
		for row, cell := range f.cells {
			f.vectors[i].Set(row, c.value(cell.dims))
		}
	}
	keep, failures := f.expr.Eval(f.vector, n)
	for row, cell := range f.cells {
		if reason, failed := failures[row]; failed {
			return f.failure(row, reason)
		}
		if v := keep.At(row); v.Null || v.Int == 0 {
			continue
		}
		if err := pass(cell); err != nil {
			return err
		}
	}
	return nil
}

func (f *filter) vector(name string) *column.Vector {
	return f.vectors[slices.IndexFunc(f.columns, func(c dimension) bool { return c.name == name })]
}

// failure names the values for which the condition has no result.
func (f *filter) failure(row int, reason string) error {
	var values []string
	for i, c := range f.columns {
		v := f.vectors[i].At(row)
		text := "null"
		if !v.Null {
			text = quote(column.FormatText(c.of, v))
		}
		values = append(values, c.name+" = "+text)
	}
	return invalid("where", "where has no result for %s: %s; guard it with a condition before it and &&", strings.Join(values, ", "), reason)
}
