package expr

import (
	"slices"

	"github.com/watershed-data/watershed/internal/column"
)

// andKernel computes a && b: false wins over null, null over a failure, a
// failure over true. cel-go orders its unknowns and errors the same way.
func andKernel(left, right kernel) kernel { return logicKernel(left, right, 0) }

// orKernel computes a || b: true wins over null, null over a failure, a
// failure over false.
func orKernel(left, right kernel) kernel { return logicKernel(left, right, 1) }

// logicKernel is && and ||, told apart by the value that decides at once.
func logicKernel(left, right kernel, decides int64) kernel {
	return func(b *batch) values {
		l, r := left(b), right(b)
		out := values{ints: b.ints.take(b.n)}
		if l.state == nil && r.state == nil {
			if decides == 0 {
				for i := range out.ints {
					out.ints[i] = l.ints[i] & r.ints[i]
				}
				return out
			}
			for i := range out.ints {
				out.ints[i] = l.ints[i] | r.ints[i]
			}
			return out
		}
		out.state = b.states.take(b.n)
		for i := range out.ints {
			ls, rs := l.at(i), r.at(i)
			out.ints[i], out.state[i] = logic(l.ints[i], r.ints[i], ls, rs, decides)
		}
		return out
	}
}

func (v values) at(i int) uint16 {
	if v.state == nil {
		return present
	}
	return v.state[i]
}

func logic(l, r int64, ls, rs uint16, decides int64) (int64, uint16) {
	switch {
	case ls == present && l == decides, rs == present && r == decides:
		return decides, present
	case ls == null || rs == null:
		return 0, null
	case ls != present:
		return 0, ls
	case rs != present:
		return 0, rs
	default:
		return 1 - decides, present
	}
}

func notKernel(arg kernel) kernel {
	return func(b *batch) values {
		a := arg(b)
		out := values{state: a.state, ints: b.ints.take(b.n)}
		for i := range out.ints {
			out.ints[i] = 1 - a.ints[i]&1
		}
		return out
	}
}

// conditionalKernel computes both values and takes, per row, the one that the
// condition chooses: nulls and failures of the other one do not matter.
func conditionalKernel(condition, then kernel, otherwise node) kernel {
	return func(b *batch) values {
		c, t, o := condition(b), then(b), otherwise.kernel(b)
		useOther := func(i int) bool { return c.ints[i] == 0 }
		out := choose(b, t, o, otherwise.typ.Kind, useOther)
		if c.state == nil && t.state == nil && o.state == nil {
			return out
		}
		out.state = b.states.take(b.n)
		for i := range out.state {
			switch s := c.at(i); {
			case s != present:
				out.state[i] = s
			case useOther(i):
				out.state[i] = o.at(i)
			default:
				out.state[i] = t.at(i)
			}
		}
		return out
	}
}

// coalesceKernel takes the second value where the first is null.
func coalesceKernel(first kernel, second node) kernel {
	return func(b *batch) values {
		f := first(b)
		if f.state == nil {
			return f
		}
		s := second.kernel(b)
		isNull := func(i int) bool { return f.state[i] == null }
		out := choose(b, f, s, second.typ.Kind, isNull)
		out.state = b.states.take(b.n)
		for i := range out.state {
			if isNull(i) {
				out.state[i] = s.at(i)
			} else {
				out.state[i] = f.state[i]
			}
		}
		return out
	}
}

// choose copies, per row, from one of two columns of a kind.
func choose(b *batch, first, second values, kind column.Kind, useSecond func(i int) bool) values {
	switch kind {
	case column.String:
		return values{texts: chooseFrom(b.texts.take(b.n), first.texts, second.texts, useSecond)}
	case column.Float:
		return values{floats: chooseFrom(b.floats.take(b.n), first.floats, second.floats, useSecond)}
	default:
		return values{ints: chooseFrom(b.ints.take(b.n), first.ints, second.ints, useSecond)}
	}
}

func chooseFrom[T any](dst, first, second []T, useSecond func(i int) bool) []T {
	for i := range dst {
		if useSecond(i) {
			dst[i] = second[i]
		} else {
			dst[i] = first[i]
		}
	}
	return dst
}

// fewElements is the length of a list up to which comparing one by one is
// fastest.
const fewElements = 8

// inKernel looks values up in a list of constants of their type.
func inKernel(x node, list []node) kernel {
	switch x.typ.Kind {
	case column.String:
		var set []string
		for _, e := range list {
			set = append(set, e.constant.Str)
		}
		return memberKernel(x.kernel, set, func(v values) []string { return v.texts })
	case column.Float:
		var set []float64
		for _, e := range list {
			set = append(set, e.constant.Float)
		}
		return memberKernel(x.kernel, set, func(v values) []float64 { return v.floats })
	default:
		var set []int64
		for _, e := range list {
			if v, ok := sameScale(e.constant.Int, e.typ.Scale, x.typ.Scale); ok {
				set = append(set, v)
			}
		}
		return memberKernel(x.kernel, set, func(v values) []int64 { return v.ints })
	}
}

// sameScale gives v at another scale; false if no decimal there equals it.
func sameScale(v int64, from, to int) (int64, bool) {
	if to >= from {
		return shiftScale(v, to-from)
	}
	power := powersOfTen[from-to]
	return v / power, v%power == 0
}

func shiftScale(v int64, digits int) (int64, bool) {
	if digits == 0 {
		return v, true // also what is no decimal
	}
	return multiplyDecimals(v, powersOfTen[digits])
}

func memberKernel[T comparable](x kernel, set []T, of func(values) []T) kernel {
	var table map[T]struct{}
	if len(set) > fewElements {
		table = make(map[T]struct{}, len(set))
		for _, e := range set {
			table[e] = struct{}{}
		}
	}
	return func(b *batch) values {
		v := x(b)
		out := values{state: v.state, ints: b.ints.take(b.n)}
		for i, candidate := range of(v) {
			var found bool
			if table != nil {
				_, found = table[candidate]
			} else {
				found = slices.Contains(set, candidate)
			}
			out.ints[i] = bit(found)
		}
		return out
	}
}

func bit(v bool) int64 {
	var n int64
	if v {
		n = 1
	}
	return n
}
