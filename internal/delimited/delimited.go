package delimited

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// Format is how fields are written.
type Format uint8

// The formats.
const (
	CSV Format = iota + 1
	TSV
)

// ParseFormat reads a format as the definition names it, csv or tsv.
func ParseFormat(name string) (f Format, ok bool) {
	switch name {
	case "csv":
		return CSV, true
	case "tsv":
		return TSV, true
	}
	return 0, false
}

// String gives the format's name in capitals.
func (f Format) String() string {
	if f == CSV {
		return "CSV"
	}
	return "TSV"
}

func (f Format) separator() byte {
	if f == CSV {
		return ','
	}
	return '\t'
}

// Field is one field of a record.
type Field struct {
	Offset int    // of its first byte in the record; of the quote, if it has one
	Text   []byte // without quotes and escapes; empty: null
}

// SyntaxError says where and why a text is no record of its format.
type SyntaxError struct {
	Offset  int // in bytes
	Problem string
	Open    bool // a quote is not closed: the text may be the beginning of a record
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("at offset %d %s", e.Offset, e.Problem) }

const (
	secondRecord = "a second line begins; one record is one line"
	openQuote    = "begins a quoted field that does not end"
	afterQuote   = "something follows the end of a quoted field; a quote within one is doubled"
	bareQuote    = "a quote stands within a field that does not begin with one"
)

// Splitter takes records apart. It is used by one goroutine at a time.
type Splitter struct {
	Format    Format
	unescaped []byte // texts of the record's fields that held quotes or escapes
}

// Split fills fields with those of a record, and gives how many the record has:
// what is beyond the end of fields is checked and counted, not kept. A record
// without a byte has none. The texts alias the record or the Splitter, until the
// next call. The error is a *SyntaxError.
func (s *Splitter) Split(record []byte, fields []Field) (int, error) {
	s.unescaped = s.unescaped[:0]
	record = withoutLineEnd(record)
	if len(record) == 0 {
		return 0, nil
	}
	for n, at := 0, 0; ; n++ {
		text, end, err := s.field(record, at)
		if err != nil {
			return 0, err
		}
		if n < len(fields) {
			fields[n] = Field{Offset: at, Text: text}
		}
		if end == len(record) {
			return n + 1, nil
		}
		at = end + 1
	}
}

// Release forgets the last record, and gives back what a large one took.
func (s *Splitter) Release() {
	const keep = 64 << 10
	if cap(s.unescaped) > keep {
		s.unescaped = nil
	}
}

func withoutLineEnd(record []byte) []byte {
	if rest, ok := bytes.CutSuffix(record, []byte("\n")); ok {
		return bytes.TrimSuffix(rest, []byte("\r"))
	}
	return record
}

// field reads the field that begins at an offset, and gives where the separator
// behind it stands, or the record's end.
func (s *Splitter) field(record []byte, at int) (text []byte, end int, err error) {
	if s.Format == CSV && at < len(record) && record[at] == '"' {
		return s.quoted(record, at)
	}
	end, escaped := at, false
scan:
	for ; end < len(record); end++ {
		switch c := record[end]; {
		case c == s.Format.separator():
			break scan
		case c == '\n' || c == '\r':
			return nil, 0, &SyntaxError{end, secondRecord, false}
		case c == '"' && s.Format == CSV:
			return nil, 0, &SyntaxError{end, bareQuote, false}
		case c == '\\' && s.Format == TSV:
			escaped = true
		}
	}
	if escaped {
		text, err = s.unescape(record[:end], at)
		return text, end, err
	}
	return record[at:end], end, nil
}

// quoted reads the quoted field of a CSV record that begins at an offset.
func (s *Splitter) quoted(record []byte, start int) (text []byte, end int, err error) {
	mark := len(s.unescaped)
	for at := start + 1; ; {
		n := bytes.IndexByte(record[at:], '"')
		if n < 0 {
			return nil, 0, &SyntaxError{start, openQuote, true}
		}
		piece := record[at : at+n]
		at += n + 1
		if at < len(record) && record[at] == '"' { // a doubled one
			s.unescaped = append(append(s.unescaped, piece...), '"')
			at++
			continue
		}
		if at < len(record) && record[at] != ',' {
			return nil, 0, &SyntaxError{at, afterQuote, false}
		}
		if len(s.unescaped) == mark {
			return piece, at, nil
		}
		s.unescaped = append(s.unescaped, piece...)
		return slices.Clip(s.unescaped[mark:]), at, nil
	}
}

// unescape gives the text of a TSV field, which reaches from an offset to the end.
func (s *Splitter) unescape(record []byte, at int) ([]byte, error) {
	if string(record[at:]) == `\N` {
		return nil, nil
	}
	mark := len(s.unescaped)
	for ; at < len(record); at++ {
		c := record[at]
		if c != '\\' {
			s.unescaped = append(s.unescaped, c)
			continue
		}
		escape := byte(0)
		if at+1 < len(record) {
			escape = record[at+1]
		}
		meant := strings.IndexByte(escapes, escape)
		if meant < 0 {
			return nil, &SyntaxError{at, `stands a backslash that begins none of \t, \n, \r and \\`, false}
		}
		s.unescaped = append(s.unescaped, escaped[meant])
		at++
	}
	return slices.Clip(s.unescaped[mark:]), nil
}

// What follows a backslash in TSV, and what it stands for.
const (
	escapes = `tnr\`
	escaped = "\t\n\r\\"
)

// Append appends a record of the texts, without a line end. Split gives the same
// texts back. There is at least one text.
func (f Format) Append(dst []byte, texts ...string) []byte {
	if len(texts) == 1 && texts[0] == "" { // no byte at all would be no field
		if f == CSV {
			return append(dst, `""`...)
		}
		return append(dst, `\N`...)
	}
	for i, text := range texts {
		if i > 0 {
			dst = append(dst, f.separator())
		}
		if f == CSV {
			dst = appendQuoted(dst, text)
		} else {
			dst = appendEscaped(dst, text)
		}
	}
	return dst
}

func appendQuoted(dst []byte, text string) []byte {
	if !strings.ContainsAny(text, ",\"\r\n") {
		return append(dst, text...)
	}
	dst = append(dst, '"')
	for i := range len(text) {
		if text[i] == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, text[i])
	}
	return append(dst, '"')
}

func appendEscaped(dst []byte, text string) []byte {
	for i := range len(text) {
		if n := strings.IndexByte(escaped, text[i]); n >= 0 {
			dst = append(dst, '\\', escapes[n])
		} else {
			dst = append(dst, text[i])
		}
	}
	return dst
}
