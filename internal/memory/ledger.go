package memory

import (
	"context"
	"maps"
	"sync"

	"github.com/watershed-data/watershed/internal/protocol"
)

// Ledger is a ledger in memory.
type Ledger struct {
	mu      sync.Mutex
	rows    map[string]protocol.Row
	pointer protocol.Pointer
	plans   map[string]protocol.Plan
}

// NewLedger makes an empty ledger.
func NewLedger() *Ledger {
	return &Ledger{rows: map[string]protocol.Row{}, plans: map[string]protocol.Plan{}}
}

// Shards implements protocol.Ledger.
func (l *Ledger) Shards(context.Context) ([]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for id := range maps.Keys(l.rows) {
		out = append(out, id)
	}
	return out, nil
}

// Rows implements protocol.Ledger.
func (l *Ledger) Rows(context.Context) (map[string]protocol.Row, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make(map[string]protocol.Row, len(l.rows))
	for id, row := range l.rows {
		out[id] = copyRow(row)
	}
	return out, nil
}

// Row implements protocol.Ledger.
func (l *Ledger) Row(_ context.Context, shard string) (protocol.Row, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	row, ok := l.rows[shard]
	return copyRow(row), ok, nil
}

// Create implements protocol.Ledger.
func (l *Ledger) Create(_ context.Context, shard string, row protocol.Row) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.rows[shard]; ok {
		return false, nil
	}
	row.Rev = 1
	l.rows[shard] = copyRow(row)
	return true, nil
}

// Swap implements protocol.Ledger.
func (l *Ledger) Swap(_ context.Context, shard string, row protocol.Row) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	stored, ok := l.rows[shard]
	if !ok || stored.Rev != row.Rev {
		return false, nil
	}
	row.Rev++
	l.rows[shard] = copyRow(row)
	return true, nil
}

func copyRow(row protocol.Row) protocol.Row {
	if row.Pending != nil {
		p := *row.Pending
		row.Pending = &p
	}
	if row.Cut != nil {
		c := *row.Cut
		row.Cut = &c
	}
	return row
}

// Pointer implements protocol.Ledger.
func (l *Ledger) Pointer(context.Context) (protocol.Pointer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pointer, nil
}

// SwapPointer implements protocol.Ledger.
func (l *Ledger) SwapPointer(_ context.Context, old, new protocol.Pointer) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pointer != old {
		return false, nil
	}
	l.pointer = new
	return true, nil
}

// Plan implements protocol.Ledger.
func (l *Ledger) Plan(_ context.Context, run string) (protocol.Plan, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, ok := l.plans[run]
	p.Cut = maps.Clone(p.Cut)
	return p, ok, nil
}

// PutPlan implements protocol.Ledger.
func (l *Ledger) PutPlan(_ context.Context, plan protocol.Plan) (protocol.Plan, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p, ok := l.plans[plan.Run]; ok {
		p.Cut = maps.Clone(p.Cut)
		return p, nil
	}
	plan.Cut = maps.Clone(plan.Cut)
	l.plans[plan.Run] = plan
	return plan, nil
}

// DeletePlan implements protocol.Ledger.
func (l *Ledger) DeletePlan(_ context.Context, run string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.plans, run)
	return nil
}
