package app

import (
	"debug/elf"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/jsii-runtime-go"

	"github.com/watershed-data/watershed/infra/internal/program"
	"github.com/watershed-data/watershed/internal/deployment/access"
)

// CDK's bindings make a folder as soon as they are linked in.
func TestMain(m *testing.M) {
	code := m.Run()
	jsii.Close()
	os.Exit(code)
}

// Whoever deploys with a mistake hears of it in a moment, before CDK has started,
// and of all mistakes at once.
func TestWrongRequestsEndBeforeCDKStarts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := filepath.Join("..", "..", "examples", "sales", "pipeline.yaml")
	dev := filepath.Join("..", "config", "dev.yaml")
	text, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	sales := string(text)
	if err := program.Write(filepath.Join(dir, "x86"), elf.EM_X86_64, access.Functions()...); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "scripts", access.Batch), 0o755); err != nil {
		t.Fatal(err)
	}
	write(filepath.Join("scripts", access.Batch, "bootstrap"), "#!/bin/sh\n")
	for name, c := range map[string]struct {
		context map[string]string
		want    []string
	}{
		"nothing asked for":   {nil, []string{"-c pipeline=FILE", "-c config=FILE"}},
		"no configuration":    {map[string]string{"pipeline": good}, []string{"-c config=FILE"}},
		"a missing file":      {map[string]string{"pipeline": "none.yaml", "config": dev}, []string{"none.yaml"}},
		"two wrong files":     {map[string]string{"pipeline": write("p.yaml", "pipeline: [\n"), "config": write("c.yaml", "removal: keep\n")}, []string{"p.yaml:", "c.yaml:1:10: removal cannot be \"keep\"; write retain or destroy"}},
		"functions not built": {map[string]string{"pipeline": good, "config": dev, "functions": dir}, []string{"function batch", "make functions"}},
		"no driver for Spark": {map[string]string{"pipeline": good, "config": dev, "functions": dir, "driver": "glue.py"}, []string{"finding the driver for Spark", "glue.py", "-c driver=FILE"}},
		"other functions":     {map[string]string{"pipeline": good, "config": dev, "functions": filepath.Join(dir, "x86")}, []string{"function batch is built for x86_64", "make functions FUNCTIONS_ARCH=arm64"}},
		"no functions":        {map[string]string{"pipeline": good, "config": dev, "functions": filepath.Join(dir, "scripts")}, []string{"function batch", "not a program for Linux"}},
		"a lookup elsewhere":  {map[string]string{"pipeline": write("elsewhere.yaml", strings.Replace(sales, "products.csv", "../products.csv", 1)), "config": dev}, []string{"elsewhere.yaml:", "lookup products", "not below the definition's folder"}},
		"a missing lookup":    {map[string]string{"pipeline": write("missing.yaml", sales), "config": dev}, []string{"missing.yaml:", "products.csv"}},
		"a view called rows":  {map[string]string{"pipeline": write("rows.yaml", strings.Replace(sales, "  takings:", "  rows:", 1)), "config": dev}, []string{"the view rows has the name of the table of the master dataset in the catalog; rename it"}},
		"a wrong endpoint":    {map[string]string{"pipeline": good, "config": dev, "endpoint": "localhost"}, []string{"-c endpoint", "http://127.0.0.1:4566"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			context, err := json.Marshal(c.context)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Props(string(context))
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%v, want %s", err, want)
				}
			}
		})
	}
}
