package archive

import (
	"encoding/binary"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/watershed-data/watershed/internal/rowlogic"
)

// Sighting is what finding duplicates needs to know of a row. The texts are the
// callback's only during the call.
type Sighting struct {
	Shard    []byte
	Position []byte // the position's key
	Arrival  int64  // milliseconds since 1970-01-01 UTC
	ID       rowlogic.Identity
}

// Since says which rows are wanted: those that arrived at or after a time, in
// milliseconds since 1970-01-01 UTC, and whose position's key is not before one.
type Since struct {
	Arrival  int64
	Position string
}

// Sightings gives the wanted rows of a file that take part in finding duplicates,
// in the order of the file. Only five columns are read, and of row groups that
// hold nothing wanted nothing at all.
//
// An error of the callback ends it and is given as it is.
func Sightings(r io.ReaderAt, size int64, since Since, fn func(*Sighting) error) error {
	f, err := open(r, size)
	if err != nil {
		return err
	}
	columns, err := leaves(f, ShardColumn, PositionColumn, ArrivalColumn, IDHighColumn, IDLowColumn)
	if err != nil {
		return err
	}
	for i, group := range f.RowGroups() {
		chunks := f.Metadata().RowGroups[i].Columns
		if since.after(&chunks[columns[1]].MetaData.Statistics, &chunks[columns[2]].MetaData.Statistics) {
			continue
		}
		if err := since.group(group, columns, fn); err != nil {
			return err
		}
	}
	return nil
}

// after reports whether all rows with these bounds come before what is wanted. A
// file need not have bounds.
func (s Since) after(positions, arrivals *format.Statistics) bool {
	if most := positions.MaxValue; len(most) > 0 && string(most) < s.Position {
		return true
	}
	most := arrivals.MaxValue
	return len(most) == 8 && int64(binary.LittleEndian.Uint64(most)) < s.Arrival
}

func (s Since) group(group parquet.RowGroup, columns []int, fn func(*Sighting) error) error {
	return eachRow(group, columns, 0, group.NumRows(), func(_ int64, values []parquet.Value) error {
		row := Sighting{Shard: values[0].ByteArray(), Position: values[1].ByteArray(), Arrival: values[2].Int64()}
		if values[3].IsNull() || row.Arrival < s.Arrival || string(row.Position) < s.Position {
			return nil
		}
		row.ID = rowlogic.Identity{Hi: uint64(values[3].Int64()), Lo: uint64(values[4].Int64())}
		return fn(&row)
	})
}
