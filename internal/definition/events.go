package definition

import (
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/watershed-data/watershed/internal/column"
)

const (
	maxColumns = 500
	maxFields  = 1000
)

// events reads how an event becomes columns, and gives the section's entries.
func (c *checker) events(e entry) map[string]entry {
	fields := c.fields(e, "events", "events: with format and columns", "format", "fields", "columns", "time", "id", "dedupe_within")
	if e.value.Kind != yaml.MappingNode {
		return fields
	}
	if f, ok := fields["format"]; ok {
		c.format(f)
	} else {
		c.fail(e.key, "add format: json", "events has no format")
	}
	c.eventFields(e, fields)
	if f, ok := fields["columns"]; ok {
		c.columns(f)
	} else {
		c.fail(e.key, "add columns: with at least one column", "events has no columns")
	}
	return fields
}

func (c *checker) format(e entry) {
	text, ok := c.text(e, "events.format", "format: json, csv or tsv")
	if ok && !slices.Contains(formats, text) {
		c.fail(e.value, suggest(text, formats, "the formats are "), "%q is not a format", text)
	}
	c.def.Events.Format = text
}

var formats = []string{"json", "csv", "tsv"}

// separated reports whether an event's fields have places and no names.
func (e Events) separated() bool { return e.Format == "csv" || e.Format == "tsv" }

// eventFields reads the order of an event's fields, which csv and tsv need.
func (c *checker) eventFields(events entry, fields map[string]entry) {
	format := c.def.Events.Format
	e, ok := fields["fields"]
	switch {
	case ok && format == "json":
		c.fail(e.key, "remove it", "fields is for csv and tsv: a JSON event names its fields itself")
	case ok:
		c.def.Events.Fields = c.fieldNames(e)
	case c.def.Events.separated():
		c.fail(events.key, "add fields: with the names of an event's fields in their order, such as fields: [product, price]", "format: %s needs fields, and events has none", format)
	}
}

func (c *checker) fieldNames(e entry) []string {
	items, ok := c.list(e, "fields", "fields: [product, price]")
	if ok && len(items) == 0 {
		c.fail(e.value, "write fields: [product, price]", "fields names no field")
	}
	var names []string
	for i, n := range items {
		if c.over(n, i+1, maxFields, "fields") {
			break
		}
		name, ok := c.text(entry{key: n, value: n}, "a field", "its name; a field that no column reads needs one too")
		if ok && slices.Contains(names, name) {
			c.fail(n, "give each field a name of its own", "two fields are named %q", name)
		}
		names = append(names, name)
	}
	return names
}

func (c *checker) columns(e entry) {
	list := c.entries(e, "events.columns", "columns: with entries such as price: {type: decimal(12,2)}")
	if e.value.Kind == yaml.MappingNode && len(e.value.Content) == 0 {
		c.fail(e.value, "add one, such as price: {type: decimal(12,2)}", "events.columns has no column")
	}
	for i, e := range list {
		if c.over(e.key, i+1, maxColumns, "columns") {
			return
		}
		if !c.columnName(e.key) {
			c.broken[e.name()] = true
			continue
		}
		col, ok := c.declared(e)
		c.def.Events.Columns = append(c.def.Events.Columns, col)
		c.addColumn(col)
		c.broken[col.Name] = !ok
	}
}

func (c *checker) addColumn(col Column) {
	c.def.Columns = append(c.def.Columns, col)
	c.types[col.Name] = col.Type
}

// columnName checks the name of a column, which expressions use as a CEL name.
func (c *checker) columnName(n *yaml.Node) bool {
	if slices.Contains(celWords, n.Value) {
		c.fail(n, "choose another name and say `from: "+n.Value+"`", "%q is a word of the expression language and cannot name a column", n.Value)
		return false
	}
	return c.name(n, "column")
}

// celWords are CEL's reserved words and the names of its types.
var celWords = []string{"true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import",
	"let", "loop", "package", "namespace", "return", "var", "void", "while",
	"bool", "bytes", "double", "dyn", "int", "list", "map", "null_type", "string", "type", "uint"}

// declared reads one declared column; false after a problem with its type.
func (c *checker) declared(e entry) (Column, bool) {
	col := Column{Name: e.name(), From: []string{e.name()}}
	what := "column " + col.Name
	const example = "{type: string}"
	fields := c.fields(e, what, example, "type", "from", "optional", "zone")
	c.origin(e, fields, &col)
	typ, ok := fields["type"]
	if !ok {
		if e.value.Kind == yaml.MappingNode {
			c.fail(e.key, "add type: "+typeNames, "%s has no type", what)
		}
		return col, false
	}
	col.Type, ok = c.columnType(typ)
	if f, has := fields["optional"]; has {
		col.Optional = c.flag(f, what)
	}
	if col.Type.Kind == column.Timestamp {
		col.Zone = c.def.Zone
	}
	if f, has := fields["zone"]; has {
		if ok && col.Type.Kind != column.Timestamp {
			c.fail(f.key, "remove zone", "%s is no timestamp, so it has no zone", what)
		} else {
			col.Zone = c.zone(f)
		}
	}
	return col, ok
}

// columnType reads a type; false after a problem.
func (c *checker) columnType(e entry) (column.Type, bool) {
	text, ok := c.text(e, "type", "type: "+typeNames)
	if !ok {
		return column.Type{}, false
	}
	t, err := column.ParseType(text)
	if err == nil {
		return t, true
	}
	message, _, _ := strings.Cut(err.Error(), "; ")
	c.fail(e.value, typeRemedy(text), "%s", message)
	return column.Type{}, false
}

