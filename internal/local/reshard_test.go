package local

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/watershed-data/watershed/internal/kpl"
	"github.com/watershed-data/watershed/internal/kpl/kpltest"
	"github.com/watershed-data/watershed/internal/protocol"
)

func shardsOf(t testing.TB, l *Log) []protocol.Shard {
	t.Helper()
	shards, err := l.Shards(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return shards
}

// openShards gives the open shards by range.
func openShards(t testing.TB, l *Log) (open []protocol.Shard) {
	t.Helper()
	for _, s := range l.seen.Load().open {
		open = append(open, s.Shard)
	}
	return open
}

// middle gives the hash key in the middle of a shard's range.
func middle(s protocol.Shard) string {
	from, _ := new(big.Int).SetString(s.HashFrom, 10)
	to, _ := new(big.Int).SetString(s.HashTo, 10)
	return from.Rsh(from.Add(from, to), 1).String()
}

// What is refused says why and leaves the stream as it was.
func TestReshardsThatAreRefused(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir(), Options{Shards: 3})
	l, ctx := s.Log(), t.Context()
	if err := l.Split(ctx, shardID(0), "17"); err != nil {
		t.Fatal(err)
	}
	before, tip := shardsOf(t, l), l.seen.Load().next
	for name, tt := range map[string]struct{ err, want error }{
		"splitting no shard":                    {l.Split(ctx, shardID(9), "17"), protocol.ErrNoShard},
		"splitting a closed one":                {l.Split(ctx, shardID(0), "17"), protocol.ErrShardClosed},
		"splitting at the start":                {l.Split(ctx, shardID(1), before[1].HashFrom), protocol.ErrHashKey},
		"splitting below":                       {l.Split(ctx, shardID(1), "18"), protocol.ErrHashKey},
		"splitting above":                       {l.Split(ctx, shardID(1), before[2].HashFrom), protocol.ErrHashKey},
		"splitting at no number":                {l.Split(ctx, shardID(1), "x"), protocol.ErrHashKey},
		"splitting beyond 2^128":                {l.Split(ctx, shardID(1), strings.Repeat("9", 39)), protocol.ErrHashKey},
		"merging no shard":                      {l.Merge(ctx, shardID(1), shardID(9)), protocol.ErrNoShard},
		"merging a closed one":                  {l.Merge(ctx, shardID(0), shardID(1)), protocol.ErrShardClosed},
		"merging one with itself":               {l.Merge(ctx, shardID(1), shardID(1)), protocol.ErrNotAdjacent},
		"merging what does not meet":            {l.Merge(ctx, shardID(3), shardID(1)), protocol.ErrNotAdjacent},
		"merging around the end of all hashes":  {l.Merge(ctx, shardID(2), shardID(3)), protocol.ErrNotAdjacent},
		"scaling to nothing":                    {l.Scale(ctx, 0), protocol.ErrShardLimit},
		"scaling to more than there may be":     {l.Scale(ctx, MaxShards+1), protocol.ErrShardLimit},
		"scaling with a context that has ended": {l.Scale(ended(ctx), 4), context.Canceled},
	} {
		if !errors.Is(tt.err, tt.want) {
			t.Errorf("%s: %v, want %v", name, tt.err, tt.want)
		}
	}
	if now := shardsOf(t, l); fmt.Sprint(now) != fmt.Sprint(before) || l.seen.Load().next != tip {
		t.Errorf("refused reshards changed %v to %v", before, now)
	}
	// The last hash key of a range is inside it.
	if err := l.Split(ctx, shardID(1), before[1].HashTo); err != nil {
		t.Error(err)
	}
}

func ended(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return ctx
}

func TestScale(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir, Options{Shards: 2})
	l := s.Log()
	if err := l.Split(t.Context(), shardID(1), middle(shardsOf(t, l)[1])); err != nil { // 1/2, 1/4, 1/4
		t.Fatal(err)
	}
	for _, count := range []int{3, 3, 7, 4, 8, 1, 5, MaxShards, 100, 2} {
		before := len(shardsOf(t, l))
		if err := l.Scale(t.Context(), count); err != nil {
			t.Fatal(err)
		}
		open := openShards(t, l)
		if len(open) != count {
			t.Fatalf("scaled to %d, %d are open", count, len(open))
		}
		for i, r := range evenRanges(count) {
			if open[i].HashFrom != r.from.String() || open[i].HashTo != r.to.String() {
				t.Errorf("shard %d of %d covers %s to %s, want %s to %s", i, count, open[i].HashFrom, open[i].HashTo, r.from, r.to)
			}
		}
		if count == MaxShards {
			if err := l.Split(t.Context(), open[0].ID, middle(open[0])); !errors.Is(err, protocol.ErrShardLimit) {
				t.Errorf("one shard more than there may be: %v", err)
			}
		}
		if again := len(shardsOf(t, l)); again > before {
			if err := l.Scale(t.Context(), count); err != nil || len(shardsOf(t, l)) != again {
				t.Errorf("scaling to what it is opens shards: %v", err)
			}
		}
	}
	// Doubling and halving even ranges takes no shard in between.
	for _, count := range []int{3, 6, 12, 24, 12, 6, 3, 5, 10, 5} {
		before, open := len(shardsOf(t, l)), len(openShards(t, l))
		if err := l.Scale(t.Context(), count); err != nil {
			t.Fatal(err)
		}
		if opened := len(shardsOf(t, l)) - before; (count == 2*open || 2*count == open) && opened != count {
			t.Errorf("from %d to %d shards, %d were opened", open, count, opened)
		}
	}
	want := fmt.Sprint(shardsOf(t, l))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(shardsOf(t, openStore(t, dir, Options{Shards: 2}).Log())); got != want {
		t.Error("the shards did not survive a restart")
	}
}

