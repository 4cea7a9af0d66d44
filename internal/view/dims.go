package view

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"

	"github.com/watershed-data/watershed/internal/column"
)

const (
	nullMark  = 0x00
	valueMark = 0x01
)

// AppendDim encodes one dimension value behind dst. The byte order of encoded
// tuples is the order of the values, dimension by dimension, nulls first; texts
// order by their UTF-8 bytes.
func AppendDim(dst []byte, k column.Kind, v column.Value) []byte {
	if v.Null {
		return append(dst, nullMark)
	}
	dst = append(dst, valueMark)
	if k != column.String {
		return binary.BigEndian.AppendUint64(dst, uint64(v.Int)^1<<63)
	}
	s := v.Str
	for {
		i := strings.IndexByte(s, 0)
		if i < 0 {
			break
		}
		dst = append(append(dst, s[:i]...), 0, 0xff)
		s = s[i+1:]
	}
	return append(append(dst, s...), 0, 0)
}

// EncodeDims encodes a tuple of dimension values.
func EncodeDims(types []column.Type, values []column.Value) string {
	var dst []byte
	for i, t := range types {
		dst = AppendDim(dst, t.Kind, values[i])
	}
	return string(dst)
}

var errDims = errors.New("decoding dimensions: the bytes are damaged")

// DecodeDims is the inverse of EncodeDims.
func DecodeDims(types []column.Type, dims string) ([]column.Value, error) {
	out := make([]column.Value, len(types))
	src := []byte(dims)
	for i, t := range types {
		if len(src) == 0 || src[0] > valueMark {
			return nil, errDims
		}
		mark := src[0]
		src = src[1:]
		if mark == nullMark {
			out[i] = column.Null
			continue
		}
		if t.Kind != column.String {
			if len(src) < 8 {
				return nil, errDims
			}
			out[i].Int = int64(binary.BigEndian.Uint64(src) ^ 1<<63)
			src = src[8:]
			continue
		}
		text, rest, ok := decodeText(src)
		if !ok {
			return nil, errDims
		}
		out[i].Str, src = text, rest
	}
	if len(src) != 0 {
		return nil, errDims
	}
	return out, nil
}

func decodeText(src []byte) (text string, rest []byte, ok bool) {
	var out []byte
	for {
		i := bytes.IndexByte(src, 0)
		if i < 0 || i+1 >= len(src) {
			return "", nil, false
		}
		out = append(out, src[:i]...)
		mark := src[i+1]
		src = src[i+2:]
		switch mark {
		case 0:
			return string(out), src, true
		case 0xff:
			out = append(out, 0)
		default:
			return "", nil, false
		}
	}
}
