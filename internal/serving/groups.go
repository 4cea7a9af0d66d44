package serving

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/measure"
	"github.com/watershed-data/watershed/internal/view"
	"github.com/watershed-data/watershed/internal/viewfile"
)

// groups merges states per group: the asked bucket and the asked dimensions.
type groups struct {
	plan   *plan
	budget *budget
	after  string // sort key of the last row of the page before
	want   int    // groups that can be part of the answer; 0: all
	keep   int    // the same while groups are pruned, which needs an order without measures; else 0

	sorted *sorted          // while and after a sorted file is read; else nil
	begin  *viewfile.After  // where the cells of a sorted file begin that can be part of the answer; nil: at once
	index  map[string]int32 // group key -> its number
	states [][]measure.State
	slab   []measure.State // room for more states

	wanted func(key string) bool // which groups are; nil: all

	rollup view.Rollup // of the version that is read; before the first one, of none

	bound string // no group with a sort key behind it can be part of the answer; "": unknown
	key   []byte
	sort  []byte
	last  int64 // the last bucket that came, and the kept and the asked one it lies in
	own   int64
	asked int64
}

// budget bounds the groups that one reading holds, of all its views.
type budget struct{ most, held int }

func (b *budget) full() bool { return b.held >= b.most }

// newGroups groups for an answer of the given number of rows behind the sort
// key after; 0 rows: all.
func newGroups(p *plan, b *budget, after string, rows int) *groups {
	g := &groups{plan: p, budget: b, after: after}
	if rows > 0 && rows < b.most/2 {
		g.want = rows + 1 // one more tells that there is a next page
		if p.byKey() {
			g.keep = g.want
		}
	}
	g.reset()
	return g
}

// pruneSlack is how many groups are gathered beyond twice those kept, so that
// pruning a short page is rare.
const pruneSlack = 1024

// reset forgets everything that was added.
func (g *groups) reset() {
	g.budget.held -= len(g.index)
	if g.sorted != nil {
		g.budget.held -= len(g.sorted.rows)
		g.sorted = nil
	}
	if g.plan.where != nil {
		g.plan.where.cells = nil
	}
	g.index = map[string]int32{}
	g.states, g.slab, g.bound = nil, nil, ""
	g.begin = nil
	g.keptBy(view.Unrolled(g.plan.view, g.plan.zone.Location))
}

// keptBy says at which grain the view keeps which bucket.
func (g *groups) keptBy(r view.Rollup) {
	g.rollup = r
	g.place(0)
}

// place finds the buckets that a bucket of the view lies in.
func (g *groups) place(t int64) {
	g.last, g.own = t, g.rollup.Bucket(t)
	g.asked = g.own
	if !g.plan.asKept {
		g.asked = view.Bucket(g.plan.grain, g.plan.zone.Location, g.own)
	}
}

// timeLength is the length in bytes of an encoded time.
const timeLength = 8

// appendTime encodes a bucket's start so that bytes order as times do.
func appendTime(dst []byte, t int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(t)^1<<63)
}

func readTime(key string) int64 {
	return int64(binary.BigEndian.Uint64([]byte(key[:timeLength])) ^ 1<<63)
}

// offer takes one cell of the view, whose bucket begins at t, to be added if the
// query's condition holds. dims are its dimensions' values; encoded is the same,
// encoded, if it is known. settle follows the last one.
func (g *groups) offer(t int64, dims []column.Value, encoded string, states []measure.State) error {
	if g.plan.where == nil {
		return g.add(t, dims, encoded, states)
	}
	if g.plan.where.hold(t, dims, encoded, states) {
		return g.settle()
	}
	return nil
}

// settle adds the offered cells for which the condition holds.
func (g *groups) settle() error {
	if g.plan.where == nil {
		return nil
	}
	return g.plan.where.decide(func(c heldCell) error { return g.add(c.time, c.dims, c.key, c.states) })
}