// An acknowledgement as its producer knows it.
type acknowledged struct {
	protocol.Placed
	key  string
	data string
}

// Producers append while shards split and merge all the time. Every acknowledged
// record is there once, in the shard that was open for its hash, and along the
// lineage the records of a partition key have the order in which their producer
// got them acknowledged.
func TestAppendingWhileResharding(t *testing.T) {
	t.Parallel()
	const producers, calls, reshards = 6, 150, 120
	dir := t.TempDir()
	s := openStore(t, dir, Options{Shards: 2})
	l := s.Log()
	var wg sync.WaitGroup
	var left atomic.Int64
	left.Store(producers * calls)
	acked := make([][]acknowledged, producers)
	for p := range producers {
		wg.Go(func() {
			for c := range calls {
				left.Add(-1)
				var records []protocol.Record
				for i := range 1 + c%4 {
					records = append(records, protocol.Record{PartitionKey: fmt.Sprint("key", p, "-", (c+i)%5), Data: fmt.Appendf(nil, "%d-%d-%d", p, c, i)})
				}
				placed, err := l.Append(t.Context(), records)
				if err != nil {
					t.Error(err)
					return
				}
				for i, at := range placed {
					acked[p] = append(acked[p], acknowledged{at, records[i].PartitionKey, string(records[i].Data)})
				}
			}
		})
	}
	done := 0
	for random := rand.New(rand.NewPCG(7, 7)); done < reshards || left.Load() > 0; done++ {
		if err := reshardOnce(t.Context(), l, random); err != nil {
			t.Error(err)
			break
		}
	}
	wg.Wait()
	checkReshards(t, l, acked)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	checkReshards(t, openStore(t, dir, Options{}).Log(), acked)
	t.Logf("%d reshards, %d shards", done, len(shardsOf(t, l)))
}

// reshardOnce splits, merges or scales at random.
func reshardOnce(ctx context.Context, l *Log, random *rand.Rand) error {
	v := l.seen.Load()
	i := random.IntN(len(v.open))
	s := v.open[i]
	switch {
	case random.IntN(10) == 0:
		return l.Scale(ctx, 1+random.IntN(6))
	case len(v.open) > 8 || len(v.open) > 1 && i > 0 && random.IntN(2) == 0:
		return l.Merge(ctx, v.open[max(i, 1)].ID, v.open[max(i, 1)-1].ID)
	case s.to.predecessor().compare(s.from) > 0:
		return l.Split(ctx, s.ID, middle(s.Shard))
	}
	return nil
}

// checkReshards holds a log against what its producers had acknowledged.
func checkReshards(t *testing.T, l *Log, acked [][]acknowledged) {
	t.Helper()
	shards := map[string]protocol.Shard{}
	found := map[string]protocol.Placed{}
	for _, shard := range shardsOf(t, l) {
		shards[shard.ID] = shard
		from, _ := parseHash(shard.HashFrom)
		to, _ := parseHash(shard.HashTo)
		last := protocol.Position{Seq: shard.FirstSeq}
		for _, p := range shard.Parents {
			if parent := shards[p]; !last.After(protocol.Position{Seq: parent.LastSeq}) {
				t.Errorf("%s begins at %s, its parent ends at %s", shard.ID, shard.FirstSeq, parent.LastSeq)
			}
		}
		for _, e := range readShard(t, l, shard.ID, protocol.Position{}, 7) {
			if h := hashOfKey(e.PartitionKey); h.compare(from) < 0 || h.compare(to) > 0 || e.Stray {
				t.Errorf("event %s lies in %s, outside its range", e.Data, shard.ID)
			}
			if !e.Position.After(last) {
				t.Errorf("in %s, %s comes after %s", shard.ID, e.Position, last)
			}
			last = e.Position
			if _, twice := found[string(e.Data)]; twice {
				t.Errorf("event %s is there twice", e.Data)
			}
			found[string(e.Data)] = protocol.Placed{Shard: shard.ID, Seq: e.Position.Seq}
		}
		if shard.Closed() && !(protocol.Position{Seq: shard.LastSeq}).After(last) {
			t.Errorf("%s ends at %s and holds %s", shard.ID, shard.LastSeq, last)
		}
	}
	lineage := protocol.NewLineage(slices.Clone(shardsOf(t, l)))
	for _, of := range acked {
		before := map[string]protocol.Placed{}
		for _, a := range of {
			if found[a.data] != a.Placed {
				t.Errorf("event %s was acknowledged at %v and lies at %v", a.data, a.Placed, found[a.data])
			}
			// Sequence numbers grow, and a later shard descends from the earlier one.
			if b, ok := before[a.key]; ok && (a.Seq <= b.Seq || a.Shard != b.Shard && !slices.Contains(lineage.Ancestors(a.Shard), b.Shard)) {
				t.Errorf("event %s of key %s lies at %v, the one acknowledged before it at %v", a.data, a.key, a.Placed, b)
			}
			before[a.key] = a.Placed
		}
	}
}

