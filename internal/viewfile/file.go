package viewfile

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/measure"
	"github.com/watershed-data/watershed/internal/pages"
	"github.com/watershed-data/watershed/internal/protocol"
)

// File is an open view file. Its footer is in memory; it may be scanned often
// and by several goroutines at once.
type File struct {
	file    *parquet.File
	fetcher protocol.Fetcher // nil: reads need no announcement
}

// Open reads the footer of a view file of the given size in bytes. If r is a
// protocol.Fetcher, it is told which pages a scan is about to read.
func Open(r io.ReaderAt, size int64) (*File, error) {
	// The magic bytes at the end tell as much as those at the beginning, which would be
	// read for nothing else.
	f, err := parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.SkipMagicBytes(true))
	if err != nil {
		return nil, fmt.Errorf("opening a view file: %w", err)
	}
	fetcher, _ := r.(protocol.Fetcher)
	return &File{file: f, fetcher: fetcher}, nil
}

// Rows is the number of groups in the file.
func (f *File) Rows() int64 { return f.file.NumRows() }

// Scan gives the groups whose time bucket begins in [from, to), in microseconds
// since 1970-01-01 UTC, in the file's order: by time, then dimensions. With
// grain none the time is 0. Only the row groups, and the pages where there is an
// index of them, that can hold such a group are read; memory is bounded by a page
// of each column.
//
// The slices are the callback's only during the call. Its error ends the scan
// and is given as it is.
func (f *File) Scan(def *definition.Definition, v definition.View, from, to int64, fn func(time int64, dims []column.Value, states []measure.State) error) error {
	return f.ScanAfter(def, v, from, to, nil, fn)
}

// ScanAfter is Scan without row groups that lie before a place as a whole; nil is
// the beginning. Groups before the place may come all the same.
func (f *File) ScanAfter(def *definition.Definition, v definition.View, from, to int64, place *After, fn func(time int64, dims []column.Value, states []measure.State) error) error {
	s, err := f.newScan(def, v, from, to)
	if err != nil {
		return fmt.Errorf("reading a file of view %s: %w", v.Name, err)
	}
	s.fn = fn
	for i, group := range f.file.RowGroups() {
		if place != nil && s.before(group, place) {
			continue
		}
		if err := s.group(i, group); err != nil {
			var own *callbackError
			if errors.As(err, &own) {
				return own.err
			}
			return fmt.Errorf("reading a file of view %s: %w", v.Name, err)
		}
	}
	return nil
}

// callbackError carries an error of the caller's through the scan.
type callbackError struct{ err error }

func (e *callbackError) Error() string { return e.err.Error() }

// scan is one scan of a file.
type scan struct {
	file     *File
	from, to int64
	layout   Layout
	measures []measure.Measure
	columns  []Column          // of the layout
	index    []int             // of these columns in the file
	lists    [][]parquet.Value // of the columns that are lists, in the row that is read
	texts    []string          // the last text of each column: sorted columns repeat
	fn       func(time int64, dims []column.Value, states []measure.State) error
	last     int64
	any      bool
	dims     []column.Value
	states   []measure.State
}

func (f *File) newScan(def *definition.Definition, v definition.View, from, to int64) (*scan, error) {
	layout, err := NewLayout(def, v)
	if err != nil {
		return nil, err
	}
	columns := layout.Columns()
	s := &scan{
		file:    f,
		columns: columns,
		lists:   make([][]parquet.Value, len(columns)),
		from:    from, to: to,
		layout:   layout,
		measures: measure.New(v),
		index:    make([]int, len(columns)),
		texts:    make([]string, len(columns)),
		dims:     make([]column.Value, len(layout.Dims)),
		states:   make([]measure.State, len(layout.States)),
	}
	for i, c := range columns {
		leaf, ok := f.file.Schema().Lookup(f.path(c)...)
		if !ok {
			return nil, fmt.Errorf("it has no column %s", c.Name)
		}
		if lists := leaf.MaxRepetitionLevel == 1; lists != c.List {
			return nil, fmt.Errorf("column %s has lists where there should be values, or values where there should be lists", c.Name)
		}
		if err := checkType(c, leaf.Node.Type()); err != nil {
			return nil, err
		}
		s.index[i] = leaf.ColumnIndex
	}
	return s, nil
}

