package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"unicode/utf8"
)

// What a stream takes.
const (
	maxEvent     = 1 << 20 // bytes of an event and its partition key
	maxKeyLength = 256     // code points of a partition key
)

// input is one file of events.
type input struct {
	index    int // in the command line
	name     string
	standard bool   // standard input
	size     int64  // bytes; -1: unknown
	form     string // ndjson, csv or tsv
	zipped   bool
	content  io.Writer // gets the bytes as they are read, unzipped; nil: nobody does
}

// event is one event on its way.
type event struct {
	data []byte
	key  string
	file int // index of the input
	name string
	from int // the lines it stands on, and the blank ones before it
	to   int
}

// reader reads the events of one input.
type reader struct {
	notes []string // what the user should know before they are sent
	blank int      // blank lines so far
	next  func() (*event, error)
	close func()
}

// oversizedError is an event that no stream takes.
type oversizedError struct {
	place string
	size  int // bytes; of a line at least
}

func (e *oversizedError) Error() string {
	return fmt.Sprintf("%s: the event is larger than 1 MiB with its partition key, which no stream takes; make it smaller, or leave it out with --skip-oversized", e.place)
}

// open opens the input. Bytes that are read from it count as progress.
func (in *input) open(stdin io.Reader, p *pipeline, keyColumn string, done *progress) (*reader, error) {
	var raw io.Reader = stdin
	closing := func() {}
	if !in.standard {
		f, err := os.Open(in.name)
		if err != nil {
			return nil, fmt.Errorf("reading events: %w", err)
		}
		raw, closing = f, func() { _ = f.Close() }
	}
	raw = io.TeeReader(raw, done)
	buffered := bufio.NewReaderSize(raw, 256<<10)
	if magic, _ := buffered.Peek(2); in.zipped || in.standard && bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		unzipped, err := gzip.NewReader(buffered)
		if err != nil {
			closing()
			return nil, fmt.Errorf("reading %s: %w", in.name, err)
		}
		buffered = bufio.NewReaderSize(unzipped, 256<<10)
	}
	if in.content != nil {
		buffered = bufio.NewReaderSize(io.TeeReader(buffered, in.content), 256<<10)
	}
	var r *reader
	var err error
	if err = in.settle(p); err != nil {
		closing()
		return nil, err
	}
	if in.form == "ndjson" {
		r, err = newLineReader(in, buffered, p.path(keyColumn))
	} else {
		r, err = newTableReader(in, buffered, p, keyColumn)
	}
	if err != nil {
		closing()
		return nil, err
	}
	r.close = closing
	return r, nil
}

// settle decides what standard input holds if nobody says it: what the pipeline
// takes. JSON cannot become an event of csv or tsv.
func (in *input) settle(p *pipeline) error {
	separated := p.Format == "csv" || p.Format == "tsv"
	switch {
	case in.form == "" && separated:
		in.form = p.Format
	case in.form == "":
		in.form = "ndjson"
	case in.form == "ndjson" && separated:
		return fmt.Errorf("reading %s: it holds JSON, and the events of pipeline %s are %s; send a CSV or TSV file whose first line names the fields", in.name, p.Name, p.Format)
	}
	return nil
}

func (in *input) place(line int) string { return in.name + ":" + strconv.Itoa(line) }

// newLineReader reads one event a line. keyPath is where the partition key lies
// in an event; nil: it is random.
func newLineReader(in *input, from *bufio.Reader, keyPath []string) (*reader, error) {
	if err := in.checkLines(from); err != nil {
		return nil, err
	}
	r := &reader{}
	line, first := 0, 1
	r.next = func() (*event, error) {
		for {
			line++
			data, size, err := readLine(from)
			if err != nil {
				if !errors.Is(err, io.EOF) {
					err = fmt.Errorf("reading %s: %w", in.place(line), err)
				}
				return nil, err
			}
			if size == 0 {
				r.blank++
				continue
			}
			e := &event{data: data, file: in.index, name: in.name, from: first, to: line}
			first = line + 1
			if size <= maxEvent {
				e.key = keyIn(data, keyPath)
			}
			if size+len(e.key) > maxEvent {
				return nil, &oversizedError{in.place(line), size}
			}
			return e, nil
		}
	}
	return r, nil
}

// readLine reads one line without its end. What is beyond the largest event is
// counted and not kept.
func readLine(from *bufio.Reader) (line []byte, size int, err error) {
	const room = maxEvent + 2 // a line end may follow the largest event
	for {
		part, err := from.ReadSlice('\n')
		size += len(part)
		if len(line) < room {
			line = append(line, part[:min(len(part), room-len(line))]...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && size > 0: // the last line, without an end
			return line, size, nil
		case err != nil:
			return nil, 0, err
		}
		size--
		if size < room {
			line = line[:size]
			if size > 0 && line[size-1] == '\r' {
				line, size = line[:size-1], size-1
			}
		}
		return line, size, nil
	}
}

// checkLines refuses JSON that is not one event a line before its pieces are
// sent as events.
func (in *input) checkLines(from *bufio.Reader) error {
	head, err := from.Peek(4096)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading %s: %w", in.name, err)
	}
	if mark := []byte("\ufeff"); bytes.HasPrefix(head, mark) {
		_, _ = from.Discard(len(mark))
		head = head[len(mark):]
	}
	head = bytes.TrimLeft(head, " \t\r\n")
	line, _, more := bytes.Cut(head, []byte("\n"))
	line = bytes.TrimRight(line, " \t\r")
	switch {
	case bytes.HasPrefix(head, []byte("[")):
		return fmt.Errorf("%s holds a JSON array, not one event a line; take it apart with `jq -c '.[]' FILE | watershed send -`", in.name)
	case more && string(line) == "{":
		return fmt.Errorf("an event of %s spans several lines; write one event a line with `jq -c . FILE | watershed send -`", in.name)
	}
	return nil
}

// keyIn gives the partition key of a JSON event: the text of the value at the
// path. An event without one, and one that is no JSON, gets a random key.
func keyIn(data []byte, path []string) string {
	if path == nil {
		return randomKey()
	}
	for _, name := range path {
		var object map[string]json.RawMessage
		if json.Unmarshal(data, &object) != nil {
			return randomKey()
		}
		data = object[name]
	}
	text := string(data)
	if len(data) > 0 && data[0] == '"' && json.Unmarshal(data, &text) != nil {
		return randomKey()
	}
	if text == "null" {
		return randomKey()
	}
	return keyOf(text)
}

// keyOf makes a value a partition key. Equal values have equal keys.
func keyOf(text string) string {
	if text == "" {
		return randomKey()
	}
	if len(text) <= maxKeyLength || utf8.RuneCountInString(text) <= maxKeyLength {
		return text
	}
	return string([]rune(text)[:maxKeyLength])
}

// randomKey spreads events over the shards evenly.
func randomKey() string { return strconv.FormatUint(rand.Uint64(), 36) }
