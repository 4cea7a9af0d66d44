package definition

import (
	"bytes"
	"os"
	"path/filepath"
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

// An editor that knows the schema accepts what the contract allows, also what
// this release refuses, and marks slips.
func TestSchema(t *testing.T) {
	t.Parallel()
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
		{"everything that is refused", goldenCase(t, "later", "all.yaml"), true},
		{"the contract's example", goldenCase(t, "later", "contract.yaml"), true},
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