// path names the leaf of a column. That of a list lies in groups whose names
// depend on who wrote it.
func (f *File) path(c Column) []string {
	path := []string{c.Name}
	if !c.List {
		return path
	}
	fields := f.file.Schema().Fields()
	at := slices.IndexFunc(fields, func(f parquet.Field) bool { return f.Name() == c.Name })
	if at < 0 {
		return path
	}
	for n := fields[at]; !n.Leaf() && len(n.Fields()) == 1; {
		n = n.Fields()[0]
		path = append(path, n.Name())
	}
	return path
}

// checkType refuses a column that holds other values than the layout says; to
// read them would give wrong numbers, not an error.
func checkType(c Column, t parquet.Type) error {
	logical := func() format.LogicalTypeValue {
		if l := t.LogicalType(); l != nil {
			return l.Value
		}
		return nil
	}()
	ok := false
	switch c.Type.Kind {
	case column.String:
		ok = t.Kind() == parquet.ByteArray
	case column.Decimal:
		d, is := logical.(*format.DecimalType)
		ok = is && int(d.Scale) == c.Type.Scale
	case column.Timestamp:
		ts, is := logical.(*format.TimestampType)
		if is {
			_, is = ts.Unit.Value.(*format.MicroSeconds)
		}
		ok = is
	case column.Bool:
		ok = t.Kind() == parquet.Boolean
	case column.Date:
		_, ok = logical.(*format.DateType)
	case column.Float:
		ok = t.Kind() == parquet.Double
	default:
		ok = t.Kind() == parquet.Int64
	}
	if !ok {
		return fmt.Errorf("column %s is of type %s, want %s", c.Name, t, c.Type)
	}
	return nil
}

