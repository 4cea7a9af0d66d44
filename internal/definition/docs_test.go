package definition

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

const referencePage = "../../docs/definition.md"

// documented finds a definition of the page and what `watershed check` prints of
// it.
var documented = regexp.MustCompile("(?s)```yaml\n(.*?)```(.*?)```text\n(.*?)```")

// The reference page shows what the code does: its definitions print what
// stands below them. With -update it is rewritten.
func TestReferencePage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(referencePage)
	if err != nil {
		t.Fatal(err)
	}
	examples := 0
	for _, m := range documented.FindAllStringSubmatch(string(page), -1) {
		if strings.Contains(m[2], "```") {
			t.Errorf("this block shows a definition, and what check prints of it does not follow; call it yml if it is a part of one:\n%s", m[1])
		}
	}
	want := documented.ReplaceAllStringFunc(string(page), func(example string) string {
		examples++
		parts := documented.FindStringSubmatch(example)
		return strings.TrimSuffix(example, parts[3]+"```") + checked(parts[1]) + "```"
	})
	if examples < 3 {
		t.Fatalf("%s has %d examples", referencePage, examples)
	}
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
