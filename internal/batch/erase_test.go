package batch_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/batch"
	"github.com/watershed-data/watershed/internal/memory"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
)

// eraser erases the events whose partition key is a word, and can die on the way.
type eraser struct {
	archive.Erasure
	before, after error
	forgot        map[string]bool // of a shard at an arrival
}

var errKilled = errors.New("killed")

func (p *plant) eraser(key string) *eraser {
	return &eraser{
		Erasure: archive.Erasure{Master: p.master, Wanted: func(_, partitionKey string, _ bool, _ rowlogic.Identity) bool { return partitionKey == key }},
		forgot:  map[string]bool{},
	}
}

func (e *eraser) Erase(ctx context.Context, through map[string]protocol.Position, forget func(string, int64) bool) (map[string]int64, error) {
	if e.before != nil {
		return nil, e.before
	}
	counts, err := e.Erasure.Erase(ctx, through, func(shard string, arrival int64) bool {
		e.forgot[fmt.Sprint(shard, " ", arrival)] = forget(shard, arrival)
		return forget(shard, arrival)
	})
	return counts, errors.Join(err, e.after)
}

// folder knows how long an id matters.
type folder struct{ protocol.Folder }

func (folder) Keep() int64 { return 1000 }

// person appends events of a partition key to a shard and commits them.
func (p *plant) person(shard int, key string, arrivals ...int64) {
	p.t.Helper()
	for _, at := range arrivals {
		p.log.Append(memory.ShardID(shard), key, at, []byte(key))
	}
	p.commit(memory.ShardID(shard))
}

func newErasingPlant(t *testing.T) *plant {
	p := newPlant(t, 2)
	p.Layer.Erasing = &journal{}
	p.Protocol.Speed.Folder = folder{}
	p.person(0, "anna", 5000, 6500)
	p.person(0, "bert", 5002)
	p.person(1, "anna", 5000, 9000)
	_, err := p.Run(t.Context())
	must(t, err)
	p.person(0, "anna", 7000)
	return p
}

// wantNoneOf fails if the current version or the master dataset tells of a person.
func (p *plant) wantNoneOf(key string, rows int) {
	p.t.Helper()
	ctx := p.t.Context()
	pointer, err := p.ledger.Pointer(ctx)
	must(p.t, err)
	f, size, err := p.views.Open(ctx, pointer.Version, "rows")
	must(p.t, err)
	text, err := io.ReadAll(io.NewSectionReader(f, 0, size))
	must(p.t, err)
	if strings.Contains(string(text), key) {
		p.t.Errorf("version %s tells of %s:\n%s", pointer.Version, key, text)
	}
	versions, err := p.views.Versions(ctx)
	must(p.t, err)
	if len(versions) != 1 {
		p.t.Errorf("older versions are still there: %v", versions)
	}
	if n := p.count(); n != rows {
		p.t.Errorf("%d rows are in the master dataset, want %d", n, rows)
	}
	p.wantNoRowsOf(key)
}

// wantNoRowsOf fails if the master dataset tells of a person.
func (p *plant) wantNoRowsOf(key string) {
	p.t.Helper()
	files, err := p.master.Files(p.t.Context())
	must(p.t, err)
	for _, file := range files {
		r, size, err := p.master.Open(p.t.Context(), file.Name)
		must(p.t, err)
		must(p.t, archive.Scan(r, size, func(row *archive.Stored) error {
			if row.PartitionKey == key || string(row.Data) == key {
				p.t.Errorf("%s still has the event at %s", file.Name, row.Position)
			}
			return nil
		}))
	}
}

// TestErase: the events go, also those that were not archived yet, and the double
// entry still balances; an event that comes later stays.
func TestErase(t *testing.T) {
	t.Parallel()
	p := newErasingPlant(t)
	found, err := p.CountErasure(t.Context(), p.eraser("anna"))
	must(t, err)
	if !found.DryRun || found.Events != 5 || !maps.Equal(found.Shards, map[string]int64{memory.ShardID(0): 3, memory.ShardID(1): 2}) {
		t.Errorf("it would erase %+v", found)
	}
	e := p.eraser("anna")
	done, err := p.Erase(t.Context(), e)
	must(t, err)
	if done.DryRun || done.Events != 5 || done.Version == "" {
		t.Errorf("it erased %+v", done)
	}
	p.wantNoneOf("anna", 6)
	must(t, p.Whole(t.Context()))
	// The latest arrival was 7000 in one shard and 9000 in the other.
	want := map[string]bool{}
	for _, s := range []struct {
		shard   int
		arrival int64
		forgot  bool
	}{{0, 5000, true}, {0, 6500, false}, {0, 7000, false}, {1, 5000, true}, {1, 9000, false}} {
		want[fmt.Sprint(memory.ShardID(s.shard), " ", s.arrival)] = s.forgot
	}
	if !maps.Equal(e.forgot, want) {
		t.Errorf("identities that were forgotten: %v, want %v", e.forgot, want)
	}
	if done, err := p.Erase(t.Context(), p.eraser("anna")); err != nil || done.Events != 0 || done.Version != "" {
		t.Errorf("a second time gave %+v, %v", done, err)
	}
	p.person(0, "anna", 9100)
	report, err := p.Run(t.Context())
	must(t, err)
	if !report.Balance.Equal || report.Events != 7 || report.Balance.Repaired() != 0 {
		t.Errorf("the run after it gave %+v", report)
	}
}

