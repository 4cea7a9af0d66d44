package main

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// What a newcomer tries first: check takes every example, and the definition that
// has everything, and tells what their tables say.
func TestCheckTakesTheExamples(t *testing.T) {
	t.Parallel()
	definitions, err := filepath.Glob(filepath.Join(root, "examples", "*", "pipeline.yaml"))
	if err != nil || len(definitions) < 3 {
		t.Fatalf("found %d examples (%v)", len(definitions), err)
	}
	golden, err := txtar.ParseFile(filepath.Join(root, "internal/definition/testdata/errors/contract.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	writeInto(t, dir, "products.csv", "sku,name,category\nproduct1,Oolong,tea\n")
	for _, f := range golden.Files {
		if filepath.Ext(f.Name) == ".yaml" {
			writeInto(t, dir, f.Name, string(f.Data))
			definitions = append(definitions, filepath.Join(dir, f.Name))
		}
	}
	attributes := 0
	for _, file := range definitions {
		r := command(t, "check", file)
		if r.code != 0 || r.err != "" {
			t.Errorf("check %s: exit code %d\n%s", file, r.code, r.err)
		}
		attributes += strings.Count(r.out, ".name ")
	}
	// of product, twice, of carrier, origin and dest
	if attributes != 5 {
		t.Errorf("check tells of %d names in tables, want 5", attributes)
	}
}
