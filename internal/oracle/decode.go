package oracle

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"unicode/utf8"
)

// maxDepth is how many objects and arrays may lie within each other.
const maxDepth = 1000

// decodeJSON reads one JSON object and nothing around it. What is wrong is given as
// the reason that users see; of several, the one that stands first.
//
// encoding/json is more lenient than an event may be in four ways, which are
// checked beside it: invalid UTF-8, half surrogate pairs, names that occur
// twice, and depth.
func decodeJSON(data []byte) (object map[string]any, reason string) {
	switch {
	case !utf8.Valid(data):
		return nil, "invalid UTF-8"
	case len(bytes.Trim(data, " \t\r\n")) == 0:
		return nil, "empty"
	}
	broken := len(data) + 1 // where the JSON breaks: behind the end if it does not
	var syntax *json.SyntaxError
	if !json.Valid(data) && errors.As(json.Unmarshal(data, new(json.RawMessage)), &syntax) {
		broken = int(syntax.Offset)
	}
	broken = min(broken, halfSurrogate(data[:min(broken, len(data))]))
	w := walk{Decoder: json.NewDecoder(bytes.NewReader(data))}
	w.UseNumber()
	v, err := w.value(0)
	switch {
	case w.reason != "" && w.at <= broken:
		return nil, w.reason
	case err != nil || broken <= len(data):
		return nil, "not JSON"
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil, "not an object"
	}
	return object, ""
}

// walk reads JSON token by token and stops at a name that occurs twice and at
// too much depth.
type walk struct {
	*json.Decoder
	reason string
	at     int // bytes read until then
}

// value reads the next value, within depth open objects and arrays.
func (w *walk) value(depth int) (any, error) {
	t, err := w.Token()
	if err != nil {
		return nil, err
	}
	delim, nested := t.(json.Delim)
	if !nested {
		return t, nil
	}
	if depth == maxDepth {
		return nil, w.stop("nested too deeply")
	}
	object, array := map[string]any{}, []any{}
	for w.More() {
		var name string
		if delim == '{' {
			t, err := w.Token()
			if err != nil {
				return nil, err
			}
			var isText bool
			if name, isText = t.(string); !isText {
				return nil, errBroken
			}
			if _, twice := object[name]; twice {
				return nil, w.stop("duplicate name")
			}
		}
		v, err := w.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if delim == '{' {
			object[name] = v
		} else {
			array = append(array, v)
		}
	}
	if _, err := w.Token(); err != nil { // the closing bracket
		return nil, err
	}
	if delim == '{' {
		return object, nil
	}
	return array, nil
}

var errBroken = errors.New("the JSON is broken")

func (w *walk) stop(reason string) error {
	w.reason, w.at = reason, int(w.InputOffset())
	return io.EOF
}

// halfSurrogate gives where JSON escapes half of a surrogate pair; behind the
// end if nowhere. In JSON a backslash occurs in strings only and begins an
// escape.
func halfSurrogate(data []byte) int {
	for i := 0; i+5 < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		i++
		if data[i] != 'u' {
			continue
		}
		switch unit := hex4(data[i+1:]); {
		case unit >= 0xDC00 && unit <= 0xDFFF:
			return i
		case unit >= 0xD800 && unit <= 0xDBFF:
			rest := data[i+5:]
			if len(rest) < 6 || rest[0] != '\\' || rest[1] != 'u' {
				return i
			}
			if low := hex4(rest[2:]); low < 0xDC00 || low > 0xDFFF {
				return i
			}
			i += 6
		}
		i += 4
	}
	return len(data) + 1
}

func hex4(data []byte) uint64 {
	n, _ := strconv.ParseUint(string(data[:4]), 16, 16)
	return n
}