// An aggregate comes apart, however it is read; the endpoint's consumers get it
// as it is.
func TestAggregates(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir(), Options{Shards: 1})
	l := s.Log()
	users := []kpl.Record{{PartitionKey: "a", Data: []byte("one")}, {PartitionKey: "b", ExplicitHashKey: "5", Data: []byte{}}, {PartitionKey: "a", Data: []byte("three")}}
	whole := kpltest.Join(users...)
	broken := slices.Clone(whole)
	broken[len(broken)-1] ^= 1
	placed := appendAll(t, l, protocol.Record{PartitionKey: "x", Data: whole}, protocol.Record{PartitionKey: "x", Data: broken}, protocol.Record{PartitionKey: "x", Data: whole})
	events := readShard(t, l, shardID(0), protocol.Position{}, 1)
	if len(events) != 7 {
		t.Fatalf("%d events, want 3 and the broken one and 3", len(events))
	}
	for i, u := range users {
		want := protocol.Position{Seq: placed[0].Seq, Sub: int64(i)}
		if e := events[i]; e.Position != want || e.PartitionKey != u.PartitionKey || string(e.Data) != string(u.Data) || !e.Aggregated || e.Last != (i == 2) {
			t.Errorf("event %d is %+v", i, e)
		}
	}
	if e := events[3]; string(e.Data) != string(broken) || e.Aggregated || !e.Last || e.PartitionKey != "x" {
		t.Errorf("an aggregate with another digest became %+v", e)
	}
	page, err := l.ReadRecords(t.Context(), shardID(0), "", false, 10, 1<<20)
	if err != nil || len(page.Events) != 3 || string(page.Events[0].Data) != string(whole) || page.Events[0].PartitionKey != "x" {
		t.Errorf("consumers of the endpoint get %+v, %v", page, err)
	}
}

// An aggregate of very many events takes a page of its own, not memory without
// bound.
func TestPagesOfLargeAggregates(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir(), Options{Shards: 1})
	tiny := kpltest.Join(slices.Repeat([]kpl.Record{{PartitionKey: "k"}}, 50_000)...)
	appendAll(t, s.Log(), slices.Repeat([]protocol.Record{{PartitionKey: "k", Data: tiny}}, 5)...)
	var after protocol.Position
	for range 5 {
		page, err := s.Log().Read(t.Context(), shardID(0), after, 10_000)
		if err != nil || len(page.Events) != 50_000 {
			t.Fatalf("a page of about 10,000 has %d events: %v", len(page.Events), err)
		}
		after = page.Events[len(page.Events)-1].Position
	}
}

