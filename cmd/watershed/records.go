package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/watershed-data/watershed/internal/delimited"
)

// maxRecord is the most bytes that a record of a table may have: quotes, and
// fields that are written shorter elsewhere, may make it larger than its event.
const maxRecord = 4 * maxEvent

// records reads the records of a CSV or TSV file one by one, as strictly as a
// pipeline reads events of these formats. Blank lines are no records.
type records struct {
	in       *input
	from     *bufio.Reader
	splitter delimited.Splitter
	fields   []delimited.Field // as many as the header has
	first    int               // line on which the last record begins, from 1
	line     int               // line on which it ends
	blank    int               // blank lines so far
	kept     []byte            // the record as far as it is kept
	size     int               // bytes of the whole record
	open     bool              // a quoted field goes on behind the line
}

// newRecords reads the first record, which names the fields.
func newRecords(in *input, from *bufio.Reader) (r *records, header []string, err error) {
	format, _ := delimited.ParseFormat(in.form)
	r = &records{in: in, from: from, splitter: delimited.Splitter{Format: format}}
	if mark, _ := from.Peek(3); string(mark) == "\ufeff" {
		_, _ = from.Discard(3)
	}
	switch err := r.read(); {
	case errors.Is(err, io.EOF):
		return nil, nil, fmt.Errorf("%s is empty; its first line must name the fields", in.name)
	case err != nil:
		return nil, nil, err
	case r.size > maxRecord:
		return nil, nil, fmt.Errorf("%s: the first line, which must name the fields, is larger than %d MiB", in.place(r.first), maxRecord>>20)
	}
	n, err := r.splitter.Split(r.kept, nil)
	if err != nil {
		return nil, nil, r.broken(err)
	}
	r.fields = make([]delimited.Field, n)
	header, err = r.texts()
	return r, header, err
}

// next gives the texts of the next record's fields, and io.EOF behind the last
// one. A record that is too large is an *oversizedError.
func (r *records) next() ([]string, error) {
	if err := r.read(); err != nil {
		return nil, err
	}
	if r.size > maxRecord {
		var syntax *delimited.SyntaxError
		if _, err := r.splitter.Split(r.kept, nil); errors.As(err, &syntax) && !syntax.Open {
			return nil, r.broken(err) // a stray quote has swallowed what follows
		}
		return nil, &oversizedError{r.in.place(r.first), r.size}
	}
	return r.texts()
}

// texts takes the record apart.
func (r *records) texts() ([]string, error) {
	n, err := r.splitter.Split(r.kept, r.fields)
	if err != nil {
		return nil, r.broken(err)
	}
	if n != len(r.fields) {
		return nil, fmt.Errorf("%s: the record does not have as many fields as the first line: %d, and not %d", r.in.place(r.first), n, len(r.fields))
	}
	texts := make([]string, n)
	for i, f := range r.fields {
		texts[i] = string(f.Text)
	}
	return texts, nil
}

// broken says where a record breaks the rules of its format.
func (r *records) broken(err error) error {
	var syntax *delimited.SyntaxError
	if !errors.As(err, &syntax) {
		return fmt.Errorf("reading %s: %w", r.in.place(r.first), err)
	}
	before := r.kept[:syntax.Offset]
	line := r.first + bytes.Count(before, []byte("\n"))
	column := len(before) - bytes.LastIndexByte(before, '\n')
	return fmt.Errorf("%s:%d: this is no %s: here %s", r.in.place(line), column, r.splitter.Format, syntax.Problem)
}

// read reads the lines of one record.
func (r *records) read() error {
	for {
		r.kept, r.size, r.open, r.first = r.kept[:0], 0, false, r.line+1
		for r.size == 0 || r.open {
			err := r.readLine()
			if r.open && errors.Is(err, io.EOF) {
				_, err = r.splitter.Split(r.kept, nil)
				return r.broken(err)
			}
			if err != nil {
				return err
			}
		}
		if len(bytes.TrimRight(r.kept, "\r\n")) > 0 {
			return nil
		}
		r.blank++
	}
}

// readLine reads one line. What is beyond maxRecord is counted and not kept, so
// that a quote which is never closed takes no memory.
func (r *records) readLine() error {
	for before := r.size; ; {
		part, err := r.from.ReadSlice('\n')
		r.size += len(part)
		r.kept = append(r.kept, part[:min(len(part), max(0, maxRecord-len(r.kept)))]...)
		if r.splitter.Format == delimited.CSV && bytes.Count(part, []byte{'"'})%2 == 1 {
			r.open = !r.open
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && r.size == before:
			return io.EOF
		case err != nil && !errors.Is(err, io.EOF):
			return fmt.Errorf("reading %s: %w", r.in.place(r.line+1), err)
		}
		r.line++
		return nil
	}
}
