package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/doubleentry"
	"github.com/watershed-data/watershed/internal/protocol"
)

const repairDefinition = `
pipeline: repair
events:
  format: json
  columns:
    n:  {type: int}
    at: {type: timestamp}
  time: at
views:
  by_minute:
    by: []
    every: 1m
    measures: {events: count, total: sum(n)}
`

// numbered makes events with the numbers [from, to).
func numbered(from, to int) string {
	var out strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&out, "{\"n\":%d,\"at\":%d}\n", i, 1_400_000_000+i)
	}
	return out.String()
}

// masterFiles lists the files of a data directory's master dataset.
func masterFiles(t *testing.T, data string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(data, "master", "*", "*", "*.parquet"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in the master dataset: %v, %v", files, err)
	}
	return files
}

// A file that somebody deletes from the master dataset is written again from the
// log: the answer stays, and status and metrics tell of it.
func TestADeletedFileIsWrittenAgain(t *testing.T) {
	t.Parallel()
	path, data := write(t, "pipeline.yaml", repairDefinition), filepath.Join(t.TempDir(), "data")
	process := startPipeline(t, path, data)
	ok := func(args ...string) string {
		t.Helper()
		r := process.told(t, args...)
		if r.code != 0 {
			t.Fatalf("%v: %s%s", args, r.out, r.err)
		}
		return r.out
	}
	for i := range 3 {
		ok("send", write(t, "events.ndjson", numbered(i*100, i*100+100)))
		waitForTip(t, process)
		ok("batch")
	}
	before := ok("query", "by_minute", "--format", "csv")
	process.stop(t)
	if err := os.Remove(masterFiles(t, data)[0]); err != nil {
		t.Fatal(err)
	}

	process = startPipeline(t, path, data)
	if r := process.told(t, "verify"); r.code != 1 {
		t.Errorf("verify does not see that a file is missing: %s%s", r.out, r.err)
	}
	if out := ok("batch"); !strings.Contains(out, "written again from the log") {
		t.Errorf("batch says nothing of a repair: %s", out)
	}
	ok("verify")
	if after := ok("query", "by_minute", "--format", "csv"); after != before {
		t.Errorf("the answer was\n%s\nand is\n%s", before, after)
	}
	if out := ok("batch"); strings.Contains(out, "written again") {
		t.Errorf("the next run repairs once more: %s", out)
	}
	for _, want := range []string{"equal at", "300 events on both sides", "repaired "} {
		if out := ok("status"); !strings.Contains(out, want) {
			t.Errorf("status does not say %q: %s", want, out)
		}
	}
	if errOut := process.errOut.String(); !strings.Contains(errOut, "level=WARN") || !strings.Contains(errOut, "lacked events") {
		t.Errorf("the log does not tell of the repair: %s", errOut)
	}
}

// inProcess is a pipeline in the test's own process, for what flags do not allow.
type inProcess struct {
	*layers
	url  string
	stop func()
}

