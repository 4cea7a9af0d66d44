package local

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watershed-data/watershed/internal/protocol"
)

var _ protocol.Log = (*Log)(nil)

// openStore opens a directory and closes it with the test.
func openStore(t testing.TB, dir string, options Options) *Store {
	t.Helper()
	if options.Pipeline == "" {
		options.Pipeline = "sales"
	}
	s, err := Open(dir, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return s
}

func appendAll(t testing.TB, l *Log, records ...protocol.Record) []protocol.Placed {
	t.Helper()
	placed, err := l.Append(context.Background(), records)
	if err != nil {
		t.Fatal(err)
	}
	return placed
}

// readShard reads a shard to its tip in pages of the given size.
func readShard(t testing.TB, l *Log, shard string, after protocol.Position, limit int) []protocol.Event {
	t.Helper()
	var events []protocol.Event
	for {
		page, err := l.Read(context.Background(), shard, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, page.Events...)
		if page.AtTip {
			return events
		}
		if len(page.Events) == 0 {
			t.Fatalf("an empty page after %s that is not at the tip: a reader would turn for ever", after)
		}
		after = events[len(events)-1].Position
	}
}

func TestReadsWhatWasAppended(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := time.UnixMilli(1_795_400_000_123)
	options := Options{Pipeline: "sales", Shards: 3, Now: func() time.Time { return at }}
	s, err := Open(dir, options)
	if err != nil {
		t.Fatal(err)
	}
	var records []protocol.Record
	for i := range 100 {
		records = append(records, protocol.Record{Data: fmt.Appendf(nil, "event %d\x00\xff", i), PartitionKey: fmt.Sprint(i)})
	}
	records = append(records, protocol.Record{Data: []byte{}, PartitionKey: "empty"}, protocol.Record{Data: make([]byte, 1<<20), PartitionKey: "large"})
	placed := appendAll(t, s.Log(), records...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir, options)
	for _, limit := range []int{1, 7, 1000} {
		count := 0
		for shard := range uint32(3) {
			id := shardID(shard)
			for _, e := range readShard(t, s.Log(), id, protocol.Position{}, limit) {
				i := slices.Index(placed, protocol.Placed{Shard: id, Seq: e.Position.Seq})
				if i < 0 {
					t.Fatalf("%s holds %s, where nothing was placed", id, e.Position)
				}
				if string(e.Data) != string(records[i].Data) || e.PartitionKey != records[i].PartitionKey || e.Arrival != at.UnixMilli() || !e.Last {
					t.Errorf("event %d came back as %q of %q at %d", i, e.Data, e.PartitionKey, e.Arrival)
				}
				count++
			}
		}
		if count != len(records) {
			t.Errorf("in pages of %d: %d events, want %d", limit, count, len(records))
		}
	}
}

// Sequence numbers look like Kinesis's and grow over all shards and restarts.
func TestSequenceNumbersGrow(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	last := ""
	for range 3 {
		s, err := Open(dir, Options{Pipeline: "sales"})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			for _, p := range appendAll(t, s.Log(), protocol.Record{PartitionKey: fmt.Sprint(i)}, protocol.Record{PartitionKey: fmt.Sprint(-i)}) {
				if len(p.Seq) != 56 || !strings.HasPrefix(p.Seq, "49") || p.Seq <= last {
					t.Fatalf("%s comes after %q", p.Seq, last)
				}
				last = p.Seq
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRouting(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir(), Options{Shards: 3})
	// The MD5 of "a" begins 0cc1, of "e" e167, of "k" 8ce4: Kinesis puts them there.
	for _, tt := range []struct{ key, explicit, want string }{
		{"a", "", "shardId-000000000000"},
		{"e", "", "shardId-000000000002"},
		{"k", "", "shardId-000000000001"},
		{"a", "0", "shardId-000000000000"},
		{"a", "113427455640312821154458202477256070484", "shardId-000000000000"},
		{"a", "113427455640312821154458202477256070485", "shardId-000000000001"},
		{"a", "340282366920938463463374607431768211455", "shardId-000000000002"},
	} {
		if got := appendAll(t, s.Log(), protocol.Record{PartitionKey: tt.key, ExplicitHashKey: tt.explicit})[0].Shard; got != tt.want {
			t.Errorf("key %q, hash %q went to %s, want %s", tt.key, tt.explicit, got, tt.want)
		}
	}
	for _, bad := range []string{"340282366920938463463374607431768211456", "-1", "x", strings.Repeat("9", 40)} {
		if _, err := s.Log().Append(t.Context(), []protocol.Record{{PartitionKey: "a", ExplicitHashKey: bad}}); err == nil {
			t.Errorf("the hash key %q was taken", bad)
		}
	}
}

func TestShardsCoverAllHashes(t *testing.T) {
	t.Parallel()
	end := new(big.Int).Lsh(big.NewInt(1), 128)
	for _, n := range []int{1, 2, 3, 7, 100} {
		s := openStore(t, t.TempDir(), Options{Shards: n})
		shards, err := s.Log().Shards(t.Context())
		if err != nil || len(shards) != n {
			t.Fatalf("%d shards, want %d: %v", len(shards), n, err)
		}
		next := new(big.Int)
		for _, shard := range shards {
			if shard.HashFrom != next.String() {
				t.Errorf("%s of %d begins at %s, want %s", shard.ID, n, shard.HashFrom, next)
			}
			to, _ := new(big.Int).SetString(shard.HashTo, 10)
			next.Add(to, big.NewInt(1))
		}
		if next.Cmp(end) != 0 {
			t.Errorf("%d shards end at %s", n, next)
		}
	}
}

func TestPositionsThatAreNone(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir(), Options{Shards: 1})
	other := openStore(t, t.TempDir(), Options{Shards: 1, Now: func() time.Time { return time.UnixMilli(1) }})
	foreign := appendAll(t, other.Log(), protocol.Record{PartitionKey: "k"})[0].Seq
	seq := appendAll(t, s.Log(), protocol.Record{PartitionKey: "k"})[0].Seq
	beyond := s.Log().sequence(1000)
	for name, read := range map[string]func() error{
		"another shard": func() error {
			_, err := s.Log().Read(t.Context(), "shardId-000000000007", protocol.Position{}, 1)
			return err
		},
		"another stream": func() error {
			_, err := s.Log().Read(t.Context(), shardID(0), protocol.Position{Seq: foreign}, 1)
			return err
		},
		"beyond the end": func() error {
			_, err := s.Log().Read(t.Context(), shardID(0), protocol.Position{Seq: beyond}, 1)
			return err
		},
		"waiting there": func() error { return s.Log().Wait(t.Context(), shardID(0), protocol.Position{Seq: beyond}) },
		"no number":     func() error { _, err := s.Log().ReadRecords(t.Context(), shardID(0), "x", false, 1, 1); return err },
	} {
		if err := read(); err == nil {
			t.Errorf("%s: no error, so a consumer would wait there for ever", name)
		}
	}
	if page, err := s.Log().Read(t.Context(), shardID(0), protocol.Position{Seq: seq}, 1); err != nil || len(page.Events) != 0 || !page.AtTip || page.Ended {
		t.Errorf("after the last event: %v, %v", page, err)
	}
}

// A position whose successors are gone is an error, never a gap.
func TestTrimmed(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir(), Options{Shards: 1})
	var seqs []string
	for range 5 {
		seqs = append(seqs, appendAll(t, s.Log(), protocol.Record{PartitionKey: "k"})[0].Seq)
	}
	n, _ := s.log.number(seqs[2])
	s.log.seen.Load().shards[0].Trimmed = n
	for seq, want := range map[string]error{"": protocol.ErrExpired, seqs[0]: protocol.ErrExpired, seqs[1]: protocol.ErrExpired, seqs[2]: nil, seqs[3]: nil} {
		if _, err := s.Log().Read(t.Context(), shardID(0), protocol.Position{Seq: seq}, 10); !errors.Is(err, want) {
			t.Errorf("after %q: %v, want %v", seq, err, want)
		}
	}
	if page, err := s.Log().ReadRecords(t.Context(), shardID(0), "", false, 10, 1<<20); err != nil || len(page.Events) != 2 {
		t.Errorf("from what is left: %d records, %v; want 2", len(page.Events), err)
	}
	for _, at := range []bool{true, false} {
		page, err := s.Log().ReadRecords(t.Context(), shardID(0), seqs[1], at, 10, 1<<20)
		if err != nil || len(page.Events) != 2 || page.Events[0].Position.Seq != seqs[3] {
			t.Errorf("from a record that is gone: %v, %v; want the two that are left", page.Events, err)
		}
	}
}

// Arrivals may go backwards; the first record since a time is still found.
func TestSince(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := int64(0)
	options := Options{Pipeline: "sales", Shards: 1, Now: func() time.Time { return time.UnixMilli(now) }}
	s, err := Open(dir, options)
	if err != nil {
		t.Fatal(err)
	}
	arrivals := []int64{100, 300, 200, 300, 50, 400, 400}
	var seqs []string
	for i, at := range arrivals {
		if i == 3 { // the index must survive a restart
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = openStore(t, dir, options)
		}
		now = at
		seqs = append(seqs, appendAll(t, s.Log(), protocol.Record{PartitionKey: "k"})[0].Seq)
	}
	for since := int64(-1); since < 450; since += 50 {
		want, ok := "", false
		if i := slices.IndexFunc(arrivals, func(at int64) bool { return at >= since }); i >= 0 {
			want, ok = seqs[i], true
		}
		got, found, err := s.Log().Since(t.Context(), shardID(0), since)
		if err != nil || got != want || found != ok {
			t.Errorf("since %d: %s %v %v, want %s %v", since, got, found, err, want, ok)
		}
	}
}

// Many append at once, and a reader per shard follows: it sees every event once,
// in order, and never one that a later read denies.
func TestReadersSeeNoHoles(t *testing.T) {
	t.Parallel()
	const appenders, calls, perCall, shards = 8, 30, 5, 2
	s := openStore(t, t.TempDir(), Options{Shards: shards})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	var appending sync.WaitGroup
	var mu sync.Mutex
	acked := map[string]protocol.Placed{}
	for a := range appenders {
		appending.Go(func() {
			for c := range calls {
				var records []protocol.Record
				for r := range perCall {
					id := fmt.Sprintf("%d-%d-%d", a, c, r)
					records = append(records, protocol.Record{Data: []byte(id), PartitionKey: id})
				}
				placed, err := s.Log().Append(ctx, records)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for i, p := range placed {
					acked[string(records[i].Data)] = p
				}
				mu.Unlock()
			}
		})
	}
	total := make(chan struct{})
	var followed sync.WaitGroup
	var seen sync.Map
	var left sync.WaitGroup
	left.Add(appenders * calls * perCall)
	go func() { left.Wait(); close(total) }()
	reading, stop := context.WithCancel(ctx)
	for shard := range uint32(shards) {
		followed.Go(func() {
			var after protocol.Position
			for s.Log().Wait(reading, shardID(shard), after) == nil {
				page, err := s.Log().Read(ctx, shardID(shard), after, 3)
				if err != nil {
					t.Error(err)
					return
				}
				for _, e := range page.Events {
					if !e.Position.After(after) {
						t.Errorf("%s comes after %s", e.Position, after)
					}
					after = e.Position
					if _, twice := seen.LoadOrStore(string(e.Data), protocol.Placed{Shard: shardID(shard), Seq: e.Position.Seq}); twice {
						t.Errorf("event %s was seen twice", e.Data)
					}
					left.Done()
				}
			}
		})
	}
	appending.Wait()
	select {
	case <-total:
	case <-ctx.Done():
		t.Error("readers missed events that were acknowledged")
	}
	stop()
	followed.Wait()
	for id, placed := range acked {
		if got, _ := seen.Load(id); got != placed {
			t.Errorf("event %s was acknowledged at %v and seen at %v", id, placed, got)
		}
	}
}

// Changed, taken before a read, is closed when that read has become stale.
func TestChanged(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir(), Options{Shards: 1})
	changed := s.Log().Changed()
	select {
	case <-changed:
		t.Fatal("the log changed by itself")
	default:
	}
	appendAll(t, s.Log(), protocol.Record{PartitionKey: "k"})
	<-changed
	if got := readShard(t, s.Log(), shardID(0), protocol.Position{}, 10); len(got) != 1 {
		t.Errorf("%d events after the change, want 1", len(got))
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir(), Options{Shards: 1})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Log().Wait(ctx, shardID(0), protocol.Position{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

// BenchmarkAppend appends calls of 500 small events at once.
func BenchmarkAppend(b *testing.B) {
	s := openStore(b, b.TempDir(), Options{})
	var records []protocol.Record
	for i := range 500 {
		records = append(records, protocol.Record{Data: make([]byte, 100), PartitionKey: fmt.Sprint(i * 7919)})
	}
	b.SetParallelism(8)
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if _, err := s.Log().Append(context.Background(), records); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)*500/b.Elapsed().Seconds(), "records/s")
}
