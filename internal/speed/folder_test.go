package speed_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/measure"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/view"
)

// order is an event as a producer sends it.
func order(n int, key, id, product string, price int, minutes int) protocol.Event {
	return protocol.Event{
		Position: protocol.Position{Seq: fmt.Sprint(100 + n)}, PartitionKey: key, Last: true, Arrival: int64(minutes) * 60_000,
		Data: fmt.Appendf(nil, `{"order_id":%s,"product":%q,"price":%d,"sold_at":0}`, id, product, price),
	}
}

// outcomes reads the built-in view out of what a batch adds.
func outcomes(t *testing.T, folded protocol.Folded) map[string]int64 {
	t.Helper()
	text := column.Type{Kind: column.String}
	out := map[string]int64{}
	for _, d := range folded.Deltas {
		if d.Key.View != definition.OutcomesView {
			continue
		}
		dims, err := view.DecodeDims([]column.Type{text, text}, d.Key.Dims)
		if err != nil {
			t.Fatal(err)
		}
		states, err := measure.Decode(measure.New(definition.Outcomes()), d.State)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimSpace(dims[0].Str+" "+dims[1].Str)] = states[0].N
	}
	return out
}

// A duplicate is counted as one and is in no view, whatever clean would have
// said of it, and whatever clean said of the first one.
func TestOutcomesOfDuplicates(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		events []protocol.Event
		want   map[string]int64
		sales  bool // anything is in the user's views
	}{
		{"a retry", []protocol.Event{order(1, "k", `"a"`, "tea", 1, 0), order(2, "k", `"a"`, "tea", 1, 15)},
			map[string]int64{"accepted": 1, "duplicate": 1}, true},
		{"after the window", []protocol.Event{order(1, "k", `"a"`, "tea", 1, 0), order(2, "k", `"a"`, "tea", 1, 16)},
			map[string]int64{"accepted": 2}, true},
		{"another partition key", []protocol.Event{order(1, "k", `"a"`, "tea", 1, 0), order(2, "l", `"a"`, "tea", 1, 0)},
			map[string]int64{"accepted": 2}, true},
		{"the first was rejected", []protocol.Event{order(1, "k", `"a"`, "tea", -1, 0), order(2, "k", `"a"`, "tea", 1, 0)},
			map[string]int64{"rejected price >= 0": 1, "duplicate": 1}, false},
		{"the first was dropped", []protocol.Event{order(1, "k", `"a"`, "test", 1, 0), order(2, "k", `"a"`, "tea", 1, 0)},
			map[string]int64{"dropped": 1, "duplicate": 1}, false},
		{"the second would be rejected", []protocol.Event{order(1, "k", `"a"`, "tea", 1, 0), order(2, "k", `"a"`, "tea", -1, 0)},
			map[string]int64{"accepted": 1, "duplicate": 1}, true},
		{"no id", []protocol.Event{order(1, "k", `null`, "tea", 1, 0), order(2, "k", `null`, "tea", 1, 0)},
			map[string]int64{"rejected missing order_id": 2}, false},
		{"what does not decode is not the first", []protocol.Event{order(1, "k", `"a","price":1`, "tea", 1, 0), order(2, "k", `"a"`, "tea", 1, 0)},
			map[string]int64{"rejected duplicate name": 1, "accepted": 1}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			folded, err := ordersFolder(t, true).Fold(t.Context(), "s", c.events, seenFrom(nil))
			if err != nil {
				t.Fatal(err)
			}
			if got := outcomes(t, folded); !reflect.DeepEqual(got, c.want) {
				t.Errorf("the outcomes are %v, want %v", got, c.want)
			}
			sales := false
			for _, d := range folded.Deltas {
				sales = sales || d.Key.View != definition.OutcomesView
			}
			if sales != c.sales {
				t.Errorf("something is in the views: %v", sales)
			}
		})
	}
}

// seenFrom gives the empty position with segments to load.
func seenFrom(segments []protocol.Segment) protocol.Seen {
	return protocol.Seen{Load: func(context.Context) ([]protocol.Segment, error) { return segments, nil }}
}

// A set is loaded when a process begins and never while it goes on.
func TestSetsAreLoadedOnce(t *testing.T) {
	t.Parallel()
	folder, loads := ordersFolder(t, true), 0
	var kept []protocol.Segment
	seen := protocol.Seen{Load: func(context.Context) ([]protocol.Segment, error) { loads++; return kept, nil }}
	for n := range 50 {
		e := order(n, "k", fmt.Sprintf("%q", fmt.Sprint(n%5)), "tea", 1, n)
		for range 1 + n%2 { // some batches are done twice
			folded, err := folder.Fold(t.Context(), "s", []protocol.Event{e}, seen)
			if err != nil {
				t.Fatal(err)
			}
			if got := outcomes(t, folded); (got["duplicate"] == 1) != (n >= 5) {
				t.Fatalf("event %d: %v", n, got)
			}
			if len(folded.Segments) != 1 {
				t.Fatalf("event %d makes %d segments", n, len(folded.Segments))
			}
			kept = append(kept[:n], folded.Segments...)
		}
		seen.Through, seen.MaxArrival = e.Position, e.Arrival
	}
	if loads != 1 {
		t.Errorf("the set was loaded %d times", loads)
	}
}

// Without an id nothing is loaded and nothing is kept.
func TestNoIDNoSegments(t *testing.T) {
	t.Parallel()
	e := []protocol.Event{order(1, "k", `"a"`, "tea", 1, 0), order(2, "k", `"a"`, "tea", 1, 0)}
	folded, err := ordersFolder(t, false).Fold(t.Context(), "s", e, protocol.Seen{})
	if err != nil {
		t.Fatal(err)
	}
	if got := outcomes(t, folded); got["accepted"] != 2 || folded.Segments != nil || folded.Expired != nil {
		t.Errorf("outcomes %v, %d segments", got, len(folded.Segments))
	}
}

// The protocol tells by the error that another invocation was faster.
func TestErrorsOfLoadingComeBack(t *testing.T) {
	t.Parallel()
	overtaken := errors.New("overtaken")
	seen := protocol.Seen{Load: func(context.Context) ([]protocol.Segment, error) { return nil, overtaken }}
	if _, err := ordersFolder(t, true).Fold(t.Context(), "s", []protocol.Event{order(1, "k", `"a"`, "tea", 1, 0)}, seen); !errors.Is(err, overtaken) {
		t.Errorf("got %v", err)
	}
}
