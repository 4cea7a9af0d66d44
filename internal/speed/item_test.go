package speed_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
	"github.com/watershed-data/watershed/internal/speed"
)

// TestLargestItemsFitEveryStore: whatever definition is accepted, and whatever
// events come, an item stays within what a store takes: with the longest texts,
// of the bytes that take most room. The largest states are tested where they are
// made.
func TestLargestItemsFitEveryStore(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(4, 4))
	accepted, refused, largest := 0, 0, 0
	for range 60 {
		def, err := definition.Parse("p.yaml", []byte(greedy(r)))
		if err != nil {
			if !strings.Contains(err.Error(), "an item of view v could have") {
				t.Fatal(err)
			}
			refused++
			continue
		}
		accepted++
		logic, err := rowlogic.New(def)
		if err != nil {
			t.Fatal(err)
		}
		folded, err := speed.NewFolder(def, logic).Fold(context.Background(), "s", fat(r), protocol.Seen{})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range folded.Deltas {
			if d.Key.View != "v" {
				continue
			}
			bytes := len(d.Key.Dims) + 2*len(d.State)
			largest = max(largest, bytes)
			if bytes > definition.MaxItemBytes {
				t.Fatalf("an item has %d bytes, and stores take %d", bytes, definition.MaxItemBytes)
			}
		}
	}
	if accepted < 10 || refused < 10 || largest < definition.MaxItemBytes/2 {
		t.Errorf("%d definitions accepted, %d refused, and the largest item has %d bytes: that shows too little", accepted, refused, largest)
	}
}

// greedy makes a definition with one view that takes much room.
func greedy(r *rand.Rand) string {
	var columns, by, measures []string
	for i := range 1 + r.IntN(32) {
		columns = append(columns, fmt.Sprintf("t%d: {type: string, from: text}", i))
		by = append(by, fmt.Sprint("t", i))
	}
	for i := range 1 + r.IntN(20) {
		measures = append(measures, fmt.Sprintf("m%d: %s", i, []string{
			"min(t0)", "max(t0)", "max(t0)", "distinct(n)", fmt.Sprintf("distinct(n, %d)", 16+r.IntN(4000)), "quantiles(n, 0.01)", "sum(n)", "count(n)",
		}[r.IntN(8)]))
	}
	return fmt.Sprintf(`
pipeline: p
events:
  format: json
  columns: {n: {type: int}, %s}
views:
  v:
    by: [%s]
    every: none
    measures: {%s}
`, strings.Join(columns, ", "), strings.Join(by, ", "), strings.Join(measures, ", "))
}

// fat makes events of one group with the longest text, and one with a text that
// is too long, which must not be in any.
func fat(r *rand.Rand) []protocol.Event {
	longest := strings.Repeat(`\u0000`, definition.MaxText)
	events := make([]protocol.Event, 20)
	for i := range events {
		text := longest
		if i == 7 {
			text += "x"
		}
		n := int64(r.Uint64()) >> r.IntN(63)
		events[i] = protocol.Event{Position: protocol.Position{Seq: fmt.Sprint(i + 1)}, Last: true, Data: fmt.Appendf(nil, `{"n": %d, "text": "%s"}`, n, text)}
	}
	return events
}
