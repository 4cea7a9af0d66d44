package laws

import (
	"context"
	"fmt"
	"slices"

	"github.com/watershed-data/watershed/internal/memory"
	"github.com/watershed-data/watershed/internal/protocol"
)

// The stores of a history: each operation is one step of the actor that asks.

type log struct {
	*memory.Log
	s *scheduler
}

func (l log) Shards(ctx context.Context) (out []protocol.Shard, err error) {
	died := l.s.step(ctx, "list shards", func() { out, err = l.Log.Shards(ctx) })
	return out, first(died, err)
}

func (l log) Read(ctx context.Context, shard string, after protocol.Position, limit int) (out protocol.Page, err error) {
	died := l.s.step(ctx, fmt.Sprintf("read log %s after %q", short(shard), after), func() { out, err = l.Log.Read(ctx, shard, after, limit) })
	return out, first(died, err)
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func short(shard string) string { return "s" + shard[len(shard)-1:] }

type ledger struct {
	*memory.Ledger
	s *scheduler
}

func (l ledger) Shards(ctx context.Context) (out []string, err error) {
	died := l.s.step(ctx, "list rows", func() { out, err = l.Ledger.Shards(ctx) })
	return out, first(died, err)
}

// Rows goes on to the next row that is there, as a query of a table may: parents
// before children, and a child that is created meanwhile comes as well.
func (l ledger) Rows(ctx context.Context) (map[string]protocol.Row, error) {
	out := map[string]protocol.Row{}
	for last := ""; ; {
		next := ""
		var row protocol.Row
		var err error
		died := l.s.step(ctx, "read row after "+last, func() {
			var ids []string
			if ids, err = l.Ledger.Shards(ctx); err != nil {
				return
			}
			slices.Sort(ids)
			if i := slices.IndexFunc(ids, func(id string) bool { return id > last }); i >= 0 {
				next = ids[i]
				row, _, err = l.Ledger.Row(ctx, next)
			}
		})
		if err := first(died, err); err != nil {
			return nil, err
		}
		if next == "" {
			return out, nil
		}
		out[next], last = row, next
	}
}

func (l ledger) Row(ctx context.Context, shard string) (row protocol.Row, ok bool, err error) {
	died := l.s.step(ctx, "read row "+short(shard), func() { row, ok, err = l.Ledger.Row(ctx, shard) })
	return row, ok, first(died, err)
}

func (l ledger) Create(ctx context.Context, shard string, row protocol.Row) (ok bool, err error) {
	died := l.s.step(ctx, "create row "+short(shard), func() { ok, err = l.Ledger.Create(ctx, shard, row) })
	return ok, first(died, err)
}

func (l ledger) Swap(ctx context.Context, shard string, row protocol.Row) (ok bool, err error) {
	what := fmt.Sprintf("swap row %s at rev %d: epoch %d through %q", short(shard), row.Rev, row.Epoch, row.Through)
	if row.Pending != nil {
		what += fmt.Sprintf(" pending %q", row.Pending.Through)
	}
	died := l.s.step(ctx, what, func() { ok, err = l.Ledger.Swap(ctx, shard, row) })
	return ok, first(died, err)
}

func (l ledger) Pointer(ctx context.Context) (p protocol.Pointer, err error) {
	died := l.s.step(ctx, "read pointer", func() { p, err = l.Ledger.Pointer(ctx) })
	return p, first(died, err)
}

func (l ledger) SwapPointer(ctx context.Context, old, new protocol.Pointer) (ok bool, err error) {
	died := l.s.step(ctx, fmt.Sprintf("swap pointer %v to %v", old, new), func() { ok, err = l.Ledger.SwapPointer(ctx, old, new) })
	return ok, first(died, err)
}

func (l ledger) Plan(ctx context.Context, run string) (p protocol.Plan, ok bool, err error) {
	died := l.s.step(ctx, "read plan "+run, func() { p, ok, err = l.Ledger.Plan(ctx, run) })
	return p, ok, first(died, err)
}

func (l ledger) PutPlan(ctx context.Context, plan protocol.Plan) (p protocol.Plan, err error) {
	died := l.s.step(ctx, "put plan "+plan.Run, func() { p, err = l.Ledger.PutPlan(ctx, plan) })
	return p, first(died, err)
}

type realTime struct {
	*memory.RealTime
	s *scheduler
}

// Items reads item by item: a batch read is not atomic.
func (r realTime) Items(ctx context.Context, ids []protocol.ItemID) ([]protocol.Item, error) {
	var out []protocol.Item
	for _, id := range ids {
		var items []protocol.Item
		var err error
		died := r.s.step(ctx, "read item "+itemName(id), func() { items, err = r.RealTime.Items(ctx, []protocol.ItemID{id}) })
		if err := first(died, err); err != nil {
			return nil, err
		}
		out = append(out, items...)
	}
	return out, nil
}

func itemName(id protocol.ItemID) string {
	return fmt.Sprintf("%s/%s/%d", id.Dims, short(id.Shard), id.Epoch)
}

// Put stores item by item: any subset may land.
func (r realTime) Put(ctx context.Context, puts []protocol.Put) ([]bool, error) {
	var out []bool
	for _, p := range puts {
		var ok []bool
		var err error
		what := fmt.Sprintf("put item %s through %q", itemName(p.Item.ItemID), p.Item.Through)
		died := r.s.step(ctx, what, func() { ok, err = r.RealTime.Put(ctx, []protocol.Put{p}) })
		if err := first(died, err); err != nil {
			return nil, err
		}
		out = append(out, ok...)
	}
	return out, nil
}

func (r realTime) Query(ctx context.Context, view string, from, to int64, token string) (page protocol.ItemPage, err error) {
	died := r.s.step(ctx, "query items", func() { page, err = r.RealTime.Query(ctx, view, from, to, token) })
	return page, first(died, err)
}

func (r realTime) Discard(ctx context.Context, shard string, epoch int64) (n int64, err error) {
	died := r.s.step(ctx, fmt.Sprintf("discard %s up to epoch %d", short(shard), epoch), func() { n, err = r.RealTime.Discard(ctx, shard, epoch) })
	return n, first(died, err)
}

func (r realTime) PutSegment(ctx context.Context, seg protocol.Segment) (err error) {
	died := r.s.step(ctx, fmt.Sprintf("put segment %s/%s", short(seg.Shard), seg.Through), func() { err = r.RealTime.PutSegment(ctx, seg) })
	return first(died, err)
}

func (r realTime) Segments(ctx context.Context, shard string) (out []protocol.Segment, err error) {
	died := r.s.step(ctx, "read segments "+short(shard), func() { out, err = r.RealTime.Segments(ctx, shard) })
	return out, first(died, err)
}

func (r realTime) DeleteSegment(ctx context.Context, id protocol.SegmentID) (err error) {
	died := r.s.step(ctx, fmt.Sprintf("delete segment %s/%s", short(id.Shard), id.Through), func() { err = r.RealTime.DeleteSegment(ctx, id) })
	return first(died, err)
}

type views struct {
	*memory.Views
	s *scheduler
}

func (v views) PutManifest(ctx context.Context, m protocol.Manifest) (err error) {
	died := v.s.step(ctx, "put manifest "+m.Version, func() { err = v.Views.PutManifest(ctx, m) })
	return first(died, err)
}

func (v views) Manifest(ctx context.Context, version string) (m protocol.Manifest, err error) {
	died := v.s.step(ctx, "read manifest "+version, func() { m, err = v.Views.Manifest(ctx, version) })
	return m, first(died, err)
}

func (v views) Versions(ctx context.Context) (out []string, err error) {
	died := v.s.step(ctx, "list versions", func() { out, err = v.Views.Versions(ctx) })
	return out, first(died, err)
}

func (v views) Delete(ctx context.Context, version string) (err error) {
	died := v.s.step(ctx, "delete version "+version, func() { err = v.Views.Delete(ctx, version) })
	return first(died, err)
}
