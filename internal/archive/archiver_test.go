package archive_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/memory"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
)

// checkpoints keeps checkpoints in memory and can fail to store them.
type checkpoints struct {
	mu      sync.Mutex
	through map[string]protocol.Position
	fail    error
}

func (c *checkpoints) Load(_ context.Context, shard string) (protocol.Position, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.through[shard], nil
}

func (c *checkpoints) Store(_ context.Context, shard string, through protocol.Position) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail != nil {
		return c.fail
	}
	c.through[shard] = through
	return nil
}

type logic struct{}

func (logic) Run(shard string, events []protocol.Event) *rowlogic.Batch {
	return rows(shard, events...)
}

// plant is an archiver over ports in memory.
type plant struct {
	*archive.Archiver
	log         *memory.Log
	master      *memory.Master
	checkpoints *checkpoints
	ticks       chan time.Time
}

func newPlant(shards int) *plant {
	p := &plant{log: memory.NewLog(shards), master: memory.NewMaster(), checkpoints: &checkpoints{through: map[string]protocol.Position{}}, ticks: make(chan time.Time)}
	p.restart()
	return p
}

// restart replaces the archiver: what it knew is lost, what is stored is not.
func (p *plant) restart() {
	p.Archiver = &archive.Archiver{
		Definition: &definition.Definition{}, Logic: logic{}, Log: p.log, Master: p.master, Checkpoints: p.checkpoints, Ticks: p.ticks,
	}
}

// send appends n events of a byte each and gives the position of the last one.
func (p *plant) send(shard string, n int) protocol.Position {
	var seq string
	for range n {
		seq = p.log.Append(shard, "k", 1, []byte("x"))
	}
	return protocol.Position{Seq: seq}
}

// stored counts how often the master dataset holds each position of a shard, and
// its files.
func (p *plant) stored(t *testing.T, shard string) (counts map[protocol.Position]int, files int) {
	t.Helper()
	counts = map[protocol.Position]int{}
	all, err := p.master.Files(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		r, size, err := p.master.Open(t.Context(), f.Name)
		if err != nil {
			t.Fatal(err)
		}
		mine := 0
		err = archive.Scan(r, size, func(row *archive.Stored) error {
			if row.Shard == shard {
				counts[row.Position]++
				mine++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if mine > 0 {
			files++
		}
	}
	return counts, files
}

// wantEach fails unless each event of a shard's log is stored the given number
// of times.
func (p *plant) wantEach(t *testing.T, shard string, events, times int) {
	t.Helper()
	counts, _ := p.stored(t, shard)
	if len(counts) != events {
		t.Errorf("%s: %d of %d events are in the master dataset", shard, len(counts), events)
	}
	for at, n := range counts {
		if n != times {
			t.Errorf("%s: event %s is stored %d times, want %d", shard, at, n, times)
		}
	}
}

// TestRunArchivesAtTicks: without anyone asking, every event reaches the master
// dataset once, also across a restart.
func TestRunArchivesAtTicks(t *testing.T) {
	t.Parallel()
	p := newPlant(2)
	a, b := memory.ShardID(0), memory.ShardID(1)
	run := func(tick func()) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- p.Run(ctx) }()
		tick()
		p.ticks <- time.Time{} // taken only when the tick before is through
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("a cancelled archive ended with %v", err)
		}
	}
	p.send(a, 10)
	p.send(b, 5000)
	run(func() { p.ticks <- time.Time{} })
	p.wantEach(t, a, 10, 1)
	p.wantEach(t, b, 5000, 1)
	p.restart()
	p.send(a, 7)
	run(func() { p.ticks <- time.Time{} })
	p.wantEach(t, a, 17, 1)
	if _, files := p.stored(t, b); files != 1 {
		t.Errorf("an idle shard has %d files, want 1", files)
	}
}

