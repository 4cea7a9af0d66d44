package rowlogic

import (
	"fmt"
	"strings"
	"time"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
)

// source is a column that events carry: where its values lie and how they are
// read.
type source struct {
	column      int // index in Batch.Columns
	typ         column.Type
	zone        *time.Location // of timestamps that name none
	path        string         // as users write it, for details
	reasonType  string
	reasonValue string
}

func newSource(c definition.Column, at int) source {
	return source{
		column:      at,
		typ:         c.Type,
		zone:        c.Zone,
		path:        strings.Join(c.From, "."),
		reasonType:  c.Name + ": wrong type",
		reasonValue: c.Name + ": not " + article(c.Type.String()),
	}
}

// article puts a or an before a noun.
func article(noun string) string {
	if strings.ContainsRune("aeiou", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}

// read gives the column's value; f is not absent.
func (s *source) read(f *field) (column.Value, *problem) {
	if f.blocked || !s.allows(f.kind) {
		return column.Null, s.wrongType(f)
	}
	value, err := column.ParseText(s.typ, string(f.text), s.zone) // a copy: the event's bytes are the caller's
	if err != nil {
		return column.Null, &problem{s.reasonValue, fmt.Sprintf("%s at offset %d: %v", s.shown(), f.offset, err)}
	}
	return value, nil
}

// allows says which kinds of values the column is read from.
func (s *source) allows(k kind) bool {
	if k == plain {
		return true
	}
	switch s.typ.Kind {
	case column.Bool:
		return k == boolean
	case column.Date:
		return k == text
	case column.Int, column.Float:
		return k == number
	}
	return k == text || k == number // string, decimal, timestamp
}

func (s *source) wrongType(f *field) *problem {
	found := f.shown()
	if f.blocked {
		return &problem{s.reasonType, fmt.Sprintf("%s: at offset %d stands %s, want an object on the way to it", s.shown(), f.offset, found)}
	}
	return &problem{s.reasonType, fmt.Sprintf("%s at offset %d is %s, want %s", s.shown(), f.offset, found, article(s.typ.String()))}
}

// shown is the value as the event holds it, short enough for a detail.
func (f *field) shown() string {
	switch {
	case f.kind == object || f.kind == array:
		return f.kind.a()
	case f.kind == text:
		return quote(f.text)
	case len(f.text) > maxQuoted:
		return string(f.text[:maxQuoted]) + "..."
	}
	return string(f.text)
}

// shown is the path, short enough for a detail.
func (s *source) shown() string {
	if len(s.path) <= 2*maxQuoted {
		return s.path
	}
	return s.path[:cut(s.path, 2*maxQuoted)] + "..."
}
