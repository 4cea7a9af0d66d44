package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/watershed-data/watershed/internal/protocol"
)

// Ledger is the ledger of one generation in the state database.
//
// Log, ledger and items share one write-ahead log, and a crash leaves a prefix
// of it. So what a write relies on never needs a sync of its own: a row's
// intent is on disk whenever the items written after it are, and those are
// whenever the row's commit is.
type Ledger struct {
	store      *Store
	generation string
	reader     pebble.Reader // the database, or a snapshot of it
	mu         *sync.Mutex   // makes compare-and-set one step; shared with snapshots
}

// Ledger gives the ledger of a generation. There must be one per generation.
func (s *Store) Ledger(generation string) *Ledger {
	return &Ledger{store: s, generation: generation, reader: s.db, mu: &sync.Mutex{}}
}

func (l *Ledger) rowPrefix() []byte { return fmt.Appendf(nil, "%c%s\x00r", keyLedger, l.generation) }
func (l *Ledger) rowKey(shard string) []byte {
	return append(l.rowPrefix(), shard...)
}
func (l *Ledger) pointerKey() []byte { return fmt.Appendf(nil, "%c%s\x00p", keyLedger, l.generation) }
func (l *Ledger) planKey(run string) []byte {
	return fmt.Appendf(nil, "%c%s\x00%s", keyPlan, l.generation, run)
}

// Shards implements protocol.Ledger.
func (l *Ledger) Shards(context.Context) ([]string, error) {
	if err := l.store.enter(); err != nil {
		return nil, err
	}
	defer l.store.leave()
	prefix := l.rowPrefix()
	it, err := l.reader.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: keyAfter(prefix)})
	if err != nil {
		return nil, fmt.Errorf("reading the ledger: %w", err)
	}
	var out []string
	// A row is written twice for each batch. Next would step over each of its old
	// values that are still in memory; a seek does not.
	var next []byte
	for valid := it.First(); valid; valid = it.SeekGE(next) {
		out = append(out, string(it.Key()[len(prefix):]))
		next = append(append(next[:0], it.Key()...), 0)
	}
	return out, it.Close()
}

// Rows implements protocol.Ledger.
func (l *Ledger) Rows(ctx context.Context) (map[string]protocol.Row, error) {
	shards, err := l.Shards(ctx)
	if err != nil {
		return nil, err
	}
	out := make(map[string]protocol.Row, len(shards))
	for _, shard := range shards {
		row, ok, err := l.Row(ctx, shard)
		if err != nil {
			return nil, err
		}
		if ok {
			out[shard] = row
		}
	}
	return out, nil
}

// keyAfter gives the first key behind all keys with the prefix.
func keyAfter(prefix []byte) []byte {
	out := append([]byte(nil), prefix...)
	for i := len(out) - 1; i >= 0; i-- {
		if out[i]++; out[i] != 0 {
			return out[:i+1]
		}
	}
	return nil
}

// Row implements protocol.Ledger.
func (l *Ledger) Row(_ context.Context, shard string) (row protocol.Row, ok bool, err error) {
	if err := l.store.enter(); err != nil {
		return row, false, err
	}
	defer l.store.leave()
	ok, err = l.get(l.rowKey(shard), &row)
	return row, ok, err
}

// Create implements protocol.Ledger.
func (l *Ledger) Create(_ context.Context, shard string, row protocol.Row) (bool, error) {
	return l.update(func() (bool, error) {
		if ok, err := l.get(l.rowKey(shard), new(protocol.Row)); ok || err != nil {
			return false, err
		}
		row.Rev = 1
		return true, l.set(l.rowKey(shard), row, pebble.Sync)
	})
}

// Swap implements protocol.Ledger.
func (l *Ledger) Swap(_ context.Context, shard string, row protocol.Row) (bool, error) {
	return l.update(func() (bool, error) {
		var stored protocol.Row
		if ok, err := l.get(l.rowKey(shard), &stored); !ok || err != nil || stored.Rev != row.Rev {
			return false, err
		}
		row.Rev++
		durability := pebble.Sync
		if row.Pending != nil {
			durability = pebble.NoSync // an intent that is lost was never acted upon
		}
		return true, l.set(l.rowKey(shard), row, durability)
	})
}

// Pointer implements protocol.Ledger.
func (l *Ledger) Pointer(context.Context) (p protocol.Pointer, err error) {
	if err := l.store.enter(); err != nil {
		return p, err
	}
	defer l.store.leave()
	_, err = l.get(l.pointerKey(), &p)
	return p, err
}

// SwapPointer implements protocol.Ledger.
func (l *Ledger) SwapPointer(_ context.Context, old, new protocol.Pointer) (bool, error) {
	return l.update(func() (bool, error) {
		var stored protocol.Pointer
		if _, err := l.get(l.pointerKey(), &stored); err != nil || stored != old {
			return false, err
		}
		return true, l.set(l.pointerKey(), new, pebble.Sync)
	})
}

// Plan implements protocol.Ledger.
func (l *Ledger) Plan(_ context.Context, run string) (p protocol.Plan, ok bool, err error) {
	if err := l.store.enter(); err != nil {
		return p, false, err
	}
	defer l.store.leave()
	ok, err = l.get(l.planKey(run), &p)
	return p, ok, err
}

// PutPlan implements protocol.Ledger.
func (l *Ledger) PutPlan(_ context.Context, plan protocol.Plan) (protocol.Plan, error) {
	_, err := l.update(func() (bool, error) {
		var stored protocol.Plan
		ok, err := l.get(l.planKey(plan.Run), &stored)
		if err != nil {
			return false, err
		}
		if ok {
			plan = stored
			return false, nil
		}
		return true, l.set(l.planKey(plan.Run), plan, pebble.Sync)
	})
	return plan, err
}

// DeletePlan implements protocol.Ledger.
func (l *Ledger) DeletePlan(_ context.Context, run string) error {
	_, err := l.update(func() (bool, error) {
		return true, l.store.db.Delete(l.planKey(run), pebble.NoSync)
	})
	return err
}

// update runs f as one step.
func (l *Ledger) update(f func() (bool, error)) (bool, error) {
	if err := l.store.enter(); err != nil {
		return false, err
	}
	defer l.store.leave()
	l.mu.Lock()
	defer l.mu.Unlock()
	return f()
}

// get reads a key's value into x; false if there is none.
func (l *Ledger) get(key []byte, x any) (bool, error) {
	value, closer, err := l.reader.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading the ledger: %w", err)
	}
	defer closer.Close()
	if err := json.Unmarshal(value, x); err != nil {
		return false, fmt.Errorf("reading the ledger: the value of %q is damaged: %w", key, err)
	}
	return true, nil
}

func (l *Ledger) set(key []byte, x any, o *pebble.WriteOptions) error {
	value, err := json.Marshal(x)
	if err != nil {
		return fmt.Errorf("writing the ledger: %w", err)
	}
	if err := l.store.db.Set(key, value, o); err != nil {
		return fmt.Errorf("writing the ledger: %w", err)
	}
	return nil
}
