package definition

import (
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/watershed-data/watershed/internal/column"
)

const (
	maxLookups     = 100
	lookupExample  = "products: {file: products.csv, key: sku, on: [product]}"
	attributeShape = `^[A-Za-z_][A-Za-z0-9_]{0,62}$`
)

var attributeName = regexp.MustCompile(attributeShape)

// IsAttribute reports whether a lookup's column can be named in a query.
func IsAttribute(name string) bool { return attributeName.MatchString(name) }

// LookupForms are the endings of the files that a lookup can be read from.
func LookupForms() []string { return []string{".csv", ".ndjson", ".jsonl", ".parquet"} }

// Path gives where a lookup's file lies: relative to the definition's folder.
func (d *Definition) Path(l Lookup) string {
	if filepath.IsAbs(l.File) {
		return l.File
	}
	return filepath.Join(filepath.Dir(d.File), filepath.FromSlash(l.File))
}

// LookupOf finds the lookup that describes a dimension.
func (d *Definition) LookupOf(dimension string) (Lookup, bool) {
	for _, l := range d.Lookups {
		if slices.Contains(l.On, dimension) {
			return l, true
		}
	}
	return Lookup{}, false
}

// lookups reads the dimension tables. It comes after the views, whose
// dimensions they describe.
func (c *checker) lookups(e entry) {
	described := map[string]string{} // dimension -> the lookup that describes it
	for i, e := range c.entries(e, "lookups", "lookups: with entries such as "+lookupExample) {
		if c.over(e.key, i+1, maxLookups, "lookups") {
			return
		}
		if c.name(e.key, "lookup") {
			c.lookup(e, described)
		}
	}
}

func (c *checker) lookup(e entry, described map[string]string) {
	l := Lookup{Name: e.name()}
	what := "lookup " + l.Name
	fields := c.fields(e, what, lookupExample, "file", "key", "on")
	if f, ok := c.need(fields, "file", e.value, what, "file: products.csv, relative to this file"); ok {
		l.File, l.FileAt = c.lookupFile(f), c.at(f.value)
	}
	if f, ok := c.need(fields, "key", e.value, what, "key: with the file's column that holds the dimension's value"); ok {
		var read bool
		l.KeyAt = c.at(f.value)
		if l.Key, read = c.text(f, "key", "key: sku"); read && !IsAttribute(l.Key) {
			c.fail(f.value, "rename the file's column: letters, digits and _, at most 63 in all, not beginning with a digit", "%q is not the name of an attribute", l.Key)
		}
	}
	if f, ok := c.need(fields, "on", e.value, what, "on: [product], the dimensions that it describes"); ok {
		l.On = c.described(f, l.Name, described)
	}
	c.def.Lookups = append(c.def.Lookups, l)
}

func (c *checker) lookupFile(e entry) string {
	file, ok := c.text(e, "file", "file: products.csv")
	if ok && !slices.Contains(LookupForms(), strings.ToLower(path.Ext(file))) {
		c.fail(e.value, "name a file that ends with "+strings.Join(LookupForms(), ", "), "%q does not say by its ending what it holds", file)
	}
	return file
}

// described reads the dimensions that a lookup describes. They are of one type,
// since one key is compared with all of them.
func (c *checker) described(e entry, lookup string, taken map[string]string) []string {
	var on []string
	items, ok := c.list(e, "on", "on: [product]")
	if ok && len(items) == 0 {
		c.fail(e.value, "write on: [product]", "lookup %s describes no dimension", lookup)
	}
	var first Column
	for i, n := range items {
		if c.over(n, i+1, maxDimensions, "dimensions") {
			break
		}
		name, ok := c.text(entry{key: n, value: n}, "a dimension", "the name of a view's dimension")
		if !ok {
			continue
		}
		col, ok := c.column(n, name)
		if !ok {
			continue
		}
		if first.Name == "" {
			first = col
		}
		holder := taken[name]
		switch {
		case slices.Contains(on, name):
			c.fail(n, "keep one of them", "the dimension %s appears twice", name)
			continue
		case holder != "":
			c.fail(n, "join the two files into one", "the dimension %s is described by lookup %s already", name, holder)
		case !c.isDimension(name) && c.unread: // it may be one that was not read
			continue
		case !c.isDimension(name):
			c.fail(n, "name a column that a view has in by", "no view has the dimension %s", name)
		case !sameKeys(col.Type, first.Type):
			c.fail(n, "make it a lookup of its own, or give both columns one type", "%s is of type %s and %s of type %s", first.Name, first.Type, name, col.Type)
		}
		taken[name] = lookup
		on = append(on, name)
	}
	return on
}

// sameKeys reports whether one key can be compared with values of both types.
func sameKeys(a, b column.Type) bool { return a.Kind == b.Kind && a.Scale == b.Scale }

func (c *checker) isDimension(name string) bool {
	return slices.ContainsFunc(c.def.Views, func(v View) bool { return slices.Contains(v.By, name) })
}
