package local

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/protocol"
)

func spool(t *testing.T, l *Loads, content string) string {
	t.Helper()
	name, err := l.Spool(t.Context(), func(w io.Writer) error { _, err := io.WriteString(w, content); return err })
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func TestAfterACrashOnlySpoolsThatAreNeededStay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := Open(dir, Options{Pipeline: "p"})
	if err != nil {
		t.Fatal(err)
	}
	loads, err := s.Loads()
	if err != nil {
		t.Fatal(err)
	}
	waiting := protocol.Load{Content: strings.Repeat("ab", 32), Name: "w.csv", Arrival: 2, Events: 3, Newer: 4, Last: 9, Check: 1<<64 - 1, Spool: spool(t, loads, "waiting")}
	finished := protocol.Load{Content: strings.Repeat("cd", 32), Arrival: 1, Events: 1, Spool: spool(t, loads, "finished")}
	for _, load := range []protocol.Load{waiting, finished} {
		if _, err := loads.PutLoad(t.Context(), load); err != nil {
			t.Fatal(err)
		}
	}
	if err := loads.FinishLoad(t.Context(), finished.Shard(), 55); err != nil {
		t.Fatal(err)
	}
	// What a crash leaves: a spool whose load was not accepted, one half written, and
	// that of a finished load.
	spool(t, loads, "orphan")
	if err := os.WriteFile(filepath.Join(dir, loadsDir, "half"+partial), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	if s, err = Open(dir, Options{Pipeline: "p"}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if loads, err = s.Loads(); err != nil {
		t.Fatal(err)
	}
	all, err := loads.Loads(t.Context())
	if err != nil || len(all) != 2 || all[0].Content != finished.Content || all[0].Loaded != 55 || all[1].Loaded != 0 || all[1].Check != waiting.Check || all[1].Newer != 4 {
		t.Errorf("loads after a restart: %+v, %v", all, err)
	}
	names, err := loads.names()
	if err != nil || len(names) != 1 || names[0] != waiting.Spool {
		t.Errorf("files after a restart: %v, %v; want the one of the load that waits", names, err)
	}
	f, err := loads.OpenSpool(t.Context(), waiting.Spool)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if text, err := io.ReadAll(f); string(text) != "waiting" || err != nil {
		t.Errorf("the spool holds %q, %v", text, err)
	}
}

func TestAFailedSpoolLeavesNothing(t *testing.T) {
	t.Parallel()
	s, err := Open(t.TempDir(), Options{Pipeline: "p"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	loads, err := s.Loads()
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the sender left")
	_, err = loads.Spool(t.Context(), func(w io.Writer) error {
		_, err := io.WriteString(w, "half")
		return errors.Join(broken, err)
	})
	if !errors.Is(err, broken) {
		t.Errorf("spooling gives %v", err)
	}
	if names, err := loads.names(); err != nil || len(names) != 0 {
		t.Errorf("it left %v, %v", names, err)
	}
}