// TestFlushReachesTheCut: a batch run finds every row of its cut.
func TestFlushReachesTheCut(t *testing.T) {
	t.Parallel()
	p := newPlant(3)
	cut := map[string]protocol.Position{memory.ShardID(0): p.send(memory.ShardID(0), 9000), memory.ShardID(1): p.send(memory.ShardID(1), 1), memory.ShardID(2): {}}
	p.FileBytes = 100
	for range 2 { // the second one finds all of it there
		if err := p.Flush(t.Context(), cut); err != nil {
			t.Fatal(err)
		}
	}
	p.wantEach(t, memory.ShardID(0), 9000, 1)
	p.wantEach(t, memory.ShardID(1), 1, 1)
	if _, files := p.stored(t, memory.ShardID(0)); files < 2 {
		t.Errorf("%d files hold 9000 bytes of events, want several of about 100", files)
	}
}

// TestFlushBesideRun: both read the same shard, and no row is doubled.
func TestFlushBesideRun(t *testing.T) {
	t.Parallel()
	p := newPlant(2)
	p.FileBytes = 50
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- p.Run(ctx) }()
	a, b := memory.ShardID(0), memory.ShardID(1)
	for range 20 {
		cut := map[string]protocol.Position{a: p.send(a, 60), b: p.send(b, 10)}
		select {
		case p.ticks <- time.Time{}:
		default:
		}
		if err := p.Flush(t.Context(), cut); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	p.wantEach(t, a, 1200, 1)
	p.wantEach(t, b, 200, 1)
}

// TestCrashBeforeCheckpoint: no row is doubled, and none is lost, by a process that
// finds the file when it starts, or that goes on after the failure; also if the file
// was merged with others meanwhile.
func TestCrashBeforeCheckpoint(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]func(t *testing.T, p *plant){
		"a restart": func(_ *testing.T, p *plant) { p.restart() },
		"no crash":  func(*testing.T, *plant) {},
		"a merge": func(t *testing.T, p *plant) {
			if done, err := (&archive.Merger{Master: p.master}).Merge(t.Context(), false); err != nil || done.Files != 9 {
				t.Fatalf("merging gave %+v, %v", done, err)
			}
			p.restart()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlant(1)
			shard := memory.ShardID(0)
			for range 8 {
				if err := p.Flush(t.Context(), map[string]protocol.Position{shard: p.send(shard, 3)}); err != nil {
					t.Fatal(err)
				}
			}
			cut := map[string]protocol.Position{shard: p.send(shard, 10)}
			crash := errors.New("crash")
			p.checkpoints.fail = crash
			if err := p.Flush(t.Context(), cut); !errors.Is(err, crash) {
				t.Fatalf("Flush gave %v although the checkpoint is not stored", err)
			}
			p.wantEach(t, shard, 34, 1)
			p.checkpoints.fail = nil
			after(t, p)
			cut[shard] = p.send(shard, 2)
			if err := p.Flush(t.Context(), cut); err != nil {
				t.Fatal(err)
			}
			p.wantEach(t, shard, 36, 1)
			if at := p.checkpoints.through[shard]; at != cut[shard] {
				t.Errorf("the checkpoint is at %s, want %s", at, cut[shard])
			}
		})
	}
}

// brokenMaster cannot store.
type brokenMaster struct{ *memory.Master }

func (brokenMaster) Put(context.Context, string, func(io.Writer) error) (protocol.File, error) {
	return protocol.File{}, errors.New("disk full")
}

// TestFailedFileMovesNoCheckpoint: otherwise its events were never archived.
func TestFailedFileMovesNoCheckpoint(t *testing.T) {
	t.Parallel()
	p := newPlant(1)
	shard := memory.ShardID(0)
	cut := map[string]protocol.Position{shard: p.send(shard, 3)}
	p.Master = brokenMaster{p.master}
	if err := p.Flush(t.Context(), cut); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Fatalf("Flush gave %v, want the store's error", err)
	}
	p.Master = p.master
	if err := p.Flush(t.Context(), cut); err != nil {
		t.Fatal(err)
	}
	p.wantEach(t, shard, 3, 1)
}

