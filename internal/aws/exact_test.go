//go:build clients

package aws_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/watershed-data/watershed/internal/aws"
	"github.com/watershed-data/watershed/internal/memory"
	"github.com/watershed-data/watershed/internal/protocol"
)

// first lets an accident happen to the first request of each operation named.
func first(what accident, operations ...string) func(*http.Request, int) accident {
	return func(r *http.Request, n int) accident {
		for _, op := range operations {
			if operation(r) == op && n == 1 {
				return what
			}
		}
		return none
	}
}

// always lets it happen to every one.
func always(what accident, op string) func(*http.Request, int) accident {
	return func(r *http.Request, _ int) accident {
		if operation(r) == op {
			return what
		}
		return none
	}
}

// Without this, a commit that landed is taken for a lost race, and a plan that is
// stored for another one's.
func TestAWriteWhoseReplyWasLostIsKnownToHaveLanded(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for what, write := range map[string]func(s *aws.Store) (bool, error){
		"creating a row": func(s *aws.Store) (bool, error) { return s.Ledger("g").Create(ctx, "new", protocol.Row{}) },
		"swapping a row": func(s *aws.Store) (bool, error) { return s.Ledger("g").Swap(ctx, "s", protocol.Row{Rev: 1, Count: 9}) },
		"moving the pointer": func(s *aws.Store) (bool, error) {
			return s.Ledger("g").SwapPointer(ctx, protocol.Pointer{}, protocol.Pointer{Seq: 1, Version: "v"})
		},
		"storing a run's plan": func(s *aws.Store) (bool, error) {
			p, err := s.Ledger("g").PutPlan(ctx, protocol.Plan{Run: "r", T: 7})
			return p.T == 7, err
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			o := tables(t)
			if ok, err := open(t, dynamo, o).Ledger("g").Create(ctx, "s", protocol.Row{}); !ok || err != nil {
				t.Fatal(ok, err)
			}
			if ok, err := write(over(t, dynamo, o, first(replyLost, "PutItem"))); !ok || err != nil {
				t.Errorf("%s gives %v, %v", what, ok, err)
			}
			if ok, _ := write(open(t, dynamo, o)); ok && what != "storing a run's plan" {
				t.Errorf("%s was possible a second time", what)
			}
		})
	}
}

// Without this, a file whose reply was lost would be reported as one that is in
// the way, and a replacement that landed would be taken back.
func TestAnObjectWhoseReplyWasLostIsKnownToHaveLanded(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	content := func(w io.Writer) error { _, err := io.WriteString(w, "content"); return err }
	o := inNewBucket(t)
	lossy := func() *aws.Store { return over(t, ministack, o, first(replyLost, "PUT")) }
	f, err := lossy().Master("g").Put(ctx, "s", content)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lossy().Views("g").Create(ctx, "v00000001-x", "a.parquet", content); err != nil {
		t.Error(err)
	}
	if _, err := open(t, ministack, o).Views("g").Create(ctx, "v00000001-x", "a.parquet", content); err == nil {
		t.Error("a file of a version was written over")
	}
	manifest := protocol.Manifest{Version: "v00000001-x", Seq: 1}
	for range 2 {
		if err := lossy().Views("g").PutManifest(ctx, manifest); err != nil {
			t.Error(err)
		}
	}
	manifest.Events = 5
	if err := open(t, ministack, o).Views("g").PutManifest(ctx, manifest); err == nil {
		t.Error("a manifest was written over")
	}
	// The second PUT is the listing's.
	s := over(t, ministack, o, func(r *http.Request, n int) accident {
		if operation(r) == "PUT" && n == 2 {
			return replyLost
		}
		return none
	})
	files, err := s.Master("g").Replace(ctx, []string{f.Name}, []protocol.NewFile{{Shard: "s", Write: content}})
	if err != nil {
		t.Fatal(err)
	}
	listed, err := open(t, ministack, o).Master("g").Files(ctx)
	if err != nil || len(listed) != 1 || listed[0] != files[0] {
		t.Errorf("the files are %v (%v), want %v", listed, err, files)
	}
}

