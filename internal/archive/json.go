package archive

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/rowlogic"
)

// JSON writes rows of the master dataset as JSON objects, for a converter that
// makes Parquet of them by a table with the names and types of Columns, as Firehose
// does. It may be used by several goroutines at once.
//
// A value that is null is left out. Numbers are written as they are stored, so a
// converter never rounds or parses one: decimals scaled, times in microseconds, and
// a float always with a point or an exponent, so that none passes for an integer.
type JSON struct {
	table
	keys []string // of the columns, as they begin a member: "name":
	raw  int      // place of RawColumn
}

// NewJSON prepares writing rows of a definition.
func NewJSON(def *definition.Definition) *JSON {
	j := &JSON{table: newTable(def)}
	for i, c := range j.columns {
		j.keys = append(j.keys, strconv.Quote(c.Name)+":") // lower-case letters, digits and _
		if c.Name == RawColumn {
			j.raw = i
		}
	}
	return j
}

// Rows gives a function that appends a row of the batch. It is an error if the
// batch is of another definition.
func (j *JSON) Rows(b *rowlogic.Batch) (appendRow func(dst []byte, row int) []byte, err error) {
	if err := j.check(b); err != nil {
		return nil, err
	}
	get := make([]func(int) parquet.Value, len(j.columns))
	for i := range get {
		if i != j.raw {
			get[i] = j.getter(b, i)
		}
	}
	return func(dst []byte, row int) []byte {
		separator := byte('{')
		for i, key := range j.keys {
			if i == j.raw {
				dst = append(append(append(dst, separator), key...), '"')
				dst = append(base64.StdEncoding.AppendEncode(dst, b.Events[row].Data), '"')
			} else if v := get[i](row); !v.IsNull() {
				dst = appendJSON(append(append(dst, separator), key...), v)
			}
			separator = ','
		}
		return append(dst, '}')
	}, nil
}

func appendJSON(dst []byte, v parquet.Value) []byte {
	switch v.Kind() {
	case parquet.Boolean:
		return strconv.AppendBool(dst, v.Boolean())
	case parquet.Int32:
		return strconv.AppendInt(dst, int64(v.Int32()), 10)
	case parquet.Int64:
		return strconv.AppendInt(dst, v.Int64(), 10)
	case parquet.Double:
		start := len(dst)
		dst = strconv.AppendFloat(dst, v.Double(), 'g', -1, 64)
		if !strings.ContainsAny(string(dst[start:]), ".e") {
			dst = append(dst, ".0"...)
		}
		return dst
	}
	return appendJSONText(dst, v.ByteArray())
}

// appendJSONText appends text that is valid UTF-8.
func appendJSONText(dst, text []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
