// Package pages reads Parquet columns value by value, a page at a time, so that
// a file of any size is read in bounded memory. It knows nothing but Parquet.
package pages

import (
	"errors"
	"io"

	"github.com/parquet-go/parquet-go"
)

// Reader steps through the values of one column of a row group, row by row: a
// column that is not repeated with Next, one of lists with List.
type Reader struct {
	pages  parquet.Pages
	page   parquet.Page
	values parquet.ValueReader
	buf    [128]parquet.Value
	rest   []parquet.Value
}

// NewReader begins at row from of the row group. Pages before it are not read if
// the file has an index of pages.
func NewReader(group parquet.RowGroup, column int, from int64) (*Reader, error) {
	chunk := group.ColumnChunks()[column]
	r := &Reader{pages: chunk.Pages()}
	if from > 0 {
		// Seeking uses the index only if it was read before.
		if _, err := chunk.OffsetIndex(); err != nil && !errors.Is(err, parquet.ErrMissingOffsetIndex) {
			return nil, errors.Join(err, r.pages.Close())
		}
		if err := r.pages.SeekToRow(from); err != nil {
			return nil, errors.Join(err, r.pages.Close())
		}
	}
	return r, nil
}

// Next gives the value of the next row. Bytes of the value stay valid until the
// next call. At the end of the row group it is io.ErrUnexpectedEOF: the caller
// knows the number of rows.
func (r *Reader) Next() (parquet.Value, error) {
	for len(r.rest) == 0 {
		if err := r.fill(); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return parquet.Value{}, err
		}
	}
	v := r.rest[0]
	r.rest = r.rest[1:]
	return v, nil
}

// List appends the elements of the next row's list to dst: none of a list that
// is empty or null. It is for lists of numbers: bytes of the elements would not
// stay valid beyond a page.
func (r *Reader) List(dst []parquet.Value) ([]parquet.Value, error) {
	v, err := r.Next()
	if err != nil {
		return dst, err
	}
	for {
		if !v.IsNull() {
			dst = append(dst, v)
		}
		for len(r.rest) == 0 {
			if err := r.fill(); errors.Is(err, io.EOF) {
				return dst, nil
			} else if err != nil {
				return dst, err
			}
		}
		if r.rest[0].RepetitionLevel() == 0 { // the next row
			return dst, nil
		}
		v, r.rest = r.rest[0], r.rest[1:]
	}
}

// fill reads values of the page, or moves to the next page when none are left.
func (r *Reader) fill() error {
	if r.values == nil {
		page, err := r.pages.ReadPage()
		if err != nil {
			return err
		}
		r.page, r.values = page, page.Values()
	}
	n, err := r.values.ReadValues(r.buf[:])
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	r.rest = r.buf[:n]
	if n == 0 {
		r.release()
	}
	return nil
}

func (r *Reader) release() {
	if r.page != nil {
		parquet.Release(r.page)
	}
	r.page, r.values = nil, nil
}

// Close frees the pages. Values given before are no longer valid.
func (r *Reader) Close() error {
	r.release()
	return r.pages.Close()
}
