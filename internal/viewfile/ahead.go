package viewfile

import (
	"errors"
	"fmt"

	"github.com/parquet-go/parquet-go"

	"github.com/watershed-data/watershed/internal/protocol"
)

// aheadBytes is how much of a file is to be fetched at a time, and mostAhead how much
// is at most, where pages are so large that it cannot be less.
const (
	aheadBytes = 8 << 20
	mostAhead  = 4 * aheadBytes
)

// ahead lets the pages of the i-th row group be fetched that hold the columns of rows
// [first, end), or of as many of them as aheadBytes allow, and gives the row up to which
// they are there.
func (s *scan) ahead(i int, group parquet.RowGroup, first, end int64) (int64, error) {
	if s.file.fetcher == nil {
		return end, nil
	}
	chunks := make([]chunk, len(s.index))
	for n, column := range s.index {
		var err error
		if chunks[n], err = s.chunk(i, group, column); err != nil {
			return 0, err
		}
	}
	parts, size := partsOf(chunks, first, end)
	for size > aheadBytes {
		half := first + (end-first)/2
		fewer, smaller := partsOf(chunks, first, half)
		if half == first || smaller == size {
			break
		}
		end, parts, size = half, fewer, smaller
	}
	if size > mostAhead {
		return end, nil // it is read bit by bit
	}
	return end, s.file.fetcher.Fetch(parts)
}

// chunk is where a column of a row group lies in the file.
type chunk struct {
	all        protocol.Bytes
	dictionary protocol.Bytes      // empty: there is none
	pages      parquet.OffsetIndex // nil: nothing tells where they are
}

func (s *scan) chunk(i int, group parquet.RowGroup, column int) (chunk, error) {
	about := s.file.file.Metadata().RowGroups[i].Columns[column].MetaData
	begin := about.DataPageOffset
	var out chunk
	if about.DictionaryPageOffset > 0 && about.DictionaryPageOffset < begin {
		out.dictionary = protocol.Bytes{From: about.DictionaryPageOffset, To: begin}
		begin = about.DictionaryPageOffset
	}
	out.all = protocol.Bytes{From: begin, To: begin + about.TotalCompressedSize}
	pages, err := group.ColumnChunks()[column].OffsetIndex()
	if err != nil && !errors.Is(err, parquet.ErrMissingOffsetIndex) {
		return chunk{}, fmt.Errorf("reading the page index: %w", err)
	}
	if err == nil {
		out.pages = pages
	}
	return out, nil
}

// partsOf gives the bytes that hold rows [first, end) of columns, and how many.
func partsOf(chunks []chunk, first, end int64) (parts []protocol.Bytes, size int64) {
	for _, c := range chunks {
		part := c.all
		if c.pages != nil {
			part = pagesOf(c.pages, first, end)
			if c.dictionary.To > c.dictionary.From {
				parts = append(parts, c.dictionary)
				size += c.dictionary.To - c.dictionary.From
			}
		}
		parts = append(parts, part)
		size += part.To - part.From
	}
	return parts, size
}

// pagesOf gives where the pages lie that hold rows [first, end).
func pagesOf(pages parquet.OffsetIndex, first, end int64) (out protocol.Bytes) {
	n := pages.NumPages()
	for p := range n {
		if pages.FirstRowIndex(p) >= end || p+1 < n && pages.FirstRowIndex(p+1) <= first {
			continue
		}
		if out.To == 0 {
			out.From = pages.Offset(p)
		}
		out.To = pages.Offset(p) + pages.CompressedPageSize(p)
	}
	return out
}
