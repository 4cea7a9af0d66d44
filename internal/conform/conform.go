// Package conform is the conformance suite of the ports: what the protocol
// relies on, tested against any implementation. Each function takes a
// constructor and runs subtests on fresh stores.
package conform

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/watershed-data/watershed/internal/protocol"
)

func must[T any](t *testing.T) func(x T, err error) T {
	return func(x T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
}

func at(n int64) protocol.Position { return protocol.Position{Seq: fmt.Sprint(n), Sub: 0} }

// Ledger tests an implementation of protocol.Ledger.
func Ledger(t *testing.T, open func(t *testing.T) protocol.Ledger) {
	contention(t, open)
	ctx := context.Background()

	t.Run("a row is created once and comes back as it was", func(t *testing.T) {
		t.Parallel()
		l, is := open(t), must[bool](t)
		if _, ok, err := l.Row(ctx, "s"); ok || err != nil {
			t.Fatalf("an empty ledger has a row (%v)", err)
		}
		row := protocol.Row{
			Epoch: 3, From: at(1), Through: protocol.Position{Seq: "49590338271490256608559692538361571095921575989136588898", Sub: 7},
			Count: 1 << 40, Sum: protocol.Sum{Hi: 1<<64 - 1, Lo: 1 << 63}, MaxArrival: 1_700_000_000_123,
			Pending: &protocol.Pending{Through: at(99), Epoch: 3, Since: 5}, Cut: &protocol.Cut{Epoch: 2, Through: at(9), Count: 4, Sum: protocol.Sum{Hi: 8, Lo: 9}, MaxArrival: 1_700_000_000_122},
		}
		if !is(l.Create(ctx, "s", row)) || is(l.Create(ctx, "s", protocol.Row{})) {
			t.Fatal("creating a row must succeed once")
		}
		got, ok, err := l.Row(ctx, "s")
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		if got.Rev != 1 || *got.Pending != *row.Pending || *got.Cut != *row.Cut {
			t.Fatalf("stored %+v, read %+v", row, got)
		}
		row.Rev, row.Pending, row.Cut, got.Pending, got.Cut = 1, nil, nil, nil, nil
		if got != row {
			t.Fatalf("stored %+v, read %+v", row, got)
		}
	})

	t.Run("a swap needs the revision it was made from", func(t *testing.T) {
		t.Parallel()
		l, is := open(t), must[bool](t)
		if is(l.Swap(ctx, "s", protocol.Row{})) {
			t.Fatal("a row that does not exist was swapped")
		}
		is(l.Create(ctx, "s", protocol.Row{}))
		if !is(l.Swap(ctx, "s", protocol.Row{Rev: 1, Count: 1})) || is(l.Swap(ctx, "s", protocol.Row{Rev: 1, Count: 2})) {
			t.Fatal("a swap must succeed once per revision")
		}
		if row, _, _ := l.Row(ctx, "s"); row.Rev != 2 || row.Count != 1 {
			t.Fatalf("the ledger holds %+v", row)
		}
	})

	t.Run("under contention every swap counts once", func(t *testing.T) {
		t.Parallel()
		l := open(t)
		must[bool](t)(l.Create(ctx, "s", protocol.Row{}))
		const writers, each = 8, 25
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				for done := 0; done < each; {
					row, _, err := l.Row(ctx, "s")
					if err != nil {
						t.Error(err)
						return
					}
					row.Count++
					ok, err := l.Swap(ctx, "s", row)
					if err != nil {
						t.Error(err)
						return
					}
					if ok {
						done++
					}
				}
			})
		}
		wg.Wait()
		if row, _, _ := l.Row(ctx, "s"); row.Count != writers*each || row.Rev != 1+writers*each {
			t.Fatalf("%d swaps left %+v", writers*each, row)
		}
	})

	t.Run("the pointer moves from what it is only", func(t *testing.T) {
		t.Parallel()
		l, is := open(t), must[bool](t)
		one, two := protocol.Pointer{Seq: 1, Version: "a"}, protocol.Pointer{Seq: 2, Version: "b", Disc: 1}
		if p, err := l.Pointer(ctx); err != nil || p != (protocol.Pointer{}) {
			t.Fatalf("a new ledger points to %+v (%v)", p, err)
		}
		if is(l.SwapPointer(ctx, one, two)) || !is(l.SwapPointer(ctx, protocol.Pointer{}, one)) || is(l.SwapPointer(ctx, protocol.Pointer{}, two)) || !is(l.SwapPointer(ctx, one, two)) {
			t.Fatal("the pointer moved from what it was not")
		}
		if p, err := l.Pointer(ctx); err != nil || p != two {
			t.Fatalf("the pointer is %+v (%v)", p, err)
		}
	})

	t.Run("the first plan of a run stays", func(t *testing.T) {
		t.Parallel()
		l := open(t)
		plan := protocol.Plan{Run: "r", T: 7, Pointer: protocol.Pointer{Seq: 3, Version: "x"}, Cut: map[string]protocol.Cut{"s": {Epoch: 1, Through: at(5), Count: 2, Sum: protocol.Sum{Hi: 1, Lo: 2}}}}
		for _, p := range []protocol.Plan{plan, {Run: "r", T: 8}} {
			got := must[protocol.Plan](t)(l.PutPlan(ctx, p))
			if got.T != 7 || got.Pointer != plan.Pointer || !maps.Equal(got.Cut, plan.Cut) {
				t.Fatalf("the plan is %+v", got)
			}
		}
		if err := l.DeletePlan(ctx, "r"); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := l.Plan(ctx, "r"); ok || err != nil {
			t.Fatalf("a deleted plan is there (%v)", err)
		}
	})

	t.Run("shards are listed", func(t *testing.T) {
		t.Parallel()
		l := open(t)
		var want []string
		for i := range 30 {
			id := fmt.Sprintf("shardId-%012d", i)
			want = append(want, id)
			must[bool](t)(l.Create(ctx, id, protocol.Row{}))
		}
		must[bool](t)(l.Swap(ctx, want[7], protocol.Row{Rev: 1, Through: at(5), Count: 2, Cut: &protocol.Cut{Epoch: 1}}))
		rows := must[map[string]protocol.Row](t)(l.Rows(ctx))
		for _, id := range want {
			row, _, err := l.Row(ctx, id)
			if got, ok := rows[id]; err != nil || !ok || !reflect.DeepEqual(got, row) {
				t.Fatalf("among all rows, that of %s is %+v, alone it is %+v (%v)", id, got, row, err)
			}
		}
		if len(rows) != len(want) {
			t.Fatalf("%d rows, want %d", len(rows), len(want))
		}
		got := must[[]string](t)(l.Shards(ctx))
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Fatalf("shards %v", got)
		}
	})
}

