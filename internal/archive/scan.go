package archive

import (
	"encoding/base64"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
)

// Stored is one row of the master dataset as the stream gave it.
type Stored struct {
	Shard string
	protocol.Event
}

// Scan gives a file's rows in the order in which they are stored, to verify or
// recompute them from their bytes. Last is not stored and false. Memory is
// bounded by a page of each column; the row and its Data are the callback's only
// during the call.
//
// An error of the callback ends the scan and is given as it is.
func Scan(r io.ReaderAt, size int64, fn func(row *Stored) error) error {
	f, err := open(r, size)
	if err != nil {
		return err
	}
	columns, err := leaves(f, stored[:]...)
	if err != nil {
		return err
	}
	for _, group := range f.RowGroups() {
		if err := scanGroup(group, columns, fn); err != nil {
			return err
		}
	}
	return nil
}

var stored = [...]string{
	ShardColumn, PositionColumn, KeyColumn, ArrivalColumn, RawColumn, AggregateColumn, StrayColumn,
	definition.OutcomeColumn, HashHighColumn, HashLowColumn, IDHighColumn, IDLowColumn,
}

// open opens a file that this program can read.
func open(r io.ReaderAt, size int64) (*parquet.File, error) {
	f, err := parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("opening a file of the master dataset: %w", err)
	}
	if format, ok := f.Lookup(FormatKey); ok && format != Format {
		return nil, fmt.Errorf("opening a file of the master dataset: it has format %s, this program reads format %s", format, Format)
	}
	return f, nil
}

// leaves gives the places of columns in a file.
func leaves(f *parquet.File, names ...string) ([]int, error) {
	columns := make([]int, len(names))
	for i, name := range names {
		leaf, ok := f.Schema().Lookup(name)
		if !ok {
			return nil, fmt.Errorf("reading the master dataset: the file has no column %s", name)
		}
		columns[i] = leaf.ColumnIndex
	}
	return columns, nil
}

func scanGroup(group parquet.RowGroup, columns []int, fn func(row *Stored) error) error {
	var row Stored
	return eachRow(group, columns, 0, group.NumRows(), func(_ int64, values []parquet.Value) error {
		if err := row.read([len(stored)]parquet.Value(values)); err != nil {
			return err
		}
		return fn(&row)
	})
}

// hashOf joins the halves of a row's hash.
func hashOf(high, low parquet.Value) uint64 {
	return uint64(high.Int64())<<32 | uint64(low.Int64())&0xffffffff
}

// read sets the row to the values of the stored columns, reusing its memory.
func (row *Stored) read(values [len(stored)]parquet.Value) (err error) {
	if shard := values[0].ByteArray(); string(shard) != row.Shard {
		row.Shard = string(shard)
	}
	if row.Position, err = protocol.ParseKey(string(values[1].ByteArray())); err != nil {
		return fmt.Errorf("reading the master dataset: %w", err)
	}
	row.PartitionKey = string(values[2].ByteArray())
	row.Arrival = values[3].Int64()
	if row.Data, err = base64.StdEncoding.AppendDecode(row.Data[:0], values[4].ByteArray()); err != nil {
		return fmt.Errorf("reading the bytes of event %s of %s: %w", row.Position, row.Shard, err)
	}
	row.Aggregated, row.Stray = values[5].Boolean(), values[6].Boolean()
	if row.Erased = nil; string(values[7].ByteArray()) == string(rowlogic.Erased) {
		row.Erased = &protocol.Erased{Hash: hashOf(values[8], values[9])}
		if !values[10].IsNull() {
			row.Erased.IDHigh, row.Erased.IDLow = uint64(values[10].Int64()), uint64(values[11].Int64())
		}
	}
	return nil
}
