package oracle

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"unicode/utf8"
)

// maxDepth is how many objects and arrays may lie within each other.
const maxDepth = 1000

var errEvent = errors.New("the event is not one object of strict JSON")

// decode reads one JSON object and nothing around it. encoding/json is more
// lenient than an event may be in four ways, which are checked beside it:
// invalid UTF-8, half surrogate pairs, names that occur twice, and depth.
func decode(data []byte) (map[string]any, error) {
	if !utf8.Valid(data) || !json.Valid(data) || halfSurrogate(data) {
		return nil, errEvent
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := value(d, 0)
	if err != nil {
		return nil, err
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil, errEvent
	}
	return object, nil
}

// value reads the next value, in depth open objects and arrays.
func value(d *json.Decoder, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	delim, nested := t.(json.Delim)
	if !nested {
		return t, nil
	}
	if depth == maxDepth {
		return nil, errEvent
	}
	object, array := map[string]any{}, []any{}
	for d.More() {
		var name string
		if delim == '{' {
			t, err := d.Token()
			if err != nil {
				return nil, err
			}
			name = t.(string)
			if _, twice := object[name]; twice {
				return nil, errEvent
			}
		}
		v, err := value(d, depth+1)
		if err != nil {
			return nil, err
		}
		if delim == '{' {
			object[name] = v
		} else {
			array = append(array, v)
		}
	}
	if _, err := d.Token(); err != nil { // the closing bracket
		return nil, err
	}
	if delim == '{' {
		return object, nil
	}
	return array, nil
}

// halfSurrogate reports whether valid JSON escapes half of a surrogate pair.
// In valid JSON a backslash occurs in strings only and begins an escape.
func halfSurrogate(data []byte) bool {
	for i := 0; i < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		i++
		if data[i] != 'u' {
			continue
		}
		switch unit := hex4(data[i+1:]); {
		case unit >= 0xDC00 && unit <= 0xDFFF:
			return true
		case unit >= 0xD800 && unit <= 0xDBFF:
			rest := data[i+5:]
			if len(rest) < 6 || rest[0] != '\\' || rest[1] != 'u' {
				return true
			}
			if low := hex4(rest[2:]); low < 0xDC00 || low > 0xDFFF {
				return true
			}
			i += 6
		}
		i += 4
	}
	return false
}

func hex4(data []byte) uint64 {
	n, _ := strconv.ParseUint(string(data[:4]), 16, 16)
	return n
}
