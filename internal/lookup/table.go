package lookup

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
)

// The bounds of a table: it lies in memory as a whole.
const (
	MaxFileBytes  = 64 << 20  // of the file
	MaxRows       = 1_000_000 // rows
	MaxAttributes = 200       // columns
	MaxBytes      = 256 << 20 // of the content in memory, about
)

var errNoKey = errors.New("the file has no key column")

// Attribute is one column of a table.
type Attribute struct {
	Name string
	Type column.Type
}

// Table is one content of a lookup's file. It never changes.
type Table struct {
	Lookup     definition.Lookup
	Attributes []Attribute // in the file's order, the key too
	Content    string      // hash of the file's bytes
	Modified   time.Time   // of the file

	columns []*column.Vector // by attribute
	key     column.Type
	texts   map[string]int32 // key -> row, for string keys
	numbers map[int64]int32  // key -> row, for others
}

// Len is the number of rows.
func (t *Table) Len() int { return len(t.texts) + len(t.numbers) }

// Attribute finds an attribute by name; -1 if there is none.
func (t *Table) Attribute(name string) int {
	return slices.IndexFunc(t.Attributes, func(a Attribute) bool { return a.Name == name })
}

// Value gives an attribute of the row that describes a dimension's value; null
// if no row does.
func (t *Table) Value(attribute int, of column.Value) column.Value {
	row, ok := int32(0), false
	switch {
	case of.Null:
	case t.key.Kind == column.String:
		row, ok = t.texts[of.Str]
	default:
		row, ok = t.numbers[of.Int]
	}
	if !ok {
		return column.Null
	}
	return t.columns[attribute].At(int(row))
}

// Parse makes a table of a file's bytes. key is the type of the dimensions that
// the lookup describes, zone that of key timestamps which name none. An error
// names the line or row at fault.
func Parse(l definition.Lookup, content []byte, key column.Type, zone *time.Location) (*Table, error) {
	if len(content) > MaxFileBytes {
		return nil, fmt.Errorf("the file has %d bytes, and a lookup may have %d; leave out rows and columns that no query needs", len(content), MaxFileBytes)
	}
	var read func([]byte) (*raw, error)
	switch strings.ToLower(filepath.Ext(l.File)) {
	case ".csv":
		read = readCSV
	case ".ndjson", ".jsonl":
		read = readNDJSON
	case ".parquet":
		read = readParquet
	default:
		return nil, fmt.Errorf("the name does not end with one of %s", strings.Join(definition.LookupForms(), ", "))
	}
	r, err := read(content)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(content)
	t := &Table{Lookup: l, Attributes: r.attributes, Content: hex.EncodeToString(sum[:6]), columns: r.columns, key: key}
	if err := t.index(r, zone); err != nil {
		return nil, err
	}
	return t, nil
}

// index files the rows under their keys.
func (t *Table) index(r *raw, zone *time.Location) error {
	at := t.Attribute(t.Lookup.Key)
	if at < 0 {
		names := make([]string, len(t.Attributes))
		for i, a := range t.Attributes {
			names[i] = a.Name
		}
		return fmt.Errorf("%w %s; the columns are %s", errNoKey, t.Lookup.Key, strings.Join(names, ", "))
	}
	if t.key.Kind == column.String {
		t.texts = make(map[string]int32, r.rows)
	} else {
		t.numbers = make(map[int64]int32, r.rows)
	}
	for row := range r.rows {
		v := r.columns[at].At(row)
		if v.Null {
			return fmt.Errorf("%s has no %s, the key", r.place(row), t.Lookup.Key)
		}
		text := column.FormatText(t.Attributes[at].Type, v)
		key, err := column.ParseText(t.key, text, zone)
		if err != nil {
			return fmt.Errorf("%s: the key %s is no %s, as %s is: %w", r.place(row), quote(text), t.key, t.Lookup.On[0], err)
		}
		if first, again := t.put(key, int32(row)); again {
			return fmt.Errorf("%s: the key %s stands in %s already; a value is described once", r.place(row), quote(text), r.place(int(first)))
		}
	}
	return nil
}

func (t *Table) put(key column.Value, row int32) (first int32, again bool) {
	if t.key.Kind == column.String {
		if first, again = t.texts[key.Str]; !again {
			t.texts[key.Str] = row
		}
		return first, again
	}
	if first, again = t.numbers[key.Int]; !again {
		t.numbers[key.Int] = row
	}
	return first, again
}

// raw is what a file holds, before its rows are filed under their keys.
type raw struct {
	attributes []Attribute
	columns    []*column.Vector
	rows       int
	lines      []int32 // where each row begins; nil: rows have no lines
}

// place names a row for messages.
func (r *raw) place(row int) string {
	if r.lines != nil {
		return fmt.Sprintf("line %d", r.lines[row])
	}
	return fmt.Sprintf("row %d", row+1)
}

// checkNames checks the names of the file's columns.
func checkNames(names []string) error {
	if len(names) == 0 {
		return errors.New("it has no columns")
	}
	if len(names) > MaxAttributes {
		return fmt.Errorf("it has more than %d columns; leave out those that no query needs", MaxAttributes)
	}
	for i, name := range names {
		if !definition.IsAttribute(name) {
			return fmt.Errorf("the column name %s cannot be written in a query; rename it: letters, digits and _, at most 63 in all, not beginning with a digit", quote(name))
		}
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("two columns are named %s", name)
		}
	}
	return nil
}

// budget bounds what a table holds while it is read.
type budget struct{ rows, bytes int }

const cellBytes = 16 // what a value takes, about, besides its text

func (b *budget) row() error {
	if b.rows++; b.rows > MaxRows {
		return fmt.Errorf("it has more than %d rows; leave out those that no event names", MaxRows)
	}
	return nil
}

func (b *budget) cell(text int) error {
	if b.bytes += cellBytes + text; b.bytes > MaxBytes {
		return fmt.Errorf("it takes more than %d MiB of memory; leave out rows and columns that no query needs", MaxBytes>>20)
	}
	return nil
}

// quote shows a value of a file as a short Go string.
func quote(text string) string {
	const most = 60
	if len(text) > most {
		return strconv.Quote(text[:most]) + "..."
	}
	return strconv.Quote(text)
}