// RealTime tests an implementation of protocol.RealTime.
func RealTime(t *testing.T, open func(t *testing.T) protocol.RealTime) {
	limits(t, open)
	ctx := context.Background()
	id := func(view string, time int64, dims string, epoch int64, shard string) protocol.ItemID {
		return protocol.ItemID{Key: protocol.Key{View: view, Time: time, Dims: dims}, Epoch: epoch, Shard: shard}
	}

	t.Run("an item is stored if it still is what was read", func(t *testing.T) {
		t.Parallel()
		r := open(t)
		x := id("v", -5, "a\x00\xffb", 2, "s")
		put := func(expect, through int64, cur string) bool {
			p := protocol.Put{Item: protocol.Item{ItemID: x, Cur: []byte(cur), Through: at(through)}}
			if expect > 0 {
				p.Expect, p.Item.Prev, p.Item.PrevThrough = at(expect), []byte("before"), at(expect)
			}
			return must[[]bool](t)(r.Put(ctx, []protocol.Put{p}))[0]
		}
		if put(3, 5, "x") || !put(0, 5, "one") || put(0, 6, "x") || !put(5, 7, "two") || put(5, 8, "x") {
			t.Fatal("a condition was not kept")
		}
		got := must[[]protocol.Item](t)(r.Items(ctx, []protocol.ItemID{id("v", -5, "other", 2, "s"), x}))
		if !got[0].Through.IsZero() || got[0].Cur != nil {
			t.Fatalf("a missing item reads %+v", got[0])
		}
		if it := got[1]; it.ItemID != x || string(it.Cur) != "two" || it.Through != at(7) || string(it.Prev) != "before" || it.PrevThrough != at(5) {
			t.Fatalf("the item reads %+v", it)
		}
	})

	t.Run("contended puts are stored once", func(t *testing.T) {
		t.Parallel()
		r := open(t)
		x := id("v", 0, "k", 0, "s")
		var wg sync.WaitGroup
		var mu sync.Mutex
		stored := 0
		for range 8 {
			wg.Go(func() {
				for n := int64(1); n <= 20; n++ {
					p := protocol.Put{Item: protocol.Item{ItemID: x, Cur: []byte{1}, Through: at(n)}}
					if n > 1 {
						p.Expect = at(n - 1)
					}
					ok, err := r.Put(ctx, []protocol.Put{p})
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					if ok[0] {
						stored++
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if stored != 20 {
			t.Fatalf("20 states were stored %d times", stored)
		}
	})

	t.Run("a query gives the view's items of the time range, page by page", func(t *testing.T) {
		t.Parallel()
		r := open(t)
		want := map[protocol.ItemID]bool{}
		var puts []protocol.Put
		for _, shard := range []string{"s1", "s2"} {
			for epoch := range int64(3) {
				for _, view := range []string{"a", "ab", "b"} {
					for time := int64(-2); time <= 300; time += 7 {
						for _, dims := range []string{"", "\x00", "\x01x\x00\x00", "\xff"} {
							x := id(view, time, dims, epoch, shard)
							puts = append(puts, protocol.Put{Item: protocol.Item{ItemID: x, Cur: []byte("c"), Through: at(1)}})
							want[x] = view == "ab" && time >= 5 && time < 250
						}
					}
				}
			}
		}
		must[[]bool](t)(r.Put(ctx, puts))
		got := map[protocol.ItemID]bool{}
		for token, more := "", true; more; {
			page := must[protocol.ItemPage](t)(r.Query(ctx, "ab", 5, 250, token))
			for _, it := range page.Items {
				if got[it.ItemID] || !want[it.ItemID] || string(it.Cur) != "c" {
					t.Fatalf("unwanted or repeated item %+v", it)
				}
				got[it.ItemID] = true
			}
			token, more = page.Next, page.Next != ""
		}
		for x, wanted := range want {
			if wanted && !got[x] {
				t.Fatalf("item %+v is missing", x)
			}
		}
	})

	t.Run("discard deletes a shard's items up to the epoch and no others", func(t *testing.T) {
		t.Parallel()
		r := open(t)
		ids := []protocol.ItemID{id("v", 0, "k", 0, "s1"), id("v", 9, "k", 1, "s1"), id("w", 0, "k", 1, "s1"), id("v", 0, "k", 2, "s1"), id("v", 0, "k", 0, "s10"), id("v", 0, "k", 1, "s2")}
		var puts []protocol.Put
		for _, x := range ids {
			puts = append(puts, protocol.Put{Item: protocol.Item{ItemID: x, Cur: []byte("c"), Through: at(1)}})
		}
		must[[]bool](t)(r.Put(ctx, puts))
		for range 2 { // a repeat changes nothing
			if _, err := r.Discard(ctx, "s1", 1); err != nil {
				t.Fatal(err)
			}
		}
		for i, it := range must[[]protocol.Item](t)(r.Items(ctx, ids)) {
			if gone := it.Through.IsZero(); gone != (i < 3) {
				t.Errorf("item %+v: gone is %v", ids[i], gone)
			}
		}
	})

	t.Run("segments come by position and part and go one by one", func(t *testing.T) {
		t.Parallel()
		r := open(t)
		segment := func(shard string, n int64, part int) protocol.Segment {
			id := protocol.SegmentID{Shard: shard, Through: at(n), Part: part}
			return protocol.Segment{SegmentID: id, MaxArrival: n, Data: fmt.Appendf(nil, "%s %d %d", shard, n, part)}
		}
		full := segment("s", 100, 2)
		full.Data = bytes.Repeat([]byte{0xff}, protocol.SegmentBytes)
		for _, s := range []protocol.Segment{
			segment("s", 100, 10), full, segment("s", 9, 0), segment("s1", 9, 0), segment("s", 20, 0), segment("s", 20, 1), segment("s", 9, 0), segment("s", 100, 0),
		} {
			if err := r.PutSegment(ctx, s); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			if err := r.DeleteSegment(ctx, segment("s", 20, 0).SegmentID); err != nil {
				t.Fatal(err)
			}
		}
		got := must[[]protocol.Segment](t)(r.Segments(ctx, "s"))
		want := []protocol.Segment{segment("s", 9, 0), segment("s", 20, 1), segment("s", 100, 0), full, segment("s", 100, 10)}
		same := func(a, b protocol.Segment) bool {
			return a.SegmentID == b.SegmentID && a.MaxArrival == b.MaxArrival && bytes.Equal(a.Data, b.Data)
		}
		if !slices.EqualFunc(got, want, same) {
			t.Fatalf("segments %.500v", got)
		}
	})
}

// Master tests an implementation of protocol.Master.
func Master(t *testing.T, open func(t *testing.T) protocol.Master) {
	ctx := context.Background()

	t.Run("a file appears when it is complete, under a name of its own", func(t *testing.T) {
		t.Parallel()
		m := open(t)
		failing := fmt.Errorf("no more ink")
		if _, err := m.Put(ctx, "s", func(w io.Writer) error { _, _ = w.Write([]byte("half")); return failing }); err == nil {
			t.Fatal("a failing write succeeded")
		}
		want := map[string]string{}
		for _, content := range []string{"one", "two", ""} {
			f := must[protocol.File](t)(m.Put(ctx, "s", func(w io.Writer) error { _, err := io.WriteString(w, content); return err }))
			if _, used := want[f.Name]; used || f.Size != int64(len(content)) {
				t.Fatalf("file %+v holds %q", f, content)
			}
			want[f.Name] = content
		}
		got := map[string]string{}
		for _, f := range must[[]protocol.File](t)(m.Files(ctx)) {
			r, size, err := m.Open(ctx, f.Name)
			if err != nil {
				t.Fatal(err)
			}
			content := must[[]byte](t)(io.ReadAll(io.NewSectionReader(r, 0, size)))
			if err := r.Close(); err != nil || size != f.Size {
				t.Fatal(err, size, f.Size)
			}
			got[f.Name] = string(content)
		}
		if !maps.Equal(got, want) {
			t.Fatalf("files %v, want %v", got, want)
		}
	})

	replacing(t, open)
}

// Views tests an implementation of protocol.Views.
func Views(t *testing.T, open func(t *testing.T) protocol.Views) {
	ctx := context.Background()

	t.Run("a version comes and goes", func(t *testing.T) {
		t.Parallel()
		v := open(t)
		m := protocol.Manifest{
			Version: "v00000001-x", Seq: 1, Run: "r", Generation: "g", T: 5, Events: 6,
			Cut:   map[string]protocol.Cut{"s": {Epoch: 1, Through: at(5), Count: 6, Sum: protocol.Sum{Hi: 1<<64 - 1, Lo: 2}}},
			Views: map[string][]protocol.ViewFile{"a": {{Name: "a.parquet", Rows: 3}}},
			Full:  protocol.Full{Seq: 1, T: 5},
			Past:  []map[string]protocol.Cut{{"s": {Through: at(3), Count: 2, MaxArrival: 7}}, {"s": {}}},
		}
		if _, err := v.Manifest(ctx, m.Version); err == nil {
			t.Fatal("a version without a manifest has one")
		}
		if err := v.PutManifest(ctx, m); err != nil {
			t.Fatal(err)
		}
		got := must[protocol.Manifest](t)(v.Manifest(ctx, m.Version))
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", m) {
			t.Fatalf("the manifest reads %+v, was %+v", got, m)
		}
		if all := must[[]string](t)(v.Versions(ctx)); !slices.Equal(all, []string{m.Version}) {
			t.Fatalf("versions %v", all)
		}
		for range 2 {
			if err := v.Delete(ctx, m.Version); err != nil {
				t.Fatal(err)
			}
		}
		if all := must[[]string](t)(v.Versions(ctx)); len(all) > 0 {
			t.Fatalf("versions %v", all)
		}
	})
}
