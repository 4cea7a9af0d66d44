package verify

import "hash/fnv"

// How many parts the cells are compared in: ever more of them, until a part fits
// in memory.
const (
	moreParts = 4
	mostParts = 1024
)

// share is one part of the cells: those whose names fall into it.
type share struct{ part, of int }

// has reports whether a cell is in the part.
func (s share) has(view, cell string) bool {
	h := fnv.New32a()
	_, _ = h.Write([]byte(view + separator + cell))
	return int(h.Sum32()%uint32(s.of)) == s.part
}

// add adds the result of another part, whose events are the same or more: parts
// are compared one after the other.
func (r *Result) add(part *Result) {
	for i, v := range part.Views {
		r.Views[i].Cells += v.Cells
		r.Views[i].Different += v.Different
	}
	r.Cells += part.Cells
	r.DifferenceCount += part.DifferenceCount
	r.Differences = append(r.Differences, part.Differences[:min(len(part.Differences), r.most-len(r.Differences))]...)
	r.Events, r.FromMaster, r.FromLog, r.Outcomes = part.Events, part.FromMaster, part.FromLog, part.Outcomes
	r.Version, r.Watershed, r.Committed = part.Version, part.Watershed, part.Committed
}
