package archive

import (
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/watershed-data/watershed/internal/protocol"
)

// Entries gives the master dataset's side of the double entry, row by row: for
// each row of a shard in the span, in the order of the file, the key of its
// position and its hash. Only the four columns that say so are read, and of row
// groups that lie elsewhere nothing at all. The key is the callback's only during
// the call.
//
// An error of the callback ends it and is given as it is.
func Entries(r io.ReaderAt, size int64, shard string, span protocol.Span, fn func(key []byte, hash uint64) error) error {
	f, err := open(r, size)
	if err != nil {
		return err
	}
	columns, err := leaves(f, ShardColumn, PositionColumn, HashHighColumn, HashLowColumn)
	if err != nil {
		return err
	}
	e := entries{shard: shard, after: span.After.Key(), through: span.Through.Key(), fn: fn}
	for i, group := range f.RowGroups() {
		if e.elsewhere(&f.Metadata().RowGroups[i].Columns[columns[1]].MetaData.Statistics) {
			continue
		}
		if err := e.group(group, columns); err != nil {
			return err
		}
	}
	return nil
}

type entries struct {
	shard          string
	after, through string // position keys
	fn             func(key []byte, hash uint64) error
}

// elsewhere reports whether positions with these bounds all lie outside of the
// span. A file need not have bounds.
func (e *entries) elsewhere(positions *format.Statistics) bool {
	least, most := positions.MinValue, positions.MaxValue
	return len(least) > 0 && string(least) > e.through || len(most) > 0 && string(most) <= e.after
}

func (e *entries) group(group parquet.RowGroup, columns []int) error {
	return eachRow(group, columns, 0, group.NumRows(), func(_ int64, values []parquet.Value) error {
		key := values[1].ByteArray()
		if string(values[0].ByteArray()) != e.shard || string(key) <= e.after || string(key) > e.through {
			return nil
		}
		return e.fn(key, hashOf(values[2], values[3]))
	})
}
