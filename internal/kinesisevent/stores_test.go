package kinesisevent_test

import (
	"context"
	"errors"

	"github.com/watershed-data/watershed/internal/memory"
	"github.com/watershed-data/watershed/internal/protocol"
)

var errDied = errors.New("the invocation died")

// stores is an invocation's way to the stores of a history.
type stores struct {
	h   *history
	inv *invocation
}

// do is one operation: the invocation stands still before it, and now and then
// dies before or behind it.
func (s stores) do(f func()) error {
	if s.inv.dead || !s.inv.yield(struct{}{}) {
		s.inv.dead = true
		return errDied
	}
	how := s.h.random.IntN(50)
	if how != 0 {
		f()
	}
	if how <= 1 {
		s.inv.dead = true
		return errDied
	}
	return nil
}

// of does an operation that gives a value.
func of[T any](s stores, f func() (T, error)) (out T, err error) {
	died := s.do(func() { out, err = f() })
	if died != nil {
		return out, died
	}
	return out, err
}

type logStore struct {
	*memory.Log
	s stores
}

func (l logStore) Shards(ctx context.Context) ([]protocol.Shard, error) {
	return of(l.s, func() ([]protocol.Shard, error) { return l.Log.Shards(ctx) })
}

func (l logStore) Read(ctx context.Context, shard string, after protocol.Position, limit int) (protocol.Page, error) {
	return of(l.s, func() (protocol.Page, error) { return l.Log.Read(ctx, shard, after, limit) })
}

type ledgerStore struct {
	*memory.Ledger
	s stores
}

func (l ledgerStore) Row(ctx context.Context, shard string) (row protocol.Row, ok bool, err error) {
	died := l.s.do(func() { row, ok, err = l.Ledger.Row(ctx, shard) })
	return row, ok, errors.Join(died, err)
}

func (l ledgerStore) Create(ctx context.Context, shard string, row protocol.Row) (bool, error) {
	return of(l.s, func() (bool, error) { return l.Ledger.Create(ctx, shard, row) })
}

func (l ledgerStore) Swap(ctx context.Context, shard string, row protocol.Row) (bool, error) {
	return of(l.s, func() (bool, error) { return l.Ledger.Swap(ctx, shard, row) })
}

type itemStore struct {
	*memory.RealTime
	s stores
}

func (r itemStore) Items(ctx context.Context, ids []protocol.ItemID) ([]protocol.Item, error) {
	return of(r.s, func() ([]protocol.Item, error) { return r.RealTime.Items(ctx, ids) })
}

func (r itemStore) Put(ctx context.Context, puts []protocol.Put) ([]bool, error) {
	return of(r.s, func() ([]bool, error) { return r.RealTime.Put(ctx, puts) })
}

func (r itemStore) PutSegment(ctx context.Context, seg protocol.Segment) error {
	_, err := of(r.s, func() (struct{}, error) { return struct{}{}, r.RealTime.PutSegment(ctx, seg) })
	return err
}

func (r itemStore) Segments(ctx context.Context, shard string) ([]protocol.Segment, error) {
	return of(r.s, func() ([]protocol.Segment, error) { return r.RealTime.Segments(ctx, shard) })
}

func (r itemStore) DeleteSegment(ctx context.Context, id protocol.SegmentID) error {
	_, err := of(r.s, func() (struct{}, error) { return struct{}{}, r.RealTime.DeleteSegment(ctx, id) })
	return err
}
