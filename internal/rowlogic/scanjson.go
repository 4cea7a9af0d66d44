package rowlogic

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// jsonScanner finds the fields of JSON events, token by token.
type jsonScanner struct {
	root      *path // shared, never changed
	in        bytes.Buffer
	dec       jsontext.Decoder
	event     []byte
	fields    []field
	unescaped []byte // texts of the event's strings that held escapes
}

var (
	errDeep     = errors.New("nested too deeply")
	errTrailing = errors.New("something follows the object")
)

func (s *jsonScanner) scan(event []byte, fields []field) *problem {
	clear(fields)
	if !utf8.Valid(event) {
		return invalidUTF8(event)
	}
	if len(bytes.TrimLeft(event, " \t\r\n")) == 0 {
		return &problem{reasonEmpty, fmt.Sprintf("the event has %d bytes and no value", len(event))}
	}
	s.event, s.fields, s.unescaped = event, fields, s.unescaped[:0]
	s.in = *bytes.NewBuffer(event) // the decoder reads a bytes.Buffer in place
	s.dec.Reset(&s.in)

	first := s.dec.PeekKind()
	err := s.value(s.root)
	if err == nil {
		err = s.end()
	}
	if err != nil {
		return s.problem(err)
	}
	if first != jsontext.KindBeginObject {
		return &problem{reasonNotObject, "the event is " + kindOf(first).a()}
	}
	return nil
}

func (s *jsonScanner) release() {
	const keep = 64 << 10
	if cap(s.unescaped) > keep {
		s.unescaped = nil
	}
	s.in = bytes.Buffer{}
	s.dec.Reset(&s.in)
	s.event, s.fields = nil, nil
}

// value reads the value that stands at a path; nil is a path that no column needs.
func (s *jsonScanner) value(p *path) error {
	k := s.dec.PeekKind()
	switch {
	case p == nil || k == jsontext.KindNull:
		return s.skip()
	case k == jsontext.KindBeginObject && p.next != nil:
		return s.object(p)
	case k == jsontext.KindBeginObject || k == jsontext.KindBeginArray:
		if err := s.open(); err != nil {
			return err
		}
		p.fill(s.fields, field{kind: kindOf(k), offset: s.offset() - 1})
		return s.close()
	}
	raw, err := s.dec.ReadValue()
	if err != nil {
		return err
	}
	f := field{kind: kindOf(k), offset: s.offset() - len(raw)}
	f.text = s.event[f.offset:s.offset()] // not raw: that is valid only until the next read
	if k == jsontext.KindString {
		if f.text, err = s.unquote(f.text); err != nil {
			return err
		}
	}
	p.fill(s.fields, f)
	return nil
}

// object reads an object that columns lie in. It calls itself no deeper than
// the columns' paths are long.
func (s *jsonScanner) object(p *path) error {
	if err := s.open(); err != nil {
		return err
	}
	p.here(s.fields, field{kind: object, offset: s.offset() - 1})
	for s.dec.PeekKind() != jsontext.KindEndObject {
		name, err := s.dec.ReadValue()
		if err != nil {
			return err
		}
		mark := len(s.unescaped)
		if name, err = s.unquote(name); err != nil {
			return err
		}
		next := p.next[string(name)]
		s.unescaped = s.unescaped[:mark]
		if err := s.value(next); err != nil {
			return err
		}
	}
	_, err := s.dec.ReadToken()
	return err
}

// unquote gives the text of a valid JSON string.
func (s *jsonScanner) unquote(raw []byte) ([]byte, error) {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1], nil
	}
	start := len(s.unescaped)
	var err error
	s.unescaped, err = jsontext.AppendUnquote(s.unescaped, raw)
	return s.unescaped[start:], err
}

// open reads one token and checks the depth behind it.
func (s *jsonScanner) open() error {
	if _, err := s.dec.ReadToken(); err != nil {
		return err
	}
	if s.dec.StackDepth() > maxDepth {
		return errDeep
	}
	return nil
}

// close reads up to the end of the object or array that was just opened.
func (s *jsonScanner) close() error {
	for depth := s.dec.StackDepth(); s.dec.StackDepth() >= depth; {
		if err := s.open(); err != nil {
			return err
		}
	}
	return nil
}

// skip reads over one value, however deep, without recursion.
func (s *jsonScanner) skip() error {
	depth := s.dec.StackDepth()
	if err := s.open(); err != nil {
		return err
	}
	if s.dec.StackDepth() > depth {
		return s.close()
	}
	return nil
}

// end checks that nothing but blanks is left.
func (s *jsonScanner) end() error {
	at := s.offset()
	if rest := bytes.TrimLeft(s.event[at:], " \t\r\n"); len(rest) > 0 {
		return errTrailing
	}
	return nil
}

// offset is how many bytes of the event have been read.
func (s *jsonScanner) offset() int { return int(s.dec.InputOffset()) }

// problem says what is wrong with the event's bytes.
func (s *jsonScanner) problem(err error) *problem {
	if errors.Is(err, errDeep) {
		return &problem{reasonDeep, fmt.Sprintf("at offset %d the event is nested deeper than %d levels", s.offset(), maxDepth)}
	}
	if errors.Is(err, errTrailing) {
		return &problem{reasonNotJSON, fmt.Sprintf("after the end of the value at offset %d comes %s", s.offset(), quote(s.event[s.offset():]))}
	}
	var syntax *jsontext.SyntacticError
	if !errors.As(err, &syntax) {
		return &problem{reasonNotJSON, err.Error()}
	}
	at := min(max(int(syntax.ByteOffset), 0), len(s.event))
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		name := syntax.JSONPointer.LastToken()
		return &problem{reasonDuplicate, fmt.Sprintf("an object holds the name %s twice, the second time at offset %d", quote([]byte(name)), at)}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &problem{reasonNotJSON, fmt.Sprintf("the event is cut off: it ends after %d bytes within a value", len(s.event))}
	}
	return &problem{reasonNotJSON, fmt.Sprintf("at offset %d: %v, near %s", at, syntax.Err, quote(s.event[at:]))}
}

// invalidUTF8 finds the first byte that is not UTF-8.
func invalidUTF8(event []byte) *problem {
	at := 0
	for {
		r, size := utf8.DecodeRune(event[at:])
		if r == utf8.RuneError && size <= 1 {
			return &problem{reasonUTF8, fmt.Sprintf("the byte 0x%02x at offset %d is not valid UTF-8", event[at], at)}
		}
		at += size
	}
}

func kindOf(k jsontext.Kind) kind {
	switch k {
	case jsontext.KindString:
		return text
	case jsontext.KindNumber:
		return number
	case jsontext.KindTrue, jsontext.KindFalse:
		return boolean
	case jsontext.KindBeginObject:
		return object
	case jsontext.KindBeginArray:
		return array
	}
	return absent
}
