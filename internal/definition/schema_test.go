package definition

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
	"golang.org/x/tools/txtar"
)

const schemaFile = "../../docs/pipeline.schema.json"

func TestSchemaIsFresh(t *testing.T) {
	t.Parallel()
	got, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, Schema()) {
		t.Errorf("%s is stale: run go generate ./internal/definition", schemaFile)
	}
}

// compiledSchema gives the schema as an editor has it.
func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("pipeline.schema.json", document); err != nil {
		t.Fatal(err)
	}
	s, err := compiler.Compile("pipeline.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// An editor that knows the schema accepts what the contract allows, and marks
// slips.
func TestSchema(t *testing.T) {
	t.Parallel()
	s := compiledSchema(t)
	sales, err := os.ReadFile("testdata/sales.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		text  string
		valid bool
	}{
		{"sales", string(sales), true},
		{"minimal", minimal, true},
		{"the contract's example", goldenCase(t, "contract", "contract.yaml"), true},
		{"measures in braces", strings.Replace(minimal, "{n: count}", "{n: count, d: distinct(a, 64), q: quantiles( a , 0.01 )}", 1), true},
		{"a wrong measure in braces", strings.Replace(minimal, "{n: count}", "{n: count, s: sum(a, 64)}", 1), false},
		{"an unknown key", goldenCase(t, "top", "unknown.yaml"), false},
		{"wrong kinds", goldenCase(t, "top", "scalars.yaml"), false},
		{"wrong names", goldenCase(t, "views", "names.yaml"), false},
		{"wrong types", goldenCase(t, "events", "types.yaml"), false},
		{"wrong steps", goldenCase(t, "clean", "steps.yaml"), false},
		{"wrong measures", goldenCase(t, "views", "measures.yaml"), false},
	} {
		var value any
		if err := yaml.Unmarshal([]byte(c.text), &value); err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(value); (err == nil) != c.valid {
			t.Errorf("%s: want valid %t, got %v", c.name, c.valid, err)
		}
	}
}

// An editor marks nothing in a definition that `check` takes: those of the golden
// files and the examples, which together have every key, type, format, grain and
// measure.
func TestSchemaTakesWhatCheckTakes(t *testing.T) {
	t.Parallel()
	s := compiledSchema(t)
	texts := corpus(t)
	examples, err := filepath.Glob("../../examples/*/pipeline.yaml")
	if err != nil || len(examples) < 3 {
		t.Fatalf("found %d examples (%v)", len(examples), err)
	}
	for _, path := range examples {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(path, text); err != nil {
			t.Errorf("the example is refused: %v", err)
		}
		texts = append(texts, text)
	}
	var taken []byte
	for _, text := range texts {
		if _, err := Parse("pipeline.yaml", text); err != nil {
			continue
		}
		taken = append(taken, text...)
		var value any
		if err := yaml.Unmarshal(text, &value); err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(value); err != nil {
			t.Errorf("check takes\n%s\nand the schema says %v", text, err)
		}
	}
	for _, word := range []string{
		"format: json", "format: csv", "format: tsv", "fields:", "from:", "optional: true", "zone:",
		"type: string", "type: int", "type: decimal(", "type: bool", "type: date", "type: float", "type: timestamp",
		"time:", "id:", "dedupe_within:", "set:", "default:", "require:", "reason:", "drop:", "lookups:",
		"every: 1m", "every: 5m", "every: 15m", "every: 1h", "every: 1d", "every: 1w", "every: 1mo", "every: none",
		"where:", "keep:", "for:", ": count", "count(", "sum(", "min(", "max(", "avg(", "distinct(", "quantiles(",
		"batch: {every:", "batch: continuous",
	} {
		if !bytes.Contains(taken, []byte(word)) {
			t.Errorf("no definition here has %q, so nothing shows that the schema takes it", word)
		}
	}
}

func goldenCase(t testing.TB, archive, name string) string {
	t.Helper()
	files, err := txtar.ParseFile(filepath.Join("testdata/errors", archive+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files.Files {
		if f.Name == name {
			return string(f.Data)
		}
	}
	t.Fatalf("there is no case %s in %s", name, archive)
	return ""
}

// corpus gives every definition of the golden files.
func corpus(t testing.TB) [][]byte {
	t.Helper()
	paths, err := filepath.Glob("testdata/errors/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	texts := [][]byte{[]byte(minimal)}
	for _, path := range paths {
		files, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files.Files {
			if filepath.Ext(f.Name) == ".yaml" {
				texts = append(texts, f.Data)
			}
		}
	}
	return texts
}
