package local

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/watershed-data/watershed/internal/protocol"
)

// generation makes a generation's name, of the length that all have
func generation(letter string) string {
	name := ""
	for range 16 {
		name += letter
	}
	return name
}

// storeOf stores something of every kind for a generation.
func storeOf(t *testing.T, s *Store, generation string) {
	t.Helper()
	ctx := t.Context()
	at := protocol.Position{Seq: "7"}
	_, err := s.Ledger(generation).Create(ctx, "s", protocol.Row{})
	_, plan := s.Ledger(generation).PutPlan(ctx, protocol.Plan{Run: "r"})
	_, item := s.RealTime(generation).Put(ctx, []protocol.Put{{Item: protocol.Item{ItemID: protocol.ItemID{Shard: "s"}, Cur: []byte("x"), Through: at}}})
	master, opening := s.Master(generation)
	if err := errors.Join(err, plan, item, opening, s.RealTime(generation).PutSegment(ctx, protocol.Segment{SegmentID: protocol.SegmentID{Shard: "s", Through: at}}),
		s.Checkpoints(generation).Store(ctx, "s", at), s.Journal(generation).Store(ctx, []byte("x")), s.RecomputeJournal(generation, "done").Store(ctx, []byte("x"))); err != nil {
		t.Fatal(err)
	}
	if _, err := master.Put(ctx, "s", func(w io.Writer) error { return nil }); err != nil {
		t.Fatal(err)
	}
	views, err := s.Views(generation)
	if err == nil {
		err = views.PutManifest(ctx, protocol.Manifest{Version: "v00000001-x"})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// keysOf counts the keys of a generation, whatever they begin with.
func keysOf(t *testing.T, s *Store, generation string) (n int) {
	t.Helper()
	it, err := s.DB().NewIter(&pebble.IterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		if key := it.Key(); len(key) > 16 && (string(key[1:17]) == generation || string(key[2:]) == generation) {
			n++
		}
	}
	return n
}

func foldersOf(t *testing.T, dir string) (names []string) {
	t.Helper()
	for _, part := range []string{masterDir, viewsDir} {
		entries, err := os.ReadDir(filepath.Join(dir, part))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, part+"/"+e.Name()[:1])
		}
	}
	return names
}

// The life of a directory: what each start or switch leaves of the generations.
func TestGenerations(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	s, err := Open(dir, Options{Pipeline: "p"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	a, b, c := generation("a"), generation("b"), generation("c")
	adopt := func(generation string) func() error {
		return func() error {
			_, err := s.Adopt(t.Context(), generation, DefinitionText{File: "/f", Text: []byte("text of " + generation)})
			return err
		}
	}
	switchTo := func(generation string) func() error {
		return func() error { return s.Switch(generation) }
	}
	sweep := func() error { return s.SweepDoomed(t.Context()) }
	for i, step := range []struct {
		name          string
		do            func() error
		serving, next string
		left          []string // generations that something is stored of
	}{
		{"a new directory", adopt(a), a, "", []string{a}},
		{"the same definition", adopt(a), a, "", []string{a}},
		{"another one", adopt(b), a, b, []string{a, b}},
		{"that one again", adopt(b), a, b, []string{a, b}},
		{"a third one", adopt(c), a, c, []string{a, c}},
		{"back to what answers", adopt(a), a, "", []string{a}},
		{"another one again", adopt(b), a, b, []string{a, b}},
		{"the switch", switchTo(b), b, "", []string{a, b}},
		{"the switch again", switchTo(b), b, "", []string{a, b}},
		{"the sweep", sweep, b, "", []string{b}},
		{"back", adopt(a), b, a, []string{a, b}},
		{"the switch back", switchTo(a), a, "", []string{a, b}},
		{"back before the sweep", adopt(b), a, b, []string{a, b}},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		g, err := s.Generations()
		if err != nil || g.Serving != step.serving || g.Next != step.next {
			t.Fatalf("%s: %+v, %v", step.name, g, err)
		}
		if step.name == "back before the sweep" && keysOf(t, s, b) > 1 { // the definition's text
			t.Errorf("%s: the old rests of the generation are there", step.name)
		}
		for _, held := range []string{g.Serving, g.Next} {
			if held == "" {
				continue
			}
			if text, ok, err := s.Definition(held); err != nil || !ok || string(text.Text) != "text of "+held {
				t.Errorf("%s: the definition of %s is %q, %v, %v", step.name, held, text.Text, ok, err)
			}
			storeOf(t, s, held)
		}
		for _, of := range []string{a, b, c} {
			if there, want := keysOf(t, s, of) > 0, slices.Contains(step.left, of); there != want {
				t.Errorf("step %d, %s: something of %s is stored: %v, want %v", i, step.name, of, there, want)
			}
		}
		if n := len(foldersOf(t, dir)); n != 2*len(step.left) {
			t.Errorf("%s: folders %v, want those of %v", step.name, foldersOf(t, dir), step.left)
		}
	}
	if err := s.Switch(c); err == nil {
		t.Error("it switched to a generation that was never begun")
	}
}

// A directory of the first release holds the bare name.
func TestGenerationOfTheFirstRelease(t *testing.T) {
	t.Parallel()
	s, err := Open(filepath.Join(t.TempDir(), "data"), Options{Pipeline: "p"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.DB().Set(generationsKey, []byte(generation("a")), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := s.Definition(generation("a")); ok || err != nil {
		t.Fatal(ok, err)
	}
	if g, err := s.Adopt(t.Context(), generation("b"), DefinitionText{}); err != nil || g.Serving != generation("a") || g.Next != generation("b") {
		t.Errorf("%+v, %v", g, err)
	}
}
