package serving

import (
	"bytes"
	"errors"
	"slices"

	"github.com/watershed-data/watershed/internal/measure"
	"github.com/watershed-data/watershed/internal/viewfile"
)

// sorted gathers the groups of a view file whose cells come in the order of
// group keys, so that a group is complete when the next one begins: a page of
// the answer is found without holding all groups. Groups that real-time items
// belong to are not here but in groups.index, which is filled before.
type sorted struct {
	want  int  // groups that can be part of the answer; 0: all
	first bool // the default order: no later group can come before those here

	key    []byte // of the group that cells are merged into; empty: none yet
	states []measure.State
	skip   bool // it is not one to be filed
	rows   []row
	bound  string // sort key behind which no group can be part of the answer; "": unknown
}

// errEnough ends the scan of a file: no later cell can be part of the answer.
var errEnough = errors.New("the page is full")

// keyOrdered reports whether the cells of a view file come in the order of the
// answer's group keys: the file is sorted by bucket and dimensions, and groups
// are by the same buckets and the first of the dimensions. So it is for a view
// that rolls up by age: either the buckets are as kept, or none in the range was
// rolled up.
func (p *plan) keyOrdered() bool {
	if p.grain != p.view.Every {
		return false
	}
	for i, d := range p.by {
		if d.table != nil || d.dim != i {
			return false
		}
	}
	return true
}

// beginFiles prepares for the cells of a version's files, after all items. Several
// files may overlap, so only one is read as a sorted one.
func (g *groups) beginFiles(files int) error {
	if files != 1 || !g.plan.keyOrdered() {
		return nil
	}
	g.sorted = &sorted{want: g.want, first: len(g.plan.order) == 0}
	if g.after == "" || !g.sorted.first {
		return nil
	}
	t, dims, err := g.plan.decodeKey(g.after) // in the default order, the key of a group
	if err == nil {
		g.begin = &viewfile.After{Time: t, Dims: dims}
	}
	return err
}

// endFiles files the last group of a sorted file.
func (g *groups) endFiles() error {
	if g.sorted == nil {
		return nil
	}
	return g.finish()
}

// sortedGroup gives the states of the group g.key while a sorted file is read;
// nil if it cannot be part of the answer.
func (g *groups) sortedGroup() ([]measure.State, error) {
	s := g.sorted
	if bytes.Equal(s.key, g.key) {
		if s.skip {
			return nil, nil
		}
		return s.states, nil
	}
	if err := g.finish(); err != nil {
		return nil, err
	}
	if s.first && s.want > 0 && len(s.rows) >= s.want {
		return nil, errEnough
	}
	s.key = append(s.key[:0], g.key...)
	if s.skip = s.first && g.after != "" && string(s.key) <= g.after; s.skip {
		return nil, nil
	}
	if s.states == nil {
		s.states = make([]measure.State, len(g.plan.measures))
	}
	clear(s.states) // of a group that was not filed
	return s.states, nil
}

// finish files the group that is complete.
func (g *groups) finish() error {
	s := g.sorted
	if len(s.key) == 0 || s.skip {
		return nil
	}
	key := string(s.key)
	sort, err := g.plan.appendSortKey(g.sort[:0], key, s.states)
	if err != nil {
		return err
	}
	g.sort = sort
	if s.skip = true; g.after != "" && string(sort) <= g.after || s.bound != "" && string(sort) > s.bound {
		return nil
	}
	if s.want > 0 && (len(s.rows) >= 2*s.want+pruneSlack || g.budget.full()) && len(s.rows) > s.want {
		slices.SortFunc(s.rows, byRowOrder)
		g.budget.held -= len(s.rows) - s.want
		clear(s.rows[s.want:])
		s.rows = s.rows[:s.want]
		s.bound = s.rows[s.want-1].sort
		if string(sort) > s.bound {
			return nil
		}
	}
	if g.budget.full() {
		return g.tooLarge()
	}
	g.budget.held++
	s.rows = append(s.rows, row{sort: string(sort), key: key, states: s.states})
	s.states = nil
	return nil
}
