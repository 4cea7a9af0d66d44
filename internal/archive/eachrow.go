package archive

import (
	"fmt"
	"strings"

	"github.com/parquet-go/parquet-go"

	"github.com/watershed-data/watershed/internal/pages"
)

// eachRow gives the values of some columns in the rows [first, end) of a row
// group, row by row; a page of each column is in memory. The values are the
// callback's only during the call. Its error ends the reading and is given as it is.
func eachRow(group parquet.RowGroup, columns []int, first, end int64, fn func(row int64, values []parquet.Value) error) (err error) {
	name := func(i int) string { return strings.Join(group.Schema().Columns()[columns[i]], ".") }
	readers := make([]*pages.Reader, len(columns))
	for i, c := range columns {
		if readers[i], err = pages.NewReader(group, c, first); err != nil {
			return fmt.Errorf("reading column %s of the master dataset: %w", name(i), err)
		}
		defer func() {
			if closing := readers[i].Close(); err == nil {
				err = closing
			}
		}()
	}
	values := make([]parquet.Value, len(columns))
	for row := first; row < end; row++ {
		for i, r := range readers {
			if values[i], err = r.Next(); err != nil {
				return fmt.Errorf("reading column %s of the master dataset: %w", name(i), err)
			}
		}
		if err := fn(row, values); err != nil {
			return err
		}
	}
	return nil
}
