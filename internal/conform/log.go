package conform

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"testing"

	"github.com/watershed-data/watershed/internal/protocol"
)

// Stream is a log under test with what drives it, which each home does its own
// way.
type Stream interface {
	protocol.Log
	// Put appends one record to an open shard, whatever the hash of its partition
	// keys: a plain one of one event, or a KPL aggregate of one or more. It returns
	// its sequence number when it is durable.
	Put(ctx context.Context, shard string, aggregated bool, events ...protocol.Record) (seq string, err error)
	// Split splits an open shard in the middle of its range.
	Split(ctx context.Context, shard string) error
	// Merge merges two open shards whose ranges are next to each other.
	Merge(ctx context.Context, shard, adjacent string) error
	// Expire lets go of a shard's events up to a position, which was the last one that
	// was read at the tip.
	Expire(ctx context.Context, shard string, through protocol.Position) error
}

// Log tests an implementation of protocol.Log. open gives a new stream of so many
// shards.
func Log(t *testing.T, open func(t *testing.T, shards int) Stream) {
	for name, test := range map[string]func(*testing.T, *stream){
		"shards come parents before children, and the open ones cover every hash": family,
		"what was put comes back in order, in pages of whole records":             pages,
		"reading goes on inside a record":                                         inside,
		"a closed shard ends, an open one does not":                               ends,
		"sequence numbers grow along the lineage":                                 growth,
		"what has expired is an error, never a gap":                               expiry,
		"an event that hashes outside its shard's range is a stray":               strays,
		"a shard that does not exist is an error":                                 missing,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, &stream{Stream: open(t, 2), t: t, ctx: t.Context(), put: map[string][]protocol.Event{}})
		})
	}
}

// stream is a Stream that remembers what was put into it.
type stream struct {
	Stream
	t   *testing.T
	ctx context.Context
	n   int
	put map[string][]protocol.Event // by shard
}

func (s *stream) shards() []protocol.Shard {
	s.t.Helper()
	return must[[]protocol.Shard](s.t)(s.Shards(s.ctx))
}

func (s *stream) open() (ids []string) {
	for _, shard := range s.shards() {
		if !shard.Closed() {
			ids = append(ids, shard.ID)
		}
	}
	return ids
}

func (s *stream) shard(id string) protocol.Shard {
	s.t.Helper()
	all := s.shards()
	i := slices.IndexFunc(all, func(shard protocol.Shard) bool { return shard.ID == id })
	if i < 0 {
		s.t.Fatalf("shard %s is not listed", id)
	}
	return all[i]
}

// record puts an aggregate of n events, or a plain record for 0, and gives where
// it lies.
func (s *stream) record(shard string, n int) string {
	s.t.Helper()
	var records []protocol.Record
	for range max(n, 1) {
		s.n++
		records = append(records, protocol.Record{PartitionKey: fmt.Sprint("key", s.n/2), Data: fmt.Appendf(nil, "event %d", s.n)})
	}
	seq := must[string](s.t)(s.Put(s.ctx, shard, n > 0, records...))
	for i, r := range records {
		s.put[shard] = append(s.put[shard], protocol.Event{
			Position: protocol.Position{Seq: seq, Sub: int64(i)}, PartitionKey: r.PartitionKey, Data: r.Data,
			Last: i == len(records)-1, Aggregated: n > 0,
		})
	}
	return seq
}

func (s *stream) split(shard string) {
	s.t.Helper()
	if err := s.Split(s.ctx, shard); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stream) merge(a, b string) {
	s.t.Helper()
	if err := s.Merge(s.ctx, a, b); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stream) read(shard string, after protocol.Position, limit int) protocol.Page {
	s.t.Helper()
	return must[protocol.Page](s.t)(s.Read(s.ctx, shard, after, limit))
}

