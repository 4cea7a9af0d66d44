package main

import (
	"math/rand/v2"
	"testing"
)

func TestRangesAreSets(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	for range 300 {
		var a, b ranges
		inA, inB := map[int]bool{}, map[int]bool{}
		for range r.IntN(20) {
			from := 1 + r.IntN(60)
			to := from + r.IntN(8)
			set, in := &a, inA
			if r.IntN(2) == 0 {
				set, in = &b, inB
			}
			set.add(from, to)
			for i := from; i <= to; i++ {
				in[i] = true
			}
		}
		checkSet(t, a, inA)
		for i := range inB {
			delete(inA, i)
		}
		checkSet(t, a.without(b), inA)
	}
}

func checkSet(t *testing.T, got ranges, want map[int]bool) {
	t.Helper()
	n := 0
	for i, x := range got {
		if x.from > x.to || i > 0 && got[i-1].to+1 >= x.from {
			t.Fatalf("%v are not disjoint ranges in order", got)
		}
		for line := x.from; line <= x.to; line++ {
			n++
			if !want[line] {
				t.Fatalf("%v holds %d", got, line)
			}
		}
	}
	if n != len(want) {
		t.Fatalf("%v holds %d lines of %d", got, n, len(want))
	}
}

func TestRangesForPeople(t *testing.T) {
	t.Parallel()
	var r ranges
	r.add(3, 3)
	if got := r.String(); got != "line 3" {
		t.Error(got)
	}
	r.add(5, 9)
	if got := r.String(); got != "lines 3, 5-9" {
		t.Error(got)
	}
}
