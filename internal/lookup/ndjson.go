package lookup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/watershed-data/watershed/internal/column"
)

// readNDJSON reads one flat object a line. An attribute has the type that fits
// all its values.
func readNDJSON(content []byte) (*raw, error) {
	f := &jsonFile{index: map[string]int{}, lines: []int32{}}
	for n := 1; len(content) > 0; n++ {
		var line []byte
		line, content, _ = bytes.Cut(content, []byte("\n"))
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if err := f.object(n, line); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	names := make([]string, len(f.attributes))
	for i, a := range f.attributes {
		names[i] = a.name
	}
	if err := checkNames(names); err != nil {
		return nil, err
	}
	return f.typed()
}

// jsonFile is a file's values as they stand, and what is known of their types.
type jsonFile struct {
	attributes []*jsonAttribute
	index      map[string]int
	lines      []int32 // of the rows
	held       budget
}

// jsonAttribute is an attribute whose type is not settled yet.
type jsonAttribute struct {
	name    string
	kind    column.Kind // String, Bool, or of numbers Int, then Decimal; 0: only nulls so far
	line    int         // where the kind was seen first
	whole   int         // the most digits before the point
	scale   int         // the most digits after it
	values  []string    // by row; numbers as they are written
	present []bool
}

func (f *jsonFile) object(line int, text []byte) error {
	if !utf8.Valid(text) {
		return errors.New("it is not UTF-8")
	}
	if err := f.held.row(); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	open, err := d.Token()
	if err != nil || open != json.Delim('{') {
		return errors.New("it is no JSON object")
	}
	row := len(f.lines)
	f.lines = append(f.lines, int32(line))
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return fmt.Errorf("it is no JSON object: %w", err)
		}
		value, err := d.Token()
		if err != nil {
			return fmt.Errorf("it is no JSON object: %w", err)
		}
		if err := f.set(row, line, name.(string), value); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("it is no JSON object: %w", err)
	}
	if d.InputOffset() < int64(len(text)) {
		return errors.New("something follows the object; write one object a line")
	}
	return nil
}

// set stores a value of a row.
func (f *jsonFile) set(row, line int, name string, value json.Token) error {
	i, known := f.index[name]
	if !known {
		if len(f.attributes) == MaxAttributes {
			return fmt.Errorf("it has more than %d attributes; leave out those that no query needs", MaxAttributes)
		}
		i = len(f.attributes)
		f.index[name] = i
		f.attributes = append(f.attributes, &jsonAttribute{name: name})
	}
	a := f.attributes[i]
	if len(a.values) > row {
		return fmt.Errorf("%s stands twice in one object", quote(name))
	}
	var text string
	kind, err := column.Kind(0), error(nil)
	switch v := value.(type) {
	case nil:
	case string:
		kind, text = column.String, v
	case bool:
		kind, text = column.Bool, strconv.FormatBool(v)
	case json.Number:
		text = v.String()
		kind, err = a.number(text)
	default:
		err = errors.New("it is an object or a list, and attributes are single values")
	}
	if err == nil {
		err = a.settle(kind, line)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", quote(name), err)
	}
	if err := f.held.cell(len(text) + cellBytes); err != nil {
		return err
	}
	a.fill(row)
	a.values, a.present = append(a.values, text), append(a.present, value != nil)
	return nil
}

// fill gives a null to the rows before the given one that say nothing.
func (a *jsonAttribute) fill(row int) {
	for len(a.values) < row {
		a.values, a.present = append(a.values, ""), append(a.present, false)
	}
}

// number tells an int from a decimal, and how many digits it needs.
func (a *jsonAttribute) number(text string) (column.Kind, error) {
	if strings.ContainsAny(text, "eE") {
		return 0, fmt.Errorf("%s has an exponent; write its digits out", quote(text))
	}
	whole, fraction, point := strings.Cut(strings.TrimPrefix(text, "-"), ".")
	a.whole, a.scale = max(a.whole, len(whole)), max(a.scale, len(fraction))
	if point {
		return column.Decimal, nil
	}
	if _, err := strconv.ParseInt(text, 10, 64); err != nil {
		return 0, fmt.Errorf("%s does not fit an int of 64 bits; write it as a text", quote(text))
	}
	return column.Int, nil
}

// settle widens the attribute's kind by one more value.
func (a *jsonAttribute) settle(kind column.Kind, line int) error {
	number := func(k column.Kind) bool { return k == column.Int || k == column.Decimal }
	switch {
	case kind == 0 || kind == a.kind:
	case a.kind == 0:
		a.kind, a.line = kind, line
	case number(kind) && number(a.kind):
		a.kind = column.Decimal
	default:
		return fmt.Errorf("it is of type %s here and of type %s in line %d; give it one type", kind, a.kind, a.line)
	}
	return nil
}

// typed parses the values by the types that were found.
func (f *jsonFile) typed() (*raw, error) {
	r := &raw{rows: len(f.lines), lines: f.lines}
	for _, a := range f.attributes {
		a.fill(r.rows)
		t := column.Type{Kind: a.kind}
		switch {
		case a.kind == 0:
			t.Kind = column.String // nulls only
		case a.kind == column.Decimal:
			if a.whole+a.scale > column.MaxPrecision {
				return nil, fmt.Errorf("the numbers of %s need %d digits before and %d after the point, and a decimal has %d in all; round them, or write them as texts", a.name, a.whole, a.scale, column.MaxPrecision)
			}
			t.Precision, t.Scale = a.whole+a.scale, a.scale
		}
		v := column.NewVector(t, r.rows)
		for row, text := range a.values {
			if !a.present[row] {
				continue
			}
			value, err := column.ParseText(t, text, nil)
			if err != nil {
				return nil, fmt.Errorf("line %d: %s: %w", r.lines[row], a.name, err)
			}
			v.Set(row, value)
		}
		r.attributes, r.columns = append(r.attributes, Attribute{a.name, t}), append(r.columns, v)
	}
	return r, nil
}
