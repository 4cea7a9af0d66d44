package archive

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/rowlogic"
)

const (
	rowGroupRows  = 120 << 10 // what one thread of an SQL engine likes to scan
	rowGroupBytes = 64 << 20  // of events' bytes; large events make smaller row groups
	chunkRows     = 1 << 10   // rows turned into Parquet values at a time
	chunkBytes    = 256 << 10 // of base64 text turned into Parquet values at a time
	dictionaryMax = 1 << 20   // bytes; a column with more distinct text is stored plain
)

// compression is the quick level: the archive runs beside the layers that answer
// queries, and the better one saves little on base64.
var compression = zstd.Codec{Level: zstd.SpeedFastest}

// Write writes the rows of the batches as one Parquet file of the master
// dataset. All batches are of one definition.
func Write(w io.Writer, def *definition.Definition, batches ...*rowlogic.Batch) error {
	f := NewWriter(w, def)
	for _, b := range batches {
		if err := f.Write(b); err != nil {
			return err
		}
	}
	return f.Close()
}

// Writer writes one file of the master dataset, batch by batch. It holds at
// most one compressed row group in memory. It is not safe for concurrent use.
type Writer struct {
	file    *parquet.GenericWriter[any]
	columns []Column
	times   []definition.Grain
	names   []string // the definition's columns
	values  []parquet.Value
	text    []byte // base64 of a chunk
	rows    int    // in the open row group
	bytes   int    // events' bytes in the open row group
}

// NewWriter starts a file of a definition's rows.
func NewWriter(w io.Writer, def *definition.Definition) *Writer {
	f := &Writer{
		file: parquet.NewGenericWriter[any](w, Schema(def),
			parquet.Compression(&compression),
			parquet.DictionaryMaxBytes(dictionaryMax),
			parquet.SkipPageBounds(RawColumn),
			parquet.KeyValueMetadata(FormatKey, Format),
			parquet.KeyValueMetadata(GenerationKey, def.Generation),
		),
		columns: Columns(def),
		times:   Grains(def),
		values:  make([]parquet.Value, 0, chunkRows),
		text:    make([]byte, 0, chunkBytes),
	}
	for _, c := range def.Columns {
		f.names = append(f.names, c.Name)
	}
	return f
}

// Write adds the rows of a batch.
func (f *Writer) Write(b *rowlogic.Batch) error {
	if err := f.check(b); err != nil {
		return err
	}
	for from := 0; from < len(b.Events); {
		to := min(len(b.Events), from+rowGroupRows-f.rows)
		for i := from; i < to; i++ {
			if f.bytes += len(b.Events[i].Data); f.bytes >= rowGroupBytes {
				to = i + 1
			}
		}
		if err := f.rowsOf(b, from, to); err != nil {
			return fmt.Errorf("writing rows of %s: %w", b.Shard, err)
		}
		f.rows += to - from
		from = to
		if f.rows < rowGroupRows && f.bytes < rowGroupBytes {
			continue
		}
		f.rows, f.bytes = 0, 0
		if err := f.file.Flush(); err != nil {
			return fmt.Errorf("writing a row group: %w", err)
		}
	}
	return nil
}

// Close ends the file. The underlying writer stays open.
func (f *Writer) Close() error {
	if err := f.file.Close(); err != nil {
		return fmt.Errorf("ending the file: %w", err)
	}
	return nil
}

// check refuses a batch whose columns are not those of the file, which would
// store values under another column's name.
func (f *Writer) check(b *rowlogic.Batch) error {
	if len(b.Columns) != len(f.names) {
		return fmt.Errorf("writing rows of %s: the batch has %d columns, the definition has %d", b.Shard, len(b.Columns), len(f.names))
	}
	for _, g := range f.times {
		if b.Times[g] == nil {
			return fmt.Errorf("writing rows of %s: the batch has no buckets of grain %s", b.Shard, g)
		}
	}
	n := len(b.Events)
	if len(b.Outcome) != n || len(b.Reason) != n || len(b.Detail) != n || len(b.Hash) != n || b.ID != nil && len(b.ID) != n {
		return errors.New("writing rows of " + b.Shard + ": the batch's columns differ in length")
	}
	return nil
}

// rowsOf writes rows [from, to) of the batch, column by column.
func (f *Writer) rowsOf(b *rowlogic.Batch, from, to int) error {
	out := f.file.ColumnWriters()
	for i, c := range f.columns {
		if c.Name == RawColumn {
			if err := f.raw(out[i], i, b, from, to); err != nil {
				return err
			}
			continue
		}
		get := f.getter(b, i)
		for at := from; at < to; at += chunkRows {
			values := f.values[:0]
			for row := at; row < min(to, at+chunkRows); row++ {
				v := get(row)
				if c.Optional && !v.IsNull() {
					v = v.Level(0, 1, i)
				} else {
					v = v.Level(0, 0, i)
				}
				values = append(values, v)
			}
			if _, err := out[i].WriteRowValues(values); err != nil {
				return fmt.Errorf("column %s: %w", c.Name, err)
			}
		}
	}
	return nil
}

