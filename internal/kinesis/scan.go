package kinesis

import (
	"bytes"
	"encoding/base64"
	"unicode/utf8"
)

// Decoding PutRecords was more than half of the endpoint's work. What SDKs send
// has few forms, so scan reads those in one pass, and leaves all else, errors
// included, to encoding/json.

// scan decodes a request of plain form: members by their exact names, strings
// without escapes, nothing unknown, no nulls. False: it has another form, and in
// holds nothing of use.
func (in *putRecordsIn) scan(body []byte) bool {
	s := scanner{rest: body}
	ok := s.object(func(name string) bool {
		switch name {
		case "StreamName":
			return s.text(&in.StreamName)
		case "StreamARN":
			return s.text(&in.StreamARN)
		case "Records":
			return s.entries(in, len(body))
		}
		return false
	})
	s.space()
	return ok && len(s.rest) == 0
}

// scanner is a place in a JSON text.
type scanner struct{ rest []byte }

func (s *scanner) space() {
	for len(s.rest) > 0 && (s.rest[0] == ' ' || s.rest[0] == '\n' || s.rest[0] == '\r' || s.rest[0] == '\t') {
		s.rest = s.rest[1:]
	}
}

// next takes a byte, after white space, if it is the wanted one.
func (s *scanner) next(want byte) bool {
	s.space()
	if len(s.rest) == 0 || s.rest[0] != want {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// object reads an object of at least one member; member reads one's value.
func (s *scanner) object(member func(name string) bool) bool {
	if !s.next('{') {
		return false
	}
	for {
		name, ok := s.quoted()
		if !ok || !s.next(':') || !member(string(name)) {
			return false
		}
		if !s.next(',') {
			return s.next('}')
		}
	}
}

// quoted reads up to the next quote. The caller makes sure that what is between
// is a string without escapes.
func (s *scanner) quoted() ([]byte, bool) {
	if !s.next('"') {
		return nil, false
	}
	end := bytes.IndexByte(s.rest, '"')
	if end < 0 {
		return nil, false
	}
	content := s.rest[:end]
	s.rest = s.rest[end+1:]
	return content, true
}

// text reads a string.
func (s *scanner) text(into **string) bool {
	content, ok := s.quoted()
	if !ok {
		return false
	}
	ascii := true
	for _, c := range content {
		if c < ' ' || c == '\\' {
			return false
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	if !ascii && !utf8.Valid(content) {
		return false
	}
	text := string(content)
	*into = &text
	return true
}

// entries reads the array of entries; their data share one piece of memory, for
// which the size of the body has room.
func (s *scanner) entries(in *putRecordsIn, size int) bool {
	if !s.next('[') {
		return false
	}
	arena := make([]byte, 0, base64.StdEncoding.DecodedLen(size))
	in.Records = make(entries, 0, maxEntries)
	for {
		if len(in.Records) == maxEntries {
			return false
		}
		var e entry
		ok := s.object(func(name string) bool {
			switch name {
			case "Data":
				var ok bool
				e.Data, arena, ok = s.blob(arena)
				return ok
			case "PartitionKey":
				return s.text(&e.PartitionKey)
			case "ExplicitHashKey":
				return s.text(&e.ExplicitHashKey)
			}
			return false
		})
		if !ok {
			return false
		}
		in.Records = append(in.Records, e)
		if !s.next(',') {
			return s.next(']')
		}
	}
}

// blob reads a string in base64, to the end of the arena.
func (s *scanner) blob(arena []byte) (data, grown []byte, ok bool) {
	content, ok := s.quoted()
	// The decoder skips line ends, which JSON strings must not have.
	if !ok || bytes.IndexByte(content, '\n') >= 0 || bytes.IndexByte(content, '\r') >= 0 {
		return nil, arena, false
	}
	start := len(arena)
	arena, err := base64.StdEncoding.AppendDecode(arena, content)
	if err != nil {
		return nil, arena, false
	}
	return arena[start:len(arena):len(arena)], arena, true
}
