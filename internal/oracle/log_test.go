package oracle

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/protocol"
)

const identified = "  id: zipcode\n  dedupe_within: 15m\nclean:\n"

// sale is an event under a partition key, with the text of an id.
func sale(key, id string, minute int64) protocol.Event {
	return protocol.Event{
		PartitionKey: key, Arrival: minute * 60_000,
		Data: fmt.Appendf(nil, `{"zipcode":%s,"item":{"name":"tea"},"price":1,"sold_at":0}`, id),
	}
}

// The rule, by hand, event by event: of one log, or of a parent's and its
// child's.
func TestDuplicatesByHand(t *testing.T) {
	t.Parallel()
	type step struct {
		event protocol.Event
		want  string
	}
	with := func(ev protocol.Event, change func(ev *protocol.Event)) protocol.Event { change(&ev); return ev }
	bytes := func(data string) func(*protocol.Event) {
		return func(ev *protocol.Event) { ev.Data = []byte(data) }
	}
	stray := func(ev *protocol.Event) { ev.Stray = true }
	sentAgain := func(ev *protocol.Event) { ev.Stray, ev.Aggregated = true, true }
	for name, steps := range map[string][]step{
		"the window": {
			{sale("k", `"a"`, 0), "accepted"}, {sale("k", `"a"`, 15), "duplicate"}, {sale("k", `"a"`, 30), "duplicate"},
			{sale("k", `"a"`, 46), "accepted"}, {sale("k", `"a"`, 40), "duplicate"}, {sale("k", `"a"`, 56), "accepted"},
		},
		"what is the same": {
			{sale("k", `"7"`, 0), "accepted"}, {sale("l", `"7"`, 0), "accepted"}, {sale("k", `7`, 1), "duplicate"},
			{sale("k", `7.0`, 1), "accepted"}, {sale("k", `" 7"`, 1), "accepted"}, {sale("k", `"l"`, 1), "accepted"},
		},
		"no id": {{sale("k", `null`, 0), "accepted"}, {sale("k", `null`, 0), "accepted"}, {sale("k", `"00000"`, 0), "accepted"}},
		"clean does not matter": {
			{with(sale("k", `"a"`, 0), bytes(`{"zipcode":"a","item":{"name":"tea"},"price":-1,"sold_at":0}`)), "rejected"},
			{with(sale("k", `"a"`, 0), bytes(`{"zipcode":"a","item":{"name":"test"},"price":1,"sold_at":0}`)), "duplicate"},
			{sale("k", `"a"`, 0), "duplicate"},
		},
		"what does not decode does": {
			{with(sale("k", `"a"`, 0), bytes(`{"zipcode":"a"`)), "rejected"},
			{with(sale("k", `"a"`, 0), bytes(`{"zipcode":"a","price":"dear"}`)), "rejected"},
			{sale("k", `"a"`, 0), "accepted"},
		},
		"strays": {
			{with(sale("k", `"a"`, 0), stray), "accepted"}, {sale("k", `"a"`, 0), "accepted"}, {with(sale("k", `"a"`, 0), stray), "duplicate"},
			{with(sale("k", `"b"`, 0), sentAgain), "rejected"}, {sale("k", `"b"`, 0), "accepted"}, {with(sale("k", `"b"`, 0), sentAgain), "rejected"},
		},
	} {
		for split := range len(steps) {
			if name == "strays" && split > 0 {
				break // a stray of the parent is none of the child's
			}
			o := New(parse(t, strings.Replace(sales, "clean:\n", identified, 1)))
			parent := o.Log("parent")
			child := o.Log("child", parent)
			for i, s := range steps {
				log := parent
				if i >= split {
					log = child
				}
				if got := log.Add(s.event); string(got.Outcome) != s.want {
					t.Errorf("%s: event %d, the first %d in the parent, is %v, want %s", name, i, split, got, s.want)
				}
			}
		}
	}
}

// A stray is the same as another in its shard only.
func TestStraysOfTwoShardsAreTwo(t *testing.T) {
	t.Parallel()
	o := New(parse(t, strings.Replace(sales, "clean:\n", identified, 1)))
	parent := o.Log("parent")
	stray := sale("k", `"a"`, 0)
	stray.Stray = true
	for i, log := range []*Log{parent, o.Log("child", parent)} {
		if got := log.Add(stray); got != accepted {
			t.Errorf("the stray in shard %d is %v", i, got)
		}
	}
}

// Forgetting what is old changes no answer, and memory does not grow with the log:
// in a year of arrivals that jump, and that go back by up to a day.
func TestForgettingChangesNoAnswer(t *testing.T) {
	t.Parallel()
	const within = 15 * 60_000
	r := rand.New(rand.NewPCG(1, 4))
	o := New(parse(t, strings.Replace(sales, "clean:\n", identified, 1)))
	last := map[string]int64{}
	now, most, duplicates := int64(1_700_000_000_000), 0, 0
	var log *Log
	for shard := range 40 { // one descends from the other
		var before []*Log
		if log != nil {
			before = append(log.Before(), log)
		}
		log = o.Log(fmt.Sprint(shard), before...)
		for range 250 {
			now += []int64{1000, 60_000, 3_600_000, 20_000_000}[r.IntN(4)]
			id := fmt.Sprint(r.IntN(30))
			if r.IntN(2) == 0 {
				id = fmt.Sprint(now) // of this event alone
			}
			ev := sale("k", id, 0)
			ev.Arrival = now - []int64{0, 0, 1, r.Int64N(day)}[r.IntN(4)]
			before, seen := last[id]
			last[id] = ev.Arrival
			want := accepted
			if seen && ev.Arrival-before <= within {
				want = duplicate
				duplicates++
			}
			if got := log.Add(ev); got != want {
				t.Fatalf("an event %d after the one before it is %v, want %v", ev.Arrival-before, got, want)
			}
			most = max(most, len(log.recent)+len(log.old))
		}
		if n := len(log.Before()); n > 5 {
			t.Fatalf("the log of shard %d holds on to %d others", shard, n)
		}
	}
	if duplicates < 100 {
		t.Errorf("only %d duplicates", duplicates)
	}
	if most > 200 {
		t.Errorf("%d identities are remembered of 5,000", most)
	}
}
