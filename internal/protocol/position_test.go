package protocol_test

import (
	"cmp"
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/protocol"
)

func randomPosition(r *rand.Rand) protocol.Position {
	digits := []int{1, 2, 19, 56, 128}[r.IntN(5)]
	seq := strconv.Itoa(1 + r.IntN(9))
	for len(seq) < digits {
		seq += strconv.Itoa(r.IntN(2) * 9)
	}
	return protocol.Position{Seq: seq, Sub: []int64{0, 1, 9, 10, 4_294_967_295, 9_999_999_999}[r.IntN(6)]}
}

func TestTheByteOrderOfKeysIsTheOrderOfPositions(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	for range 20000 {
		a, b := randomPosition(r), randomPosition(r)
		if got, want := strings.Compare(a.Key(), b.Key()), a.Compare(b); cmp.Compare(got, 0) != want {
			t.Fatalf("%v and %v: keys %d, positions %d", a, b, got, want)
		}
		if back, err := protocol.ParseKey(a.Key()); err != nil || back != a {
			t.Fatalf("%v comes back as %v (%v)", a, back, err)
		}
		text, err := json.Marshal(a)
		var back protocol.Position
		if err != nil || json.Unmarshal(text, &back) != nil || back != a {
			t.Fatalf("%v is written as %s and comes back as %v", a, text, back)
		}
		if !a.After(protocol.Position{}) || a.Key() <= (protocol.Position{}).Key() {
			t.Fatalf("%v is not after the beginning", a)
		}
	}
}

func TestOnlyPositionsParse(t *testing.T) {
	t.Parallel()
	for _, text := range []string{":", "1", "1:", ":1", "01:0", "1:-1", "1a:0", "1:0:0", "-1:0", " 1:0"} {
		if p, err := protocol.ParsePosition(text); err == nil {
			t.Errorf("%q parses as %v", text, p)
		}
	}
	for _, key := range []string{"0", "001", "0011", "0011.", "0021.0000000000", "0011.000000000x", "0010123.0000000000", "abc1.0000000000"} {
		if p, err := protocol.ParseKey(key); err == nil {
			t.Errorf("%q parses as %v", key, p)
		}
	}
}

// Every part of an event counts in its hash, and where a part ends does too.
func TestTheHashTellsEventsApart(t *testing.T) {
	t.Parallel()
	base := func() protocol.Event {
		return protocol.Event{Position: protocol.Position{Seq: "12", Sub: 3}, PartitionKey: "ab", Arrival: 7, Data: []byte("xy")}
	}
	seen := map[uint64]string{}
	add := func(name, shard string, change func(*protocol.Event)) {
		e := base()
		change(&e)
		h := protocol.Hash(shard, &e)
		if other, ok := seen[h]; ok {
			t.Errorf("%s and %s have the same hash", name, other)
		}
		seen[h] = name
	}
	add("the event", "s", func(*protocol.Event) {})
	add("another shard", "t", func(*protocol.Event) {})
	add("another sequence number", "s", func(e *protocol.Event) { e.Position.Seq = "13" })
	add("another sub-sequence number", "s", func(e *protocol.Event) { e.Position.Sub = 4 })
	add("another partition key", "s", func(e *protocol.Event) { e.PartitionKey = "ac" })
	add("another arrival", "s", func(e *protocol.Event) { e.Arrival = 8 })
	add("other bytes", "s", func(e *protocol.Event) { e.Data = []byte("xz") })
	add("no bytes", "s", func(e *protocol.Event) { e.Data = nil })
	add("the key's end moved", "s", func(e *protocol.Event) { e.PartitionKey, e.Data = "abx", []byte("y") })
	add("the shard's end moved", "sa", func(e *protocol.Event) { e.PartitionKey = "b" })
	first, again := base(), base()
	if protocol.Hash("s", &first) != protocol.Hash("s", &again) {
		t.Error("equal events have different hashes")
	}
}

func BenchmarkHash(b *testing.B) {
	e := protocol.Event{Position: protocol.Position{Seq: strings.Repeat("4", 56)}, PartitionKey: "12345", Data: make([]byte, 100)}
	for b.Loop() {
		protocol.Hash("shardId-000000000000", &e)
	}
}

// The position directly before a record lies behind everything that comes before it,
// in Go and as a key in SQL, and says which record it is.
func TestBefore(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ seq, before string }{
		{"1", "0"}, {"9", "8"}, {"10", "9"}, {"100", "99"}, {"1000", "999"}, {"501", "500"},
		{"49590338271490256608559692538361571095921575989136588900", "49590338271490256608559692538361571095921575989136588899"},
	} {
		at := protocol.Before(c.seq)
		if at.Seq != c.before {
			t.Errorf("before %s is %s, want %s", c.seq, at.Seq, c.before)
		}
		if seq, ok := at.Follower(); seq != c.seq || !ok {
			t.Errorf("%s follows the position before %s", seq, c.seq)
		}
		first, earlier := protocol.Position{Seq: c.seq}, protocol.Position{Seq: c.before, Sub: 1_000_000}
		if !first.After(at) || !at.After(earlier) || first.Key() <= at.Key() || at.Key() <= earlier.Key() {
			t.Errorf("%s does not lie between %s and %s", at, earlier, first)
		}
		if back, err := protocol.ParseKey(at.Key()); back != at || err != nil {
			t.Errorf("the key of %s is read as %s: %v", at, back, err)
		}
		if back, err := protocol.ParsePosition(at.String()); back != at || err != nil {
			t.Errorf("%s is read as %s: %v", at, back, err)
		}
	}
	if at := protocol.Before("0"); !at.IsZero() {
		t.Errorf("before the first number of all is %s", at)
	}
	for _, p := range []protocol.Position{{}, {Seq: "5"}, {Seq: "5", Sub: 7}} {
		if seq, ok := p.Follower(); ok {
			t.Errorf("%s follows %q, which is a record's own", seq, p)
		}
	}
}
