package local

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/protocol"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

var quiet = slog.New(slog.DiscardHandler)

// filled makes a data directory with 50 events in it, and closes it.
func filled(t *testing.T, dir string) {
	t.Helper()
	if err := fill(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
}

// killed makes a data directory with 50 events in it as a killed process leaves
// it.
func killed(t *testing.T, dir string) {
	t.Helper()
	alive := t.TempDir()
	s := fill(t, alive)
	if err := os.CopyFS(dir, os.DirFS(alive)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func fill(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir, Options{Pipeline: "sales", Shards: 2})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		if _, err := s.Log().Append(t.Context(), []protocol.Record{{Data: fmt.Appendf(nil, "event %d", i), PartitionKey: fmt.Sprint(i)}}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	in := func(dir string, names ...string) string { return filepath.Join(append([]string{dir}, names...)...) }
	remove := func(names ...string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			filled(t, dir)
			if err := os.RemoveAll(in(dir, names...)); err != nil {
				t.Fatal(err)
			}
		}
	}
	format := func(text string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			filled(t, dir)
			write(t, in(dir, formatFile), text)
		}
	}
	// spoil changes the files of the state database that match.
	spoil := func(fill func(*testing.T, string), pattern string, change func([]byte) []byte) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			fill(t, dir)
			paths, err := filepath.Glob(in(dir, stateDir, pattern))
			if err != nil || len(paths) == 0 {
				t.Fatalf("no files match %s: %v", pattern, err)
			}
			for _, path := range paths {
				old, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				write(t, path, string(change(old)))
			}
		}
	}
	flipAt := func(third int) func([]byte) []byte {
		return func(b []byte) []byte {
			for i := third * len(b) / 3; i < min(len(b), third*len(b)/3+64); i++ {
				b[i] ^= 0xff
			}
			return b
		}
	}
	flip := flipAt(1)
	half := func(b []byte) []byte { return b[:len(b)/2] }
	for name, tt := range map[string]struct {
		prepare func(*testing.T, string)
		options Options
		says    []string
	}{
		"foreign":           {func(t *testing.T, dir string) { write(t, in(dir, "thesis.tex"), "x") }, Options{}, []string{"thesis.tex", "not a data directory", "new one"}},
		"newer":             {format(`{"format":2,"flavour":"new"}`), Options{}, []string{"format 2", "newer release"}},
		"format cut short":  {format(`{"format":1,"pipe`), Options{}, []string{"FORMAT", "damaged", "backup"}},
		"format empty":      {format(``), Options{}, []string{"FORMAT", "damaged"}},
		"format of nothing": {format(`{"format":1}`), Options{}, []string{"FORMAT", "damaged"}},
		"another pipeline":  {filled, Options{Pipeline: "flights"}, []string{`"sales"`, `"flights"`, "another directory"}},
		"other shards":      {filled, Options{Shards: 5}, []string{"2 shards", "not 5"}},
		"no pipeline":       {filled, Options{Pipeline: "-"}, []string{"no pipeline"}},
		"too many shards":   {func(*testing.T, string) {}, Options{Shards: MaxShards + 1}, []string{"1025 shards"}},
		"no state":          {remove(stateDir), Options{}, []string{"state", "missing", "backup"}},
		"no master":         {remove(masterDir), Options{}, []string{"master", "missing"}},
		"no views":          {remove(viewsDir), Options{}, []string{"views", "missing"}},
		"no log":            {spoilRemove("*.log"), Options{}, []string{"write-ahead log", "missing", "backup"}},
		"no manifest":       {spoilRemove("MANIFEST-*"), Options{}, []string{"state database", "damaged", "backup"}},
		"damaged manifest":  {spoil(filled, "MANIFEST-*", flip), Options{}, []string{"state database", "damaged"}},
		"no mark":           {remove(ackedFile), Options{}, []string{"ACKED", "missing", "backup"}},
		"mark damaged":      {func(t *testing.T, dir string) { filled(t, dir); write(t, in(dir, ackedFile), "x") }, Options{}, []string{"ACKED", "damaged"}},
		"log damaged":       {spoil(killed, "*.log", flip), Options{}, []string{"events that were acknowledged are missing", "backup"}},
		"log damaged early": {spoil(killed, "*.log", flipAt(0)), Options{}, []string{"events that were acknowledged are missing"}},
		"log cut short":     {spoil(killed, "*.log", half), Options{}, []string{"events that were acknowledged are missing"}},
		"log emptied":       {spoil(killed, "*.log", func([]byte) []byte { return nil }), Options{}, []string{"events that were acknowledged are missing"}},
		"table cut short":   {spoil(filled, "*.sst", half), Options{}, []string{"state database", "damaged"}},
		"table empty":       {spoil(filled, "*.sst", func([]byte) []byte { return nil }), Options{}, []string{"state database", "damaged"}},
		"no tables":         {spoilRemove("*.sst"), Options{}, []string{"state database", "damaged"}},
		"damaged table":     {spoil(filled, "*.sst", flip), Options{}, []string{"state database", "damaged"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			tt.prepare(t, dir)
			switch tt.options.Pipeline {
			case "":
				tt.options.Pipeline = "sales"
			case "-":
				tt.options.Pipeline = ""
			}
			tt.options.Logger = quiet
			before := tree(t, dir)
			s, err := Open(dir, tt.options)
			if err == nil {
				_ = s.Close()
				t.Fatal("it opened")
			}
			for _, word := range append(tt.says, dir) {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("the error does not say %q: %v", word, err)
				}
			}
			if name == "foreign" && !slices.Equal(before, tree(t, dir)) {
				t.Errorf("a foreign directory was changed: %v, was %v", tree(t, dir), before)
			}
		})
	}
	t.Run("a file", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "file")
		write(t, path, "x")
		if _, err := Open(path, Options{Pipeline: "sales"}); err == nil || !strings.Contains(err.Error(), "it is a file") {
			t.Errorf("got %v", err)
		}
	})
}

