package definition

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// Every erroneous definition of testdata/errors gives exactly the errors beside
// it: file, line, column, what is wrong and what to write instead.
func TestErrors(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/errors/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]string{}
			for _, f := range archive.Files {
				want[f.Name] = string(f.Data)
			}
			updated := &txtar.Archive{Comment: archive.Comment}
			for _, f := range archive.Files {
				name, isCase := strings.CutSuffix(f.Name, ".yaml")
				if !isCase {
					continue
				}
				got := errorsOf(f.Name, f.Data)
				if !*update && got != want[name+".errors"] {
					t.Errorf("%s gives\n%swant\n%s", f.Name, got, want[name+".errors"])
				}
				updated.Files = append(updated.Files, f, txtar.File{Name: name + ".errors", Data: []byte(got)})
			}
			if *update {
				if err := os.WriteFile(file, txtar.Format(updated), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func errorsOf(file string, text []byte) string {
	_, err := Parse(file, text)
	if err == nil {
		return "no error\n"
	}
	return err.Error() + "\n"
}
