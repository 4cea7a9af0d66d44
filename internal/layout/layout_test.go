// Package layout holds the rule that imports point inwards: layers know the
// protocol, measures, views and row logic; those know the definition; the ports'
// homes know no layer; only commands and functions know both sides.
package layout

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/watershed-data/watershed/"

// rank orders the packages of the core, innermost first. A package imports only
// what has a lower rank.
var rank = map[string]int{
	"column":      0,
	"kpl":         0,
	"pages":       0,
	"deployment":  0,
	"job":         0,
	"standin":     0,
	"tables":      0,
	"delimited":   0,
	"doubleentry": 0,
	"emf":         1, // deployment's names
	"expr":        1,
	"definition":  2,
	"protocol":    3,
	"measure":     3,
	"view":        3,
	"rowlogic":    4,
	"viewfile":    4,
}

// homes are where ports are implemented, and which formats they may know. A home knows
// the ports and no layer.
var homes = map[string][]string{
	"local":  {"kpl"}, // what lies in its log
	"memory": nil,
	"aws":    {"tables"}, // what lies in Glue's catalog
}

// layers and what they may know of each other.
var layers = map[string][]string{
	"archive":      nil,
	"load":         nil,
	"erasure":      nil,
	"speed":        nil,
	"batch":        nil,
	"lookup":       nil,
	"serving":      {"lookup"},
	"rejects":      {"archive", "serving"},
	"sql":          {"archive"}, // the master dataset's columns
	"duckdb":       {"batch", "sql"},
	"kinesis":      nil,
	"firehose":     {"archive"}, // the master dataset's columns
	"kinesisevent": nil,
	"oracle":       nil,
	"verify":       {"oracle"},
	"recompute":    {"archive", "speed"}, // files of the one, segments of the other
	"api":          {"serving", "load", "erasure"},
	"httpapi":      nil, // the gateway of the API, and not the API
	// The laws play whole pipelines, over stores of their own.
	"laws":    {"memory", "archive", "batch", "duckdb", "serving", "speed", "verify"},
	"conform": nil,
	"cost":    nil,
	"layout":  nil,
}

func TestImportsPointInwards(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	root := filepath.Join("..", "..", "internal")
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return err
		}
		dir, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		from := name(filepath.ToSlash(dir))
		seen[from] = true
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		if parsed.Name.Name == "main" {
			return nil // a program, which may know both sides
		}
		for _, imported := range parsed.Imports {
			path, err := strconv.Unquote(imported.Path.Value)
			if err != nil {
				return err
			}
			if rest, ok := strings.CutPrefix(path, module); ok && !allowed(from, rest) {
				t.Errorf("%s imports %s, which internal/%s may not know", dir, rest, from)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) < 15 {
		t.Fatalf("only %d internal packages were found", len(seen))
	}
}

// name gives the first folder under internal.
func name(dir string) string {
	return strings.Split(strings.TrimPrefix(dir, "internal/"), "/")[0]
}

func allowed(from, to string) bool {
	if from == "performance" { // measures a pipeline from the outside, with the events of an example
		return to == "examples/sales"
	}
	if !strings.HasPrefix(to, "internal/") {
		return false // nothing inside knows the commands
	}
	to = name(path.Clean(to))
	if from == to {
		return true
	}
	toRank, core := rank[to]
	fromRank, inner := rank[from]
	formats, isHome := homes[from]
	switch {
	case isHome:
		return to == "protocol" || slices.Contains(formats, to)
	case inner:
		return core && toRank < fromRank
	}
	friends, isLayer := layers[from]
	if !isLayer {
		return false // a new package has to say where it belongs
	}
	if core {
		return true
	}
	return slices.Contains(friends, to)
}

func TestTheRuleForbids(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ from, to string }{
		{"local", "internal/speed"}, {"local", "internal/rowlogic"}, {"protocol", "internal/measure"}, {"column", "internal/protocol"},
		{"definition", "internal/view"}, {"speed", "internal/batch"}, {"serving", "internal/local"}, {"batch", "cmd/watershed"},
		{"newcomer", "internal/column"}, {"memory", "internal/kpl"}, {"aws", "internal/kpl"},
	} {
		if allowed(c.from, c.to) {
			t.Errorf("internal/%s may import %s", c.from, c.to)
		}
	}
}
