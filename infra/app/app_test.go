package app

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/jsii-runtime-go"
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
	for name, c := range map[string]struct {
		context map[string]string
		want    []string
	}{
		"nothing asked for":   {nil, []string{"-c pipeline=FILE", "-c config=FILE"}},
		"no configuration":    {map[string]string{"pipeline": good}, []string{"-c config=FILE"}},
		"a missing file":      {map[string]string{"pipeline": "none.yaml", "config": dev}, []string{"none.yaml"}},
		"two wrong files":     {map[string]string{"pipeline": write("p.yaml", "pipeline: [\n"), "config": write("c.yaml", "removal: keep\n")}, []string{"p.yaml:", "c.yaml:1:10: removal cannot be \"keep\"; write retain or destroy"}},
		"functions not built": {map[string]string{"pipeline": good, "config": dev, "functions": dir}, []string{"function transform", "make functions"}},
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
