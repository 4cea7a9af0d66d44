package stream_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watershed-data/watershed/internal/memory"
	"github.com/watershed-data/watershed/internal/protocol"
)

// counting is a folder for which only the ledger counts.
type counting struct{}

func (counting) Fold(context.Context, string, []protocol.Event, protocol.Seen) (protocol.Folded, error) {
	return protocol.Folded{}, nil
}
func (counting) Merge(string, []byte, []byte) ([]byte, error) { return nil, nil }
func (counting) Keep() int64                                  { return 0 }

// source is an event source over a plant: it goes on behind what it handed over last
// with whatever is left, as Lambda's does, and says nothing of what is gone.
type source struct {
	*plant
	ledger *memory.Ledger
	at     map[string]protocol.Position
}

func newSource(p *plant) *source {
	return &source{plant: p, ledger: memory.NewLedger(), at: map[string]protocol.Position{}}
}

// invoke hands over what is left of a shard to a new process.
func (s *source) invoke(t *testing.T, shard string) error {
	t.Helper()
	page, err := s.local.ReadRecords(t.Context(), shard, s.at[shard].Seq, false, 1000, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	log := s.reader()
	layer := &protocol.Speed{Log: log, Ledger: s.ledger, RealTime: memory.NewRealTime(), Folder: counting{}, Genesis: log.Genesis, Now: func() int64 { return 1 }}
	if len(page.Events) == 0 {
		return nil
	}
	last := page.Events[len(page.Events)-1].Position
	if err := layer.Apply(t.Context(), protocol.Batch{Shard: shard, After: protocol.Before(page.Events[0].Position.Seq), Events: page.Events}); err != nil {
		return err
	}
	s.at[shard] = last
	return log.Attend(t.Context(), shard, last)
}

func (s *source) want(t *testing.T, shard string, count int64) {
	t.Helper()
	if err := s.invoke(t, shard); err != nil {
		t.Fatal(err)
	}
	row, _, err := s.ledger.Row(t.Context(), shard)
	if err != nil || row.Count != count {
		t.Fatalf("%s has committed %+v, want %d events: %v", shard, row, count, err)
	}
}

// A pipeline lives through what streams go through: it is born on one that others
// have filled, shards are idle for longer than it keeps records, and split.
func TestALifeOnAStream(t *testing.T) {
	t.Parallel()
	p := newPlant(t, 1, day, nil)
	s := newSource(p)
	parent := first(t, p)
	old := puts(t, p, parent, 5)
	p.clock.forward(20 * time.Hour)
	p.notes.born = p.clock.now()
	s.want(t, parent, 0)       // the event source hands over what is old
	trim(t, p, parent, old[1]) // and some of it goes at once
	puts(t, p, parent, 3)
	s.want(t, parent, 3)
	s.want(t, parent, 3) // nothing new
	last := func() protocol.Position {
		row, _, err := s.ledger.Row(t.Context(), parent)
		if err != nil {
			t.Fatal(err)
		}
		return row.Through
	}
	for range 40 { // runs come every few hours, and nothing else for a week
		p.clock.forward(4 * time.Hour)
		if err := p.reader().AttendAll(t.Context(), s.ledger); err != nil {
			t.Fatal(err)
		}
		trim(t, p, parent, last())
	}
	puts(t, p, parent, 2)
	s.want(t, parent, 5)
	if err := p.Split(t.Context(), parent); err != nil {
		t.Fatal(err)
	}
	shards, err := p.Shards(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	puts(t, p, shards[1].ID, 4)
	s.want(t, shards[1].ID, 4)
	for range 10 { // one child is idle for longer than a day before its first event
		p.clock.forward(4 * time.Hour)
		if err := p.reader().AttendAll(t.Context(), s.ledger); err != nil {
			t.Fatal(err)
		}
	}
	trim(t, p, parent, last())
	puts(t, p, shards[2].ID, 2)
	s.want(t, shards[2].ID, 2)
}

// The functions failed for two days. What is gone is an error for as long as nobody
// says otherwise, and is never committed as if it had not been.
func TestEventsThatExpireUnread(t *testing.T) {
	t.Parallel()
	p := newPlant(t, 1, day, nil)
	s := newSource(p)
	shard := first(t, p)
	puts(t, p, shard, 2)
	s.want(t, shard, 2)
	lost := puts(t, p, shard, 3)
	p.clock.forward(2 * day)
	puts(t, p, shard, 1)
	trim(t, p, shard, lost[2])
	for range 3 {
		if err := s.invoke(t, shard); !errors.Is(err, protocol.ErrExpired) {
			t.Fatalf("a batch behind what is lost: %v", err)
		}
	}
	if row, _, _ := s.ledger.Row(t.Context(), shard); row.Count != 2 || row.Pending != nil {
		t.Errorf("the ledger says %+v", row)
	}
}

// The functions failed while a shard was split and went away with events that they had
// not read, so that the stream does not even list it any more. Its children do not
// begin behind a hole. They do if nothing was behind what is committed.
func TestAParentThatWentAwayUnread(t *testing.T) {
	t.Parallel()
	for name, unread := range map[string]int{"with events": 2, "with nothing": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var away atomic.Bool
			p := newPlant(t, 1, day, meddle(nil, func(operation string, w *httptest.ResponseRecorder) {
				if operation != "ListShards" || !away.Load() {
					return
				}
				var out map[string]any
				_ = json.Unmarshal(w.Body.Bytes(), &out)
				out["Shards"] = out["Shards"].([]any)[1:]
				w.Body.Reset()
				_ = json.NewEncoder(w.Body).Encode(out)
			}))
			s := newSource(p)
			parent := first(t, p)
			puts(t, p, parent, 3)
			s.want(t, parent, 3)
			puts(t, p, parent, unread)
			if err := p.Split(t.Context(), parent); err != nil {
				t.Fatal(err)
			}
			shards, err := p.Shards(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for range 7 { // runs come, and find the children empty
				_ = p.reader().AttendAll(t.Context(), s.ledger)
				p.clock.forward(4 * time.Hour)
			}
			away.Store(true)
			child := shards[1].ID
			puts(t, p, child, 2)
			if unread == 0 {
				s.want(t, child, 2)
				return
			}
			if err := s.invoke(t, child); !errors.Is(err, protocol.ErrExpired) || !strings.Contains(err.Error(), parent) {
				t.Errorf("the child begins: %v", err)
			}
			if _, begun, _ := s.ledger.Row(t.Context(), child); begun {
				t.Error("the child has a row, and so nobody asks again what became of its parent's events")
			}
		})
	}
}
