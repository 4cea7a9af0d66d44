package archive_test

import (
	"bytes"
	"fmt"
	"math"
	"testing"

	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
)

// What finding duplicates reads of a file: the rows that have an identity, from a
// place and a time on, and of row groups before that nothing.
func TestSightings(t *testing.T) {
	t.Parallel()
	var events []protocol.Event
	for i := range 3000 {
		e := event(1000+i, fmt.Sprint("data ", i))
		e.Arrival = int64(10_000 - i) // backwards, so that place and time are two things
		events = append(events, e)
	}
	batch := rows("a", events...)
	batch.ID = make([]rowlogic.Identity, len(events))
	for i := range batch.ID {
		if i%3 > 0 { // the others take no part
			batch.ID[i] = rowlogic.Identity{Hi: math.MaxUint64 - uint64(i), Lo: uint64(i)}
		}
	}
	var file bytes.Buffer
	if err := archive.Write(&file, &definition.Definition{}, batch); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		since       archive.Since
		first, last int // index of the events wanted; last is not
	}{
		{archive.Since{Arrival: math.MinInt64}, 0, 3000},
		{archive.Since{Position: events[100].Position.Key(), Arrival: math.MinInt64}, 100, 3000},
		{archive.Since{Arrival: 10_000 - 200}, 0, 201},
		{archive.Since{Position: events[100].Position.Key(), Arrival: 10_000 - 200}, 100, 201},
		{archive.Since{Arrival: 10_001}, 0, 0},
		{archive.Since{Position: "999", Arrival: math.MinInt64}, 0, 0},
	} {
		i, counted := c.first, &readCounter{Reader: bytes.NewReader(file.Bytes())}
		err := archive.Sightings(counted, int64(file.Len()), c.since, func(row *archive.Sighting) error {
			for batch.ID[i].IsZero() {
				i++
			}
			if e := events[i]; string(row.Shard) != "a" || string(row.Position) != e.Position.Key() || row.Arrival != e.Arrival || row.ID != batch.ID[i] {
				return fmt.Errorf("row %d is %s, %d, %v", i, row.Position, row.Arrival, row.ID)
			}
			i++
			return nil
		})
		for i < c.last && batch.ID[i].IsZero() {
			i++
		}
		if err != nil || i != c.last {
			t.Errorf("%+v: from %d to %d, want to %d; %v", c.since, c.first, i, c.last, err)
		}
		if c.last == 0 && counted.bytes > file.Len()/2 {
			t.Errorf("%+v: %d of %d bytes were read for nothing", c.since, counted.bytes, file.Len())
		}
	}
}