func TestAReplyThatBreaksOffIsReadAgain(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	o := inNewBucket(t)
	f, err := open(t, ministack, o).Master("g").Put(ctx, "s", func(w io.Writer) error { _, err := io.WriteString(w, "0123456789"); return err })
	if err != nil {
		t.Fatal(err)
	}
	r, size, err := over(t, ministack, o, first(brokenOff, "GET")).Master("g").Open(ctx, f.Name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got := make([]byte, 4)
	if n, err := r.ReadAt(got, 3); n != 4 || err != nil || string(got) != "3456" || size != 10 {
		t.Errorf("read %q of %d bytes: %v", got[:n], size, err)
	}
	if n, err := r.ReadAt(got, 8); n != 2 || !errors.Is(err, io.EOF) || string(got[:n]) != "89" {
		t.Errorf("the end reads %q: %v", got[:n], err)
	}
}

// manyItems stores items of one shard in two epochs.
func manyItems(t *testing.T, r *aws.RealTime) (ids []protocol.ItemID) {
	t.Helper()
	var puts []protocol.Put
	for i := range 130 {
		id := protocol.ItemID{Key: protocol.Key{View: "v", Dims: strconv.Itoa(i)}, Epoch: int64(i % 2), Shard: "s"}
		ids = append(ids, id)
		puts = append(puts, protocol.Put{Item: protocol.Item{ItemID: id, Cur: []byte{byte(i)}, Through: protocol.Position{Seq: "1"}}})
	}
	if _, err := r.Put(t.Context(), puts); err != nil {
		t.Fatal(err)
	}
	return ids
}

// Without this, items that a table in need left out would be missing in an answer,
// or be added up from nothing.
func TestWhatATableLeavesUnprocessedIsAskedForAgain(t *testing.T) {
	t.Parallel()
	o := tables(t)
	ids := manyItems(t, open(t, dynamo, o).RealTime("g"))
	half := over(t, dynamo, o, func(r *http.Request, n int) accident {
		if op := operation(r); n%3 > 0 && (op == "BatchGetItem" || op == "BatchWriteItem") {
			return unprocessed
		}
		return none
	}).RealTime("g")
	items, err := half.Items(t.Context(), append(ids, ids[0]))
	if err != nil {
		t.Fatal(err)
	}
	for i, it := range items {
		if it.Through.IsZero() || it.Cur[0] != byte(i%130) {
			t.Fatalf("item %d reads %+v", i, it)
		}
	}
	if n, err := half.Discard(t.Context(), "s", 0); n != 65 || err != nil {
		t.Errorf("%d items were discarded, want 65 (%v)", n, err)
	}
	items, err = open(t, dynamo, o).RealTime("g").Items(t.Context(), ids)
	if err != nil {
		t.Fatal(err)
	}
	for i, it := range items {
		if gone := it.Through.IsZero(); gone != (i%2 == 0) {
			t.Errorf("item %d: gone is %v", i, gone)
		}
	}
}

func TestRetriesEnd(t *testing.T) {
	t.Parallel()
	o := tables(t)
	ids := manyItems(t, open(t, dynamo, o).RealTime("g"))
	stuck := over(t, dynamo, o, always(unprocessed, "BatchGetItem")).RealTime("g")
	if _, err := stuck.Items(t.Context(), ids[:1]); !errors.Is(err, protocol.ErrBusy) {
		t.Errorf("a table that never processes a key: %v", err)
	}
	if _, _, err := over(t, dynamo, o, always(throttled, "GetItem")).Ledger("g").Row(t.Context(), "s"); err == nil {
		t.Error("a table that always refuses was read")
	}
	ok, err := over(t, dynamo, o, first(throttled, "PutItem")).Ledger("g").Create(t.Context(), "s", protocol.Row{})
	if !ok || err != nil {
		t.Errorf("after one refusal, creating a row gives %v, %v", ok, err)
	}
}

// counting is a folder that counts the events of each partition key.
type counting struct{}

func (counting) Fold(_ context.Context, _ string, events []protocol.Event, _ protocol.Seen) (protocol.Folded, error) {
	counts := map[string]int{}
	for _, e := range events {
		counts[e.PartitionKey]++
	}
	var f protocol.Folded
	for k, n := range counts {
		f.Deltas = append(f.Deltas, protocol.Delta{Key: protocol.Key{View: "v", Dims: k}, State: []byte(strconv.Itoa(n))})
	}
	return f, nil
}

func (counting) Merge(_ string, a, b []byte) ([]byte, error) {
	x, errX := strconv.Atoi(string(a))
	y, errY := strconv.Atoi(string(b))
	return []byte(strconv.Itoa(x + y)), errors.Join(errX, errY)
}

func (counting) Keep() int64 { return 0 }

// Two invocations apply the same events in batches of different bounds while every
// eighth request fails in one way or another.
func TestCountsAreExactWhateverHappensToRequests(t *testing.T) {
	t.Parallel()
	log := memory.NewLog(1)
	shards, err := log.Shards(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	shard := shards[0].ID
	want := map[string]int{}
	for i := range 60 {
		k := fmt.Sprint("key", i%7)
		want[k]++
		log.Put(shard, int64(i), false, protocol.Record{PartitionKey: k, Data: []byte{byte(i)}})
	}
	page, err := log.Read(t.Context(), shard, protocol.Position{}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	o := tables(t)
	var wg sync.WaitGroup
	for invocation := range uint64(2) {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(invocation, 5))
			s := over(t, dynamo, o, func(r *http.Request, _ int) accident {
				return []accident{replyLost, reset, throttled}[random.IntN(3)] * accident(max(0, 1-random.IntN(8)))
			})
			speed := protocol.Speed{Log: log, Ledger: s.Ledger("g"), RealTime: s.RealTime("g"), Folder: counting{}, Now: func() int64 { return 1 }}
			for rest := page.Events; len(rest) > 0; {
				n := min(len(rest), 4+3*int(invocation))
				err := speed.Apply(t.Context(), protocol.Batch{Shard: shard, Events: rest[:n]})
				if err == nil {
					rest = rest[n:] // else the source hands the batch over again
				} else if t.Context().Err() != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	s := open(t, dynamo, o)
	row, _, err := s.Ledger("g").Row(t.Context(), shard)
	if err != nil || row.Pending != nil || row.Count != 60 || row.Through != page.Events[59].Position {
		t.Errorf("the ledger holds %+v (%v)", row, err)
	}
	items, err := s.RealTime("g").Query(t.Context(), "v", 0, 1, "")
	got := map[string]int{}
	for _, it := range items.Items {
		got[it.Dims], _ = strconv.Atoi(string(it.Cur))
	}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("counted %v (%v), want %v", got, err, want)
	}
}

// A file is replaced and deleted while another process lists: between its look at
// the objects and its look at what they do not say.
func TestAListingIsOfOneMoment(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	o := inNewBucket(t)
	content := func(w io.Writer) error { _, err := io.WriteString(w, "content"); return err }
	other := open(t, ministack, o).Master("g")
	old, err := other.Put(ctx, "s", content)
	if err != nil {
		t.Fatal(err)
	}
	var files []protocol.File
	lister := over(t, ministack, o, func(r *http.Request, n int) accident {
		if operation(r) == "GET" && n == 3 { // the listing, the objects, and the listing again
			if files, err = other.Replace(ctx, []string{old.Name}, []protocol.NewFile{{Shard: "s", Write: content}}); err != nil {
				t.Error(err)
			}
		}
		return none
	}).Master("g")
	listed, err := lister.Files(ctx)
	if err != nil || len(files) != 1 || len(listed) != 1 || listed[0] != files[0] {
		t.Errorf("the files are %v (%v), want %v", listed, err, files)
	}
}

// The reply to a replacement is lost, and another process replaces other files
// before it is sent again: both have taken place.
func TestAReplacementIsKnownBehindAnother(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	o := inNewBucket(t)
	o.KeepReplaced = time.Hour
	content := func(w io.Writer) error { _, err := io.WriteString(w, "content"); return err }
	other := open(t, ministack, o).Master("g")
	var old [2]protocol.File
	var err error
	for i := range old {
		if old[i], err = other.Put(ctx, "s", content); err != nil {
			t.Fatal(err)
		}
	}
	var theirs []protocol.File
	m := over(t, ministack, o, func(r *http.Request, n int) accident {
		switch {
		case operation(r) == "PUT" && n == 2: // the first one is the file
			return replyLost
		case operation(r) == "PUT" && n == 3:
			var err error
			if theirs, err = other.Replace(ctx, []string{old[1].Name}, []protocol.NewFile{{Shard: "s", Write: content}}); err != nil {
				t.Error(err)
			}
		}
		return none
	}).Master("g")
	mine, err := m.Replace(ctx, []string{old[0].Name}, []protocol.NewFile{{Shard: "s", Write: content}})
	if err != nil {
		t.Fatal(err)
	}
	listed, err := m.Files(ctx)
	if err != nil || len(listed) != 2 || !slices.Contains(listed, mine[0]) || !slices.Contains(listed, theirs[0]) {
		t.Errorf("the files are %v (%v), want %v and %v", listed, err, mine, theirs)
	}
	for _, f := range old { // readers of other processes may have listed them
		r, _, err := m.Open(ctx, f.Name)
		if err != nil {
			t.Errorf("a file that was replaced a moment ago is gone: %v", err)
			continue
		}
		_ = r.Close()
	}
}

// Replaced files go when their time is over, whoever replaced them.
func TestReplacedFilesGoAfterTheirTime(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	now := time.Now()
	o := inNewBucket(t)
	o.KeepReplaced, o.Now = time.Hour, func() time.Time { return now }
	content := func(w io.Writer) error { _, err := io.WriteString(w, "content"); return err }
	m := open(t, ministack, o).Master("g")
	var names []string
	for range 2 {
		f, err := m.Put(ctx, "s", content)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, f.Name)
	}
	for i, name := range names {
		if _, err := open(t, ministack, o).Master("g").Replace(ctx, []string{name}, nil); err != nil {
			t.Fatal(err)
		}
		r, _, err := m.Open(ctx, names[0])
		if gone := err != nil; gone != (i == 1) {
			t.Errorf("after %d replacements, the first file: gone is %v", i+1, gone)
		}
		if err == nil {
			_ = r.Close()
		}
		now = now.Add(2 * time.Hour)
	}
	if files, err := m.Files(ctx); err != nil || len(files) > 0 {
		t.Errorf("the files are %v (%v), want none", files, err)
	}
}

func TestAJournalKeepsTheLastText(t *testing.T) {
	t.Parallel()
	o := tables(t)
	j := open(t, dynamo, o).Journal("g", "batch")
	if text, err := j.Load(t.Context()); text != nil || err != nil {
		t.Errorf("a new journal says %q (%v)", text, err)
	}
	for _, text := range []string{"one", "two"} {
		if err := j.Store(t.Context(), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := open(t, dynamo, o).Journal("g", "batch").Load(t.Context()); string(text) != "two" || err != nil {
		t.Errorf("the journal says %q (%v), want two", text, err)
	}
	if text, err := open(t, dynamo, o).Journal("g", "erasing").Load(t.Context()); text != nil || err != nil {
		t.Errorf("another journal says %q (%v)", text, err)
	}
}

// Without this, a version that is half gone would be taken for a complete one.
func TestAVersionThatIsHalfDeletedHasNoManifest(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	o := inNewBucket(t)
	v := open(t, ministack, o).Views("g")
	const version = "v00000001-x"
	if _, err := v.Create(ctx, version, "a.parquet", func(w io.Writer) error { _, err := io.WriteString(w, "content"); return err }); err != nil {
		t.Fatal(err)
	}
	if err := v.PutManifest(ctx, protocol.Manifest{Version: version}); err != nil {
		t.Fatal(err)
	}
	dying := over(t, ministack, o, func(r *http.Request, n int) accident {
		if operation(r) == "POST" && n > 1 { // deleting more than the first time
			return reset
		}
		return none
	}).Views("g")
	if err := dying.Delete(ctx, version); err == nil {
		t.Error("deleting succeeded though the bucket was not to be reached")
	}
	if m, err := v.Manifest(ctx, version); err == nil {
		t.Errorf("the manifest of a version that is half deleted reads %+v", m)
	}
	if all, err := v.Versions(ctx); err != nil || len(all) != 1 {
		t.Errorf("versions %v (%v): what is left has to be listed, to be deleted", all, err)
	}
	if err := v.Delete(ctx, version); err != nil {
		t.Error(err)
	}
	if all, err := v.Versions(ctx); err != nil || len(all) > 0 {
		t.Errorf("versions %v (%v)", all, err)
	}
}
