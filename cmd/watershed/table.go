package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// newTableReader reads CSV or TSV whose first record names the fields, and
// makes a JSON event of each further record.
func newTableReader(in *input, from *bufio.Reader, p *pipeline, keyColumn string) (*reader, error) {
	if mark, _ := from.Peek(3); string(mark) == "\ufeff" {
		_, _ = from.Discard(3)
	}
	table := csv.NewReader(from)
	table.ReuseRecord = true
	if in.form == "tsv" {
		table.Comma = '\t'
		table.LazyQuotes = true // tabs are rarely quoted, quotes in texts often stand alone
	}
	header, err := table.Read()
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s is empty; its first line must name the fields", in.name)
	}
	if err != nil {
		return nil, in.tableError(err)
	}
	shape, err := newShape(slices.Clone(header), p)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", in.place(1), err)
	}
	keyField := -1
	if keyColumn != "" {
		if keyField = slices.Index(shape.header, strings.Join(p.path(keyColumn), ".")); keyField < 0 && keyColumn != p.ID {
			return nil, fmt.Errorf("%s has no field %s, which column %s is read from; choose another --partition-key", in.place(1), strings.Join(p.path(keyColumn), "."), keyColumn)
		}
	}
	r := &reader{notes: shape.missing(in, p)}
	line, _ := table.FieldPos(0)
	first := line + 1
	r.next = func() (*event, error) {
		record, err := table.Read()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				err = in.tableError(err)
			}
			return nil, err
		}
		line, _ := table.FieldPos(len(record) - 1)
		e := &event{data: shape.event(record), key: randomKey(), file: in.index, name: in.name, from: first, to: line}
		first = line + 1
		if keyField >= 0 {
			e.key = keyOf(record[keyField])
		}
		if len(e.data)+len(e.key) > maxEvent {
			return nil, &oversizedError{in.place(line), len(e.data)}
		}
		return e, nil
	}
	return r, nil
}

// tableError names the file and line of what is wrong with a table.
func (in *input) tableError(err error) error {
	var parse *csv.ParseError
	if !errors.As(err, &parse) {
		return fmt.Errorf("reading %s: %w", in.name, err)
	}
	if errors.Is(err, csv.ErrFieldCount) {
		return fmt.Errorf("%s: the record does not have as many fields as the first line", in.place(parse.Line))
	}
	return fmt.Errorf("%s:%d: %w", in.place(parse.Line), parse.Column, parse.Err)
}

// shape is how a table's records become JSON objects.
type shape struct {
	header  []string
	numeric []bool // by field
	fields  []node
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
	s := &shape{header: header}
	for i, name := range header {
		switch {
		case name == "":
			return nil, fmt.Errorf("field %d has no name", i+1)
		case !utf8.ValidString(name):
			return nil, fmt.Errorf("the name of field %d is not UTF-8", i+1)
		case slices.Contains(header[:i], name):
			return nil, fmt.Errorf("two fields are named %q", name)
		}
		path := []string{name}
		for _, c := range p.Columns {
			if len(c.From) > 1 && strings.Join(c.From, ".") == name {
				path = c.From
			}
		}
		s.numeric = append(s.numeric, p.numeric(path))
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

// missing tells of columns that no field of the table is.
func (s *shape) missing(in *input, p *pipeline) []string {
	var notes []string
	for _, c := range p.Columns {
		if field := strings.Join(c.From, "."); !slices.Contains(s.header, field) {
			notes = append(notes, fmt.Sprintf("%s has no field %s, which column %s is read from", in.name, field, c.Name))
		}
	}
	return notes
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
	if s.numeric[field] && isNumber(text) {
		return append(dst, text...)
	}
	return appendString(dst, text)
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
