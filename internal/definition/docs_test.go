package definition

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const referencePage = "../../docs/definition.md"

var (
	// A definition of the page and what `watershed check` prints of it.
	documented = regexp.MustCompile("(?s)```yaml\n(.*?)```(.*?)```text\n(.*?)```")
	refusals   = regexp.MustCompile(`(?s)(\| feature \| instead \|\n\|---\|---\|\n).*?(\n\n)`)
)

// The reference page shows what the code does: its definitions print what
// stands below them, and its table of refused features is the code's. With
// -update it is rewritten.
func TestReferencePage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(referencePage)
	if err != nil {
		t.Fatal(err)
	}
	examples := 0
	want := documented.ReplaceAllStringFunc(string(page), func(example string) string {
		examples++
		parts := documented.FindStringSubmatch(example)
		return strings.TrimSuffix(example, parts[3]+"```") + checked(parts[1]) + "```"
	})
	if examples < 3 || !refusals.MatchString(want) {
		t.Fatalf("%s has %d examples, or no table of refused features", referencePage, examples)
	}
	want = refusals.ReplaceAllString(want, "${1}"+strings.ReplaceAll(refused(), "$", "$$")+"${2}")
	if *update {
		if err := os.WriteFile(referencePage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(page) {
		t.Errorf("%s is stale: run go test ./internal/definition -update; it should read\n%s", referencePage, want)
	}
}

// checked gives what `watershed check pipeline.yaml` prints.
func checked(text string) string {
	d, err := Parse("pipeline.yaml", []byte(text))
	if err != nil {
		return err.Error() + "\n"
	}
	return d.Describe()
}

// refused gives the rows of the table of later.
func refused() string {
	var rows []string
	for _, feature := range slices.Sorted(maps.Keys(later)) {
		rows = append(rows, fmt.Sprintf("| `%s` | %s |", feature, later[feature]))
	}
	return strings.Join(rows, "\n")
}
