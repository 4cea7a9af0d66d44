// Package viewfiletest writes and reads files of batch views for tests.
package viewfiletest

import (
	"bytes"
	"fmt"

	"github.com/parquet-go/parquet-go"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/measure"
	"github.com/watershed-data/watershed/internal/viewfile"
)

// Cell is one row of a file: a group of a view with the states of all its measures.
type Cell struct {
	Time   int64 // start of the bucket, microseconds since 1970-01-01 UTC; 0 with grain none
	Dims   []column.Value
	States []measure.State
}

// Encode writes a file of a view whose measures have no sketches. The cells are in the
// order of files: by time, then dimensions.
func Encode(def *definition.Definition, v definition.View, cells []Cell, options ...parquet.WriterOption) ([]byte, error) {
	layout, err := viewfile.NewLayout(def, v)
	if err != nil {
		return nil, err
	}
	group := parquet.Group{}
	for _, c := range layout.Columns() {
		if c.List {
			return nil, fmt.Errorf("writing a file of view %s: %s is a list", v.Name, c.Name)
		}
		group[c.Name] = parquet.Optional(node(c.Type))
	}
	schema := parquet.NewSchema(v.Name, group)
	var b bytes.Buffer
	out := parquet.NewWriter(&b, append([]parquet.WriterOption{schema}, options...)...)
	measures := measure.New(v)
	for _, cell := range cells {
		var values []parquet.Value
		if layout.Timed {
			values = append(values, parquet.Int64Value(cell.Time))
		}
		for i, d := range cell.Dims {
			values = append(values, parquetValue(layout.Dims[i].Type, d))
		}
		for i, m := range measures {
			values = append(values, stateValues(m, layout.States[i], cell.States[i])...)
		}
		row := make(parquet.Row, len(values))
		for i, c := range layout.Columns() {
			leaf, _ := schema.Lookup(c.Name)
			level := 1
			if values[i].IsNull() {
				level = 0
			}
			row[leaf.ColumnIndex] = values[i].Level(0, level, leaf.ColumnIndex)
		}
		if _, err := out.WriteRows([]parquet.Row{row}); err != nil {
			return nil, err
		}
	}
	if err := out.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// node gives a leaf as engines write it.
func node(t column.Type) parquet.Node {
	switch t.Kind {
	case column.String:
		return parquet.String()
	case column.Int:
		return parquet.Int(64)
	case column.Bool:
		return parquet.Leaf(parquet.BooleanType)
	case column.Date:
		return parquet.Date()
	case column.Float:
		return parquet.Leaf(parquet.DoubleType)
	case column.Timestamp:
		return parquet.Timestamp(parquet.Microsecond)
	}
	if t.Precision > column.MaxPrecision {
		return parquet.Decimal(t.Scale, t.Precision, parquet.FixedLenByteArrayType(16))
	}
	return parquet.Decimal(t.Scale, t.Precision, parquet.Int64Type)
}

func parquetValue(t column.Type, v column.Value) parquet.Value {
	switch {
	case v.Null:
		return parquet.NullValue()
	case t.Kind == column.String:
		return parquet.ByteArrayValue([]byte(v.Str))
	case t.Kind == column.Bool:
		return parquet.BooleanValue(v.Int != 0)
	case t.Kind == column.Date:
		return parquet.Int32Value(int32(v.Int))
	case t.Kind == column.Float:
		return parquet.DoubleValue(v.Float)
	}
	return parquet.Int64Value(v.Int)
}

func stateValues(m measure.Measure, columns []viewfile.Column, s measure.State) []parquet.Value {
	sum := func() parquet.Value {
		b := make([]byte, 0, 16)
		for shift := 56; shift >= 0; shift -= 8 {
			b = append(b, byte(uint64(s.Sum.Hi)>>shift))
		}
		for shift := 56; shift >= 0; shift -= 8 {
			b = append(b, byte(s.Sum.Lo>>shift))
		}
		return parquet.FixedLenByteArrayValue(b)
	}
	switch m.Func {
	case definition.Count:
		return []parquet.Value{parquet.Int64Value(s.N)}
	case definition.Avg:
		return []parquet.Value{sum(), parquet.Int64Value(s.N)}
	}
	if !s.Set {
		return []parquet.Value{parquet.NullValue()}
	}
	if m.Func == definition.Sum {
		return []parquet.Value{sum()}
	}
	return []parquet.Value{parquetValue(columns[0].Type, s.Val)}
}
