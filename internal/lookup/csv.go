package lookup

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/watershed-data/watershed/internal/column"
)

// readCSV reads CSV whose first record names the columns.
func readCSV(content []byte) (*raw, error) {
	table := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(content, []byte("\ufeff"))))
	table.ReuseRecord = true
	header, err := table.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("it is empty; its first line must name the columns")
	}
	if err != nil {
		return nil, csvError(err)
	}
	header = slices.Clone(header)
	if err := checkNames(header); err != nil {
		return nil, fmt.Errorf("line 1: %w", err)
	}
	r := &raw{lines: []int32{}}
	texts := column.Type{Kind: column.String}
	for _, name := range header {
		r.attributes = append(r.attributes, Attribute{name, texts})
		r.columns = append(r.columns, &column.Vector{Type: texts})
	}
	var held budget
	for {
		record, err := table.Read()
		if errors.Is(err, io.EOF) {
			return r, nil
		}
		if err != nil {
			return nil, csvError(err)
		}
		line, _ := table.FieldPos(0)
		if err := r.record(&held, line, record); err != nil {
			return nil, err
		}
	}
}

// record adds a row of texts; an empty one is null.
func (r *raw) record(held *budget, line int, record []string) error {
	if err := held.row(); err != nil {
		return err
	}
	r.rows++
	r.lines = append(r.lines, int32(line))
	for i, text := range record {
		if !utf8.ValidString(text) {
			return fmt.Errorf("line %d: %s is not UTF-8", line, r.attributes[i].Name)
		}
		if err := held.cell(len(text)); err != nil {
			return err
		}
		v := r.columns[i]
		v.Nulls, v.Str = append(v.Nulls, text == ""), append(v.Str, text)
	}
	return nil
}

// csvError names the line of what is wrong.
func csvError(err error) error {
	var parse *csv.ParseError
	switch {
	case !errors.As(err, &parse):
		return err
	case errors.Is(err, csv.ErrFieldCount):
		return fmt.Errorf("line %d: the record does not have as many fields as the first line", parse.Line)
	}
	return fmt.Errorf("line %d, column %d: %w", parse.Line, parse.Column, parse.Err)
}
