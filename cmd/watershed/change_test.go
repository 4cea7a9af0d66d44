package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/watershed-data/watershed/internal/api"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/erasure"
	"github.com/watershed-data/watershed/internal/local"
)

// Definitions of the same events. Each decides other answers than the others.
var changes = []string{
	crashDefinition,
	strings.NewReplacer("  time: at\n", "  time: at\n  id: k\n  dedupe_within: 1s\n", "every: 1m", "every: 1h").Replace(crashDefinition),
	strings.NewReplacer("views:", "clean:\n  - require: \"k != 'k3'\"\n    reason: the third\n  - set: {k: \"upper(k)\"}\nviews:", ", mean: avg(n)", "").Replace(crashDefinition),
}

// standingOf is what a test asks of the status.
type standingOf struct {
	Generation string
	Change     *struct {
		From, To  string
		Answering bool
		Phase     string
		Rows, Of  int64
		Error     string
	}
}

func statusOf(t *testing.T, p *pipelineProcess) (s standingOf) {
	t.Helper()
	r := p.told(t, "status", "--format", "json")
	if r.code != 0 {
		t.Fatalf("status: %s", r.err)
	}
	if err := json.Unmarshal([]byte(r.out), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// waitForChange returns when no change of the definition is under way.
func waitForChange(t *testing.T, p *pipelineProcess) standingOf {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	for {
		s := statusOf(t, p)
		if s.Change == nil {
			return s
		}
		select {
		case <-deadline:
			t.Fatalf("the change does not end: %+v; stderr: %s", *s.Change, p.errOut)
		case <-p.ended:
			t.Fatalf("the process ended: %s", p.errOut)
		default:
		}
	}
}

func verifyEqual(t *testing.T, p *pipelineProcess) {
	t.Helper()
	if r := p.told(t, "verify"); r.code != 0 {
		t.Fatalf("verify: %s%s", r.out, r.err)
	}
}

// eventsIn gives how many events an answer is made of.
func eventsIn(t *testing.T, p *pipelineProcess) int64 {
	t.Helper()
	r := p.told(t, "query", "ws_outcomes", "--by", "", "--format", "json")
	if r.code != 0 {
		t.Fatalf("query: %s", r.err)
	}
	var answer struct{ Rows []struct{ Events int64 } }
	if err := json.Unmarshal([]byte(r.out), &answer); err != nil {
		t.Fatal(err)
	}
	if len(answer.Rows) == 0 {
		return 0
	}
	return answer.Rows[0].Events
}

// The definition changes while events flow and shards split and merge: every query
// is answered, by one definition or the other, and what was visible stays so. At
// the end nothing of the old one is left, and going back is a change like any other.
func TestChangingTheDefinitionWhileEventsFlow(t *testing.T) {
	t.Parallel()
	file, data := write(t, "pipeline.yaml", changes[0]), filepath.Join(t.TempDir(), "data")
	p := &producer{acked: map[int]string{}, tried: map[int]bool{}}
	history := write(t, "history.ndjson", strings.Repeat(`{"n":-5,"k":"old","at":1300000000}`+"\n", 300)+"not JSON\n")
	generations := map[string]bool{}
	var visible int64
	for _, definition := range []string{changes[0], changes[1], changes[0]} {
		writeInto(t, filepath.Dir(file), "pipeline.yaml", definition)
		process := startPipeline(t, file, data)
		if visible == 0 { // a load and erased events come along
			p.put(t.Context(), streamClient(process.url))
			for _, args := range [][]string{{"load", history}, {"erase", "--partition-key", "p3", "--yes"}} {
				if r := process.told(t, args...); r.code != 0 {
					t.Fatalf("%v: %s%s", args, r.out, r.err)
				}
			}
		}
		before := statusOf(t, process)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		client, until := streamClient(process.url), p.acknowledged()+1500
		wg.Go(func() {
			for ctx.Err() == nil {
				p.put(ctx, client)
			}
		})
		wg.Go(func() { reshard(ctx, client) })
		for changing := before; changing.Change != nil || p.acknowledged() < until; changing = statusOf(t, process) {
			if changing.Change != nil && changing.Generation != before.Generation {
				t.Errorf("generation %s answers during the change from %s", changing.Generation, before.Generation)
			}
			now := eventsIn(t, process)
			if now < visible {
				t.Fatalf("%d events were visible, and %d are; stderr: %s", visible, now, process.errOut)
			}
			visible = now
		}
		cancel()
		wg.Wait()
		waitForTip(t, process)
		verifyEqual(t, process)
		if n := eventsIn(t, process); n < int64(p.acknowledged())+301 {
			t.Errorf("%d events are in the answer, %d were acknowledged and 301 loaded", n, p.acknowledged())
		}
		checkLog(t, process.url, p)
		generations[waitForChange(t, process).Generation] = true
		process.stop(t)
		for _, part := range []string{"master", "views"} {
			if left, err := os.ReadDir(filepath.Join(data, part)); err != nil || len(left) != 1 {
				t.Errorf("%d generations are left in %s (%v)", len(left), part, err)
			}
		}
	}
	if len(generations) != 2 {
		t.Errorf("the definitions make %d generations", len(generations))
	}
}

// The process is killed again and again in the middle of changes, and often starts
// with yet another definition. Nothing acknowledged is lost or doubled, and
// whatever answers in the end is what a recompute gives.
func TestKillingChangesOfTheDefinition(t *testing.T) {
	t.Parallel()
	file, data := write(t, "pipeline.yaml", changes[0]), filepath.Join(t.TempDir(), "data")
	p := &producer{acked: map[int]string{}, tried: map[int]bool{}}
	for i := range 8 {
		if i == 1 || rand.IntN(2) == 0 {
			writeInto(t, filepath.Dir(file), "pipeline.yaml", changes[rand.IntN(len(changes))])
		}
		putUntilKilled(t, startPipeline(t, file, data), p, p.acknowledged()+rand.IntN(2500))
	}
	for _, definition := range changes {
		writeInto(t, filepath.Dir(file), "pipeline.yaml", definition)
		process := startPipeline(t, file, data)
		waitForChange(t, process)
		checkLog(t, process.url, p)
		waitForTip(t, process)
		verifyEqual(t, process)
		if r := process.told(t, "batch"); r.code != 0 {
			t.Fatalf("batch: %s%s", r.out, r.err)
		}
		verifyEqual(t, process)
		process.stop(t)
	}
}

// A change of what decides no answer recomputes nothing.
func TestAChangeThatDecidesNoAnswer(t *testing.T) {
	t.Parallel()
	file, data := write(t, "pipeline.yaml", crashDefinition), filepath.Join(t.TempDir(), "data")
	process := startPipeline(t, file, data)
	before := statusOf(t, process)
	process.stop(t)
	writeInto(t, filepath.Dir(file), "pipeline.yaml", "# a comment\n"+strings.Replace(crashDefinition, "batch: continuous", "batch: {every: 7h}", 1))
	process = startPipeline(t, file, data)
	if now := statusOf(t, process); now.Generation != before.Generation || now.Change != nil {
		t.Errorf("generation %s, then %+v", before.Generation, now)
	}
	process.stop(t)
	if said := process.errOut.String(); !strings.Contains(said, "nothing is recomputed") {
		t.Errorf("the log does not say that nothing is recomputed: %s", said)
	}
}

func TestCheckingAChange(t *testing.T) {
	t.Parallel()
	before := write(t, "before.yaml", crashDefinition)
	for _, c := range []struct{ old, new, want string }{
		{"batch: continuous", "batch: {every: 7h}", "nothing is recomputed"},
		{"every: 1m", "every: 1h", "everything is recomputed from the raw events\n  view by_key is another one"},
		{"pipeline: crash", "pipeline: other", "another pipeline, crash"},
	} {
		now := write(t, "now.yaml", strings.Replace(crashDefinition, c.old, c.new, 1))
		var out, errOut strings.Builder
		if code := run(t.Context(), []string{"check", now, "--against", before}, strings.NewReader(""), &out, &errOut); code != 0 || !strings.Contains(out.String(), c.want) {
			t.Errorf("%s: exit %d, %s%s; want %q", c.new, code, out.String(), errOut.String(), c.want)
		}
	}
}

// A data directory that does not tell its definition, as one of an earlier release:
// its events are recomputed, queries are refused until then, and the stream goes on.
func TestADataDirectoryOfAnUnknownDefinition(t *testing.T) {
	t.Parallel()
	file, data := write(t, "pipeline.yaml", changes[0]), filepath.Join(t.TempDir(), "data")
	p := &producer{acked: map[int]string{}, tried: map[int]bool{}}
	process := startPipeline(t, file, data)
	for p.acknowledged() < 500 {
		p.put(t.Context(), streamClient(process.url))
	}
	waitForTip(t, process)
	generation := statusOf(t, process).Generation
	process.stop(t)

	store, err := local.Open(data, local.Options{Pipeline: "crash"})
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(store.DB().Delete([]byte("Vd"+generation), pebble.Sync), store.DB().Set([]byte("V"), []byte(generation), pebble.Sync), store.Close())
	if err != nil {
		t.Fatal(err)
	}

	def, err := definition.Parse(file, []byte(changes[1]))
	if err != nil {
		t.Fatal(err)
	}
	l, err := openLayers(def, layerOptions{data: data, retention: time.Hour, logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(l.handler) // and nothing runs yet
	unknown := &pipelineProcess{url: server.URL, errOut: &lockedBuffer{}, ended: make(chan struct{})}
	if s := statusOf(t, unknown); s.Change == nil || s.Change.Answering || s.Change.From != generation {
		t.Errorf("status %+v", s)
	}
	if r := unknown.told(t, "query", "by_key"); r.code != 1 || !strings.Contains(r.err, "being changed from generation "+generation) {
		t.Errorf("a query gave %d, %s%s", r.code, r.out, r.err)
	}
	for p.acknowledged() < 800 {
		p.put(t.Context(), streamClient(unknown.url))
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() { defer close(done); l.serve(t.Context(), t.Context(), stop) }()
	waitForChange(t, unknown)
	waitForTip(t, unknown)
	verifyEqual(t, unknown)
	checkLog(t, unknown.url, p)
	server.Close()
	close(stop)
	<-done
	if err := l.close(); err != nil {
		t.Error(err)
	}
}

// An erasure must not take events out of files that are on their way out, and leave
// them in those that answer from here on; nor say that they are gone while they are
// still in the files of the definition before.
func TestOnlyAGenerationThatIsAloneErases(t *testing.T) {
	t.Parallel()
	parse := func(text string) *definition.Definition {
		def, err := definition.Parse("pipeline.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return def
	}
	before, after := parse(changes[0]), parse(changes[1])
	logger := slog.New(slog.DiscardHandler)
	l, err := openLayers(before, layerOptions{data: filepath.Join(t.TempDir(), "data"), retention: time.Hour, logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	old, done := l.answers.enter()
	done()
	loads, err := l.store.Loads()
	if err != nil {
		t.Fatal(err)
	}
	next, err := openGeneration(after, shared{
		store: l.store, loads: loads, temp: t.TempDir(), computing: make(chan struct{}, 1), retention: time.Hour, logger: logger, change: l.changing,
	})
	if err != nil {
		t.Fatal(err)
	}
	step := func(when string, g *generation, refuses string, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		_, err = g.erase(t.Context(), api.Erasure{Request: erasure.Request{PartitionKey: "k1"}})
		if later := (*api.UnavailableError)(nil); refuses != "" && !errors.As(err, &later) || refuses == "" && err != nil || err != nil && !strings.Contains(err.Error(), refuses) {
			t.Errorf("%s, erasing gives %v; want %q", when, err, refuses)
		}
	}
	adopt := func() error {
		_, err := l.store.Adopt(t.Context(), after.Generation, local.DefinitionText{File: "pipeline.yaml", Text: after.Text})
		return err
	}
	step("while it is alone", old, "", nil)
	step("beside the next one", old, "was being changed", adopt())
	step("when another one answers", old, "was being changed", l.store.Switch(after.Generation))
	step("beside the files of the one before", next, "still being removed", nil)
	step("when those are gone", next, "", l.store.SweepDoomed(t.Context()))
	if err := errors.Join(next.service.Close(), l.close()); err != nil {
		t.Error(err)
	}
}
