package serving

import (
	"fmt"
	"slices"
	"strings"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/lookup"
)

// dimension is a value that groups are told apart by: a dimension of the view,
// or an attribute that a lookup gives for one.
type dimension struct {
	name      string // product, or product.category
	dim       int    // which of the values it is made from
	table     *lookup.Table
	attribute int // of the table
	of        column.Type
}

// value gives the dimension's value for a tuple of values.
func (d dimension) value(dims []column.Value) column.Value {
	if d.table == nil {
		return dims[d.dim]
	}
	return d.table.Value(d.attribute, dims[d.dim])
}

// joins are the contents of lookups that one query uses: the same one from its
// beginning to its end, whatever happens to the files.
type joins struct {
	def    *definition.Definition
	tables *lookup.Set
	used   []lookup.Use
}

// use gives the content of a lookup, and notes that the query depends on it.
func (j *joins) use(name string) *lookup.Table {
	for _, u := range j.used {
		if u.Lookup.Name == name {
			return u.Table
		}
	}
	u := j.tables.Table(name)
	j.used = append(j.used, u)
	return u.Table
}

// attribute finds product.category among the attributes of the dimensions. dims
// are the names of the dimensions that may be described; field is the parameter
// at fault if there is none.
func (j *joins) attribute(field, name string, dims []string) (dimension, error) {
	of, attribute, _ := strings.Cut(name, ".")
	at := slices.Index(dims, of)
	if at < 0 {
		return dimension{}, invalid(field, "there is no dimension %s here for %s; %s", quote(of), quote(name), j.remedy(dims))
	}
	l, ok := j.def.LookupOf(of)
	if !ok || j.tables == nil {
		return dimension{}, invalid(field, "no lookup describes %s, so there is no %s; declare one in lookups, with on: [%s]", of, quote(name), of)
	}
	table := j.use(l.Name)
	i := table.Attribute(attribute)
	if i < 0 {
		return dimension{}, invalid(field, "lookup %s has no attribute %s; it has %s", l.Name, quote(attribute), list(attributeNames(of, table)))
	}
	return dimension{name: name, dim: at, table: table, attribute: i, of: table.Attributes[i].Type}, nil
}

// remedy says how attributes of these dimensions are named.
func (j *joins) remedy(dims []string) string {
	for _, name := range dims {
		if _, described := j.def.LookupOf(name); described {
			return fmt.Sprintf("it has %s; an attribute is named by its dimension and not by its lookup, as %s.ATTRIBUTE", list(dims), name)
		}
	}
	return fmt.Sprintf("it has %s, and no lookup describes one of them", list(dims))
}

// attributeNames lists a dimension's attributes as queries name them.
func attributeNames(dimension string, t *lookup.Table) []string {
	names := make([]string, len(t.Attributes))
	for i, a := range t.Attributes {
		names[i] = dimension + "." + a.Name
	}
	return names
}

// contents names what the query's lookups hold, to notice a change between pages.
func (j *joins) contents() map[string]string {
	if len(j.used) == 0 {
		return nil
	}
	out := map[string]string{}
	for _, u := range j.used {
		out[u.Lookup.Name] = u.Content
	}
	return out
}
