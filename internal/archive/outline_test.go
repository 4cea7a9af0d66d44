package archive_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
)

// TestOutline: an incremental run chooses files by it. With a last position that
// is too small, rows would be left out of every version until the next full run.
func TestOutline(t *testing.T) {
	t.Parallel()
	row := func(seq string, sub, arrival int64) *rowlogic.Batch {
		e := protocol.Event{Position: protocol.Position{Seq: seq, Sub: sub}, Arrival: arrival, Data: []byte("{}")}
		return &rowlogic.Batch{
			Shard: "s", Events: []protocol.Event{e}, Outcome: []rowlogic.Outcome{rowlogic.Accepted},
			Reason: []string{""}, Detail: []string{""}, Hash: []uint64{1},
		}
	}
	long := strings.Repeat("4", 56) // as long as Kinesis's
	var rows []*rowlogic.Batch
	for i, arrival := range []int64{70, -3, 50} {
		rows = append(rows, row(long[:55]+fmt.Sprint(7-i), int64(i), arrival))
	}
	var b bytes.Buffer
	if err := archive.Write(&b, &definition.Definition{}, rows...); err != nil {
		t.Fatal(err)
	}
	got, err := archive.Outline(bytes.NewReader(b.Bytes()), int64(b.Len()))
	want := []protocol.Stretch{{First: rows[2].Events[0].Position.Key(), Last: rows[0].Events[0].Position.Key(), Earliest: -3, Rows: 3}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("the file says %v, %v; want %v", got, err, want)
	}
	if _, err := archive.Outline(strings.NewReader("PAR1"), 4); err == nil {
		t.Error("a damaged file has an outline")
	}
}
