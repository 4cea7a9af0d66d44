//go:build clients

package aws_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watershed-data/watershed/internal/aws"
	"github.com/watershed-data/watershed/internal/aws/stream"
	"github.com/watershed-data/watershed/internal/protocol"
)

// Without this, a function with a changed definition answers from an empty generation
// beside the one that holds everything.
func TestStoresAreOfOneGeneration(t *testing.T) {
	t.Parallel()
	o := tables(t)
	born := time.Date(2026, 11, 23, 1, 2, 3, 0, time.UTC)
	o.Now = func() time.Time { return born }
	first := open(t, dynamo, o)
	if err := first.Holds(t.Context(), "g1"); err != nil {
		t.Errorf("stores of none yet: %v", err)
	}
	if err := first.Adopt(t.Context(), "g1"); err != nil {
		t.Fatal(err)
	}
	o.Now = func() time.Time { return born.Add(time.Hour) }
	for name, s := range map[string]*aws.Store{"the same process": first, "a new process": open(t, dynamo, o)} {
		if err := s.Adopt(t.Context(), "g1"); err != nil {
			t.Errorf("%s, again: %v", name, err)
		}
		if at, err := s.Notes("g1").Born(t.Context()); err != nil || !at.Equal(born) {
			t.Errorf("%s: born at %v: %v", name, at, err)
		}
		for what, err := range map[string]error{"Adopt": s.Adopt(t.Context(), "g2"), "Holds": s.Holds(t.Context(), "g2")} {
			if err == nil {
				t.Errorf("%s: %s lets another generation in", name, what)
				continue
			}
			for _, part := range []string{"g1", "g2", o.Ledger, "2026-11-23T01:02:03Z", "deploy"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%s: %q does not say %s", name, err, part)
				}
			}
		}
	}
}

// Of several functions that start at once, all but one lose, and know it.
func TestOneGenerationWins(t *testing.T) {
	t.Parallel()
	o := tables(t)
	var all sync.WaitGroup
	var mu sync.Mutex
	taken := map[string]int{}
	for _, generation := range []string{"a", "b", "a", "b", "a", "b"} {
		s := open(t, dynamo, o)
		all.Go(func() {
			if s.Adopt(t.Context(), generation) == nil {
				mu.Lock()
				defer mu.Unlock()
				taken[generation]++
			}
		})
	}
	all.Wait()
	if len(taken) != 1 || taken["a"]+taken["b"] != 3 {
		t.Errorf("the stores were taken up as %v", taken)
	}
}

func TestNotes(t *testing.T) {
	t.Parallel()
	o := tables(t)
	const shard = "shardId-000000000000"
	store := open(t, dynamo, o)
	n := store.Notes("g")
	if _, ok, err := n.Note(t.Context(), shard); ok || err != nil {
		t.Fatalf("there is a note before there is one: %v", err)
	}
	long := protocol.Position{Seq: strings.Repeat("49", 28), Sub: 7}
	for i, c := range []struct {
		put    stream.Note
		stored bool
	}{
		{stream.Note{At: 5, Keep: 86_400_000}, true},
		{stream.Note{Through: long, At: 10, Keep: 86_400_000}, true},
		{stream.Note{Through: protocol.Before("1"), At: 9, Keep: 1}, false}, // an old invocation's
		{stream.Note{Through: protocol.Before("500"), At: 20, Keep: 604_800_000}, true},
		{stream.Note{Through: long, At: 30, Keep: 1, Ended: true}, true},
		{stream.Note{Through: long, At: 40, Keep: 1}, false}, // nothing comes after an end
	} {
		before, _, err := n.Note(t.Context(), shard)
		if err != nil {
			t.Fatal(err)
		}
		if err := n.PutNote(t.Context(), shard, c.put); err != nil {
			t.Fatal(err)
		}
		want := before
		if c.stored {
			want = c.put
		}
		if got, ok, err := open(t, dynamo, o).Notes("g").Note(t.Context(), shard); got != want || !ok || err != nil {
			t.Errorf("after note %d there is %+v, want %+v: %v", i, got, want, err)
		}
	}
	if _, ok, err := store.Notes("h").Note(t.Context(), shard); ok || err != nil {
		t.Errorf("another generation has the note: %v", err)
	}
	if _, ok, err := n.Note(t.Context(), "shardId-000000000001"); ok || err != nil {
		t.Errorf("another shard has the note: %v", err)
	}
}