// TestEraseKilled: until the events are gone from the master dataset nothing has
// happened; then any run completes it, although no event has come, and so does the
// command.
func TestEraseKilled(t *testing.T) {
	t.Parallel()
	again := func(p *plant) error {
		_, err := p.Erase(p.t.Context(), p.eraser("anna"))
		return err
	}
	scheduled := func(p *plant) error {
		_, err := p.RunIfChanged(p.t.Context())
		return err
	}
	for name, c := range map[string]struct {
		kill func(p *plant, e *eraser)
		then func(p *plant) error
		gone bool
	}{
		"before, and again":                    {func(_ *plant, e *eraser) { e.before = errKilled }, again, true},
		"before, and a scheduled run":          {func(_ *plant, e *eraser) { e.before = errKilled }, scheduled, false},
		"after, and again":                     {func(_ *plant, e *eraser) { e.after = errKilled }, again, true},
		"after, and a scheduled run":           {func(_ *plant, e *eraser) { e.after = errKilled }, scheduled, true},
		"before publishing, and again":         {func(p *plant, _ *eraser) { p.Layer.Engine = dyingEngine{} }, again, true},
		"before publishing, and scheduled run": {func(p *plant, _ *eraser) { p.Layer.Engine = dyingEngine{} }, scheduled, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newErasingPlant(t)
			_, err := p.Run(t.Context()) // so that a scheduled run has nothing else to do
			must(t, err)
			e := p.eraser("anna")
			c.kill(p, e)
			before, err := p.ledger.Pointer(t.Context())
			must(t, err)
			if _, err := p.Erase(t.Context(), e); !errors.Is(err, errKilled) {
				t.Fatalf("it gave %v", err)
			}
			if now, _ := p.ledger.Pointer(t.Context()); now != before {
				t.Errorf("version %s was published", now.Version)
			}
			if err := p.Whole(t.Context()); !errors.Is(err, batch.ErrErasing) {
				t.Errorf("nobody is told of the erasure: %v", err)
			}
			marker := p.Layer.Erasing
			p.journal.text = nil // who is killed notes no failure
			p.restart()
			p.Layer.Erasing, p.Protocol.Speed.Folder = marker, folder{}
			must(t, c.then(p))
			must(t, p.Whole(t.Context()))
			if c.gone {
				p.wantNoneOf("anna", 6)
				return
			}
			p.wantTruth()
		})
	}
}

type dyingEngine struct{}

func (dyingEngine) Compute(context.Context, batch.Job) (batch.Result, error) {
	return batch.Result{}, errKilled
}

// TestEraseWaitsForTheSpeedLayer: what was acknowledged before is erased, although
// it is not committed yet.
func TestEraseWaitsForTheSpeedLayer(t *testing.T) {
	t.Parallel()
	p := newErasingPlant(t)
	p.log.Append(memory.ShardID(1), "anna", 9500, []byte("anna"))
	waited := 0
	p.Sleep = func(context.Context, time.Duration) error {
		if waited++; waited == 3 {
			p.commit(memory.ShardID(1))
		}
		return nil
	}
	done, err := p.Erase(t.Context(), p.eraser("anna"))
	must(t, err)
	if done.Events != 6 || waited < 3 {
		t.Errorf("it erased %d events and waited %d times", done.Events, waited)
	}
	p.wantNoneOf("anna", 7)
}

// TestARepairDoesNotBringErasedEventsBack.
func TestARepairDoesNotBringErasedEventsBack(t *testing.T) {
	t.Parallel()
	p := newErasingPlant(t)
	_, err := p.Erase(t.Context(), p.eraser("anna"))
	must(t, err)
	p.master.faults = []fault{lose}
	p.person(0, "carl", 9200, 9201)
	report, err := p.Run(t.Context())
	p.master.faults = nil
	if err != nil {
		report, err = p.Run(t.Context())
		must(t, err)
	}
	if report.Balance.Repaired() != 2 {
		t.Errorf("the repair wrote %d events again, want 2", report.Balance.Repaired())
	}
	p.wantNoRowsOf("anna")
}
