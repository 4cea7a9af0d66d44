package lookup

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/big"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/pages"
)

// readParquet reads a file of flat columns.
func readParquet(content []byte) (*raw, error) {
	f, err := parquet.OpenFile(bytes.NewReader(content), int64(len(content)), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("it is no Parquet file: %w", err)
	}
	if f.NumRows() > MaxRows {
		return nil, fmt.Errorf("it has %d rows, and a lookup may have %d; leave out those that no event names", f.NumRows(), MaxRows)
	}
	r := &raw{rows: int(f.NumRows())}
	fields := f.Root().Columns()
	names := make([]string, len(fields))
	for i, c := range fields {
		names[i] = c.Name()
	}
	if err := checkNames(names); err != nil {
		return nil, err
	}
	var held budget
	for i, c := range fields {
		if !c.Leaf() || c.Repeated() {
			return nil, fmt.Errorf("column %s is nested, and attributes are single values; leave it out", c.Name())
		}
		read, err := newParquetColumn(c.Type())
		if err != nil {
			return nil, fmt.Errorf("column %s is %w", c.Name(), err)
		}
		v := column.NewVector(read.t, r.rows)
		if err := read.all(f.RowGroups(), i, v, &held); err != nil {
			return nil, fmt.Errorf("column %s, %w", c.Name(), err)
		}
		r.attributes, r.columns = append(r.attributes, Attribute{c.Name(), read.t}), append(r.columns, v)
	}
	return r, nil
}

// parquetColumn reads the values of one stored type.
type parquetColumn struct {
	t    column.Type
	read func(parquet.Value) (column.Value, error)
}

// newParquetColumn finds the column type that holds what is stored.
func newParquetColumn(t parquet.Type) (parquetColumn, error) {
	if l := t.LogicalType(); l != nil {
		switch l := l.Value.(type) {
		case *format.DecimalType:
			return decimalColumn(t, l)
		case *format.DateType:
			return parquetColumn{column.Type{Kind: column.Date}, integer}, nil
		case *format.TimestampType:
			return timestampColumn(l)
		case *format.IntType:
			if !l.IsSigned {
				return parquetColumn{column.Type{Kind: column.Int}, unsigned}, nil
			}
		case *format.StringType, *format.EnumType, *format.JsonType:
		default:
			return parquetColumn{}, fmt.Errorf("of type %s, which no attribute has; leave it out, or make it a string", t)
		}
	}
	switch t.Kind() {
	case parquet.ByteArray:
		return parquetColumn{column.Type{Kind: column.String}, texts}, nil
	case parquet.Boolean:
		return parquetColumn{column.Type{Kind: column.Bool}, integer}, nil
	case parquet.Int32, parquet.Int64:
		return parquetColumn{column.Type{Kind: column.Int}, integer}, nil
	case parquet.Float, parquet.Double:
		return parquetColumn{column.Type{Kind: column.Float}, float}, nil
	}
	return parquetColumn{}, fmt.Errorf("of type %s, which no attribute has; leave it out, or make it a string", t)
}

func decimalColumn(t parquet.Type, l *format.DecimalType) (parquetColumn, error) {
	if l.Precision > column.MaxPrecision {
		return parquetColumn{}, fmt.Errorf("a decimal of %d digits, and attributes have %d at most; cast it", l.Precision, column.MaxPrecision)
	}
	c := parquetColumn{column.Type{Kind: column.Decimal, Precision: int(l.Precision), Scale: int(l.Scale)}, integer}
	if k := t.Kind(); k == parquet.FixedLenByteArray || k == parquet.ByteArray {
		c.read = wide
	}
	return c, nil
}

// timestampColumn reads instants as microseconds.
func timestampColumn(l *format.TimestampType) (parquetColumn, error) {
	c := parquetColumn{column.Type{Kind: column.Timestamp}, integer}
	switch l.Unit.Value.(type) {
	case *format.MicroSeconds:
	case *format.MilliSeconds:
		c.read = func(v parquet.Value) (column.Value, error) {
			if n := v.Int64(); n > math.MaxInt64/1000 || n < math.MinInt64/1000 {
				return column.Null, errors.New("the timestamp is out of range")
			}
			return column.Value{Int: v.Int64() * 1000}, nil
		}
	default:
		c.read = func(v parquet.Value) (column.Value, error) {
			if v.Int64()%1000 != 0 {
				return column.Null, errors.New("the timestamp has nanoseconds, and the finest unit here is the microsecond; cast it")
			}
			return column.Value{Int: v.Int64() / 1000}, nil
		}
	}
	return c, nil
}

func texts(v parquet.Value) (column.Value, error) {
	if !utf8.Valid(v.ByteArray()) {
		return column.Null, errors.New("the text is not UTF-8")
	}
	return column.Value{Str: string(v.ByteArray())}, nil
}

func integer(v parquet.Value) (column.Value, error) {
	switch v.Kind() {
	case parquet.Boolean:
		if v.Boolean() {
			return column.Value{Int: 1}, nil
		}
		return column.Value{}, nil
	case parquet.Int32:
		return column.Value{Int: int64(v.Int32())}, nil
	}
	return column.Value{Int: v.Int64()}, nil
}

func unsigned(v parquet.Value) (column.Value, error) {
	if v.Kind() == parquet.Int32 {
		return column.Value{Int: int64(uint32(v.Int32()))}, nil
	}
	if v.Int64() < 0 {
		return column.Null, errors.New("the number does not fit an int of 64 bits; make it a string")
	}
	return column.Value{Int: v.Int64()}, nil
}

func float(v parquet.Value) (column.Value, error) {
	f := v.Double()
	if v.Kind() == parquet.Float {
		f = float64(v.Float())
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return column.Null, errors.New("the float is no number; write null")
	}
	return column.Value{Float: f + 0}, nil // -0 is 0
}

// wide reads a big-endian number in two's complement of any length.
func wide(v parquet.Value) (column.Value, error) {
	b := v.ByteArray()
	n := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	if !n.IsInt64() {
		return column.Null, errors.New("the decimal has more digits than its type says")
	}
	return column.Value{Int: n.Int64()}, nil
}

// all reads the column of every row group.
func (c parquetColumn) all(groups []parquet.RowGroup, index int, into *column.Vector, held *budget) error {
	row := 0
	for _, g := range groups {
		if err := c.group(g, index, row, into, held); err != nil {
			return err
		}
		row += int(g.NumRows())
	}
	return nil
}

func (c parquetColumn) group(g parquet.RowGroup, index, first int, into *column.Vector, held *budget) (err error) {
	r, err := pages.NewReader(g, index, 0)
	if err != nil {
		return fmt.Errorf("row %d: %w", first+1, err)
	}
	defer func() {
		if closing := r.Close(); err == nil {
			err = closing
		}
	}()
	for row := first; row < first+int(g.NumRows()); row++ {
		v, err := r.Next()
		if err != nil {
			return fmt.Errorf("row %d: %w", row+1, err)
		}
		value := column.Null
		if !v.IsNull() {
			if value, err = c.read(v); err != nil {
				return fmt.Errorf("row %d: %w", row+1, err)
			}
			into.Set(row, value)
		}
		if err := held.cell(len(value.Str)); err != nil {
			return err
		}
	}
	return nil
}
