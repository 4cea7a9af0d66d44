package verify

import (
	"cmp"
	"slices"
	"strings"

	"github.com/watershed-data/watershed/internal/oracle"
	"github.com/watershed-data/watershed/internal/protocol"
)

// family gives the snapshot's shards an order in which ancestors come first,
// and each shard's log those of its ancestors, in which the events may be that
// make its own duplicates. A log is let go when no shard to come needs it.
//
// The ancestors of a shard that the stream no longer lists are not known. Such
// shards come in the order in which they began, each with all before it that
// had not ended long before, and so does a shard with a parent among them.
type family struct {
	lineage   *protocol.Lineage
	order     []string
	ancestors map[string][]string
	needed    map[string]int         // how many shards to come descend from a shard
	logs      map[string]*oracle.Log // of shards that are needed
	unlisted  []*oracle.Log
}

func newFamily(s *protocol.Snapshot, index *master) *family {
	f := &family{lineage: s.Lineage, ancestors: map[string][]string{}, needed: map[string]int{}, logs: map[string]*oracle.Log{}}
	if f.lineage == nil {
		f.lineage = protocol.NewLineage(nil)
	}
	for id := range s.Rows {
		if !f.listed(id) {
			f.order = append(f.order, id)
		}
	}
	slices.SortFunc(f.order, func(a, b string) int {
		return cmp.Or(index.first(a).Compare(index.first(b)), strings.Compare(a, b))
	})
	for _, shard := range f.lineage.Shards {
		if _, started := s.Rows[shard.ID]; started {
			f.order = append(f.order, shard.ID)
			f.ancestors[shard.ID] = f.lineage.Ancestors(shard.ID)
		}
	}
	for _, ancestors := range f.ancestors {
		for _, a := range ancestors {
			f.needed[a]++
		}
	}
	return f
}

func (f *family) listed(id string) bool {
	_, ok := f.lineage.Shard(id)
	return ok
}

// begin begins a shard's log. A load is on its own: it has no ancestors and is
// nobody's, and its duplicates are those within it.
func (f *family) begin(o *oracle.Oracle, id string) *oracle.Log {
	if protocol.IsLoad(id) {
		return o.Log(id)
	}
	var before []*oracle.Log
	if f.orphan(id) {
		before = slices.Clone(f.unlisted)
	}
	for _, a := range f.ancestors[id] {
		if log := f.logs[a]; log != nil {
			before = append(before, log)
		}
	}
	return o.Log(id, before...)
}

// orphan reports whether not all ancestors of a shard are known.
func (f *family) orphan(id string) bool {
	for _, kin := range append(slices.Clone(f.ancestors[id]), id) {
		shard, listed := f.lineage.Shard(kin)
		if !listed || slices.ContainsFunc(shard.Parents, func(p string) bool { return !f.listed(p) }) {
			return true
		}
	}
	return false
}

// end keeps a shard's log for those who need it.
func (f *family) end(id string, log *oracle.Log) {
	if protocol.IsLoad(id) {
		return
	}
	if !f.listed(id) {
		f.unlisted = append(log.Before(), log)
		return
	}
	if f.needed[id] > 0 {
		f.logs[id] = log
	}
	for _, a := range f.ancestors[id] {
		if f.needed[a]--; f.needed[a] == 0 {
			delete(f.logs, a)
		}
	}
}