// group scans one row group, the i-th.
func (s *scan) group(i int, group parquet.RowGroup) (err error) {
	first, end, err := s.rows(group)
	if err != nil || first == end {
		return err
	}
	fetched, err := s.ahead(i, group, first, end)
	if err != nil {
		return err
	}
	readers := make([]*pages.Reader, len(s.index))
	for i, c := range s.index {
		if readers[i], err = pages.NewReader(group, c, first); err != nil {
			return fmt.Errorf("reading column %d: %w", c, err)
		}
		defer func() {
			if closing := readers[i].Close(); err == nil {
				err = closing
			}
		}()
	}
	values := make([]parquet.Value, len(readers))
	for row := first; row < end; row++ {
		if row == fetched {
			if fetched, err = s.ahead(i, group, row, end); err != nil {
				return err
			}
		}
		for i, r := range readers {
			if s.columns[i].List {
				s.lists[i], err = r.List(s.lists[i][:0])
			} else {
				values[i], err = r.Next()
			}
			if err != nil {
				return fmt.Errorf("reading column %d: %w", s.index[i], err)
			}
		}
		more, err := s.row(values)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// rows gives the range of rows of a row group that may lie in [from, to): by the
// bounds of the row group, and of its pages if there is an index of them.
func (s *scan) rows(group parquet.RowGroup) (first, end int64, err error) {
	end = group.NumRows()
	if !s.layout.Timed {
		return 0, end, nil
	}
	chunk, ok := group.ColumnChunks()[s.index[0]].(*parquet.FileColumnChunk)
	if !ok {
		return 0, end, nil
	}
	if low, high, ok := chunk.Bounds(); ok && (high.Int64() < s.from || low.Int64() >= s.to) {
		return 0, 0, nil
	}
	bounds, err := chunk.ColumnIndex()
	if errors.Is(err, parquet.ErrMissingColumnIndex) {
		return 0, end, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("reading the page index: %w", err)
	}
	offsets, err := chunk.OffsetIndex()
	if errors.Is(err, parquet.ErrMissingOffsetIndex) {
		return 0, end, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("reading the page index: %w", err)
	}
	n := bounds.NumPages()
	skip := 0
	for skip < n && bounds.MaxValue(skip).Int64() < s.from {
		skip++
	}
	if skip == n {
		return 0, 0, nil
	}
	first = offsets.FirstRowIndex(skip)
	for p := skip; p < n; p++ {
		if bounds.MinValue(p).Int64() >= s.to {
			return first, offsets.FirstRowIndex(p), nil
		}
	}
	return first, end, nil
}

// row gives one group to the callback if its time is in range; false at the
// first one behind it.
func (s *scan) row(values []parquet.Value) (more bool, err error) {
	var time int64
	next := 0
	if s.layout.Timed {
		if values[0].IsNull() {
			return false, errors.New("a group has no time")
		}
		time, next = values[0].Int64(), 1
	}
	if s.any && time < s.last {
		return false, errors.New("its rows are not in the order of time")
	}
	s.any, s.last = true, time
	if time >= s.to {
		return false, nil
	}
	if time < s.from {
		return true, nil
	}
	for i, c := range s.layout.Dims {
		s.dims[i] = s.value(next, c.Type, values[next])
		next++
	}
	for i, columns := range s.layout.States {
		if s.states[i], err = s.state(s.measures[i], next, columns, values); err != nil {
			return false, err
		}
		next += len(columns)
	}
	if err := s.fn(time, s.dims, s.states); err != nil {
		return false, &callbackError{err}
	}
	return true, nil
}

// state reads the state of a measure from its columns, which begin at index i.
func (s *scan) state(m measure.Measure, i int, columns []Column, values []parquet.Value) (measure.State, error) {
	v := values[i]
	switch m.Func {
	case definition.Count:
		return measure.State{N: integer(v)}, nil
	case definition.Sum:
		return measure.State{Sum: wide(v), Set: !v.IsNull()}, nil
	case definition.Avg:
		return measure.State{Sum: wide(v), N: integer(values[i+1])}, nil
	case definition.Distinct:
		return m.OfHashes(integers(s.lists[i]))
	case definition.Quantiles:
		return m.OfBuckets(integers(s.lists[i]), integers(s.lists[i+1]))
	}
	if v.IsNull() {
		return measure.State{}, nil
	}
	return measure.State{Set: true, Val: s.value(i, columns[0].Type, v)}, nil
}

// integers reads a list of whole numbers, in memory of its own.
func integers(list []parquet.Value) []int64 {
	if len(list) == 0 {
		return nil
	}
	out := make([]int64, len(list))
	for i, v := range list {
		out[i] = integer(v)
	}
	return out
}

func (s *scan) value(i int, t column.Type, v parquet.Value) column.Value {
	if v.IsNull() {
		return column.Null
	}
	switch t.Kind {
	case column.String:
	case column.Float:
		return column.Value{Float: v.Double()}
	default:
		return column.Value{Int: integer(v)}
	}
	if b := v.ByteArray(); string(b) != s.texts[i] {
		s.texts[i] = string(b)
	}
	return column.Value{Str: s.texts[i]}
}

// integer reads a whole number of at most 64 bits, whichever way it is stored;
// 0 for null.
func integer(v parquet.Value) int64 {
	if v.IsNull() {
		return 0
	}
	switch v.Kind() {
	case parquet.Boolean:
		if v.Boolean() {
			return 1
		}
		return 0
	case parquet.Int32:
		return int64(v.Int32())
	case parquet.Int64:
		return v.Int64()
	}
	return int64(wide(v).Lo)
}

// wide reads a whole number of at most 128 bits, whichever way it is stored; 0
// for null.
func wide(v parquet.Value) measure.Int128 {
	switch {
	case v.IsNull():
		return measure.Int128{}
	case v.Kind() != parquet.FixedLenByteArray && v.Kind() != parquet.ByteArray:
		return measure.FromInt64(integer(v))
	}
	return twosComplement(v.ByteArray())
}

// twosComplement reads a big-endian number of up to 16 bytes.
func twosComplement(b []byte) measure.Int128 {
	var full [16]byte
	if len(b) > len(full) {
		b = b[len(b)-len(full):]
	}
	if len(b) > 0 && b[0] >= 0x80 {
		for i := range full {
			full[i] = 0xff
		}
	}
	copy(full[len(full)-len(b):], b)
	return measure.FromBigEndian(full[:])
}
