package load_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/load"
)

// all reads events up to the end or an error.
func all(events load.Events) (out []load.Event, err error) {
	for {
		e, err := events.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		out = append(out, e)
	}
}

func frames(t *testing.T, events ...load.Event) []byte {
	t.Helper()
	var b bytes.Buffer
	w := load.NewFrameWriter(&b)
	for _, e := range events {
		if err := w.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestFramesComeBack(t *testing.T) {
	t.Parallel()
	want := []load.Event{{Line: 1, Data: []byte("a\nb\x00")}, {Line: 3, Data: bytes.Repeat([]byte("x"), load.MaxEvent)}, {Line: 1 << 40, Data: []byte{}}}
	text := frames(t, want...)
	got, err := all(load.NewFrameReader(bytes.NewReader(text)))
	if err != nil || len(got) != len(want) {
		t.Fatalf("read %d events, %v", len(got), err)
	}
	for i := range want {
		if got[i].Line != want[i].Line || !bytes.Equal(got[i].Data, want[i].Data) {
			t.Errorf("event %d came back as line %d with %d bytes", i, got[i].Line, len(got[i].Data))
		}
	}
	short := frames(t, want[0], want[2])
	for n := range len(short) {
		if got, err := all(load.NewFrameReader(bytes.NewReader(short[:n]))); !errors.Is(err, load.ErrBroken) {
			t.Errorf("broken off after %d of %d bytes: %d events, %v", n, len(short), len(got), err)
		}
	}
}

func TestFramesThatAreNone(t *testing.T) {
	t.Parallel()
	var oversized *load.OversizedError
	huge := []byte{7, 0x81, 0x80, 0x40} // line 7, 1 MiB and a byte
	if _, err := all(load.NewFrameReader(bytes.NewReader(huge))); !errors.As(err, &oversized) || oversized.Line != 7 {
		t.Errorf("too large an event: %v", err)
	}
	for name, text := range map[string][]byte{
		"lines that do not grow":      {2, 0, 2, 0, 0},
		"a line beyond all":           {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0, 0},
		"something behind their end":  {2, 0, 0, 1},
		"a number that is none":       bytes.Repeat([]byte{0xff}, 20),
		"another format (and no end)": []byte(`{"n":1}`),
	} {
		if got, err := all(load.NewFrameReader(bytes.NewReader(text))); !errors.Is(err, load.ErrBroken) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("x", load.MaxEvent)
	for name, c := range map[string]struct {
		text string
		want []string
		line int64 // of the last event
	}{
		"the last line without an end":     {"a\nb", []string{"a", "b"}, 2},
		"blank lines and carriage returns": {"\r\na\r\n\n\nb\r\n", []string{"a", "b"}, 5},
		"a byte order mark":                {"\ufeffa\n", []string{"a"}, 1},
		"the longest event":                {"\ufeff" + longest + "\r\nb", []string{longest, "b"}, 2},
		"nothing":                          {"", nil, 0},
	} {
		got, err := all(load.NewLines(strings.NewReader(c.text)))
		if err != nil || len(got) != len(c.want) {
			t.Errorf("%s: %d events, %v", name, len(got), err)
			continue
		}
		for i := range got {
			if string(got[i].Data) != c.want[i] {
				t.Errorf("%s: event %d is %.40q", name, i, got[i].Data)
			}
		}
		if n := len(got); n > 0 && got[n-1].Line != c.line {
			t.Errorf("%s: the last event is on line %d, want %d", name, got[n-1].Line, c.line)
		}
	}
	var oversized *load.OversizedError
	for _, text := range []string{"a\n" + longest + "x\n", "a\n" + longest + longest + longest} {
		if _, err := all(load.NewLines(strings.NewReader(text))); !errors.As(err, &oversized) || oversized.Line != 2 {
			t.Errorf("too long a line: %v", err)
		}
	}
	if _, err := all(load.NewLines(io.MultiReader(strings.NewReader("a\nb"), broken{}))); !errors.Is(err, load.ErrBroken) {
		t.Errorf("a sender that leaves: %v", err)
	}
}

// broken is a connection that is cut.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestFlushedFramesAreOnTheirWay: who is slow to produce events is not taken for one
// who has stopped.
func TestFlushedFramesAreOnTheirWay(t *testing.T) {
	t.Parallel()
	var sent bytes.Buffer
	w := load.NewFrameWriter(&sent)
	if err := errors.Join(w.Write(load.Event{Line: 3, Data: []byte("{}")}), w.Flush()); err != nil {
		t.Fatal(err)
	}
	e, err := load.NewFrameReader(&sent).Next()
	if err != nil || e.Line != 3 || string(e.Data) != "{}" {
		t.Errorf("the first event is %+v, %v", e, err)
	}
}
