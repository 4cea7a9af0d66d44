package archive

import (
	"encoding/base64"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/protocol"
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
	table
	file   *parquet.GenericWriter[any]
	values []parquet.Value
	text   []byte // base64 of a chunk
	rows   int    // in the open row group
	bytes  int    // events' bytes in the open row group
}

// NewWriter starts a file of a definition's rows.
func NewWriter(w io.Writer, def *definition.Definition) *Writer {
	return &Writer{
		table:  newTable(def),
		file:   newFile(w, Schema(def), def.Generation),
		values: make([]parquet.Value, 0, chunkRows),
		text:   make([]byte, 0, chunkBytes),
	}
}

// newFile starts a Parquet file of rows of a generation.
func newFile(w io.Writer, schema *parquet.Schema, generation string) *parquet.GenericWriter[any] {
	return parquet.NewGenericWriter[any](w, schema,
		parquet.Compression(&compression),
		parquet.DictionaryMaxBytes(dictionaryMax),
		parquet.SkipPageBounds(RawColumn),
		parquet.KeyValueMetadata(FormatKey, Format),
		parquet.KeyValueMetadata(GenerationKey, generation),
	)
}

// Holds notes, in the file, that it holds every event of the log in the span: an
// archive that lost its checkpoint goes on behind it.
func (f *Writer) Holds(span protocol.Span) { noteSpan(f.file, span) }

func noteSpan(f *parquet.GenericWriter[any], span protocol.Span) {
	f.SetKeyValueMetadata(AfterKey, span.After.Key())
	f.SetKeyValueMetadata(ThroughKey, span.Through.Key())
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
