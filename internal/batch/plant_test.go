package batch_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/batch"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/memory"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
)

// plant is a batch layer and a real archive over ports in memory. Time passes
// only when the layer sleeps.
type plant struct {
	*batch.Layer
	t        *testing.T
	log      *trimmedLog
	ledger   *memory.Ledger
	master   *badMaster
	views    *memory.Views
	engine   *engine
	archiver *archive.Archiver
	journal  *journal
	logs     *bytes.Buffer
	now      time.Time
}

func newPlant(t *testing.T, shards int) *plant {
	p := &plant{
		t: t, log: &trimmedLog{Log: memory.NewLog(shards)}, ledger: memory.NewLedger(), views: memory.NewViews(),
		journal: &journal{}, logs: &bytes.Buffer{}, now: time.UnixMilli(1_000_000),
	}
	p.master = &badMaster{Master: memory.NewMaster(), plant: p, hidden: map[string]time.Time{}}
	p.engine = &engine{master: p.master, views: p.views, checks: true}
	p.archiver = &archive.Archiver{Definition: &definition.Definition{}, Logic: logic{}, Log: p.log, Master: p.master, Checkpoints: &checkpoints{}, FileBytes: 5}
	p.restart()
	return p
}

// restart replaces the layer: what it knew is lost, what is stored is not.
func (p *plant) restart() {
	speed := &protocol.Speed{Log: p.log, Ledger: p.ledger, RealTime: memory.NewRealTime(), Now: func() int64 { return p.now.UnixMilli() }}
	p.Layer = &batch.Layer{
		Protocol: &protocol.Run{Speed: speed, Views: p.views, Now: speed.Now, Kept: 2},
		Log:      p.log, Ledger: p.ledger, Master: p.master, Views: p.views, Engine: p.engine, Archive: orderly{p.archiver},
		Entries: archive.Entries, Horizon: p.log.Horizon, Journal: p.journal,
		Logger: slog.New(slog.NewTextHandler(p.logs, nil)), Now: func() time.Time { return p.now },
		Sleep: func(_ context.Context, d time.Duration) error {
			p.now = p.now.Add(d)
			return nil
		},
	}
	p.SmallBlocks()
}

// send appends n events of one byte to a shard and commits them to the ledger.
func (p *plant) send(shard, n int) {
	p.t.Helper()
	id := memory.ShardID(shard)
	for range n {
		p.log.Append(id, "k", p.now.UnixMilli(), []byte{byte('a' + p.log.appended%26)})
		p.log.appended++
	}
	p.commit(id)
}

// commit brings a shard's ledger row to the end of the log, as the speed layer
// would.
func (p *plant) commit(shard string) {
	p.t.Helper()
	ctx := p.t.Context()
	row, ok, err := p.ledger.Row(ctx, shard)
	must(p.t, err)
	if !ok {
		_, err := p.ledger.Create(ctx, shard, protocol.Row{})
		must(p.t, err)
		row.Rev = 1
	}
	page, err := p.log.Log.Read(ctx, shard, row.Through, 1<<20)
	must(p.t, err)
	for i := range page.Events {
		row.Through = page.Events[i].Position
		row.MaxArrival = max(row.MaxArrival, page.Events[i].Arrival)
		row.Count++
		row.Sum = row.Sum.Add(protocol.Hash(shard, &page.Events[i]))
	}
	if swapped, err := p.ledger.Swap(ctx, shard, row); err != nil || !swapped {
		p.t.Fatalf("committing %s: %t, %v", shard, swapped, err)
	}
}

// truth is what the current version has to be: every event up to its cut, once.
func (p *plant) truth(cut map[string]protocol.Cut) string {
	p.t.Helper()
	var lines []string
	for shard, c := range cut {
		page, err := p.log.Log.Read(p.t.Context(), shard, protocol.Position{}, 1<<20)
		must(p.t, err)
		for _, e := range page.Events {
			if !e.Position.After(c.Through) {
				lines = append(lines, line(shard, e.Position, e.Data))
			}
		}
	}
	return sorted(lines)
}

func line(shard string, at protocol.Position, data []byte) string {
	return fmt.Sprintf("%s %s %s", shard, at, data)
}