// wantRest reads a shard from a position to its tip and compares it with what
// was put.
func (s *stream) wantRest(shard string, after protocol.Position, limit int) {
	s.t.Helper()
	want := s.put[shard]
	for len(want) > 0 && !want[0].Position.After(after) {
		want = want[1:]
	}
	for at := after; ; {
		page := s.read(shard, at, limit)
		checkPage(s.t, page, limit)
		if len(page.Events) > len(want) {
			s.t.Fatalf("%s holds %d events more than were put", shard, len(page.Events)-len(want))
		}
		for i, e := range page.Events {
			wanted := want[i]
			wanted.Arrival, wanted.Stray = e.Arrival, e.Stray
			if fmt.Sprintf("%+v", e) != fmt.Sprintf("%+v", wanted) {
				s.t.Fatalf("%s, after %q in pages of %d: event %+v, want %+v", shard, after, limit, e, wanted)
			}
			if i > 0 && e.Position.Sub > 0 && e.Arrival != page.Events[i-1].Arrival {
				s.t.Fatalf("the events of record %s arrived at different times", e.Position.Seq)
			}
		}
		want = want[len(page.Events):]
		if page.AtTip != (len(want) == 0) {
			s.t.Fatalf("%s, after %q: at the tip is %v with %d events to come", shard, at, page.AtTip, len(want))
		}
		if page.AtTip {
			return
		}
		at = page.Events[len(page.Events)-1].Position
	}
}

// wantTip reads at the tip.
func (s *stream) wantTip(shard string, after protocol.Position) protocol.Page {
	s.t.Helper()
	page := s.read(shard, after, 10)
	if len(page.Events) > 0 || !page.AtTip {
		s.t.Fatalf("%s, after %q, is not at the tip: %+v", shard, after, page)
	}
	return page
}

// checkPage makes sure that a page is whole records, and no more than it takes.
func checkPage(t *testing.T, page protocol.Page, limit int) {
	t.Helper()
	if len(page.Events) == 0 {
		if !page.AtTip && !page.Ended {
			t.Fatal("an empty page that is not at the tip: a reader would turn for ever")
		}
		return
	}
	last := page.Events[len(page.Events)-1]
	before := slices.IndexFunc(page.Events, func(e protocol.Event) bool { return e.Position.Seq == last.Position.Seq })
	if !last.Last || before >= limit {
		t.Fatalf("a page of about %d events has %d, the last one %+v", limit, len(page.Events), last)
	}
}

func family(t *testing.T, s *stream) {
	check := func() {
		t.Helper()
		checkFamily(t, s.shards())
	}
	check()
	open := s.open()
	s.split(open[0])
	check()
	s.split(open[1])
	check()
	open = s.open()
	s.merge(open[2], open[1]) // of different parents, and the upper one first
	check()
	open = s.open()
	if len(open) != 3 {
		t.Fatalf("%d shards are open, want 3: %v", len(open), open)
	}
	merged := open[2]
	if parents := s.shard(merged).Parents; len(parents) != 2 {
		t.Fatalf("the merged shard has the parents %v", parents)
	}
	s.split(merged)
	check()
}

func checkFamily(t *testing.T, shards []protocol.Shard) {
	t.Helper()
	byID, covered := map[string]protocol.Shard{}, new(big.Int)
	var open []protocol.Shard
	children := map[string]*big.Int{} // width of what took a closed shard's place
	for _, s := range shards {
		if _, twice := byID[s.ID]; twice {
			t.Fatalf("%s is listed twice", s.ID)
		}
		for _, p := range s.Parents {
			parent, ok := byID[p]
			if !ok || !parent.Closed() {
				t.Fatalf("%s comes before its parent %s, or that one is not closed", s.ID, p)
			}
			if !later(s.FirstSeq, parent.LastSeq) {
				t.Errorf("%s begins at %s, its parent ends at %s", s.ID, s.FirstSeq, parent.LastSeq)
			}
			if children[p] == nil {
				children[p] = new(big.Int)
			}
			children[p].Add(children[p], overlap(s, parent))
		}
		if s.Closed() && !later(s.LastSeq, s.FirstSeq) {
			t.Errorf("%s begins at %s and ends at %s", s.ID, s.FirstSeq, s.LastSeq)
		}
		byID[s.ID] = s
		if !s.Closed() {
			open = append(open, s)
			covered.Add(covered, overlap(s, s))
		}
	}
	for id, width := range children {
		if width.Cmp(overlap(byID[id], byID[id])) != 0 {
			t.Errorf("the children of %s do not cover its range once", id)
		}
	}
	slices.SortFunc(open, func(a, b protocol.Shard) int { return number(a.HashFrom).Cmp(number(b.HashFrom)) })
	for i := range open[1:] {
		if number(open[i].HashTo).Cmp(number(open[i+1].HashFrom)) >= 0 {
			t.Errorf("%s and %s are open for the same hashes", open[i].ID, open[i+1].ID)
		}
	}
	if covered.Cmp(new(big.Int).Lsh(big.NewInt(1), 128)) != 0 {
		t.Errorf("the open shards cover %s hashes", covered)
	}
}

