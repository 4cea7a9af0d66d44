package archive

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/pages"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
)

// cursor steps through the rows of a file as they are stored, with all of their
// columns. Memory is bounded by a page of each column.
type cursor struct {
	name    string
	store   protocol.ReadAtCloser
	file    *parquet.File
	at      places
	groups  []parquet.RowGroup // that are left
	left    int64              // rows of the open one
	readers []*pages.Reader
	row     parquet.Row // valid until the next step
}

// places are where a file has the columns that every row has.
type places struct {
	shard, position, key, arrival, aggregated, stray, raw, outcome, hashHigh, hashLow, idHigh, idLow, rowLogic int
}

func openCursor(ctx context.Context, master protocol.Master, name string) (*cursor, error) {
	store, size, err := master.Open(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", name, err)
	}
	c := &cursor{name: name, store: store}
	if c.file, err = open(store, size); err == nil {
		err = c.find()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), store.Close())
	}
	c.groups = c.file.RowGroups()
	return c, nil
}

func (c *cursor) find() error {
	at := &c.at
	found, err := leaves(c.file, ShardColumn, PositionColumn, KeyColumn, ArrivalColumn, AggregateColumn, StrayColumn,
		RawColumn, definition.OutcomeColumn, HashHighColumn, HashLowColumn, IDHighColumn, IDLowColumn, RowLogicColumn)
	if err != nil {
		return err
	}
	for i, place := range []*int{&at.shard, &at.position, &at.key, &at.arrival, &at.aggregated, &at.stray,
		&at.raw, &at.outcome, &at.hashHigh, &at.hashLow, &at.idHigh, &at.idLow, &at.rowLogic} {
		*place = found[i]
	}
	return nil
}

// next goes to the next row; io.EOF behind the last one.
func (c *cursor) next() error {
	for c.left == 0 {
		if err := c.closeGroup(); err != nil {
			return err
		}
		if len(c.groups) == 0 {
			return io.EOF
		}
		if err := c.openGroup(); err != nil {
			return err
		}
	}
	c.left--
	c.row = c.row[:0]
	for i := range c.readers {
		v, err := c.readers[i].Next()
		if err != nil {
			return fmt.Errorf("reading %s: %w", c.name, err)
		}
		c.row = append(c.row, v)
	}
	return nil
}

func (c *cursor) openGroup() error {
	group := c.groups[0]
	c.groups = c.groups[1:]
	c.left = group.NumRows()
	for i := range group.ColumnChunks() {
		r, err := pages.NewReader(group, i, 0)
		if err != nil {
			return fmt.Errorf("reading %s: %w", c.name, err)
		}
		c.readers = append(c.readers, r)
	}
	return nil
}

func (c *cursor) closeGroup() error {
	var errs []error
	for _, r := range c.readers {
		errs = append(errs, r.Close())
	}
	c.readers = c.readers[:0]
	return errors.Join(errs...)
}

func (c *cursor) close() error { return errors.Join(c.closeGroup(), c.store.Close()) }

func (c *cursor) shard() []byte    { return c.row[c.at.shard].ByteArray() }
func (c *cursor) position() []byte { return c.row[c.at.position].ByteArray() }
func (c *cursor) hash() uint64     { return hashOf(c.row[c.at.hashHigh], c.row[c.at.hashLow]) }
func (c *cursor) rowLogic() int32  { return c.row[c.at.rowLogic].Int32() }
func (c *cursor) erased() bool {
	return string(c.row[c.at.outcome].ByteArray()) == string(rowlogic.Erased)
}

// rewriter writes rows as they were read into a new file with the same columns.
// It holds at most one compressed row group in memory.
type rewriter struct {
	file  *parquet.GenericWriter[any]
	raw   int // place of the column with the events' bytes
	one   [1]parquet.Row
	rows  int // in the open row group
	bytes int
}

// newRewriter starts a file like that of a cursor.
func newRewriter(w io.Writer, like *cursor) *rewriter {
	generation, _ := like.file.Lookup(GenerationKey)
	return &rewriter{file: newFile(w, schemaLike(like.file.Schema()), generation), raw: like.at.raw}
}

// schemaLike is a schema of the same columns, stored as this package stores them.
func schemaLike(s *parquet.Schema) *parquet.Schema {
	root := ordered{Group: parquet.Group{}}
	for _, f := range s.Fields() {
		c := Column{Name: f.Name(), Optional: f.Optional()}
		switch f.Type().Kind() {
		case parquet.Boolean:
			c.Physical = Boolean
		case parquet.Int32:
			c.Physical = Int32
		case parquet.Int64:
			c.Physical = Int64
		case parquet.Double:
			c.Physical = Double
		default:
			c.Physical = Text
		}
		root.Group[c.Name] = c.node()
		root.names = append(root.names, c.Name)
	}
	return parquet.NewSchema("rows", root)
}

func (w *rewriter) write(row parquet.Row) error {
	w.one[0] = row
	if _, err := w.file.WriteRows(w.one[:]); err != nil {
		return fmt.Errorf("writing a row: %w", err)
	}
	w.rows++
	w.bytes += len(row[w.raw].ByteArray()) / 4 * 3 // of base64
	if w.rows < rowGroupRows && w.bytes < rowGroupBytes {
		return nil
	}
	w.rows, w.bytes = 0, 0
	if err := w.file.Flush(); err != nil {
		return fmt.Errorf("writing a row group: %w", err)
	}
	return nil
}

func (w *rewriter) close() error {
	if err := w.file.Close(); err != nil {
		return fmt.Errorf("ending the file: %w", err)
	}
	return nil
}
