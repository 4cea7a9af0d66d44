package archive

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/watershed-data/watershed/internal/protocol"
)

// Outline tells, from its footer alone, where the rows of a file of the master
// dataset lie: one stretch for each row group. It is an error if the file does not
// say so.
func Outline(r io.ReaderAt, size int64) ([]protocol.Stretch, error) {
	f, err := open(r, size)
	if err != nil {
		return nil, err
	}
	columns, err := leaves(f, PositionColumn, ArrivalColumn)
	if err != nil {
		return nil, err
	}
	var out []protocol.Stretch
	for _, group := range f.Metadata().RowGroups {
		positions := &group.Columns[columns[0]].MetaData.Statistics
		arrivals := &group.Columns[columns[1]].MetaData.Statistics
		if len(positions.MinValue) == 0 || len(positions.MaxValue) == 0 || len(arrivals.MinValue) != 8 {
			return nil, errors.New("reading the file's footer: it does not tell between which positions and since which arrival its rows lie")
		}
		s := protocol.Stretch{
			First: string(positions.MinValue), Last: string(positions.MaxValue),
			Earliest: int64(binary.LittleEndian.Uint64(arrivals.MinValue)), Rows: group.NumRows,
		}
		for _, key := range []string{s.First, s.Last} {
			if _, err := protocol.ParseKey(key); err != nil {
				return nil, fmt.Errorf("reading the file's footer: %w", err)
			}
		}
		out = append(out, s)
	}
	return out, nil
}
