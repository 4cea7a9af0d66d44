// Package docs_test keeps the pages' links alive.
package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	link   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	fenced = regexp.MustCompile("(?s)```.*?```")

	heading     = regexp.MustCompile(`(?m)^#+ +(.*)$`)
	linked      = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	notInPlaces = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

func TestLinks(t *testing.T) {
	t.Parallel()
	pages, links := 0, 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != "..":
			return filepath.SkipDir
		case filepath.Ext(path) != ".md":
			return nil
		}
		pages++
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range link.FindAllStringSubmatch(fenced.ReplaceAllString(string(text), ""), -1) {
			target, place, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			links++
			to := path
			if target != "" {
				to = filepath.Join(filepath.Dir(path), target)
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s: a reader who follows %s finds nothing", path, m[1])
				continue
			}
			if place != "" && filepath.Ext(to) == ".md" && !slices.Contains(places(t, to), place) {
				t.Errorf("%s: a reader who follows %s does not find the place on that page", path, m[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if pages < 5 || links < 20 {
		t.Errorf("looked at %d pages and %d links: too few, the test looks in the wrong place", pages, links)
	}
}

// places gives the names under which a page's headings can be linked to, as GitHub
// makes them; a heading that is there twice is found by its first name only.
func places(t *testing.T, page string) (out []string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(string(text), ""), -1) {
		name := linked.ReplaceAllString(strings.TrimSpace(m[1]), "$1")
		name = notInPlaces.ReplaceAllString(strings.ToLower(name), "")
		out = append(out, strings.ReplaceAll(name, " ", "-"))
	}
	return out
}
