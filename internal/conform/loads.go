package conform

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/watershed-data/watershed/internal/protocol"
)

// Loads tests an implementation of protocol.Loads.
func Loads(t *testing.T, open func(t *testing.T) protocol.Loads) {
	ctx := context.Background()
	before := int64(-7)
	load := protocol.Load{
		Content: strings.Repeat("ab", 32), Name: "a.csv", Before: &before, Arrival: 2, Events: 1 << 40, Newer: 4,
		Last: 1<<63 - 1, Check: 1<<64 - 1, Spool: "somewhere",
	}

	t.Run("a spool comes back as it was until it is deleted", func(t *testing.T) {
		t.Parallel()
		l, name := open(t), must[string](t)
		content := strings.Repeat("0123456789abcdef", 20_000)
		one := name(l.Spool(ctx, func(w io.Writer) error { _, err := io.WriteString(w, content); return err }))
		two := name(l.Spool(ctx, func(w io.Writer) error { _, err := io.WriteString(w, content); return err }))
		if one == two {
			t.Fatal("two spools of the same content have one name")
		}
		if err := errors.Join(l.DeleteSpool(ctx, one), l.DeleteSpool(ctx, one)); err != nil {
			t.Fatalf("deleting a spool twice: %v", err)
		}
		if f, err := l.OpenSpool(ctx, one); err == nil {
			_ = f.Close()
			t.Error("a deleted spool opens")
		}
		f, err := l.OpenSpool(ctx, two)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if text, err := io.ReadAll(f); string(text) != content || err != nil {
			t.Errorf("the spool comes back with %d bytes, %v", len(text), err)
		}
	})

	t.Run("a spool that fails is none", func(t *testing.T) {
		t.Parallel()
		l, broken := open(t), errors.New("the sender left")
		_, err := l.Spool(ctx, func(w io.Writer) error {
			_, err := io.WriteString(w, "half")
			return errors.Join(broken, err)
		})
		if !errors.Is(err, broken) {
			t.Errorf("spooling gives %v, want the writer's error", err)
		}
	})

	t.Run("a load is stored once and only finished", func(t *testing.T) {
		t.Parallel()
		l := open(t)
		if _, ok, err := l.Load(ctx, load.Shard()); ok || err != nil {
			t.Fatalf("an empty store has a load (%v)", err)
		}
		again, older := load, load
		again.Spool, again.Arrival = "elsewhere", 99
		older.Content, older.Arrival, older.Before = strings.Repeat("cd", 32), 1, nil
		for _, put := range []protocol.Load{load, again, older} {
			stored, err := l.PutLoad(ctx, put)
			if err != nil || put.Content == load.Content && (stored.Spool != load.Spool || stored.Arrival != 2) {
				t.Fatalf("storing gives %+v, %v", stored, err)
			}
		}
		if err := l.FinishLoad(ctx, load.Shard(), 55); err != nil {
			t.Fatal(err)
		}
		if err := l.FinishLoad(ctx, protocol.LoadShard(strings.Repeat("ef", 32)), 55); err == nil {
			t.Error("a load that is not there was finished")
		}
		got, ok, err := l.Load(ctx, load.Shard())
		if !ok || err != nil || *got.Before != before || got.Loaded != 55 {
			t.Fatalf("read %+v, %v, %v", got, ok, err)
		}
		want := load
		want.Loaded, want.Before, got.Before = 55, nil, nil
		if got != want {
			t.Errorf("stored %+v, read %+v", want, got)
		}
		all, err := l.Loads(ctx)
		if err != nil || len(all) != 2 || all[0].Content != older.Content || all[0].Before != nil || all[1].Content != load.Content {
			t.Errorf("the loads by arrival: %+v, %v", all, err)
		}
	})

	t.Run("of many at once one is stored", func(t *testing.T) {
		t.Parallel()
		l := open(t)
		names := make([]string, 20)
		var wg sync.WaitGroup
		for i := range names {
			wg.Go(func() {
				mine := load
				mine.Spool = string(rune('a' + i))
				stored, err := l.PutLoad(ctx, mine)
				if err != nil {
					t.Error(err)
				}
				names[i] = stored.Spool
			})
		}
		wg.Wait()
		for _, name := range names {
			if name != names[0] {
				t.Fatalf("callers saw different loads of one content: %q", names)
			}
		}
	})
}
