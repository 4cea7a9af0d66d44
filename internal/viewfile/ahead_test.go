package viewfile_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"slices"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/measure"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/viewfile"
)

// remote is a file far away: it notes what was read without having been announced.
type remote struct {
	*bytes.Reader
	opened    bool // its end, with footer and indexes, is there
	from      int64
	announced []protocol.Bytes
	waited    int // reads that nobody announced
	fetches   int
	most      int64 // announced at a time
	err       error
}

func (r *remote) Fetch(parts []protocol.Bytes) error {
	r.fetches++
	var size int64
	for _, p := range parts {
		size += p.To - p.From
	}
	r.most = max(r.most, size)
	r.announced = append(r.announced, parts...)
	return r.err
}

func (r *remote) ReadAt(p []byte, offset int64) (int, error) {
	// Readers have buffers: only where a read begins is announced for sure.
	if r.opened && offset < r.from && !slices.ContainsFunc(r.announced, func(b protocol.Bytes) bool { return b.From <= offset && offset < b.To }) {
		r.waited++
	}
	return r.Reader.ReadAt(p, offset)
}

// Without this, a query of a file in S3 waits for one request after the other.
func TestPagesAreAnnounced(t *testing.T) {
	t.Parallel()
	const n = 300_000
	for name, c := range map[string]struct {
		options []parquet.WriterOption
		from    int64
		to      int64
		rows    int
		fetches int // at most
	}{
		"one bucket":              {[]parquet.WriterOption{parquet.PageBufferSize(8 << 10)}, 60e6 * 1000, 60e6 * 1001, 2, 1},
		"everything":              {[]parquet.WriterOption{parquet.PageBufferSize(8 << 10)}, math.MinInt64, math.MaxInt64, n, 8},
		"row groups, large pages": {[]parquet.WriterOption{parquet.MaxRowsPerRowGroup(100_000), parquet.PageBufferSize(16 << 20)}, math.MinInt64, math.MaxInt64, n, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content := file(t, groups(n), c.options...)
			opened, err := parquet.OpenFile(content, content.Size())
			if err != nil {
				t.Fatal(err)
			}
			// Indexes and footer lie behind the last page.
			r := &remote{Reader: content}
			for _, g := range opened.Metadata().RowGroups {
				for _, chunk := range g.Columns {
					r.from = max(r.from, max(chunk.MetaData.DataPageOffset, chunk.MetaData.DictionaryPageOffset)+chunk.MetaData.TotalCompressedSize)
				}
			}
			f, err := viewfile.Open(r, content.Size())
			if err != nil {
				t.Fatal(err)
			}
			r.opened = true
			got := 0
			err = f.Scan(def, sales, c.from, c.to, func(int64, []column.Value, []measure.State) error { got++; return nil })
			if err != nil || got != c.rows {
				t.Fatalf("%d groups, want %d: %v", got, c.rows, err)
			}
			if r.waited > 0 || r.fetches == 0 || r.fetches > c.fetches || r.most > 32<<20 {
				t.Errorf("%d reads waited, %d fetches of at most %d bytes", r.waited, r.fetches, r.most)
			}
			r.err = io.ErrUnexpectedEOF
			if err := f.Scan(def, sales, c.from, c.to, func(int64, []column.Value, []measure.State) error { return nil }); !errors.Is(err, r.err) {
				t.Errorf("what cannot be fetched: %v", err)
			}
		})
	}
}
