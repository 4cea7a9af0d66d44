package viewfile

import (
	"github.com/parquet-go/parquet-go"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/measure"
)

// After is a place in a file's order of rows. What lies before it need not be
// scanned.
type After struct {
	Time int64          // the bucket; 0 with grain none
	Dims []column.Value // the first dimensions; may be fewer than the view has
}

// before reports whether a row group lies before the place as a whole, by the
// bounds of its columns. It may say no too often: a row group of several buckets
// is told by its time, one of a single bucket also by its first dimension.
func (s *scan) before(group parquet.RowGroup, place *After) bool {
	chunks := group.ColumnChunks()
	bounds := func(column int) (low, high parquet.Value, ok bool) {
		chunk, is := chunks[s.index[column]].(*parquet.FileColumnChunk)
		if !is {
			return low, high, false
		}
		return chunk.Bounds()
	}
	first := 0
	if s.layout.Timed {
		_, high, ok := bounds(0)
		if !ok || high.Int64() > place.Time {
			return false
		}
		if high.Int64() < place.Time {
			return true
		}
		first = 1
	}
	if len(place.Dims) == 0 || place.Dims[0].Null {
		return false // nulls are first, and bounds do not tell of them
	}
	t := s.layout.Dims[0].Type
	_, high, ok := bounds(first)
	return ok && measure.Compare(t.Kind, s.value(first, t, high), place.Dims[0]) < 0
}
