package local

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/watershed-data/watershed/internal/protocol"
)

// TestRetention: a record goes when it is old, archived and covered by the current
// version, and not before.
func TestRetention(t *testing.T) {
	t.Parallel()
	const none = -1
	for name, c := range map[string]struct {
		age               time.Duration // of the first five of ten records; the others have just come
		archived, covered int           // index of the last record; none
		unpublished       bool
		horizon           int // index of the last record that is gone; none
	}{
		"nothing is old":           {age: 59 * time.Minute, archived: 9, covered: 9, horizon: none},
		"the old ones":             {age: 61 * time.Minute, archived: 9, covered: 9, horizon: 4},
		"not archived":             {age: 61 * time.Minute, archived: 2, covered: 9, horizon: 2},
		"nothing archived":         {age: 61 * time.Minute, archived: none, covered: 9, horizon: none},
		"not in a version":         {age: 61 * time.Minute, archived: 9, covered: 3, horizon: 3},
		"no version":               {age: 61 * time.Minute, archived: 9, unpublished: true, horizon: none},
		"a version without it yet": {age: 61 * time.Minute, archived: 9, covered: none, horizon: none},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := time.UnixMilli(1_795_400_000_000)
			s := openStore(t, t.TempDir(), Options{Shards: 1, Now: func() time.Time { return now }})
			var at []protocol.Position
			for i := range 10 {
				if i == 5 {
					now = now.Add(c.age)
				}
				at = append(at, protocol.Position{Seq: appendAll(t, s.Log(), protocol.Record{PartitionKey: "k"})[0].Seq})
			}
			r := retention(t, s, func() time.Time { return now })
			if c.archived != none {
				must(t, r.Checkpoints.Store(t.Context(), shardID(0), at[c.archived]))
			}
			if !c.unpublished {
				cut := map[string]protocol.Cut{}
				if c.covered != none {
					cut[shardID(0)] = protocol.Cut{Through: at[c.covered]}
				}
				publish(t, r, cut)
			}
			for range 2 { // the second time changes nothing
				must(t, r.Trim(t.Context()))
				want := protocol.Position{}
				if c.horizon != none {
					want = at[c.horizon]
				}
				if got, err := s.Log().Horizon(t.Context(), shardID(0)); err != nil || got != want {
					t.Errorf("the log begins after %q, want %q; %v", got, want, err)
				}
				if got := len(readShard(t, s.Log(), shardID(0), want, 3)); got != 9-c.horizon {
					t.Errorf("%d events are left, want %d", got, 9-c.horizon)
				}
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func retention(t *testing.T, s *Store, now func() time.Time) *Retention {
	t.Helper()
	views, err := s.Views("g")
	must(t, err)
	return &Retention{Log: s.Log(), Ledger: s.Ledger("g"), Views: views, Checkpoints: s.Checkpoints("g"), Keep: time.Hour, Now: now}
}

func publish(t *testing.T, r *Retention, cut map[string]protocol.Cut) {
	t.Helper()
	must(t, r.Views.PutManifest(t.Context(), protocol.Manifest{Version: "v00000001-a", Seq: 1, Cut: cut}))
	if _, err := r.Ledger.SwapPointer(t.Context(), protocol.Pointer{}, protocol.Pointer{Seq: 1, Version: "v00000001-a"}); err != nil {
		t.Fatal(err)
	}
}

// TestReadingBesideTrimmingHasNoGap: a reader sees the next event or that it has
// expired, never a later one.
func TestReadingBesideTrimmingHasNoGap(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir(), Options{Shards: 1})
	records := make([]protocol.Record, 600)
	for i := range records {
		records[i] = protocol.Record{PartitionKey: "k", Data: fmt.Append(nil, i)}
	}
	placed := appendAll(t, s.Log(), records...)
	var trimming sync.WaitGroup
	done := make(chan struct{})
	trimming.Go(func() {
		defer close(done)
		for i := 0; i < len(placed); i += 7 {
			if err := s.Log().Trim(context.Background(), shardID(0), protocol.Position{Seq: placed[i].Seq}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for reading := true; reading; {
		select {
		case <-done:
			reading = false
		default:
		}
		horizon, err := s.Log().Horizon(t.Context(), shardID(0))
		must(t, err)
		page, err := s.Log().Read(t.Context(), shardID(0), horizon, 2)
		if errors.Is(err, protocol.ErrExpired) {
			continue
		}
		must(t, err)
		if horizon.IsZero() || len(page.Events) == 0 {
			continue
		}
		n, _ := s.Log().number(horizon.Seq)
		if next := s.Log().sequence(n + 1); page.Events[0].Position.Seq != next {
			t.Fatalf("after %s comes %s, want %s", horizon, page.Events[0].Position, next)
		}
	}
	trimming.Wait()
}

// TestTrimmingFreesTheIndexOfArrivals: it would grow for ever; and what is left
// is still found by its arrival, also by a clock that went back.
func TestTrimmingFreesTheIndexOfArrivals(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_795_400_000_000)
	dir := t.TempDir()
	options := Options{Shards: 1, Now: func() time.Time { return now }}
	s := openStore(t, dir, options)
	var placed []protocol.Placed
	for range 100 {
		now = now.Add(time.Second)
		placed = append(placed, appendAll(t, s.Log(), protocol.Record{PartitionKey: "k"})...)
	}
	must(t, s.Log().Trim(t.Context(), shardID(0), protocol.Position{Seq: placed[97].Seq}))
	if n := count(t, s, arrivalKey(0, 0), arrivalKey(1, 0)); n != 3 {
		t.Errorf("the index has %d entries for 2 records and the latest arrival before them", n)
	}
	for range 2 {
		if seq, ok, err := s.Log().Since(t.Context(), shardID(0), now.UnixMilli()); err != nil || !ok || seq != placed[99].Seq {
			t.Errorf("since the last arrival comes %s, %t, %v; want %s", seq, ok, err, placed[99].Seq)
		}
		if seq, ok, err := s.Log().Since(t.Context(), shardID(0), 0); err != nil || !ok || seq != placed[98].Seq {
			t.Errorf("the first record that is left is %s, %t, %v; want %s", seq, ok, err, placed[98].Seq)
		}
		must(t, s.Close())
		s = openStore(t, dir, options)
	}
}

// TestACrashWhileTrimming leaves records behind the horizon; the next Open erases
// them.
func TestACrashWhileTrimming(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir, Options{Shards: 1})
	placed := appendAll(t, s.Log(), protocol.Record{PartitionKey: "k"}, protocol.Record{PartitionKey: "k"}, protocol.Record{PartitionKey: "k"})
	crashed := *s.Log().seen.Load().shards[0]
	n, err := s.Log().number(placed[1].Seq)
	must(t, err)
	crashed.Trimmed = n
	batch := s.db.NewBatch()
	must(t, setShard(batch, &crashed))
	must(t, batch.Commit(pebble.Sync))
	must(t, s.Close())
	s = openStore(t, dir, Options{})
	if n := count(t, s, recordKey(0, 0), recordKey(1, 0)); n != 1 {
		t.Errorf("%d records are left, want 1", n)
	}
	if _, err := s.Log().Read(t.Context(), shardID(0), protocol.Position{}, 1); !errors.Is(err, protocol.ErrExpired) {
		t.Errorf("reading from the beginning gave %v", err)
	}
}

func count(t *testing.T, s *Store, from, to []byte) (n int) {
	t.Helper()
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	must(t, err)
	for ok := it.First(); ok; ok = it.Next() {
		n++
	}
	must(t, it.Close())
	return n
}

// TestSweep removes what a crash left of batch runs, and nothing else.
func TestSweep(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := openStore(t, t.TempDir(), Options{Shards: 1})
	r := retention(t, s, time.Now)
	publish(t, r, nil)
	for _, version := range []string{"notes", "v00000002-attempt", "v00000002-other"} {
		must(t, r.Views.PutManifest(ctx, protocol.Manifest{Version: version}))
	}
	for _, run := range []string{"a", "b"} {
		if _, err := r.Ledger.PutPlan(ctx, protocol.Plan{Run: run}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Ledger("other").PutPlan(ctx, protocol.Plan{Run: "a"}); err != nil {
		t.Fatal(err)
	}
	must(t, s.Sweep(ctx, "g"))
	for _, run := range []string{"a", "b"} {
		if _, ok, err := r.Ledger.Plan(ctx, run); ok || err != nil {
			t.Errorf("the plan of run %s is still there; %v", run, err)
		}
	}
	if _, ok, _ := s.Ledger("other").Plan(ctx, "a"); !ok {
		t.Error("a plan of another generation is gone")
	}
	if p, err := r.Ledger.Pointer(ctx); err != nil || p.Seq != 1 {
		t.Errorf("the pointer is %+v, %v", p, err)
	}
	if versions, err := r.Views.Versions(ctx); err != nil || fmt.Sprint(versions) != "[v00000001-a]" {
		t.Errorf("the versions are %v, %v", versions, err)
	}
}

// TestJournal is there after a restart.
func TestJournal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir, Options{})
	if text, err := s.Journal("g").Load(t.Context()); err != nil || text != nil {
		t.Fatalf("a new journal holds %q, %v", text, err)
	}
	must(t, s.Journal("g").Store(t.Context(), []byte("one")))
	must(t, s.Journal("g").Store(t.Context(), []byte("two")))
	must(t, s.Close())
	s = openStore(t, dir, Options{})
	if text, err := s.Journal("g").Load(t.Context()); err != nil || string(text) != "two" {
		t.Errorf("the journal holds %q, %v", text, err)
	}
	if text, err := s.Journal("other").Load(t.Context()); err != nil || text != nil {
		t.Errorf("another generation's journal holds %q, %v", text, err)
	}
}
