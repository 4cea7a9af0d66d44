package load

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// MaxEvent is the most bytes that an event of a load may have, as of a stream.
const MaxEvent = 1 << 20

// Event is one event of a load.
type Event struct {
	Line int64 // of the content, from 1; of several, the last one
	Data []byte
}

// Events gives the events of a content one by one, by growing lines, and io.EOF
// behind the last one.
type Events interface {
	Next() (Event, error)
}

// FrameWriter writes events as frames: line and length as varints, then the
// bytes. A frame with line 0 ends them, so that a stream that breaks off is not
// taken for a whole one.
type FrameWriter struct {
	to   *bufio.Writer
	head []byte
}

// NewFrameWriter writes frames to w.
func NewFrameWriter(w io.Writer) *FrameWriter {
	return &FrameWriter{to: bufio.NewWriterSize(w, 256<<10)}
}

// Write adds an event.
func (f *FrameWriter) Write(e Event) error {
	f.head = binary.AppendUvarint(f.head[:0], uint64(e.Line))
	f.head = binary.AppendUvarint(f.head, uint64(len(e.Data)))
	if _, err := f.to.Write(f.head); err != nil {
		return err
	}
	_, err := f.to.Write(e.Data)
	return err
}

// Flush lets those who read see the events that were written.
func (f *FrameWriter) Flush() error { return f.to.Flush() }

// Close ends the frames. The underlying writer stays open.
func (f *FrameWriter) Close() error {
	if err := f.to.WriteByte(0); err != nil {
		return err
	}
	return f.to.Flush()
}

// FrameReader reads what a FrameWriter wrote.
type FrameReader struct {
	from *bufio.Reader
	last int64 // line
	done bool
}

// NewFrameReader reads frames from r, to its end.
func NewFrameReader(r io.Reader) *FrameReader {
	return &FrameReader{from: bufio.NewReaderSize(r, 256<<10)}
}

// Next implements Events. The event's Data is the caller's. What is no frame is an
// ErrBroken.
func (f *FrameReader) Next() (Event, error) {
	if f.done {
		return Event{}, io.EOF
	}
	line, err := binary.ReadUvarint(f.from)
	switch {
	case err != nil:
		return Event{}, f.broken(err)
	case line == 0:
		f.done = true
		if _, err := f.from.ReadByte(); !errors.Is(err, io.EOF) {
			return Event{}, f.broken(errors.Join(errors.New("something follows their end"), err))
		}
		return Event{}, io.EOF
	case line > math.MaxInt64 || int64(line) <= f.last:
		return Event{}, f.broken(fmt.Errorf("line %d follows line %d", line, f.last))
	}
	size, err := binary.ReadUvarint(f.from)
	if err != nil {
		return Event{}, f.broken(err)
	}
	if size > MaxEvent {
		return Event{}, &OversizedError{Line: int64(line)}
	}
	e := Event{Line: int64(line), Data: make([]byte, size)}
	if _, err := io.ReadFull(f.from, e.Data); err != nil {
		return Event{}, f.broken(err)
	}
	f.last = e.Line
	return e, nil
}

func (f *FrameReader) broken(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%w after line %d: %w", ErrBroken, f.last, err)
}

// ErrBroken is a stream of events that broke off or is none.
var ErrBroken = errors.New("the events break off or are damaged")

// OversizedError is an event that is larger than MaxEvent.
type OversizedError struct{ Line int64 }

func (e *OversizedError) Error() string {
	return fmt.Sprintf("line %d: the event is larger than 1 MiB, which is the most that an event may have; nothing was loaded", e.Line)
}
