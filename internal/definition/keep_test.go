package definition

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// A view's keep is read as it is written, and described in words.
func TestKeep(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for text, c := range map[string]struct {
		keep   []Keep
		grains []Grain
		words  string
	}{
		"": {nil, []Grain{Hour}, "every 1h"},
		"keep: [{for: 7d, every: 1h}, {every: 1d}]": {
			[]Keep{{7 * day, Hour}, {0, Day}}, []Grain{Hour, Day}, "every 1h for 7d, then 1d"},
		"keep: [{every: 1h, for: 90m}, {for: 36500d, every: 1d}, {every: 1mo}]": {
			[]Keep{{90 * time.Minute, Hour}, {36500 * day, Day}, {0, Month}}, []Grain{Hour, Day, Month}, "every 1h for 90m, then 1d for 36500d, then 1mo"},
		"keep: [{for: 1d, every: 1h}, {every: 1w}]": {
			[]Keep{{day, Hour}, {0, Week}}, []Grain{Hour, Week}, "every 1h for 1d, then 1w"},
	} {
		d := mustParse(t, replaced(t, minimal, "    every: 1h\n", "    every: 1h\n    "+text+"\n"))
		v, _ := d.View("v")
		if !slices.Equal(v.Keep, c.keep) || !slices.Equal(v.Grains(), c.grains) {
			t.Errorf("%q is read as %v with the grains %v", text, v.Keep, v.Grains())
		}
		if want := "  v: by a, b, " + c.words + "\n"; !strings.Contains(d.Describe(), want) {
			t.Errorf("%q is not described as %q:\n%s", text, want, d.Describe())
		}
	}
}

// Buckets of a grain lie in those of the grains that they nest in.
func TestNestsIn(t *testing.T) {
	t.Parallel()
	all := Grains()
	for i, fine := range all {
		for j, coarse := range all {
			want := i <= j && (fine != Week || coarse != Month)
			if got := fine.NestsIn(coarse); got != want {
				t.Errorf("%s nests in %s: %t", fine, coarse, got)
			}
		}
		if Grain("2h").NestsIn(fine) || fine.NestsIn("2h") || Grain("2h").NestsIn("2h") {
			t.Errorf("2h nests beside %s", fine)
		}
	}
}
