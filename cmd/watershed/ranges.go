package main

import (
	"fmt"
	"slices"
	"strings"
)

// ranges is a set of line numbers: disjoint ranges in order, none next to
// another. It stays small, since lines are acknowledged nearly in order.
type ranges []lineRange

type lineRange struct{ from, to int } // both included

// add adds the lines from through to.
func (r *ranges) add(from, to int) {
	at, _ := slices.BinarySearchFunc(*r, from, func(x lineRange, from int) int { return x.to + 1 - from })
	end := at
	for end < len(*r) && (*r)[end].from <= to+1 {
		from, to = min(from, (*r)[end].from), max(to, (*r)[end].to)
		end++
	}
	*r = slices.Replace(*r, at, end, lineRange{from, to})
}

// without gives the lines that are not in the other set.
func (r ranges) without(other ranges) ranges {
	var out ranges
	for _, x := range r {
		for _, o := range other {
			if o.to < x.from || o.from > x.to {
				continue
			}
			if o.from > x.from {
				out.add(x.from, o.from-1)
			}
			x.from = o.to + 1
		}
		if x.from <= x.to {
			out.add(x.from, x.to)
		}
	}
	return out
}

// String gives "line 3" or "lines 1-3, 7".
func (r ranges) String() string {
	var parts []string
	for _, x := range r {
		if x.from == x.to {
			parts = append(parts, fmt.Sprint(x.from))
		} else {
			parts = append(parts, fmt.Sprintf("%d-%d", x.from, x.to))
		}
	}
	if len(r) == 1 && r[0].from == r[0].to {
		return "line " + parts[0]
	}
	return "lines " + strings.Join(parts, ", ")
}
