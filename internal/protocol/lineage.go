package protocol

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// Lineage is the family of a stream's shards by split and merge.
type Lineage struct {
	Shards []Shard // parents before children
	byID   map[string]Shard
}

// NewLineage orders the shards, parents before children; parents that are no
// longer listed count as gone.
func NewLineage(shards []Shard) *Lineage {
	l := &Lineage{byID: make(map[string]Shard, len(shards))}
	for _, s := range shards {
		l.byID[s.ID] = s
	}
	slices.SortFunc(shards, func(a, b Shard) int {
		if a.ID < b.ID {
			return -1
		} else if a.ID > b.ID {
			return 1
		}
		return 0
	})
	done := make(map[string]bool, len(shards))
	var visit func(Shard)
	visit = func(s Shard) {
		if done[s.ID] {
			return
		}
		done[s.ID] = true
		for _, p := range s.Parents {
			if parent, ok := l.byID[p]; ok {
				visit(parent)
			}
		}
		l.Shards = append(l.Shards, s)
	}
	for _, s := range shards {
		visit(s)
	}
	return l
}

// Shard finds a shard by its id.
func (l *Lineage) Shard(id string) (Shard, bool) {
	s, ok := l.byID[id]
	return s, ok
}

// Ancestors gives the ids of all listed ancestors of a shard, parents before
// children.
func (l *Lineage) Ancestors(id string) []string {
	of := map[string]bool{}
	var visit func(string)
	visit = func(id string) {
		for _, p := range l.byID[id].Parents {
			if _, listed := l.byID[p]; listed && !of[p] {
				of[p] = true
				visit(p)
			}
		}
	}
	visit(id)
	var out []string
	for _, s := range l.Shards {
		if of[s.ID] {
			out = append(out, s.ID)
		}
	}
	return out
}

// Gone gives the ids of the parents of a shard and of its listed ancestors that are not
// listed any more.
func (l *Lineage) Gone(id string) (out []string) {
	for _, of := range append(l.Ancestors(id), id) {
		for _, p := range l.byID[of].Parents {
			if _, listed := l.byID[p]; !listed && !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out
}

// Children gives the ids of a shard's listed children.
func (l *Lineage) Children(id string) []string {
	var out []string
	for _, s := range l.Shards {
		if slices.Contains(s.Parents, id) {
			out = append(out, s.ID)
		}
	}
	return out
}

// ancestorsOf gives the ids of all ancestors of shards that have a row, also those that
// are not listed any more as far as a child still names them.
func (l *Lineage) ancestorsOf(rows map[string]Row) []string {
	of := map[string]bool{}
	for _, s := range slices.Backward(l.Shards) { // children before parents
		if _, has := rows[s.ID]; !has && !of[s.ID] {
			continue
		}
		for _, p := range s.Parents {
			of[p] = true
		}
	}
	return slices.Sorted(maps.Keys(of))
}

// childrenFirst lists the shards that the log or the ledger knows, children
// before parents, and loads and expired shards last. Sealing follows this order:
// whatever of a parent is read later holds at least what its
// children, read before, build upon.
func childrenFirst(ctx context.Context, log Log, ledger Ledger) (*Lineage, []string, error) {
	shards, err := log.Shards(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("listing shards: %w", err)
	}
	rows, err := ledger.Shards(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("listing ledger rows: %w", err)
	}
	l := NewLineage(shards)
	ids := make([]string, 0, len(shards))
	for _, s := range slices.Backward(l.Shards) {
		ids = append(ids, s.ID)
	}
	slices.Sort(rows)
	for _, id := range slices.Backward(rows) {
		if _, listed := l.byID[id]; !listed {
			ids = append(ids, id)
		}
	}
	return l, ids, nil
}