func openInProcess(t *testing.T, def *definition.Definition, data string) *inProcess {
	t.Helper()
	l, err := openLayers(def, layerOptions{data: data, retention: time.Nanosecond, logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(l.handler)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() { defer close(done); l.serve(t.Context(), t.Context(), stop) }()
	p := &inProcess{layers: l, url: server.URL}
	p.stop = func() {
		p.stop = func() {}
		server.Close()
		close(stop)
		<-done
		if err := l.close(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(func() { p.stop() })
	return p
}

func (p *inProcess) told(t *testing.T, args ...string) result {
	t.Helper()
	var out, errOut strings.Builder
	code := run(t.Context(), append(args, "--endpoint", p.url), strings.NewReader(""), &out, &errOut)
	return result{code, out.String(), errOut.String()}
}

func (p *inProcess) ok(t *testing.T, args ...string) string {
	t.Helper()
	r := p.told(t, args...)
	if r.code != 0 {
		t.Fatalf("%v: %s%s", args, r.out, r.err)
	}
	return r.out
}

// send sends events and waits until they are committed.
func (p *inProcess) send(t *testing.T, events string) {
	t.Helper()
	p.ok(t, "send", write(t, "events.ndjson", events))
	shards, err := p.store.Log().Shards(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	g, done := p.answers.enter()
	defer done()
	ledger := g.ledger
	for _, s := range shards {
		for behind := true; behind; {
			changed := p.store.Log().Changed()
			row, _, err := ledger.Row(t.Context(), s.ID)
			if err != nil {
				t.Fatal(err)
			}
			page, err := p.store.Log().Read(t.Context(), s.ID, row.Through, 1)
			if err != nil {
				t.Fatal(err)
			}
			if behind = len(page.Events) > 0; behind {
				select {
				case <-changed:
				case <-time.After(time.Millisecond): // the ledger tells nobody that it changed
				}
			}
		}
	}
}

func (p *inProcess) trim(t *testing.T) {
	t.Helper()
	g, done := p.answers.enter()
	defer done()
	if err := g.retention.Trim(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (p *inProcess) standing(t *testing.T) doubleentry.Standing {
	t.Helper()
	var status struct {
		Batch doubleentry.Standing `json:"batch"`
	}
	if err := json.Unmarshal([]byte(p.ok(t, "status", "--format", "json")), &status); err != nil {
		t.Fatal(err)
	}
	return status.Batch
}

// What is neither in the master dataset nor in the log any more is an alarm with
// numbers, which lasts until it is mended; never a smaller answer.
func TestALostFileIsAnAlarmThatLasts(t *testing.T) {
	t.Parallel()
	def, err := definition.Load(write(t, "pipeline.yaml", repairDefinition))
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(t.TempDir(), "data")
	p := openInProcess(t, def, data)
	p.send(t, numbered(0, 100))
	p.ok(t, "batch")
	p.trim(t)
	before := p.ok(t, "query", "by_minute", "--format", "csv")
	p.stop()

	lost, kept := masterFiles(t, data)[0], filepath.Join(t.TempDir(), "backup")
	if err := os.Rename(lost, kept); err != nil {
		t.Fatal(err)
	}
	p = openInProcess(t, def, data)
	r := p.told(t, "batch")
	for _, want := range []string{"shardId-", "events in the ledger", "the log no longer holds them"} {
		if r.code != 1 || !strings.Contains(r.err, want) {
			t.Errorf("batch ended with %d and says %q, want %q in it", r.code, r.err, want)
		}
	}
	p.stop()

	p = openInProcess(t, def, data)
	if s := p.standing(t); s.Failing == nil || !s.Failing.Mismatch || s.Failing.Runs != 1 || s.Balance.Equal {
		t.Errorf("after a restart the alarm is %+v", s)
	}
	if out := p.ok(t, "status"); !strings.Contains(out, "FAILING since") || !strings.Contains(out, "NOT EQUAL") {
		t.Errorf("status does not show the alarm: %s", out)
	}
	if after := p.ok(t, "query", "by_minute", "--format", "csv"); after != before {
		t.Errorf("the answer was\n%s\nand is\n%s", before, after)
	}
	if err := os.Rename(kept, lost); err != nil {
		t.Fatal(err)
	}
	p.ok(t, "batch")
	p.ok(t, "verify")
	if s := p.standing(t); s.Failing != nil || !s.Balance.Equal {
		t.Errorf("after it was mended the alarm is %+v", s)
	}
}

// Many versions, and the data directory does not grow but for the master dataset:
// records, items, plans and versions go when nothing needs them.
func TestDiskUseStaysBounded(t *testing.T) {
	t.Parallel()
	def, err := definition.Load(write(t, "pipeline.yaml", repairDefinition))
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(t.TempDir(), "data")
	p := openInProcess(t, def, data)
	const runs, events = 24, 200
	var early footprint
	for i := range runs {
		p.send(t, numbered(i*events, (i+1)*events))
		p.ok(t, "batch")
		p.trim(t)
		if i == runs/2 { // in the middle, as after a crash of a run
			ledger := p.store.Ledger(def.Generation)
			if _, err := ledger.PutPlan(t.Context(), protocol.Plan{Run: "crashed"}); err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(filepath.Join(data, "views", def.Generation, "v00000999-CRASHED"), 0o755); err != nil {
				t.Fatal(err)
			}
			p.stop()
			p = openInProcess(t, def, data)
		}
		if i == runs/4 {
			early = p.measure(t, data)
		}
	}
	late := p.measure(t, data)
	if late.versions > 3 || late.records > 0 || late.plans > 0 || late.items > early.items {
		t.Errorf("%d versions, %d records, %d plans, %d items are left after %d runs; %d items after a quarter of them", late.versions, late.records, late.plans, late.items, runs, early.items)
	}
	if late.state > 2*early.state+64<<10 {
		t.Errorf("the state takes %d bytes after %d runs and took %d after a quarter of them", late.state, runs, early.state)
	}
	p.ok(t, "verify")
	p.send(t, numbered(0, 7))
	p.ok(t, "verify")
	if out := p.ok(t, "query", "by_minute", "--every", "none", "--measures", "events", "--format", "csv"); !strings.Contains(out, fmt.Sprint(runs*events+7)) {
		t.Errorf("the answer is %s, want %d events", out, runs*events+7)
	}
}

// footprint is what a data directory holds besides the master dataset.
type footprint struct {
	versions, records, plans, items int
	state                           int64 // bytes
}

func (p *inProcess) measure(t *testing.T, data string) (s footprint) {
	t.Helper()
	db := p.store.DB()
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := db.Compact(t.Context(), []byte{0}, []byte{0xff}, false); err != nil {
		t.Fatal(err)
	}
	for prefix, n := range map[byte]*int{'L': &s.records, 'P': &s.plans, 'I': &s.items} {
		it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefix}, UpperBound: []byte{prefix + 1}})
		if err != nil {
			t.Fatal(err)
		}
		for ok := it.First(); ok; ok = it.Next() {
			*n++
		}
		if err := it.Close(); err != nil {
			t.Fatal(err)
		}
	}
	versions, err := filepath.Glob(filepath.Join(data, "views", "*", "v*"))
	if err != nil {
		t.Fatal(err)
	}
	s.versions = len(versions)
	tables, err := filepath.Glob(filepath.Join(data, "state", "*.sst"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range tables {
		info, err := os.Stat(path)
		if err != nil {
			continue // compacted away meanwhile
		}
		s.state += info.Size()
	}
	return s
}
