package speed

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
)

// sighted is one event as a dedup set sees it; id 0 is none.
type sighted struct {
	id      int
	arrival int64
}

func identity(n int) rowlogic.Identity {
	if n == 0 {
		return rowlogic.Identity{}
	}
	r := rand.New(rand.NewPCG(uint64(n), 1))
	return rowlogic.Identity{Hi: r.Uint64(), Lo: r.Uint64()}
}

func at(n int) protocol.Position { return protocol.Position{Seq: fmt.Sprint(1000 + n)} }

// batch makes rows of events, the first of which is the n-th of its log.
func batch(n int, events []sighted) *rowlogic.Batch {
	b := &rowlogic.Batch{
		Shard: "s", Events: make([]protocol.Event, len(events)), ID: make([]rowlogic.Identity, len(events)),
		Outcome: make([]rowlogic.Outcome, len(events)), Reason: make([]string, len(events)), Detail: make([]string, len(events)),
	}
	for i, e := range events {
		b.Events[i] = protocol.Event{Position: at(n + i), Arrival: e.arrival}
		b.ID[i], b.Outcome[i] = identity(e.id), rowlogic.Accepted
	}
	return b
}

func (e sighted) String() string { return fmt.Sprintf("%d@%d", e.id, e.arrival) }

// The rule, by hand: the window is 10.
func TestDuplicates(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		events []sighted
		want   []bool // duplicates
	}{
		{"within the window", []sighted{{1, 100}, {1, 110}}, []bool{false, true}},
		{"just outside of it", []sighted{{1, 100}, {1, 111}}, []bool{false, false}},
		{"counted from the last one, a duplicate too", []sighted{{1, 100}, {1, 108}, {1, 116}, {1, 127}}, []bool{false, true, true, false}},
		{"other ids do not matter", []sighted{{1, 100}, {2, 101}, {1, 102}}, []bool{false, false, true}},
		{"no id, no duplicate", []sighted{{0, 100}, {0, 100}}, []bool{false, false}},
		{"the log orders, not the arrivals", []sighted{{1, 100}, {1, 95}, {1, 106}}, []bool{false, true, false}},
		{"far backwards", []sighted{{1, 100}, {1, 5}}, []bool{false, true}},
	} {
		for split := range c.events { // in one batch, and in two
			s, err := newSeen("s", protocol.Position{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			var got []bool
			for _, part := range [][]sighted{c.events[:split], c.events[split:]} {
				if len(part) == 0 {
					continue
				}
				rows := batch(len(got), part)
				s.add(rows, 10, protocol.SegmentBytes)
				for _, o := range rows.Outcome {
					got = append(got, o == rowlogic.Duplicate)
				}
				if !s.at(s.through) {
					t.Fatal("a set is not where it is")
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s: %v in parts of %d has the duplicates %v, want %v", c.name, c.events, split, got, c.want)
			}
		}
	}
}

// history is a shard's log, cut into batches, with arrivals that go backwards
// within the slack, and the rule applied to it at once.
type history struct {
	batches [][]sighted
	want    [][]bool
}

const (
	testWithin = 20
	testSlack  = 30
	testKeep   = testWithin + testSlack
)

func newHistory(r *rand.Rand) history {
	var h history
	now := int64(1000)
	last := map[int]int64{}
	for range 40 {
		var events []sighted
		var duplicates []bool
		for range 1 + r.IntN(30) {
			now += int64(r.IntN(4))
			e := sighted{id: r.IntN(25), arrival: now - int64(r.IntN(2)*r.IntN(testSlack+1))}
			before, seen := last[e.id]
			last[e.id] = e.arrival
			events = append(events, e)
			duplicates = append(duplicates, e.id != 0 && seen && e.arrival-before <= testWithin)
		}
		h.batches = append(h.batches, events)
		h.want = append(h.want, duplicates)
	}
	return h
}

// store keeps segments as a store does.
type store map[protocol.SegmentID]protocol.Segment

func (s store) upTo(through protocol.Position) []protocol.Segment {
	all := slices.SortedFunc(maps.Values(s), func(a, b protocol.Segment) int {
		if c := a.Through.Compare(b.Through); c != 0 {
			return c
		}
		return a.Part - b.Part
	})
	return slices.DeleteFunc(all, func(seg protocol.Segment) bool { return seg.Through.After(through) })
}

// Law: a set that goes from batch to batch, one that is loaded anew from what
// eviction has left, and one that takes batches back find the same duplicates and
// make the same segments; and a loaded one lets all expire that has. Without it,
// a retry by another process counts other events.
func TestCachedLoadedAndRetriedAreTheSame(t *testing.T) {
	t.Parallel()
	evicted, split := 0, 0
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		h, kept := newHistory(r), store{}
		most := 40 + r.IntN(400) // bytes of a part
		cached, err := newSeen("s", protocol.Position{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var maxArrival int64
		n := 0
		for i, events := range h.batches {
			before := cached.through
			fold := func(s *seen) (any, []protocol.Segment, []protocol.Segment) {
				s.expire(maxArrival, testKeep)
				rows := batch(n, events)
				parts := s.add(rows, testWithin, most)
				return rows.Outcome, parts, slices.Clone(s.expired)
			}
			loaded, err := newSeen("s", before, kept.upTo(before))
			if err != nil {
				t.Fatal(err)
			}
			outcomes, parts, expired := fold(loaded)
			for _, what := range []string{"goes on", "is taken back", "is taken back again"} {
				if !cached.at(before) {
					t.Fatalf("seed %d: the set cannot go back to where its last batch began", seed)
				}
				o, p, e := fold(cached)
				if !reflect.DeepEqual(o, outcomes) || !reflect.DeepEqual(p, parts) || !endsWith(expired, e) {
					t.Fatalf("seed %d, batch %d: a set that %s gives\n%v %v %v, a loaded one\n%v %v %v", seed, i, what, o, p, e, outcomes, parts, expired)
				}
			}
			for k, o := range outcomes.([]rowlogic.Outcome) {
				if (o == rowlogic.Duplicate) != h.want[i][k] {
					t.Fatalf("seed %d, batch %d: event %v is %s", seed, i, events[k], o)
				}
			}
			for k, p := range parts {
				if len(p.Data) > most || p.Part != k || p.Through != at(n+len(events)-1) || p.Shard != "s" {
					t.Fatalf("seed %d: segment %+v has %d bytes, of %d at most", seed, p.SegmentID, len(p.Data), most)
				}
				kept[p.SegmentID] = p
			}
			split += max(0, len(parts)-1)
			if r.IntN(3) > 0 { // eviction may be late
				for _, seg := range expired {
					delete(kept, seg.SegmentID)
					evicted++
				}
			}
			for _, e := range events {
				maxArrival = max(maxArrival, e.arrival)
			}
			n += len(events)
		}
		if got := len(cached.table.slots); got > 4*25*2+minSlots {
			t.Errorf("seed %d: a set of 25 identities has grown to %d slots", seed, got)
		}
	}
	if evicted < 500 || split < 500 {
		t.Errorf("the histories show too little: %d segments evicted, %d split", evicted, split)
	}
}

func endsWith(all, end []protocol.Segment) bool {
	same := func(a, b protocol.Segment) bool { return a.SegmentID == b.SegmentID && a.MaxArrival == b.MaxArrival }
	return len(end) <= len(all) && slices.EqualFunc(all[len(all)-len(end):], end, same)
}

// What the store holds must fit an item of it, however large a batch is.
func TestSegmentsAreSplitAtTheStoresItemSize(t *testing.T) {
	t.Parallel()
	events := make([]sighted, 50_000)
	for i := range events {
		events[i] = sighted{id: 1 + i, arrival: int64(i%7) * 1e12}
	}
	s, err := newSeen("s", protocol.Position{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	parts := s.add(batch(0, events), 1, protocol.SegmentBytes)
	if len(parts) < 4 {
		t.Errorf("50,000 events make %d parts", len(parts))
	}
	for _, p := range parts {
		if len(p.Data) > protocol.SegmentBytes {
			t.Errorf("part %d has %d bytes", p.Part, len(p.Data))
		}
	}
	again, err := newSeen("s", at(len(events)-1), parts)
	if err != nil {
		t.Fatal(err)
	}
	rows := batch(len(events), events)
	again.add(rows, 0, protocol.SegmentBytes)
	if i := slices.IndexFunc(rows.Outcome, func(o rowlogic.Outcome) bool { return o != rowlogic.Duplicate }); i >= 0 {
		t.Errorf("event %d is not found in the parts that hold it", i)
	}
}

func TestDamagedSegmentsAreErrors(t *testing.T) {
	t.Parallel()
	s, err := newSeen("s", protocol.Position{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	good := s.add(batch(0, []sighted{{1, 5}, {2, 1e15}}), 1, protocol.SegmentBytes)[0]
	for n := range good.Data {
		if n == 1 || n == 1+identityBytes+1 { // whole entries are left
			continue
		}
		bad := good
		bad.Data = good.Data[:n]
		if _, err := newSeen("s", at(1), []protocol.Segment{bad}); err == nil {
			t.Errorf("a segment cut to %d bytes was read", n)
		}
	}
	bad := good
	bad.Data = slices.Clone(good.Data)
	bad.Data[0]++
	if _, err := newSeen("s", at(1), []protocol.Segment{bad}); err == nil {
		t.Error("a segment of a newer format was read")
	}
}

// A late invocation must not take the place of a live one, sets are of one owner
// at a time, and those of shards where nothing happens any more go.
func TestCache(t *testing.T) {
	t.Parallel()
	var c cache
	set := func(shard string, n int, arrival int64) *seen {
		s, err := newSeen(shard, at(n-1), nil)
		if err != nil {
			t.Fatal(err)
		}
		s.add(batch(n, []sighted{{1, arrival}}), 1, protocol.SegmentBytes)
		return s
	}
	live := set("s", 10, 100)
	c.put(live, 50)
	c.put(set("s", 5, 90), 50)
	if got := c.take("s", at(5)); got != nil {
		t.Error("the set of a late invocation is kept")
	}
	if got := c.take("s", at(10)); got != live {
		t.Error("the set of the live invocation is gone")
	}
	if got := c.take("s", at(10)); got != nil {
		t.Error("one set has two owners")
	}
	c.put(live, 50)
	if got := c.take("s", at(9)); got != nil {
		t.Error("a batch is taken back that was committed")
	}
	pending := set("s", 11, 100)
	c.put(pending, 50)
	if got := c.take("s", at(10)); got != pending || got.through != at(10) {
		t.Error("a batch that was not committed cannot be done again")
	}
	c.put(pending, 50)
	c.put(set("t", 1, 151), 50)
	if len(c.sets) != 1 {
		t.Errorf("%d sets are kept, one of them of a shard that has been idle", len(c.sets))
	}
	for i := range maxSets + 10 {
		c.put(set(fmt.Sprint(i), 1, 151), 50)
	}
	if len(c.sets) != maxSets || c.sets["t"] != nil || c.sets["s"] != nil {
		t.Errorf("%d sets are kept", len(c.sets))
	}
}
