package definition

import (
	"strings"
	"testing"
)

// minimal has one of each thing that a generation may depend on.
const minimal = `pipeline: p
zone: UTC
events:
  format: json
  columns:
    a: {type: int}
    b: {type: decimal(6,2), optional: true}
    at: {type: timestamp}
  time: at
clean:
  - default: {a: 1, b: 1.5}
  - set: {a: a + 1, c: b * b}
  - require: a > 0
    reason: no a
  - drop: a == 7
views:
  v:
    by: [a, b]
    every: 1h
    measures: {n: count, s: sum(a)}
  w:
    by: []
    every: none
    measures: {n: count}
`

func mustParse(t testing.TB, text string) *Definition {
	t.Helper()
	d, err := Parse("pipeline.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Editing what decides no answer keeps the generation: the pipeline goes on
// with its stored states.
func TestSameGeneration(t *testing.T) {
	t.Parallel()
	want := mustParse(t, minimal).Generation
	for _, c := range []struct{ name, old, new string }{
		{"a comment", "zone: UTC", "# a comment\nzone: UTC # another"},
		{"the default zone", "zone: UTC\n", ""},
		{"the pipeline's name", "pipeline: p", "pipeline: q"},
		{"batch timing", "zone: UTC", "batch: continuous\nzone: UTC"},
		{"blanks in a type", "decimal(6,2)", "\"decimal( 6, 2 )\""},
		{"from that says the name", "a: {type: int}", "a: {type: int, from: a}"},
		{"optional: false", "a: {type: int}", "a: {type: int, optional: false}"},
		{"the default zone of a timestamp", "at: {type: timestamp}", "at: {type: timestamp, zone: UTC}"},
		{"a default written in other digits", "b: 1.5", "b: 1.50"},
		{"the order within a default", "{a: 1, b: 1.5}", "{b: 1.5, a: 1}"},
		{"quotes", "require: a > 0", "require: 'a > 0'"},
		{"dedupe_within without what it says by default", "  time: at\n", "  time: at\n  id: b\n  dedupe_within: 900s\n"},
		{"a lookup", "views:\n", "lookups: {kinds: {file: kinds.csv, key: kind, on: [a]}}\nviews:\n"},
		{"the order of views", "views:\n", "views:\n  u: {by: [], every: none, measures: {n: count}}\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			text, want := replaced(t, minimal, c.old, c.new), want
			if strings.Contains(text, "dedupe_within") {
				want = mustParse(t, replaced(t, minimal, c.old, "  time: at\n  id: b\n")).Generation
			}
			if c.name == "the order of views" { // one view first and last
				last := minimal + "  u: {by: [], every: none, measures: {n: count}}\n"
				if got, want := mustParse(t, text).Generation, mustParse(t, last).Generation; got != want {
					t.Errorf("the generation changed from %s to %s", want, got)
				}
				return
			}
			if got := mustParse(t, text).Generation; got != want {
				t.Errorf("the generation changed from %s to %s", want, got)
			}
		})
	}
}

// Editing what decides an answer starts a new generation: stored states of the
// old one would mix with the new.
func TestNewGeneration(t *testing.T) {
	t.Parallel()
	seen := map[string]string{mustParse(t, minimal).Generation: "the original"}
	for _, c := range []struct{ name, old, new string }{
		{"the zone", "zone: UTC", "zone: Asia/Tokyo"},
		{"the order of columns", "    a: {type: int}\n    b: {type: decimal(6,2), optional: true}\n", "    b: {type: decimal(6,2), optional: true}\n    a: {type: int}\n"},
		{"the order within a set", "{a: a + 1, c: b * b}", "{c: b * b, a: a + 1}"},
		{"a column's type", "a: {type: int}", "a: {type: decimal(9,0)}"},
		{"a column's path", "a: {type: int}", "a: {type: int, from: x}"},
		{"a dotted path is no name", "a: {type: int}", "a: {type: int, from: x.y}"},
		{"a column made optional", "a: {type: int}", "a: {type: int, optional: true}"},
		{"a timestamp's zone", "at: {type: timestamp}", "at: {type: timestamp, zone: Asia/Tokyo}"},
		{"one more column", "    a: {type: int}", "    d: {type: int}\n    a: {type: int}"},
		{"a default", "b: 1.5", "b: 1.51"},
		{"a set", "a + 1", "a + 2"},
		{"a requirement", "a > 0", "a > 1"},
		{"a reason", "no a", "not a"},
		{"a drop", "a == 7", "a == 8"},
		{"the order of steps", "  - set: {a: a + 1, c: b * b}\n  - require: a > 0\n    reason: no a\n", "  - require: a > 0\n    reason: no a\n  - set: {a: a + 1, c: b * b}\n"},
		{"one step less", "  - drop: a == 7\n", ""},
		{"a view's name", "  w:\n", "  x:\n"},
		{"the order of dimensions", "[a, b]", "[b, a]"},
		{"a grain", "1h", "5m"},
		{"a rollup by age", "every: 1h\n", "every: 1h\n    keep: [{for: 7d, every: 1h}, {every: 1d}]\n"},
		{"another age", "every: 1h\n", "every: 1h\n    keep: [{for: 8d, every: 1h}, {every: 1d}]\n"},
		{"another grain of old buckets", "every: 1h\n", "every: 1h\n    keep: [{for: 7d, every: 1h}, {every: 1w}]\n"},
		{"a measure's name", "s: sum(a)", "t: sum(a)"},
		{"a measure's function", "sum(a)", "max(a)"},
		{"a measure's column", "sum(a)", "sum(b)"},
		{"a count of a column", "sum(a)", "count(a)"},
		{"a distinct's hashes", "sum(a)", "distinct(a, 2048)"},
		{"a distinct", "sum(a)", "distinct(a)"},
		{"a relative error", "sum(a)", "quantiles(a, 0.02)"},
		{"quantiles", "sum(a)", "quantiles(a, 0.01)"},
		{"a condition", "every: 1h\n", "every: 1h\n    where: a > 0\n"},
		{"the order of measures", "{n: count, s: sum(a)}", "{s: sum(a), n: count}"},
		{"one more view", "views:\n", "views:\n  u: {by: [], every: none, measures: {n: count}}\n"},
		{"an event id", "  time: at\n", "  time: at\n  id: b\n"},
		{"another event id", "  time: at\n", "  time: at\n  id: a\n"},
		{"another dedup window", "  time: at\n", "  time: at\n  id: a\n  dedupe_within: 14m\n"},
	} {
		text := replaced(t, minimal, c.old, c.new)
		if c.name == "a column's type" {
			text = replaced(t, text, "a: a + 1, ", "")
		}
		got := mustParse(t, text).Generation
		if before, clash := seen[got]; clash {
			t.Errorf("%s has the generation of %s", c.name, before)
		}
		seen[got] = c.name
	}
}

func replaced(t *testing.T, text, old, new string) string {
	t.Helper()
	if !strings.Contains(text, old) {
		t.Fatalf("nothing to replace: %q", old)
	}
	return strings.Replace(text, old, new, 1)
}

// A generation outlives releases: stored states are filed under it. If this
// fails, either undo the change of the canonical form or raise RowLogicVersion
// and say so in the changelog.
func TestGenerationIsStable(t *testing.T) {
	t.Parallel()
	if got, want := mustParse(t, minimal).Generation, "13945fe06ce8f68b"; got != want {
		t.Errorf("the generation is %s, want %s", got, want)
	}
}
