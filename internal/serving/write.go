package serving

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/watershed-data/watershed/internal/column"
)

// writeBuffer is the size in bytes of what is gathered before it is written.
const writeBuffer = 64 << 10

// WriteJSON writes the answer as one JSON object and a line end, row by row.
// Rows are objects whose members are the columns, in their order. Ints and
// floats are numbers, bools are true and false, decimals and everything else
// are strings, null is null. Equal answers have equal bytes.
func (a *Answer) WriteJSON(w io.Writer) error {
	out := bufio.NewWriterSize(w, writeBuffer)
	head, err := a.head()
	if err != nil {
		return err
	}
	_, _ = out.Write(head)
	names := make([][]byte, len(a.Columns))
	for i, c := range a.Columns {
		names[i] = append(appendJSONText(nil, c.Name), ':')
	}
	var b []byte
	separator := "\n  {"
	err = a.each(func(cells []cell) error {
		b = append(b[:0], separator...)
		separator = ",\n  {"
		for i, x := range cells {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, names[i]...)
			b = a.Columns[i].appendJSON(b, a.plan.zone, x)
		}
		_, err := out.Write(append(b, '}'))
		return err
	})
	if err != nil {
		return err
	}
	next := []byte("null")
	if a.Next != nil {
		next = appendJSONText(nil, *a.Next)
	}
	_, _ = out.WriteString("],\n \"next\":" + string(next) + "}\n")
	return out.Flush()
}

// head gives the JSON before the first row.
func (a *Answer) head() ([]byte, error) {
	type described struct {
		Name string `json:"name"`
		Type string `json:"type"`
	}
	columns := make([]described, len(a.Columns))
	for i, c := range a.Columns {
		columns[i] = described{c.Name, c.Type}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	b.WriteByte('{')
	lines := []any{
		struct {
			View      string  `json:"view"`
			Version   *string `json:"version"`
			Watershed *string `json:"watershed"`
			Freshness *string `json:"freshness"`
			Complete  bool    `json:"complete"`
			Why       string  `json:"why,omitempty"`
		}{a.View, a.Version, a.Watershed, a.Freshness, a.Complete, a.Why},
		struct {
			Committed map[string]string `json:"committed"`
		}{a.Committed},
	}
	if len(a.Kept) > 0 {
		lines = append(lines, struct {
			Kept []KeptGrain `json:"kept"`
		}{a.Kept})
	}
	if len(a.Lookups) > 0 {
		lines = append(lines, struct {
			Lookups []LookupState `json:"lookups"`
		}{a.Lookups})
	}
	lines = append(lines, struct {
		Columns []described `json:"columns"`
	}{columns})
	for _, line := range lines {
		start := b.Len()
		if err := e.Encode(line); err != nil {
			return nil, err
		}
		text := b.Bytes()[start:]
		inner := bytes.TrimSuffix(text[1:], []byte("}\n")) // {"a":1} -> "a":1
		copy(text, inner)
		b.Truncate(start + len(inner))
		b.WriteString(",\n ")
	}
	b.WriteString(`"rows":[`)
	return b.Bytes(), nil
}

func (c Column) appendJSON(dst []byte, zone timeZone, x cell) []byte {
	if x.null {
		return append(dst, "null"...)
	}
	if c.kind == plainValue {
		switch c.of.Kind {
		case column.Int, column.Bool, column.Float:
			return c.append(dst, zone, x)
		case column.String:
			return appendJSONText(dst, x.value.Str)
		}
	}
	return append(c.append(append(dst, '"'), zone, x), '"') // digits and signs: nothing to escape
}

// appendJSONText appends a JSON string.
func appendJSONText(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return appendEscaped(dst, s)
		}
	}
	return append(append(append(dst, '"'), s...), '"')
}

func appendEscaped(dst []byte, s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string always encodes
	return append(dst, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}

// WriteCSV writes the rows as CSV (RFC 4180, lines ended by a line feed) with
// the columns' names as the header. Null is an empty field and the empty text is
// "" in quotes; other fields are quoted only where they must be. What is not
// rows, such as Next, is not in it.
func (a *Answer) WriteCSV(w io.Writer) error {
	out := bufio.NewWriterSize(w, writeBuffer)
	var b []byte
	for i, c := range a.Columns {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendCSVText(b, c.Name)
	}
	_, _ = out.Write(append(b, '\n'))
	err := a.each(func(cells []cell) error {
		b = b[:0]
		for i, x := range cells {
			if i > 0 {
				b = append(b, ',')
			}
			switch c := a.Columns[i]; {
			case x.null:
			case c.kind == plainValue && c.of.Kind == column.String:
				b = appendCSVText(b, x.value.Str)
			default:
				b = c.append(b, a.plan.zone, x)
			}
		}
		_, err := out.Write(append(b, '\n'))
		return err
	})
	if err != nil {
		return err
	}
	return out.Flush()
}

func appendCSVText(dst []byte, s string) []byte {
	if s != "" && !strings.ContainsAny(s, ",\"\r\n") {
		return append(dst, s...)
	}
	dst = append(dst, '"')
	for i := range len(s) {
		if s[i] == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, s[i])
	}
	return append(dst, '"')
}
