package expr

import (
	"slices"
	"sync/atomic"

	"github.com/watershed-data/watershed/internal/column"
)

// What a row's state says beside its value. States from failed on are indexes
// into the expression's reasons.
const (
	present uint16 = 0
	null    uint16 = 1
	failed  uint16 = 2
)

// values is one column of intermediate results. A nil state means that every
// row has a value. Rows without one hold anything. Slices are never written
// after the kernel that filled them returned: they may be shared.
type values struct {
	state  []uint16
	ints   []int64
	texts  []string
	floats []float64
}

func (v values) slice(n int) values {
	return values{state: upTo(v.state, n), ints: upTo(v.ints, n), texts: upTo(v.texts, n), floats: upTo(v.floats, n)}
}

func upTo[T any](s []T, n int) []T {
	if s == nil {
		return nil
	}
	return s[:n]
}

// kernel computes one node for all rows of a batch.
type kernel func(b *batch) values

// node is one compiled node.
type node struct {
	kernel   kernel
	typ      column.Type
	constant *column.Value // its value on every row, if it reads no column
}

// batch is the rows of one Eval, with scratch memory that is reused by later
// ones.
type batch struct {
	n       int
	columns []values // in the order of Expr.Columns
	states  arena[uint16]
	ints    arena[int64]
	texts   arena[string]
	floats  arena[float64]
}

func (b *batch) reset(n, columns int) {
	b.n = n
	b.columns = slices.Grow(b.columns[:0], columns)[:columns]
	b.states.used, b.ints.used, b.texts.used, b.floats.used = 0, 0, 0, 0
}

// release drops what would keep a batch's texts alive.
func (b *batch) release() {
	clear(b.columns)
	for i := range b.texts.buffers {
		clear(b.texts.buffers[i][:cap(b.texts.buffers[i])])
	}
}

// arena hands out slices and gets them back all at once.
type arena[T any] struct {
	buffers [][]T
	used    int
}

// take gives a slice of n elements with anything in them.
func (a *arena[T]) take(n int) []T {
	if a.used == len(a.buffers) {
		a.buffers = append(a.buffers, nil)
	}
	buffer := &a.buffers[a.used]
	a.used++
	if cap(*buffer) < n {
		*buffer = make([]T, n)
	}
	return (*buffer)[:n]
}

// strict gives the state of a call whose arguments must all have values: a
// failure wins over a null, and an earlier failure over a later one.
func (b *batch) strict(args ...values) []uint16 {
	var state []uint16
	owned := false
	for _, a := range args {
		switch {
		case a.state == nil:
		case state == nil:
			state = a.state
		default:
			merged := state
			if !owned {
				merged, owned = b.states.take(b.n), true
			}
			for i, s := range state {
				merged[i] = stronger(s, a.state[i])
			}
			state = merged
		}
	}
	return state
}

func stronger(left, right uint16) uint16 {
	if left < failed && right > left {
		return right
	}
	return left
}

// marks collects the failures of one kernel over a state that may be shared.
type marks struct {
	b     *batch
	state []uint16
	owned bool
}

// skip tells that row i already has no value.
func (m *marks) skip(i int) bool { return m.state != nil && m.state[i] != present }

// fail gives row i the reason.
func (m *marks) fail(i int, reason uint16) {
	if !m.owned {
		own := m.b.states.take(m.b.n)
		if m.state == nil {
			clear(own)
		} else {
			copy(own, m.state)
		}
		m.state, m.owned = own, true
	}
	m.state[i] = reason
}

// columnNode reads the column at an index of Expr.Columns.
func columnNode(index int, t column.Type) node {
	return node{typ: t, kernel: func(b *batch) values { return b.columns[index] }}
}

// columnValues views rows 0..n-1 of a column.
func columnValues(b *batch, v *column.Vector) values {
	out := values{ints: v.Int, texts: v.Str, floats: v.Float}.slice(b.n)
	nulls := v.Nulls[:b.n]
	first := slices.Index(nulls, true)
	if first < 0 {
		return out
	}
	out.state = b.states.take(b.n)
	for i, isNull := range nulls {
		s := present
		if isNull {
			s = null
		}
		out.state[i] = s
	}
	return out
}

// constantNode repeats a value. The repetitions are made once and kept.
func constantNode(v column.Value, t column.Type) node {
	var kept atomic.Pointer[values]
	return node{typ: t, constant: &v, kernel: func(b *batch) values {
		if k := kept.Load(); k != nil && max(len(k.ints), len(k.texts), len(k.floats)) >= b.n {
			return k.slice(b.n)
		}
		k := &values{}
		switch t.Kind {
		case column.String:
			k.texts = slices.Repeat([]string{v.Str}, b.n)
		case column.Float:
			k.floats = slices.Repeat([]float64{v.Float}, b.n)
		default:
			k.ints = slices.Repeat([]int64{v.Int}, b.n)
		}
		kept.Store(k)
		return *k
	}}
}

// vector copies the result out of scratch memory. Rows without a value hold
// the zero of their kind.
func (b *batch) vector(v values, t column.Type, reasons []string) (*column.Vector, map[int]string) {
	out := &column.Vector{Type: t, Nulls: make([]bool, b.n)}
	switch t.Kind {
	case column.String:
		out.Str = append(make([]string, 0, b.n), v.texts[:b.n]...)
	case column.Float:
		out.Float = append(make([]float64, 0, b.n), v.floats[:b.n]...)
	default:
		out.Int = append(make([]int64, 0, b.n), v.ints[:b.n]...)
	}
	var failures map[int]string
	for i, s := range v.state {
		if s == present {
			continue
		}
		out.Set(i, column.Null)
		if s >= failed {
			if failures == nil {
				failures = map[int]string{}
			}
			failures[i] = reasons[s-failed]
		}
	}
	return out, failures
}
