package kinesisevent_test

import (
	"context"
	"errors"
	"testing"

	"github.com/watershed-data/watershed/internal/kinesisevent"
	"github.com/watershed-data/watershed/internal/kpl"
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

// expiring is a log whose records go while they are handed over.
type expiring struct{ *memory.Log }

func (expiring) Read(context.Context, string, protocol.Position, int) (protocol.Page, error) {
	return protocol.Page{}, protocol.ErrExpired
}

// A pipeline that is born on an old stream begins with the first record that it is
// given. It asks nothing about what lies before: that may be gone already.
func TestTheFirstRecordIsTheBeginning(t *testing.T) {
	t.Parallel()
	log := memory.NewLog(1)
	shard, ledger := memory.ShardID(0), memory.NewLedger()
	plain := func(seq string) sent {
		return sent{seq: seq, key: "k", arrival: 1, events: []kpl.Record{{Data: []byte("{}")}}}
	}
	var attended protocol.Position
	h := &kinesisevent.Handler{
		Ranges: &protocol.HashRanges{Log: log},
		Speed: &protocol.Speed{
			Log: expiring{log}, Ledger: ledger, RealTime: memory.NewRealTime(), Folder: counting{}, Now: func() int64 { return 1 },
			Genesis: func(_ context.Context, _ string, events []protocol.Event) (protocol.Position, bool, error) {
				return protocol.Before("500"), events[0].Position.Seq >= "500", nil
			},
		},
		Attend: func(_ context.Context, _ string, committed protocol.Position) { attended = committed },
	}
	invoke := func(records ...sent) error {
		_, err := h.Invoke(t.Context(), payload(t, shard, records...))
		return err
	}
	if err := invoke(plain("400")); err != nil {
		t.Fatal(err)
	}
	if _, ok, _ := ledger.Row(t.Context(), shard); ok {
		t.Error("events from before the beginning have made a row")
	}
	if err := invoke(plain("500"), plain("501")); err != nil {
		t.Fatal(err)
	}
	if row, _, _ := ledger.Row(t.Context(), shard); row.Count != 2 || row.From != protocol.Before("500") || attended != row.Through {
		t.Errorf("the ledger says %+v, and %s was attended", row, attended)
	}
	if err := invoke(plain("502")); !errors.Is(err, protocol.ErrExpired) {
		t.Errorf("what lies before the second batch is not asked: %v", err)
	}
}

// A function that may not work yet does not touch what it is given.
func TestNotReady(t *testing.T) {
	t.Parallel()
	refused := errors.New("refused")
	got := &recorder{}
	h := &kinesisevent.Handler{Speed: got, Ranges: &protocol.HashRanges{Log: memory.NewLog(1)}, Ready: func(context.Context) error { return refused }}
	if _, err := h.Invoke(t.Context(), payload(t, memory.ShardID(0), sent{seq: "1", key: "k", events: []kpl.Record{{Data: []byte("{}")}}})); !errors.Is(err, refused) || len(got.batches) > 0 {
		t.Errorf("it applied %v: %v", got.batches, err)
	}
}
