package conform

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/watershed-data/watershed/internal/protocol"
)

// largest makes an item of a size, as Item.Size counts it.
func largest(t *testing.T, n int64, size int) protocol.Item {
	t.Helper()
	it := protocol.Item{
		ItemID:  protocol.ItemID{Key: protocol.Key{View: "large", Time: n, Dims: "\x01dims\x00"}, Epoch: 1, Shard: "shardId-000000000000"},
		Through: protocol.Position{Seq: "49590338271490256608559692538361571095921575989136588898", Sub: 7},
		Prev:    []byte("before"), PrevThrough: at(1),
	}
	it.Cur = bytes.Repeat([]byte{byte(n), 0xff}, size)[:size-it.Size()]
	if it.Size() != size {
		t.Fatalf("an item of %d bytes has %d", size, it.Size())
	}
	return it
}

// limits tests that a store takes what layers may make, and refuses the rest: what
// a laptop takes and the cloud does not would fail there for the first time.
func limits(t *testing.T, open func(t *testing.T) protocol.RealTime) {
	put := func(t *testing.T, r protocol.RealTime, it protocol.Item) error {
		t.Helper()
		ok, err := r.Put(t.Context(), []protocol.Put{{Item: it}})
		if err == nil && !ok[0] {
			t.Fatal("a new item was not stored")
		}
		return err
	}

	t.Run("the largest item is stored, a larger one is refused", func(t *testing.T) {
		t.Parallel()
		r := open(t)
		fits, large := largest(t, 1, protocol.ItemBytes), largest(t, 2, protocol.ItemBytes+1)
		if err := put(t, r, fits); err != nil {
			t.Fatal(err)
		}
		if err := put(t, r, large); !errors.Is(err, protocol.ErrTooLarge) {
			t.Fatalf("an item of %d bytes: %v", large.Size(), err)
		}
		got := must[[]protocol.Item](t)(r.Items(t.Context(), []protocol.ItemID{fits.ItemID, large.ItemID}))
		if !bytes.Equal(got[0].Cur, fits.Cur) || string(got[0].Prev) != "before" || got[0].Through != fits.Through {
			t.Error("the largest item came back as another one")
		}
		if !got[1].Through.IsZero() {
			t.Error("an item that was refused is there")
		}
	})

	t.Run("pages of large items are bounded and lose none", func(t *testing.T) {
		t.Parallel()
		r := open(t)
		const items = 25
		for n := range int64(items) {
			if err := put(t, r, largest(t, n, protocol.ItemBytes)); err != nil {
				t.Fatal(err)
			}
		}
		seen := map[int64]bool{}
		for token, more := "", true; more; {
			page := must[protocol.ItemPage](t)(r.Query(t.Context(), "large", 0, items, token))
			size := 0
			for i := range page.Items {
				it := &page.Items[i]
				size += it.Size()
				if seen[it.Time] || it.Size() != protocol.ItemBytes || it.Cur[0] != byte(it.Time) {
					t.Fatalf("item %d came twice or as another one", it.Time)
				}
				seen[it.Time] = true
			}
			if size > protocol.ItemPageBytes+protocol.ItemBytes {
				t.Errorf("a page has %d bytes", size)
			}
			token, more = page.Next, page.Next != ""
		}
		if len(seen) != items {
			t.Errorf("%d items of %d came", len(seen), items)
		}
	})

	t.Run("a segment that is too large is refused", func(t *testing.T) {
		t.Parallel()
		r := open(t)
		large := protocol.Segment{SegmentID: protocol.SegmentID{Shard: "s", Through: at(1)}, Data: make([]byte, protocol.SegmentBytes+1)}
		if err := r.PutSegment(t.Context(), large); !errors.Is(err, protocol.ErrTooLarge) {
			t.Errorf("%d bytes of data: %v", len(large.Data), err)
		}
		if got := must[[]protocol.Segment](t)(r.Segments(t.Context(), "s")); len(got) > 0 {
			t.Error("a segment that was refused is there")
		}
	})
}

// contention tests what many want at the same time: one gets it, and all see it.
func contention(t *testing.T, open func(t *testing.T) protocol.Ledger) {
	const callers = 8
	all := func(call func(i int)) {
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() { call(i) })
		}
		wg.Wait()
	}

	t.Run("of many who create a row one does", func(t *testing.T) {
		t.Parallel()
		l := open(t)
		var created atomic.Int64
		all(func(i int) {
			ok, err := l.Create(t.Context(), "s", protocol.Row{Count: int64(i)})
			if err != nil {
				t.Error(err)
			}
			if ok {
				created.Add(1)
			}
			if _, there, err := l.Row(t.Context(), "s"); !there || err != nil {
				t.Errorf("after creating it, the row is not there (%v)", err)
			}
		})
		if created.Load() != 1 {
			t.Errorf("the row was created %d times", created.Load())
		}
	})

	t.Run("of many who plan a run all get one plan", func(t *testing.T) {
		t.Parallel()
		l := open(t)
		var plans [callers]protocol.Plan
		all(func(i int) {
			var err error
			if plans[i], err = l.PutPlan(t.Context(), protocol.Plan{Run: "r", T: int64(i + 1)}); err != nil {
				t.Error(err)
			}
		})
		for _, p := range plans {
			if p.T != plans[0].T {
				t.Errorf("one got the plan of %d and another one that of %d", plans[0].T, p.T)
			}
		}
	})

	t.Run("the pointer moves once from each place, and is seen where it is", func(t *testing.T) {
		t.Parallel()
		l := open(t)
		const each = 20
		all(func(i int) {
			for moved := 0; moved < each; {
				p, err := l.Pointer(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				next := protocol.Pointer{Seq: p.Seq + 1, Version: fmt.Sprint(i)}
				ok, err := l.SwapPointer(t.Context(), p, next)
				if err != nil {
					t.Error(err)
					return
				}
				if ok {
					moved++
					if now, err := l.Pointer(t.Context()); err != nil || now.Seq < next.Seq {
						t.Errorf("the pointer was moved to %d and is read as %d (%v)", next.Seq, now.Seq, err)
					}
				}
			}
		})
		if p := must[protocol.Pointer](t)(l.Pointer(t.Context())); p.Seq != callers*each {
			t.Errorf("%d moves led to %d", callers*each, p.Seq)
		}
	})
}