// add merges the states of one cell of the view.
func (g *groups) add(t int64, dims []column.Value, encoded string, states []measure.State) error {
	p := g.plan
	if t != g.last {
		g.place(t)
	}
	if !p.inRange(g.own, g.asked) {
		return nil
	}
	g.key = appendTime(g.key[:0], g.asked)
	if encoded != "" && p.allDims {
		g.key = append(g.key, encoded...)
	} else {
		for _, d := range p.by {
			g.key = view.AppendDim(g.key, d.of.Kind, d.value(dims))
		}
	}
	if g.wanted != nil && !g.wanted(string(g.key)) {
		return nil
	}
	to, err := g.group()
	if to == nil || err != nil {
		return err
	}
	for i, m := range p.measures {
		p.all[m].Merge(&to[i], states[m])
	}
	return nil
}

// group gives the states of the group g.key, making them if it is new; nil if
// it cannot be part of the answer.
func (g *groups) group() ([]measure.State, error) {
	if i, ok := g.index[string(g.key)]; ok {
		return g.states[i], nil
	}
	if g.sorted != nil {
		return g.sortedGroup()
	}
	p := g.plan
	if p.byKey() && (g.after != "" || g.bound != "") {
		var err error
		if g.sort, err = p.appendSortKey(g.sort[:0], string(g.key), nil); err != nil {
			return nil, err
		}
		if g.after != "" && string(g.sort) <= g.after || g.bound != "" && string(g.sort) > g.bound {
			return nil, nil
		}
	}
	if g.keep > 0 && (len(g.index) >= 2*g.keep+pruneSlack || g.budget.full()) {
		if err := g.prune(); err != nil {
			return nil, err
		}
		return g.group()
	}
	if g.budget.full() {
		return nil, g.tooLarge()
	}
	g.budget.held++
	n := len(p.measures)
	if len(g.slab) < n {
		g.slab = make([]measure.State, 256*n)
	}
	to := g.slab[:n:n]
	g.slab = g.slab[n:]
	g.index[string(g.key)] = int32(len(g.states))
	g.states = append(g.states, to)
	return to, nil
}

// tooLarge says how to ask for less. A limit bounds the groups that are held
// only where the order needs no measure.
func (g *groups) tooLarge() *Error {
	hint := ""
	if g.plan.byKey() || g.plan.keyOrdered() {
		hint = ", or a limit"
	}
	return &Error{Code: TooLarge, Message: fmt.Sprintf(
		"the answer is made of more than %d groups of view %s; narrow it with from and to, a coarser every, fewer dimensions in by%s",
		g.budget.most, g.plan.view.Name, hint)}
}

// prune drops the groups that cannot be part of the answer any more. Whatever
// comes for them later lies behind the bound and is not even looked up.
func (g *groups) prune() error {
	rows, err := g.rows()
	if err != nil {
		return err
	}
	rows = rows[:g.keep]
	g.bound = rows[g.keep-1].sort
	index, states := make(map[string]int32, 2*g.keep), make([][]measure.State, 0, 2*g.keep)
	for i, r := range rows {
		index[r.key] = int32(i)
		states = append(states, slices.Clone(r.states)) // lets the old slabs go
	}
	g.budget.held -= len(g.index) - len(index)
	g.index, g.states, g.slab = index, states, nil
	return nil
}

// row is one group in the answer's order.
type row struct {
	sort   string
	key    string
	states []measure.State
}

// rows gives the groups behind the cursor, in order.
func (g *groups) rows() ([]row, error) {
	out := make([]row, 0, len(g.index))
	for key, i := range g.index {
		r := row{sort: key, key: key, states: g.states[i]}
		if len(g.plan.order) > 0 {
			sort, err := g.plan.appendSortKey(nil, key, r.states)
			if err != nil {
				return nil, err
			}
			r.sort = string(sort)
		}
		if g.after == "" || r.sort > g.after {
			out = append(out, r)
		}
	}
	if g.sorted != nil {
		out = append(out, g.sorted.rows...)
	}
	slices.SortFunc(out, byRowOrder)
	return out, nil
}

func byRowOrder(a, b row) int { return strings.Compare(a.sort, b.sort) }
