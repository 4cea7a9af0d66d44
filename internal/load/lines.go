package load

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Lines reads one event a line. Blank lines are no events, and a byte order mark
// at the beginning is none of the first one's. It implements Events.
type Lines struct {
	from *bufio.Reader
	line int64
}

// NewLines reads lines from r, to its end.
func NewLines(r io.Reader) *Lines { return &Lines{from: bufio.NewReaderSize(r, 256<<10)} }

// Next implements Events.
func (l *Lines) Next() (Event, error) {
	for {
		data, err := l.read()
		if err != nil {
			return Event{}, err
		}
		if len(data) > MaxEvent {
			return Event{}, &OversizedError{Line: l.line}
		}
		if len(data) > 0 {
			return Event{Line: l.line, Data: data}, nil
		}
	}
}

// read reads a line without its end. Of one that is too long it keeps too much
// for an event, and not all.
func (l *Lines) read() ([]byte, error) {
	l.line++
	var line []byte
	for {
		part, err := l.from.ReadSlice('\n')
		const room = MaxEvent + len("\ufeff\r\n")
		line = append(line, part[:min(len(part), room+1-len(line))]...)
		if err == nil || errors.Is(err, io.EOF) && len(line) > 0 {
			break
		}
		if errors.Is(err, io.EOF) {
			return nil, io.EOF
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, fmt.Errorf("%w in line %d: %w", ErrBroken, l.line, err)
		}
	}
	if l.line == 1 {
		line = bytes.TrimPrefix(line, []byte("\ufeff"))
	}
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r")), nil
}