// TestRepairWritesExactlyTheSpans again, whatever the checkpoint says.
func TestRepairWritesExactlyTheSpans(t *testing.T) {
	t.Parallel()
	p := newPlant(1)
	shard := memory.ShardID(0)
	var at []protocol.Position // from 1
	for range 15_000 {
		at = append(at, p.send(shard, 1))
	}
	at = append([]protocol.Position{{}}, at...)
	if err := p.Flush(t.Context(), map[string]protocol.Position{shard: at[len(at)-1]}); err != nil {
		t.Fatal(err)
	}
	before, files := p.checkpoints.through[shard], len(p.files(t))
	var spans []protocol.Span
	want := map[protocol.Position]bool{}
	for _, s := range [][2]int{{0, 1}, {1, 2}, {4, 5}, {10, 4700}, {4701, 4702}, {14_000, 15_000}} {
		spans = append(spans, protocol.Span{After: at[s[0]], Through: at[s[1]]})
		for _, p := range at[s[0]+1 : s[1]+1] {
			want[p] = true
		}
	}
	if err := p.Repair(t.Context(), shard, spans); err != nil {
		t.Fatal(err)
	}
	counts, _ := p.stored(t, shard)
	for at, n := range counts {
		if want[at] != (n == 2) {
			t.Errorf("event %s is stored %d times", at, n)
		}
	}
	if len(counts) != 15_000 {
		t.Errorf("%d positions are stored, want 15000", len(counts))
	}
	if p.checkpoints.through[shard] != before {
		t.Error("a repair moved the checkpoint")
	}
	if n := len(p.files(t)) - files; n != 1 {
		t.Errorf("small spans made %d files, want 1", n)
	}
}

func (p *plant) files(t *testing.T) []protocol.File {
	t.Helper()
	files, err := p.master.Files(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestRepairInsideAnAggregate: one event of a KPL aggregate is missing.
func TestRepairInsideAnAggregate(t *testing.T) {
	t.Parallel()
	p := newPlant(1)
	shard := memory.ShardID(0)
	seq := p.log.Append(shard, "k", 1, []byte("a"), []byte("b"), []byte("c"))
	one := protocol.Span{After: protocol.Position{Seq: seq}, Through: protocol.Position{Seq: seq, Sub: 1}}
	if err := p.Repair(t.Context(), shard, []protocol.Span{one}); err != nil {
		t.Fatal(err)
	}
	if counts, _ := p.stored(t, shard); len(counts) != 1 || counts[one.Through] != 1 {
		t.Errorf("the master dataset holds %v, want only %s", counts, one.Through)
	}
}

// TestBeyondTheLog: a range that the log does not hold is an error, never a
// smaller master dataset.
func TestBeyondTheLog(t *testing.T) {
	t.Parallel()
	p := newPlant(1)
	shard := memory.ShardID(0)
	beyond := p.send(shard, 3)
	beyond.Seq += "0"
	for name, try := range map[string]func() error{
		"Flush":  func() error { return p.Flush(t.Context(), map[string]protocol.Position{shard: beyond}) },
		"Repair": func() error { return p.Repair(t.Context(), shard, []protocol.Span{{Through: beyond}}) },
	} {
		if err := try(); err == nil || !strings.Contains(err.Error(), "before") {
			t.Errorf("%s beyond the end of the log gave %v", name, err)
		}
	}
}

// TestFlushWaitsNoLongerThanItsCaller when another reader holds the shard.
func TestFlushWaitsNoLongerThanItsCaller(t *testing.T) {
	t.Parallel()
	p := newPlant(1)
	shard := memory.ShardID(0)
	cut := map[string]protocol.Position{shard: p.send(shard, 3)}
	slow := &slowMaster{Master: p.master, began: make(chan struct{}), proceed: make(chan struct{})}
	p.Master = slow
	first := make(chan error)
	go func() { first <- p.Flush(context.WithoutCancel(t.Context()), cut) }()
	<-slow.began
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Flush(ctx, cut); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled Flush gave %v", err)
	}
	close(slow.proceed)
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	p.wantEach(t, shard, 3, 1)
}

type slowMaster struct {
	*memory.Master
	began, proceed chan struct{}
}

func (m *slowMaster) Put(ctx context.Context, shard string, write func(io.Writer) error) (protocol.File, error) {
	close(m.began)
	<-m.proceed
	return m.Master.Put(ctx, shard, write)
}
