package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/watershed-data/watershed/internal/delimited"
)

// newTableReader reads CSV or TSV whose first record names the fields, and
// makes an event of each further record.
func newTableReader(in *input, from *bufio.Reader, p *pipeline, keyColumn string) (*reader, error) {
	table, header, err := newRecords(in, from)
	if err != nil {
		return nil, err
	}
	write, err := p.eventOf(header)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", in.place(table.first), err)
	}
	keyField := -1
	if keyColumn != "" {
		field := strings.Join(p.path(keyColumn), ".")
		if keyField = slices.Index(header, field); keyField < 0 && keyColumn != p.ID {
			return nil, fmt.Errorf("%s has no field %s, which column %s is read from; choose another --partition-key", in.place(table.first), field, keyColumn)
		}
	}
	r := &reader{notes: missing(in, header, p)}
	first := table.line + 1
	r.next = func() (*event, error) {
		record, err := table.next()
		r.blank = table.blank
		if err != nil {
			return nil, err
		}
		e := &event{data: write(record), key: randomKey(), file: in.index, name: in.name, from: first, to: table.line}
		first = table.line + 1
		if keyField >= 0 {
			e.key = keyOf(record[keyField])
		}
		if len(e.data)+len(e.key) > maxEvent {
			return nil, &oversizedError{in.place(table.first), len(e.data)}
		}
		return e, nil
	}
	return r, nil
}

// eventOf gives how a record with these fields becomes an event of the
// pipeline's format.
func (p *pipeline) eventOf(header []string) (func(record []string) []byte, error) {
	if err := checkHeader(header); err != nil {
		return nil, err
	}
	if format, ok := delimited.ParseFormat(p.Format); ok {
		return p.rearranged(format, header)
	}
	s, err := newShape(header, p)
	if err != nil {
		return nil, err
	}
	return s.event, nil
}

func checkHeader(header []string) error {
	for i, name := range header {
		switch {
		case name == "":
			return fmt.Errorf("field %d has no name", i+1)
		case !utf8.ValidString(name):
			return fmt.Errorf("the name of field %d is not UTF-8", i+1)
		case slices.Contains(header[:i], name):
			return fmt.Errorf("two fields are named %q", name)
		}
	}
	return nil
}

// rearranged writes records with the pipeline's fields in their order. A field
// that the pipeline has not is an error: nothing is left out without being told.
func (p *pipeline) rearranged(format delimited.Format, header []string) (func(record []string) []byte, error) {
	for _, name := range header {
		if !slices.Contains(p.Fields, name) {
			return nil, fmt.Errorf("the events of pipeline %s have no field %q; they have %s: take it out of the file, or add it to fields in the definition", p.Name, name, strings.Join(p.Fields, ", "))
		}
	}
	from := make([]int, len(p.Fields))
	for i, name := range p.Fields {
		from[i] = slices.Index(header, name)
	}
	texts := make([]string, len(from))
	return func(record []string) []byte {
		for i, at := range from {
			texts[i] = ""
			if at >= 0 {
				texts[i] = record[at]
			}
		}
		return format.Append(nil, texts...)
	}, nil
}

// missing tells of columns that no field of the table is.
func missing(in *input, header []string, p *pipeline) []string {
	var notes []string
	for _, c := range p.Columns {
		if field := strings.Join(c.From, "."); !slices.Contains(header, field) {
			notes = append(notes, fmt.Sprintf("%s has no field %s, which column %s is read from", in.name, field, c.Name))
		}
	}
	return notes
}

// shape is how a table's records become JSON objects.
type shape struct {
	bare   []func(text string) bool // by field: whether a text is written without quotes
	fields []node
}

// node is one name of an object: a field of the table, or an object of others.
type node struct {
	name  []byte // as JSON, with the colon
	field int
	inner []node
}

// newShape takes the header apart. A field is an object's only where the
// pipeline reads a column from such a path: a point in a name means nothing else.
func newShape(header []string, p *pipeline) (*shape, error) {
	s := &shape{}
	for i, name := range header {
		path := []string{name}
		for _, c := range p.Columns {
			if len(c.From) > 1 && strings.Join(c.From, ".") == name {
				path = c.From
			}
		}
		s.bare = append(s.bare, p.bare(path))
		if err := insert(&s.fields, path, i); err != nil {
			return nil, fmt.Errorf("field %q: %w", name, err)
		}
	}
	return s, nil
}

func insert(nodes *[]node, path []string, field int) error {
	quoted, err := json.Marshal(path[0])
	if err != nil {
		return err
	}
	name := append(quoted, ':')
	at := slices.IndexFunc(*nodes, func(n node) bool { return bytes.Equal(n.name, name) })
	if at < 0 {
		at = len(*nodes)
		*nodes = append(*nodes, node{name: name, field: -1})
	}
	n := &(*nodes)[at]
	if n.field >= 0 || len(path) == 1 && n.inner != nil {
		return errors.New("another field stands where this one's object would")
	}
	if len(path) == 1 {
		n.field = field
		return nil
	}
	return insert(&n.inner, path[1:], field)
}

// event makes a JSON object of a record.
func (s *shape) event(record []string) []byte {
	dst := s.object(nil, s.fields, record)
	if len(dst) == 0 {
		return []byte("{}")
	}
	return dst
}

// object appends an object; one without any value is left out.
func (s *shape) object(dst []byte, nodes []node, record []string) []byte {
	start := len(dst)
	for _, n := range nodes {
		mark := len(dst)
		if len(dst) == start {
			dst = append(dst, '{')
		} else {
			dst = append(dst, ',')
		}
		dst = append(dst, n.name...)
		before := len(dst)
		if n.field < 0 {
			dst = s.object(dst, n.inner, record)
		} else {
			dst = s.value(dst, n.field, record[n.field])
		}
		if len(dst) == before {
			dst = dst[:mark]
		}
	}
	if len(dst) == start {
		return dst
	}
	return append(dst, '}')
}

// value appends a field's value; an empty one is left out.
func (s *shape) value(dst []byte, field int, text string) []byte {
	if text == "" {
		return dst
	}
	if s.bare[field](text) {
		return append(dst, text...)
	}
	return appendString(dst, text)
}

// bare tells which texts of a field go into an event without quotes: those that
// are what its columns take only so.
func (p *pipeline) bare(path []string) func(text string) bool {
	truth, number := false, false
	for _, c := range p.Columns {
		if slices.Equal(c.From, path) {
			truth = truth || c.Type == "bool"
			number = number || c.Type == "int" || c.Type == "float" || strings.HasPrefix(c.Type, "decimal")
		}
	}
	return func(text string) bool {
		return number && isNumber(text) || truth && (text == "true" || text == "false")
	}
}

// isNumber reports whether the text is a number as JSON writes it.
func isNumber(text string) bool {
	c := text[0]
	return (c == '-' || c >= '0' && c <= '9') && json.Valid([]byte(text)) && text[len(text)-1] >= '0'
}

// appendString appends a JSON string. Bytes that are not UTF-8 stay as they
// are: the pipeline rejects the event with that reason and keeps it as it was.
func appendString(dst []byte, text string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, text[i])
		}
	}
	return append(dst, '"')
}
