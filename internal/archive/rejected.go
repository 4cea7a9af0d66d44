package archive

import (
	"encoding/base64"
	"fmt"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
)

// Rejected is one rejected row of the master dataset.
type Rejected struct {
	Shard string
	protocol.Event
	Reason string
	Detail string
}

// RejectedFile is a file of the master dataset that is open to find rejected
// rows in. Only the columns that tell of them are read, and only the bytes of
// rows that are asked for.
type RejectedFile struct {
	file    *parquet.File
	columns []int // as rejectedColumns
}

var rejectedColumns = [...]string{
	definition.OutcomeColumn, definition.ReasonColumn, DetailColumn,
	ShardColumn, PositionColumn, KeyColumn, ArrivalColumn, RawColumn,
}

// Places in rejectedColumns.
const (
	outcomeAt = iota
	reasonAt
	detailAt
	shardAt
	positionAt
	keyAt
	arrivalAt
	rawAt
)

// OpenRejected reads the footer of a file of the given size in bytes.
func OpenRejected(r io.ReaderAt, size int64) (*RejectedFile, error) {
	f, err := open(r, size)
	if err != nil {
		return nil, err
	}
	columns, err := leaves(f, rejectedColumns[:]...)
	if err != nil {
		return nil, err
	}
	return &RejectedFile{f, columns}, nil
}

// Rows is the number of rows in the file, rejected or not.
func (f *RejectedFile) Rows() int64 { return f.file.NumRows() }

// Newest gives the latest arrival in the file, in milliseconds since 1970-01-01
// UTC; false if the footer shows that no row of it is rejected.
func (f *RejectedFile) Newest() (arrival int64, some bool) {
	for _, group := range f.file.RowGroups() {
		if f.holds(group) {
			some = true
		}
		if _, high, ok := f.bounds(group, arrivalAt); ok {
			arrival = max(arrival, high.Int64())
		}
	}
	return arrival, some
}

func (f *RejectedFile) bounds(group parquet.RowGroup, column int) (low, high parquet.Value, ok bool) {
	chunk, is := group.ColumnChunks()[f.columns[column]].(*parquet.FileColumnChunk)
	if !is {
		return low, high, false
	}
	return chunk.Bounds()
}

// holds reports whether a row group may hold rejected rows. No outcome comes
// after that word in the order of texts.
func (f *RejectedFile) holds(group parquet.RowGroup) bool {
	_, high, ok := f.bounds(group, outcomeAt)
	return !ok || string(high.ByteArray()) >= string(rowlogic.Rejected)
}

// Last gives the last rejected rows of each reason, at most as many as most
// says for it, later rows first. Memory is bounded by those rows and a page of
// each column.
func (f *RejectedFile) Last(most func(reason string) int) ([]Rejected, error) {
	var out []Rejected
	found := map[string]int{}
	groups := f.file.RowGroups()
	for i := len(groups) - 1; i >= 0; i-- {
		if !f.holds(groups[i]) {
			continue
		}
		rows, err := f.find(groups[i], func(reason string) int { return most(reason) - found[reason] })
		if err != nil {
			return nil, err
		}
		for j := len(rows) - 1; j >= 0; j-- {
			r, err := f.row(groups[i], rows[j])
			if err != nil {
				return nil, err
			}
			found[r.Reason]++
			out = append(out, r)
		}
	}
	return out, nil
}

// find gives the last rejected rows of each reason in a row group, in order.
func (f *RejectedFile) find(group parquet.RowGroup, most func(reason string) int) (rows []int64, err error) {
	last := map[string][]int64{}
	err = f.each(group, []int{outcomeAt, reasonAt}, 0, group.NumRows(), func(row int64, values []parquet.Value) error {
		if string(values[0].ByteArray()) != string(rowlogic.Rejected) {
			return nil
		}
		reason := string(values[1].ByteArray())
		n := most(reason)
		if n <= 0 {
			return nil
		}
		of := append(last[reason], row)
		if len(of) > n {
			of = of[:copy(of, of[1:])]
		}
		last[reason] = of
		return nil
	})
	for _, of := range last {
		rows = append(rows, of...)
	}
	slices.Sort(rows)
	return rows, err
}

// each steps through rows of some of rejectedColumns of a row group.
func (f *RejectedFile) each(group parquet.RowGroup, columns []int, first, end int64, fn func(row int64, values []parquet.Value) error) error {
	places := make([]int, len(columns))
	for i, c := range columns {
		places[i] = f.columns[c]
	}
	return eachRow(group, places, first, end, fn)
}

// row reads one row.
func (f *RejectedFile) row(group parquet.RowGroup, at int64) (r Rejected, err error) {
	all := make([]int, len(rejectedColumns))
	for i := range all {
		all[i] = i
	}
	err = f.each(group, all, at, at+1, func(_ int64, values []parquet.Value) error {
		text := func(i int) string { return string(values[i].ByteArray()) }
		r.Shard, r.Reason, r.Detail, r.PartitionKey = text(shardAt), text(reasonAt), text(detailAt), text(keyAt)
		r.Arrival = values[arrivalAt].Int64()
		if r.Position, err = protocol.ParseKey(text(positionAt)); err != nil {
			return fmt.Errorf("reading the master dataset: %w", err)
		}
		if r.Data, err = base64.StdEncoding.DecodeString(text(rawAt)); err != nil {
			return fmt.Errorf("reading the bytes of event %s of %s: %w", r.Position, r.Shard, err)
		}
		return nil
	})
	return r, err
}
