package local

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/protocol"
)

// TestReplacingKilledAnywhere: after a crash at any point the dataset holds either
// the old files or the new ones, and nothing else is left of it.
func TestReplacingKilledAnywhere(t *testing.T) {
	t.Parallel()
	const old, replaced = "a b c", "ab c x"
	for name, c := range map[string]struct {
		crash func(t *testing.T, m *Master, s swap) // undoes what had not happened yet
		want  string
	}{
		"while the new files are written": {func(t *testing.T, m *Master, s swap) {
			must(t, os.Remove(s.path))
			must(t, os.Rename(m.Path(s.New[0]), m.Path(s.New[0])+partial))
			must(t, os.Remove(m.Path(s.New[1])))
		}, old},
		"before the record is there": {func(t *testing.T, m *Master, s swap) {
			must(t, os.Rename(s.path, s.path+partial))
			for _, name := range s.New {
				must(t, os.Rename(m.Path(name), m.Path(name)+partial))
			}
		}, old},
		"before the new files have their names": {func(t *testing.T, m *Master, s swap) {
			for _, name := range s.New {
				must(t, os.Rename(m.Path(name), m.Path(name)+partial))
			}
		}, replaced},
		"between their names": {func(t *testing.T, m *Master, s swap) {
			must(t, os.Rename(m.Path(s.New[1]), m.Path(s.New[1])+partial))
		}, replaced},
		"before the old files go": {func(*testing.T, *Master, swap) {}, replaced},
		"between their going": {func(t *testing.T, m *Master, s swap) {
			must(t, os.Remove(m.Path(s.Old[1])))
		}, replaced},
		"before the record goes": {func(t *testing.T, m *Master, s swap) {
			for _, name := range s.Old {
				must(t, os.Remove(m.Path(name)))
			}
		}, replaced},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := openStore(t, dir, Options{})
			m, err := s.Master("g")
			must(t, err)
			a, b := putText(t, m, "s", "a"), putText(t, m, "s", "b")
			putText(t, m, "s", "c")
			_, err = m.Pin(t.Context()) // so that nothing is deleted yet
			must(t, err)
			_, err = m.Replace(t.Context(), []string{a.Name, b.Name}, []protocol.NewFile{{Shard: "s", Write: writeText("ab")}, {Shard: "t", Write: writeText("x")}})
			must(t, err)
			record := *m.swaps[0]
			must(t, s.Close())
			c.crash(t, m, record)

			for range 2 { // the second start finds all in order
				s = openStore(t, dir, Options{})
				m, err = s.Master("g")
				must(t, err)
				if got := texts(t, m); got != c.want {
					t.Errorf("the files hold %q, want %q", got, c.want)
				}
				must(t, s.Close())
				if left := len(all(t, m.dir)); left != 3 {
					t.Errorf("%d files are there, want 3: %v", left, all(t, m.dir))
				}
			}
		})
	}
}

// TestAChainOfReplacements that were all interrupted is completed in any order.
func TestAChainOfReplacements(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir, Options{})
	m, err := s.Master("g")
	must(t, err)
	name := putText(t, m, "s", "0").Name
	_, err = m.Pin(t.Context())
	must(t, err)
	for i := range 5 {
		files, err := m.Replace(t.Context(), []string{name}, []protocol.NewFile{{Shard: "s", Write: writeText(fmt.Sprint(i + 1))}})
		must(t, err)
		name = files[0].Name
	}
	must(t, s.Close())
	s = openStore(t, dir, Options{})
	defer s.Close()
	m, err = s.Master("g")
	must(t, err)
	if got := texts(t, m); got != "5" || len(all(t, m.dir)) != 1 {
		t.Errorf("the files hold %q; there are %v", got, all(t, m.dir))
	}
}

// TestForeignFiles neither become part of the dataset or of the versions nor break
// them, and are said once.
func TestForeignFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var said bytes.Buffer
	s := openStore(t, dir, Options{Logger: slog.New(slog.NewTextHandler(&said, nil))})
	defer s.Close()
	m, err := s.Master("g")
	must(t, err)
	v, err := s.Views("g")
	must(t, err)
	putText(t, m, "s", "a")
	foreign := []string{
		filepath.Join(m.dir, ".DS_Store"), filepath.Join(m.dir, "notes.txt"), filepath.Join(m.dir, "s", "._x.parquet"), filepath.Join(m.dir, "s", "x.parquet~"),
		filepath.Join(v.dir, ".DS_Store"), filepath.Join(v.dir, "v00000009-not-a-folder"),
	}
	for _, path := range foreign {
		must(t, os.WriteFile(path, []byte("x"), 0o644))
	}
	must(t, os.MkdirAll(filepath.Join(v.dir, "backup"), 0o755))
	must(t, v.PutManifest(t.Context(), protocol.Manifest{Version: "v00000001-a", Seq: 1}))
	for range 3 {
		if got := texts(t, m); got != "a" {
			t.Errorf("the files hold %q, want a", got)
		}
		if versions, err := v.Versions(t.Context()); err != nil || !slices.Equal(versions, []string{"v00000001-a"}) {
			t.Errorf("the versions are %v, %v", versions, err)
		}
	}
	must(t, s.Sweep(t.Context(), "g"))
	for _, path := range append(foreign, filepath.Join(v.dir, "backup")) {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%s was not left alone: %v", path, err)
		}
		if n := strings.Count(said.String(), path); n != 1 {
			t.Errorf("%s was said %d times", path, n)
		}
	}
}

func writeText(text string) func(io.Writer) error {
	return func(w io.Writer) error { _, err := io.WriteString(w, text); return err }
}

func putText(t *testing.T, m *Master, shard, text string) protocol.File {
	t.Helper()
	f, err := m.Put(t.Context(), shard, writeText(text))
	must(t, err)
	return f
}

// texts gives what the listed files hold.
func texts(t *testing.T, m *Master) string {
	t.Helper()
	files, err := m.Files(context.Background())
	must(t, err)
	var out []string
	for _, f := range files {
		text, err := os.ReadFile(m.Path(f.Name))
		must(t, err)
		out = append(out, string(text))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// all gives all files below a folder.
func all(t *testing.T, dir string) (out []string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out = append(out, path)
		}
		return err
	}))
	return out
}