// number reads a decimal number.
func number(text string) *big.Int {
	n, ok := new(big.Int).SetString(text, 10)
	if !ok {
		return big.NewInt(-1)
	}
	return n
}

// overlap counts the hashes that two shards have in common.
func overlap(a, b protocol.Shard) *big.Int {
	from, to := number(a.HashFrom), number(a.HashTo)
	if f := number(b.HashFrom); f.Cmp(from) > 0 {
		from = f
	}
	if u := number(b.HashTo); u.Cmp(to) < 0 {
		to = u
	}
	width := to.Sub(to, from)
	return width.Add(width, big.NewInt(1))
}

// later reports whether a sequence number comes after another.
func later(a, b string) bool { return protocol.Position{Seq: a}.After(protocol.Position{Seq: b}) }

func pages(t *testing.T, s *stream) {
	a, b := s.open()[0], s.open()[1]
	if page := s.read(a, protocol.Position{}, 10); len(page.Events) > 0 || !page.AtTip || page.Ended {
		t.Fatalf("an empty shard gives %+v", page)
	}
	for _, n := range []int{0, 3, 0, 0, 1, 5, 2, 0, 7} {
		s.record(a, n)
		s.record(b, 0)
		if got := s.read(a, protocol.Position{}, 1000).Events; len(got) != len(s.put[a]) {
			t.Fatalf("%d events were acknowledged and %d are seen", len(s.put[a]), len(got))
		}
	}
	for _, limit := range []int{1, 2, 3, 4, 9, 1000} {
		s.wantRest(a, protocol.Position{}, limit)
		s.wantRest(b, protocol.Position{}, limit)
	}
}

func inside(t *testing.T, s *stream) {
	a := s.open()[0]
	for _, n := range []int{4, 0, 1, 3} {
		s.record(a, n)
	}
	for range 2 { // the second time the shard is closed
		for _, e := range s.put[a] {
			for _, limit := range []int{1, 2, 100} {
				s.wantRest(a, e.Position, limit)
			}
		}
		if !s.shard(a).Closed() {
			s.split(a)
		}
	}
}

func ends(t *testing.T, s *stream) {
	a, idle := s.open()[0], s.open()[1]
	for _, n := range []int{0, 2, 0} {
		s.record(a, n)
	}
	end := s.put[a][len(s.put[a])-1].Position
	if page := s.read(a, end, 10); page.Ended || !page.AtTip {
		t.Fatalf("an open shard's tip reads %+v", page)
	}
	s.split(a)
	s.split(idle)
	if page := s.read(a, protocol.Position{}, 1); page.Ended || page.AtTip || len(page.Events) != 1 {
		t.Fatalf("the first event of a closed shard reads %+v", page)
	}
	if page := s.read(a, protocol.Position{}, 100); !page.Ended || len(page.Events) != len(s.put[a]) {
		t.Fatalf("a closed shard as a whole reads %+v", page)
	}
	if page := s.read(a, end, 1); !page.Ended || len(page.Events) > 0 {
		t.Fatalf("a closed shard's end reads %+v", page)
	}
	if page := s.read(idle, protocol.Position{}, 1); !page.Ended || len(page.Events) > 0 {
		t.Fatalf("a closed shard without events reads %+v", page)
	}
	for _, id := range s.open() {
		if page := s.read(id, protocol.Position{}, 1); page.Ended || !page.AtTip {
			t.Fatalf("a new shard reads %+v", page)
		}
	}
	if _, err := s.Put(s.ctx, s.open()[0], false, protocol.Record{PartitionKey: "k", Data: []byte("later")}); err != nil {
		t.Fatal(err)
	}
	s.wantRest(a, protocol.Position{}, 100)
}