func sorted(lines []string) string {
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// wantTruth fails unless the current version is the truth.
func (p *plant) wantTruth() {
	p.t.Helper()
	ctx := p.t.Context()
	pointer, err := p.ledger.Pointer(ctx)
	must(p.t, err)
	if pointer.Seq == 0 {
		return
	}
	m, err := p.views.Manifest(ctx, pointer.Version)
	must(p.t, err)
	f, size, err := p.views.Open(ctx, pointer.Version, "rows")
	must(p.t, err)
	got := make([]byte, size)
	if _, err := f.ReadAt(got, 0); err != nil && !errors.Is(err, io.EOF) {
		p.t.Fatal(err)
	}
	if want := p.truth(m.Cut); string(got) != want {
		p.t.Fatalf("version %s is\n%s\nwant\n%s", pointer.Version, got, want)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// trimmedLog is a log that no longer holds its beginning.
type trimmedLog struct {
	*memory.Log
	appended int
	horizon  map[string]protocol.Position
	fail     map[string]error // by shard
	read     map[string]protocol.Position
}

// oldest gives behind how many events of a shard the log was read first of all since
// that was forgotten.
func (l *trimmedLog) oldest(shard string) (n int) {
	page, err := l.Log.Read(context.Background(), shard, protocol.Position{}, 1<<20)
	if err != nil {
		panic(err)
	}
	for _, e := range page.Events {
		if !e.Position.After(l.read[shard]) {
			n++
		}
	}
	return n
}

func (l *trimmedLog) Read(ctx context.Context, shard string, after protocol.Position, limit int) (protocol.Page, error) {
	if l.horizon[shard].After(after) {
		return protocol.Page{}, protocol.ErrExpired
	}
	if err := l.fail[shard]; err != nil {
		return protocol.Page{}, err
	}
	if at, ok := l.read[shard]; l.read != nil && (!ok || at.After(after)) {
		l.read[shard] = after
	}
	return l.Log.Read(ctx, shard, after, min(limit, 5))
}

func (l *trimmedLog) Horizon(_ context.Context, shard string) (protocol.Position, error) {
	return l.horizon[shard], nil
}

// trim lets go of all but the last n events of a shard.
func (l *trimmedLog) trim(t *testing.T, shard string, n int) {
	t.Helper()
	page, err := l.Log.Read(t.Context(), shard, protocol.Position{}, 1<<20)
	must(t, err)
	if l.horizon == nil {
		l.horizon = map[string]protocol.Position{}
	}
	l.horizon[shard] = page.Events[len(page.Events)-n-1].Position
}

// orderly archives one shard after the other, so that a seed always gives the same
// faults.
type orderly struct{ *archive.Archiver }

func (o orderly) Flush(ctx context.Context, through map[string]protocol.Position) error {
	for _, shard := range slices.Sorted(maps.Keys(through)) {
		if err := o.Archiver.Flush(ctx, map[string]protocol.Position{shard: through[shard]}); err != nil {
			return err
		}
	}
	return nil
}

// checkpoints are the archive's, in memory.
type checkpoints struct {
	mu      sync.Mutex
	through map[string]protocol.Position
}

func (c *checkpoints) Load(_ context.Context, shard string) (protocol.Position, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.through[shard], nil
}

func (c *checkpoints) Store(_ context.Context, shard string, through protocol.Position) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.through == nil {
		c.through = map[string]protocol.Position{}
	}
	c.through[shard] = through
	return nil
}

type journal struct{ text []byte }

func (j *journal) Load(context.Context) ([]byte, error) { return j.text, nil }

func (j *journal) Store(_ context.Context, text []byte) error {
	j.text = text
	return nil
}

// logic makes rows without columns.
type logic struct{}

func (logic) Run(shard string, events []protocol.Event) *rowlogic.Batch {
	n := len(events)
	b := &rowlogic.Batch{
		Shard: shard, Events: events, Outcome: make([]rowlogic.Outcome, n),
		Reason: make([]string, n), Detail: make([]string, n), Hash: make([]uint64, n),
	}
	for i := range events {
		b.Outcome[i], b.Hash[i] = rowlogic.Accepted, protocol.Hash(shard, &events[i])
	}
	return b
}

// engine computes a version that is the list of its rows.
type engine struct {
	master   protocol.Master
	views    *memory.Views
	checks   bool // it calls Check, as it need not
	computed int  // jobs whose rows balanced, or were not checked
	distinct int  // jobs that kept one row per position
	jobs     []batch.Job
}

func (e *engine) Compute(ctx context.Context, job batch.Job) (batch.Result, error) {
	if job.Distinct {
		e.distinct++
	}
	e.jobs = append(e.jobs, job)
	result := batch.Result{Figures: map[string]batch.Figure{}}
	var lines []string
	seen := map[string]bool{}
	for _, f := range job.Files {
		r, size, err := e.master.Open(ctx, f.Name)
		if err != nil {
			return batch.Result{}, err
		}
		err = archive.Scan(r, size, func(row *archive.Stored) error {
			cut, in := job.Plan.Cut[row.Shard]
			at := row.Shard + row.Position.Key()
			if !in || row.Position.After(cut.Through) || job.Distinct && seen[at] || !row.Position.After(job.Since.From[row.Shard].Through) {
				return nil
			}
			seen[at] = true
			f := result.Figures[row.Shard]
			result.Figures[row.Shard] = batch.Figure{Count: f.Count + 1, Sum: f.Sum.Add(protocol.Hash(row.Shard, &row.Event))}
			if row.Position.After(job.Since.Cut[row.Shard].Through) {
				lines = append(lines, line(row.Shard, row.Position, row.Data))
			}
			return nil
		})
		if err != nil {
			return batch.Result{}, err
		}
	}
	if e.checks && job.Check != nil {
		if err := job.Check(maps.Clone(result.Figures)); err != nil {
			return batch.Result{}, fmt.Errorf("computing: %w", err)
		}
	}
	if job.Since.Version != "" {
		r, size, err := e.views.Open(ctx, job.Since.Version, "rows")
		if err != nil {
			return batch.Result{}, err
		}
		text, err := io.ReadAll(io.NewSectionReader(r, 0, size))
		if err != nil {
			return batch.Result{}, err
		}
		lines = append(lines, strings.Split(string(text), "\n")...)
	}
	e.computed++
	e.views.Write(job.Version, "rows", []byte(sorted(lines)))
	result.Events = int64(len(lines))
	result.Views = map[string][]protocol.ViewFile{"rows": {{Name: "rows", Rows: int64(len(lines))}}}
	return result, nil
}