const typeNames = "string, int, decimal(p,s), bool, date, timestamp or float"

// typesElsewhere are types as other systems call them.
var typesElsewhere = map[string]string{
	"text": "string", "varchar": "string", "char": "string", "str": "string",
	"integer": "int", "bigint": "int", "long": "int", "int64": "int",
	"number": "int or decimal(p,s)", "numeric": "decimal(p,s)", "double": "decimal(p,s), or float for what is never added up",
	"real": "decimal(p,s), or float for what is never added up", "money": "decimal(p,s)",
	"datetime": "timestamp", "timestamptz": "timestamp", "time": "timestamp", "boolean": "bool", "day": "date",
}

// typeRemedy says which type was probably meant.
func typeRemedy(text string) string {
	if strings.HasPrefix(text, "decimal") || strings.HasPrefix(text, "numeric(") {
		return "write decimal(p,s) with p digits in all, at most 18, and s of them after the point, such as decimal(12,2)"
	}
	if t, ok := typesElsewhere[strings.ToLower(text)]; ok {
		return "write " + t
	}
	return suggest(text, []string{"string", "int", "bool", "date", "timestamp", "float"}, "write decimal(p,s) or one of ")
}

// origin reads where a column's value lies in the event.
func (c *checker) origin(e entry, keys map[string]entry, col *Column) {
	what := "column " + col.Name
	f, has := keys["from"]
	if !c.def.Events.separated() {
		if has {
			col.From = c.path(f, what)
		}
		return
	}
	at, name := e.key, col.Name
	if has {
		text, ok := c.text(f, what+"'s from", "the name of a field")
		if !ok {
			return
		}
		at, name = f.value, text
		col.From = []string{name} // a point in it is part of the name
	}
	if known := c.def.Events.Fields; len(known) > 0 && !slices.Contains(known, name) {
		c.fail(at, suggest(name, known, "write from: with the column's field; the fields are "), "%s is read from the field %q, which is not in fields", what, name)
	}
}

// path reads where a column's value lies in the event: names joined by dots.
func (c *checker) path(e entry, what string) []string {
	const example = "the name of a field, or a path such as item.name"
	text, ok := c.text(e, what+"'s from", example)
	if !ok {
		return nil
	}
	path := strings.Split(text, ".")
	const deepest = 16
	if slices.Contains(path, "") || len(path) > deepest {
		c.fail(e.value, "write "+example, "%q is not a path into an event", text)
	}
	return path
}

func (c *checker) flag(e entry, what string) bool {
	if e.value.Kind != yaml.ScalarNode || e.value.ShortTag() != "!!bool" {
		c.fail(e.place(), "write true or false", "%s of %s is neither true nor false", e.name(), what)
		return false
	}
	return strings.EqualFold(e.value.Value, "true")
}

// eventTime resolves events.time, when all columns are known.
func (c *checker) eventTime(fields map[string]entry) {
	e, ok := fields["time"]
	if !ok {
		return
	}
	name, ok := c.text(e, "events.time", "time: with the name of a timestamp column")
	if !ok {
		return
	}
	c.def.Events.Time = name // even after a problem: views need not complain of its absence
	col, ok := c.column(e.value, name)
	switch {
	case !ok:
	case col.Type.Kind != column.Timestamp:
		c.fail(e.value, "name a column of type timestamp", "events.time names %s, which is %s", name, article(col.Type))
	case col.Derived:
		c.fail(e.value, "declare it in events.columns; a `set` may still compute it", "events.time names %s, which is not a column of the event", name)
	case col.Optional:
		c.fail(e.value, "remove optional: true from it; a `default` may fill it", "events.time names %s, which may be null", name)
	}
}

// The bounds of dedupe_within. Ids are remembered for it and an hour more, which
// must end before a stream forgets a closed shard: after a day at the earliest.
const (
	defaultWithin = 15 * time.Minute
	maxWithin     = 12 * time.Hour
)

// eventID resolves events.id and events.dedupe_within, when all columns are known.
func (c *checker) eventID(fields map[string]entry) {
	within, timed := fields["dedupe_within"]
	e, ok := fields["id"]
	if !ok {
		if timed {
			c.fail(within.key, "add id: with the column that identifies an event, or remove it", "dedupe_within is about events with the same id, and events has no id")
		}
		return
	}
	if name, ok := c.text(e, "events.id", "id: with the name of the column that identifies an event"); ok {
		col, ok := c.column(e.value, name)
		switch {
		case !ok:
		case col.Derived:
			c.fail(e.value, "declare it in events.columns: an id is what the event says, before clean", "events.id names %s, which is not a column of the event", name)
		case col.Type.Kind == column.Float:
			c.fail(e.value, "declare the column as string, int or decimal(p,s)", "events.id names %s, which is a float, and floats identify nothing", name)
		}
		c.def.Events.ID, c.def.Events.DedupeWithin = name, defaultWithin
	}
	if !timed {
		return
	}
	if text, ok := c.text(within, "dedupe_within", "dedupe_within: 15m"); ok {
		d, err := parseDuration(text, maxInterval)
		switch {
		case err != nil:
			c.fail(within.value, "write a whole number and s, m or h, such as 15m, from 1s to 12h", "%q is not a duration", text)
		case d > maxWithin:
			c.fail(within.value, "write at most 12h", "dedupe_within: %s is longer than ids are remembered", text)
		}
		c.def.Events.DedupeWithin = d
	}
}

// article gives a type as a noun.
func article(t column.Type) string {
	if t.Kind == column.Int {
		return "an int"
	}
	return "a " + t.String()
}