// A reader that waits inside an aggregate has something to read at once, and one
// at its end waits for the next record.
func TestWaitInsideAnAggregate(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir(), Options{Shards: 1})
	l := s.Log()
	two := protocol.Record{PartitionKey: "k", Data: kpltest.Join(kpl.Record{PartitionKey: "k"}, kpl.Record{PartitionKey: "k"})}
	seq := appendAll(t, l, two)[0].Seq
	for range 2 {
		if err := l.Wait(t.Context(), shardID(0), protocol.Position{Seq: seq}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Wait(ended(t.Context()), shardID(0), protocol.Position{Seq: seq, Sub: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("at the end of an aggregate there is nothing to read, but Wait gives %v", err)
	}
	waited := make(chan error)
	go func() { waited <- l.Wait(t.Context(), shardID(0), protocol.Position{Seq: seq, Sub: 1}) }()
	appendAll(t, l, two)
	if err := <-waited; err != nil {
		t.Error(err)
	}
	if events := readShard(t, l, shardID(0), protocol.Position{Seq: seq, Sub: 1}, 10); len(events) != 2 {
		t.Errorf("%d events came after it, want 2", len(events))
	}
}

// What a reader knows of the tip says nothing of a record that came since.
func TestReadInsideTheNewestAggregate(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir(), Options{Shards: 1})
	appendAll(t, s.Log(), protocol.Record{PartitionKey: "k"})
	readShard(t, s.Log(), shardID(0), protocol.Position{}, 10)
	three := kpltest.Join(slices.Repeat([]kpl.Record{{PartitionKey: "k"}}, 3)...)
	seq := appendAll(t, s.Log(), protocol.Record{PartitionKey: "k", Data: three})[0].Seq
	for range 2 {
		if got := readShard(t, s.Log(), shardID(0), protocol.Position{Seq: seq}, 10); len(got) != 2 {
			t.Errorf("%d events after the first of three", len(got))
		}
	}
}

// A reader keeps the shards that it has begun with, whatever becomes of them.
func TestReshardsLeaveReadersTheirView(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir(), Options{Shards: 4})
	seen := s.log.seen.Load()
	print := func() string {
		return fmt.Sprint(len(seen.byID), seen.byID[shardID(0)].LastSeq, seen.byID[shardID(3)].LastSeq, ids(seen.shards), ids(seen.open))
	}
	before := print()
	for _, count := range []int{3, 8, 1} {
		if err := s.Log().Scale(t.Context(), count); err != nil {
			t.Fatal(err)
		}
	}
	if after := print(); after != before {
		t.Errorf("a reader's shards changed from %s to %s", before, after)
	}
}

func ids(shards []*shard) (out []string) {
	for _, s := range shards {
		out = append(out, s.ID+s.LastSeq)
	}
	return out
}

// A plain record with an explicit hash key may be a stray too.
func TestStrays(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir(), Options{Shards: 2})
	// The MD5 of "a" begins 0c: it belongs into the first shard.
	elsewhere := shardsOf(t, s.Log())[1].HashFrom
	appendAll(t, s.Log(), protocol.Record{PartitionKey: "a"}, protocol.Record{PartitionKey: "a", ExplicitHashKey: "5"}, protocol.Record{PartitionKey: "a", ExplicitHashKey: elsewhere})
	for shard, want := range map[string][]bool{shardID(0): {false, false}, shardID(1): {true}} {
		var got []bool
		for _, e := range readShard(t, s.Log(), shard, protocol.Position{}, 10) {
			got = append(got, e.Stray)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: strays %v, want %v", shard, got, want)
		}
	}
}

// What was trimmed is gone after a restart as well, and the rest is there.
func TestTrimSurvivesARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir, Options{Shards: 1})
	users := []kpl.Record{{PartitionKey: "k"}, {PartitionKey: "k"}}
	var seqs []string
	for range 5 {
		seqs = append(seqs, appendAll(t, s.Log(), protocol.Record{PartitionKey: "k", Data: kpltest.Join(users...)})[0].Seq)
	}
	// Up to the middle of the third aggregate: it stays.
	if err := s.Log().Trim(t.Context(), shardID(0), protocol.Position{Seq: seqs[2]}); err != nil {
		t.Fatal(err)
	}
	if err := s.Log().Trim(t.Context(), shardID(0), protocol.Position{Seq: seqs[0], Sub: 1}); err != nil { // not backwards
		t.Fatal(err)
	}
	if err := s.Log().Trim(t.Context(), shardID(9), protocol.Position{}); !errors.Is(err, protocol.ErrNoShard) {
		t.Errorf("another shard: %v", err)
	}
	for range 2 {
		l := s.Log()
		for at, want := range map[protocol.Position]error{{}: protocol.ErrExpired, {Seq: seqs[0], Sub: 1}: protocol.ErrExpired, {Seq: seqs[1]}: protocol.ErrExpired, {Seq: seqs[1], Sub: 1}: nil} {
			if _, err := l.Read(t.Context(), shardID(0), at, 10); !errors.Is(err, want) {
				t.Errorf("after %q: %v, want %v", at, err, want)
			}
		}
		if got := len(readShard(t, l, shardID(0), protocol.Position{Seq: seqs[1], Sub: 1}, 10)); got != 6 {
			t.Errorf("%d events are left, want 6", got)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openStore(t, dir, Options{})
	}
	if err := s.Log().Trim(t.Context(), shardID(0), protocol.Position{Seq: seqs[4], Sub: 1}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir, Options{})
	if next := appendAll(t, s.Log(), protocol.Record{PartitionKey: "k"})[0].Seq; next <= seqs[4] {
		t.Errorf("%s comes after %s", next, seqs[4])
	}
	if got := len(readShard(t, s.Log(), shardID(0), protocol.Position{Seq: seqs[4], Sub: 1}, 10)); got != 1 {
		t.Errorf("%d events after everything was let go, want 1", got)
	}
}
