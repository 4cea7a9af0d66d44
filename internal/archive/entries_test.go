package archive_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/protocol"
)

// readCounter counts what is read of a file.
type readCounter struct {
	*bytes.Reader
	bytes int
}

func (r *readCounter) ReadAt(p []byte, at int64) (int, error) {
	n, err := r.Reader.ReadAt(p, at)
	r.bytes += n
	return n, err
}

// TestEntriesGiveEachRowOfTheSpan: what the double entry compares row by row.
func TestEntriesGiveEachRowOfTheSpan(t *testing.T) {
	t.Parallel()
	var events []protocol.Event
	for i := range 5000 {
		events = append(events, event(1000+i, fmt.Sprint("data ", i)))
	}
	var file bytes.Buffer
	if err := archive.Write(&file, &definition.Definition{}, rows("a", events...), rows("b", events[:7]...)); err != nil {
		t.Fatal(err)
	}
	at := func(i int) protocol.Position { return events[i].Position }
	for _, c := range []struct {
		shard       string
		span        protocol.Span
		first, last int // index of the events wanted; last is not
	}{
		{"a", protocol.Span{Through: at(4999)}, 0, 5000},
		{"a", protocol.Span{After: at(2), Through: at(4)}, 3, 5},
		{"b", protocol.Span{Through: at(4999)}, 0, 7},
		{"c", protocol.Span{Through: at(4999)}, 0, 0},
		{"a", protocol.Span{After: at(4999), Through: protocol.Position{Seq: "99999"}}, 0, 0},
		{"a", protocol.Span{Through: protocol.Position{Seq: "7"}}, 0, 0},
	} {
		i := c.first
		err := archive.Entries(bytes.NewReader(file.Bytes()), int64(file.Len()), c.shard, c.span, func(key []byte, hash uint64) error {
			if i >= c.last {
				return fmt.Errorf("%s is one too many", key)
			}
			if e := events[i]; string(key) != e.Position.Key() || hash != protocol.Hash(c.shard, &e) {
				return fmt.Errorf("row %d is %s with hash %d", i, key, hash)
			}
			i++
			return nil
		})
		if err != nil || i != c.last {
			t.Errorf("%s in %s: %d entries, want %d; %v", c.shard, c.span, i-c.first, c.last-c.first, err)
		}
	}
	elsewhere := &readCounter{Reader: bytes.NewReader(file.Bytes())}
	all := &readCounter{Reader: bytes.NewReader(file.Bytes())}
	none := func([]byte, uint64) error { return nil }
	if err := archive.Entries(elsewhere, int64(file.Len()), "a", protocol.Span{After: at(4999), Through: protocol.Position{Seq: "99999"}}, none); err != nil {
		t.Fatal(err)
	}
	if err := archive.Entries(all, int64(file.Len()), "a", protocol.Span{Through: at(4999)}, none); err != nil {
		t.Fatal(err)
	}
	if elsewhere.bytes >= all.bytes {
		t.Errorf("%d bytes are read of a file without any row of the span, %d of one that is all in it", elsewhere.bytes, all.bytes)
	}
	enough := errors.New("enough")
	if err := archive.Entries(bytes.NewReader(file.Bytes()), int64(file.Len()), "a", protocol.Span{Through: at(1)}, func([]byte, uint64) error { return enough }); err != enough {
		t.Errorf("the callback's error came back as %v", err)
	}
}
