package rowlogic

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/delimited"
)

// textScanner finds the fields of csv and tsv events by their places.
type textScanner struct {
	places   []int // per column that events carry: which field of the record
	record   []delimited.Field
	splitter delimited.Splitter
	broken   string // the reason of an event that is no record
}

// newTextScanners gives a maker of scanners for the definition's format.
func newTextScanners(events definition.Events, format delimited.Format) (func() any, error) {
	index := make(map[string]int, len(events.Fields))
	for i, name := range events.Fields {
		index[name] = i
	}
	places := make([]int, len(events.Columns))
	for i, c := range events.Columns {
		at, ok := -1, false
		if len(c.From) == 1 {
			at, ok = index[c.From[0]]
		}
		if !ok {
			return nil, fmt.Errorf("preparing row logic: column %s is read from no field of the events", c.Name)
		}
		places[i] = at
	}
	return func() any {
		return scanner(&textScanner{
			places:   places,
			record:   make([]delimited.Field, len(events.Fields)),
			splitter: delimited.Splitter{Format: format},
			broken:   reasonBroken(format),
		})
	}, nil
}

func (s *textScanner) scan(event []byte, fields []field) *problem {
	if !utf8.Valid(event) {
		return invalidUTF8(event)
	}
	n, err := s.splitter.Split(event, s.record)
	var syntax *delimited.SyntaxError
	switch {
	case errors.As(err, &syntax):
		detail := fmt.Sprintf("%v: %s", syntax, quote(event[min(syntax.Offset, len(event)):]))
		return &problem{s.broken, detail}
	case err != nil:
		return &problem{s.broken, err.Error()}
	case n == 0:
		return &problem{reasonEmpty, fmt.Sprintf("the event has %d bytes and no field", len(event))}
	case n != len(s.record):
		return &problem{reasonFields, fmt.Sprintf("the event has %s, the definition names %d", fieldCount(n), len(s.record))}
	}
	for i, place := range s.places {
		f := &s.record[place]
		fields[i] = field{}
		if len(f.Text) > 0 {
			fields[i] = field{kind: plain, offset: f.Offset, text: f.Text}
		}
	}
	return nil
}

func fieldCount(n int) string {
	if n == 1 {
		return "1 field"
	}
	return fmt.Sprintf("%d fields", n)
}

func (s *textScanner) release() {
	clear(s.record)
	s.splitter.Release()
}