// getter gives a function that reads column i of a row.
func (f *Writer) getter(b *rowlogic.Batch, i int) func(row int) parquet.Value {
	switch f.columns[i].Name {
	case ShardColumn:
		shard := text(b.Shard)
		return func(int) parquet.Value { return shard }
	case PositionColumn:
		return func(row int) parquet.Value { return text(b.Events[row].Position.Key()) }
	case KeyColumn:
		return func(row int) parquet.Value { return text(b.Events[row].PartitionKey) }
	case ArrivalColumn:
		return func(row int) parquet.Value { return parquet.Int64Value(b.Events[row].Arrival) }
	case AggregateColumn:
		return func(row int) parquet.Value { return parquet.BooleanValue(b.Events[row].Aggregated) }
	case StrayColumn:
		return func(row int) parquet.Value { return parquet.BooleanValue(b.Events[row].Stray) }
	case definition.OutcomeColumn:
		return func(row int) parquet.Value { return text(string(b.Outcome[row])) }
	case definition.ReasonColumn:
		return func(row int) parquet.Value { return textOrNull(b.Reason[row]) }
	case DetailColumn:
		return func(row int) parquet.Value { return textOrNull(b.Detail[row]) }
	case HashHighColumn:
		return func(row int) parquet.Value { return parquet.Int64Value(int64(b.Hash[row] >> 32)) }
	case HashLowColumn:
		return func(row int) parquet.Value { return parquet.Int64Value(int64(b.Hash[row] & 0xffffffff)) }
	case IDHighColumn:
		return identity(b, func(id rowlogic.Identity) uint64 { return id.Hi })
	case IDLowColumn:
		return identity(b, func(id rowlogic.Identity) uint64 { return id.Lo })
	case RowLogicColumn:
		version := parquet.Int32Value(definition.RowLogicVersion)
		return func(int) parquet.Value { return version }
	}
	own := len(f.columns) - len(f.names)
	if i >= own {
		return vector(b.Columns[i-own])
	}
	return vector(b.Times[f.times[i-(own-len(f.times))]])
}

func text(s string) parquet.Value { return parquet.ByteArrayValue([]byte(s)) }

func textOrNull(s string) parquet.Value {
	if s == "" {
		return parquet.NullValue()
	}
	return text(s)
}

// identity reads one half of the rows' identities.
func identity(b *rowlogic.Batch, half func(rowlogic.Identity) uint64) func(row int) parquet.Value {
	return func(row int) parquet.Value {
		if b.ID == nil || b.ID[row].IsZero() {
			return parquet.NullValue()
		}
		return parquet.Int64Value(int64(half(b.ID[row])))
	}
}

func vector(v *column.Vector) func(row int) parquet.Value {
	value := func(row int) parquet.Value { return parquet.Int64Value(v.Int[row]) }
	switch v.Type.Kind {
	case column.String:
		value = func(row int) parquet.Value { return text(v.Str[row]) }
	case column.Bool:
		value = func(row int) parquet.Value { return parquet.BooleanValue(v.Int[row] != 0) }
	case column.Date:
		value = func(row int) parquet.Value { return parquet.Int32Value(int32(v.Int[row])) }
	case column.Float:
		value = func(row int) parquet.Value { return parquet.DoubleValue(v.Float[row]) }
	}
	return func(row int) parquet.Value {
		if v.Nulls[row] {
			return parquet.NullValue()
		}
		return value(row)
	}
}

// raw writes the events' bytes in base64, at most chunkBytes of text at a time.
func (f *Writer) raw(out *parquet.ColumnWriter, index int, b *rowlogic.Batch, from, to int) error {
	values, buf := f.values[:0], f.text[:0]
	write := func() error {
		_, err := out.WriteRowValues(values)
		values, buf = values[:0], buf[:0]
		if err != nil {
			return fmt.Errorf("column %s: %w", RawColumn, err)
		}
		return nil
	}
	for row := from; row < to; row++ {
		data := b.Events[row].Data
		need := base64.StdEncoding.EncodedLen(len(data))
		if len(values) == cap(values) || len(values) > 0 && len(buf)+need > cap(buf) {
			if err := write(); err != nil {
				return err
			}
		}
		start := len(buf)
		buf = base64.StdEncoding.AppendEncode(buf, data)
		values = append(values, parquet.ByteArrayValue(buf[start:]).Level(0, 0, index))
	}
	f.text = buf
	if len(values) == 0 {
		return nil
	}
	return write()
}