// spoilRemove fills a directory and removes the files of its state database
// that match.
func spoilRemove(pattern string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		filled(t, dir)
		paths, err := filepath.Glob(filepath.Join(dir, stateDir, pattern))
		if err != nil || len(paths) == 0 {
			t.Fatalf("no files match %s: %v", pattern, err)
		}
		for _, path := range paths {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// tree lists the files below a directory.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.Walk(dir, func(path string, _ os.FileInfo, err error) error {
		names = append(names, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestOnlyOneHolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	openStore(t, dir, Options{})
	_, err := Open(dir, Options{Pipeline: "sales"})
	if err == nil {
		t.Fatal("a second holder got in")
	}
	for _, word := range []string{dir, "another process", fmt.Sprint(os.Getpid()), "stop that one"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error does not say %q: %v", word, err)
		}
	}
}

// A creation that is cut short after any of its steps is completed by the next
// Open.
func TestCreationCutShort(t *testing.T) {
	t.Parallel()
	steps := len((&Store{options: Options{}.withDefaults()}).creation())
	for done := range steps + 1 {
		dir := filepath.Join(t.TempDir(), "new", "data")
		options := Options{Pipeline: "sales", Shards: 3}
		s := &Store{dir: dir, options: options.withDefaults()}
		if err := makeDir(dir); err != nil {
			t.Fatal(err)
		}
		var err error
		if s.lock, err = lockDir(dir); err != nil {
			t.Fatal(err)
		}
		for _, step := range s.creation()[:done] {
			if err := step(); err != nil {
				t.Fatal(err)
			}
		}
		if err := unlockDir(s.lock); err != nil { // as the end of the process does
			t.Fatal(err)
		}
		s, err = Open(dir, options)
		if err != nil {
			t.Errorf("after %d of %d steps: %v", done, steps, err)
			continue
		}
		if shards, _ := s.Log().Shards(t.Context()); len(shards) != 3 {
			t.Errorf("after %d of %d steps: %d shards, want 3", done, steps, len(shards))
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestNewVolume(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "lost+found"), 0o700); err != nil {
		t.Fatal(err)
	}
	openStore(t, dir, Options{})
}

func TestClosedStore(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir(), Options{Shards: 1})
	waited := make(chan error)
	go func() { waited <- s.Log().Wait(t.Context(), shardID(0), protocol.Position{}) }()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-waited; err != ErrClosed {
		t.Errorf("who waited got %v, want ErrClosed", err)
	}
	if _, err := s.Log().Append(t.Context(), []protocol.Record{{PartitionKey: "k"}}); err != ErrClosed {
		t.Errorf("appending got %v, want ErrClosed", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

// A torn tail of the write-ahead log is what a crash leaves: nobody was promised
// what is in it.
func TestTornTail(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	killed(t, dir)
	paths, _ := filepath.Glob(filepath.Join(dir, stateDir, "*.log"))
	for _, path := range paths {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := binary.Write(f, binary.LittleEndian, [3]byte{1, 2, 3}); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s := openStore(t, dir, Options{})
	count := 0
	for i := range uint32(2) {
		page, err := s.Log().Read(t.Context(), shardID(i), protocol.Position{}, 1000)
		if err != nil {
			t.Fatal(err)
		}
		count += len(page.Events)
	}
	if count != 50 {
		t.Errorf("%d events are left of 50", count)
	}
}
