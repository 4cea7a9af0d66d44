package definition

import (
	"slices"
	"strings"
	"testing"
)

func TestDifferences(t *testing.T) {
	t.Parallel()
	const text = `
pipeline: p
events:
  format: json
  columns: {n: {type: int}, k: {type: string}, at: {type: timestamp}}
  time: at
clean:
  - require: "n > 0"
views:
  v: {by: [k], every: 1h, measures: {events: count}}
`
	for _, c := range []struct {
		name, old, new string
		want           []string
	}{
		{"a comment", "pipeline", "# a comment\npipeline", nil},
		{"batch timing", "views:", "batch: {every: 1h}\nviews:", nil},
		{"a grain", "every: 1h", "every: 1d", []string{"view v is another one"}},
		{"a view's name", "  v: ", "  w: ", []string{"view w is new", "view v is gone"}},
		{"an id", "time: at", "time: at\n  id: k\n  dedupe_within: 1h", []string{"events.id is another one", "events.dedupe_within is another one"}},
		{"a column's type", "n: {type: int}", `n: {type: "decimal(9,2)"}`, []string{"column n is another one"}},
		{"the order of columns", "n: {type: int}, k: {type: string}", "k: {type: string}, n: {type: int}", []string{"columns are in another order"}},
		{"cleaning", "n > 0", "n > 1", []string{"clean has other steps"}},
		{"the zone", "events:", "zone: Europe/Paris\nevents:", []string{"zone is another one", "column at is another one"}},
	} {
		before, err := Parse("pipeline.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		now, err := Parse("pipeline.yaml", []byte(strings.Replace(text, c.old, c.new, 1)))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got := Differences(before, now); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	before, _ := Parse("pipeline.yaml", []byte(text))
	upgraded := *before
	upgraded.Generation = "another"
	if got := Differences(before, &upgraded); !slices.Equal(got, []string{"this release computes rows in another way"}) {
		t.Errorf("another row logic: %q", got)
	}
}
