package definition

import (
	"fmt"
	"reflect"
	"slices"
)

// Differences says, for people, what decides other answers in a definition than
// in one before it; nil if both are of one generation. Each text names the part
// that was changed, added or removed, by the name it has in the file.
func Differences(before, now *Definition) []string {
	if before.Generation == now.Generation {
		return nil
	}
	a, b := canonicalForm(before), canonicalForm(now)
	var out []string
	for _, part := range []struct {
		name string
		a, b any
	}{
		{"zone", a.Zone, b.Zone},
		{"events.format", a.Format, b.Format},
		{"events.fields", a.Fields, b.Fields},
		{"events.time", a.Time, b.Time},
		{"events.id", a.ID, b.ID},
		{"events.dedupe_within", a.Within, b.Within},
	} {
		if !reflect.DeepEqual(part.a, part.b) {
			out = append(out, part.name+" is another one")
		}
	}
	out = append(out, byName("column", a.Columns, b.Columns, func(c canonicalColumn) string { return c.Name })...)
	if !reflect.DeepEqual(a.Clean, b.Clean) {
		out = append(out, "clean has other steps")
	}
	out = append(out, byName("view", a.Views, b.Views, func(v canonicalView) string { return v.Name })...)
	if len(out) == 0 {
		out = append(out, "this release computes rows in another way")
	}
	return out
}

// byName compares lists of things with names.
func byName[T any](kind string, a, b []T, name func(T) string) (out []string) {
	find := func(list []T, of string) int {
		return slices.IndexFunc(list, func(x T) bool { return name(x) == of })
	}
	for _, x := range b {
		switch i := find(a, name(x)); {
		case i < 0:
			out = append(out, fmt.Sprintf("%s %s is new", kind, name(x)))
		case !reflect.DeepEqual(a[i], x):
			out = append(out, fmt.Sprintf("%s %s is another one", kind, name(x)))
		}
	}
	for _, x := range a {
		if find(b, name(x)) < 0 {
			out = append(out, fmt.Sprintf("%s %s is gone", kind, name(x)))
		}
	}
	if len(out) == 0 && !reflect.DeepEqual(a, b) {
		out = append(out, kind+"s are in another order")
	}
	return out
}