func growth(t *testing.T, s *stream) {
	write := func() {
		for _, id := range s.open() {
			s.record(id, 0)
			s.record(id, 2)
		}
	}
	write()
	s.split(s.open()[0])
	write()
	open := s.open()
	s.merge(open[1], open[2])
	write()
	s.merge(s.open()[0], s.open()[1])
	write()
	last := map[string]string{} // the latest sequence number in a shard's lineage
	for _, shard := range s.shards() {
		s.wantRest(shard.ID, protocol.Position{}, 3)
		before := shard.FirstSeq
		for _, p := range shard.Parents {
			if !later(before, last[p]) {
				t.Errorf("%s begins at %s, but its parent %s holds %s", shard.ID, before, p, last[p])
			}
		}
		for _, e := range s.put[shard.ID] {
			if e.Position.Sub == 0 && !later(e.Position.Seq, before) {
				t.Errorf("%s in %s comes after %s", e.Position, shard.ID, before)
			}
			before = e.Position.Seq
		}
		if shard.Closed() {
			if !later(shard.LastSeq, before) {
				t.Errorf("%s ends at %s and holds %s", shard.ID, shard.LastSeq, before)
			}
			before = shard.LastSeq
		}
		last[shard.ID] = before
	}
}

func expiry(t *testing.T, s *stream) {
	// A log that cannot tell what it let go of goes by where its tip was seen last.
	a, b := s.open()[0], s.open()[1]
	s.wantTip(b, protocol.Position{})
	for i, n := range []int{0, 3, 0, 2} {
		s.record(a, n)
		s.record(b, n)
		if i == 1 {
			s.wantTip(a, s.put[a][3].Position)
		}
	}
	events := s.put[a]
	last := events[len(events)-1].Position
	through := events[3].Position // the end of the aggregate of three
	if err := s.Expire(s.ctx, a, through); err != nil {
		t.Fatal(err)
	}
	for _, after := range append([]protocol.Position{{}}, positions(events[:len(events)-1])...) {
		_, err := s.Read(s.ctx, a, after, 10)
		if gone := through.After(after); gone != errors.Is(err, protocol.ErrExpired) {
			t.Errorf("after %q, with what comes up to %s gone: %v", after, through, err)
		}
	}
	s.wantRest(a, through, 1)
	s.wantRest(b, protocol.Position{}, 10)
	s.split(a)
	s.wantRest(a, through, 1)
	if _, err := s.Read(s.ctx, a, protocol.Position{}, 10); !errors.Is(err, protocol.ErrExpired) {
		t.Errorf("from the start of a closed shard that lost some: %v", err)
	}
	s.wantTip(a, last)
	if err := s.Expire(s.ctx, a, last); err != nil {
		t.Fatal(err)
	}
	if page := s.wantTip(a, last); !page.Ended {
		t.Errorf("the end of a closed shard that lost everything reads %+v", page)
	}
}

func positions(events []protocol.Event) (out []protocol.Position) {
	for _, e := range events {
		out = append(out, e.Position)
	}
	return out
}

func strays(t *testing.T, s *stream) {
	s.split(s.open()[0])
	for _, id := range s.open() {
		for range 20 {
			s.record(id, 0)
			s.record(id, 5)
		}
		shard, seen := s.shard(id), map[bool]int{}
		for _, e := range s.read(id, protocol.Position{}, 1000).Events {
			sum := md5.Sum([]byte(e.PartitionKey))
			hash := new(big.Int).SetBytes(sum[:])
			outside := hash.Cmp(number(shard.HashFrom)) < 0 || hash.Cmp(number(shard.HashTo)) > 0
			if e.Stray != outside {
				t.Errorf("%+v in %s, hash %s: a stray is %v", e, shard.ID, hash, outside)
			}
			seen[outside]++
		}
		if seen[true] == 0 || seen[false] == 0 {
			t.Errorf("%s holds strays and others: %v", id, seen)
		}
	}
}

func missing(t *testing.T, s *stream) {
	if page, err := s.Read(s.ctx, "shardId-999999999999", protocol.Position{}, 1); err == nil {
		t.Errorf("it reads %+v", page)
	}
}
