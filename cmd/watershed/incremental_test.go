package main

import (
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/batch"
	"github.com/watershed-data/watershed/internal/definition"
)

// A version that goes on from the one before is verified like any other: after
// repetitions of what that one has, a load of history, and an erasure, which takes
// a full run.
func TestIncrementalRuns(t *testing.T) {
	t.Parallel()
	def, err := definition.Parse("pipeline.yaml", []byte(loadDefinition))
	if err != nil {
		t.Fatal(err)
	}
	p := openInProcess(t, def, t.TempDir())
	g, done := p.answers.enter()
	g.batch.Cheaper = func(batch.Cost) bool { return true } // there is little data
	done()
	lines, table, _, _ := past(600)
	run := func(want string, args ...string) {
		t.Helper()
		if out := p.ok(t, append([]string{"batch"}, args...)...); !strings.Contains(out, want) {
			t.Errorf("batch %v does not say %q:\n%s", args, want, out)
		}
		if out := p.ok(t, "status"); !strings.Contains(out, strings.Fields(want)[0]+":") {
			t.Errorf("status does not say %q:\n%s", want, out)
		}
		p.ok(t, "verify")
	}
	p.send(t, strings.Join(lines[:300], "\n"))
	run("full run: there is no version to go on from")
	p.send(t, strings.Join(lines[250:400], "\n"))
	run("incremental run")
	p.ok(t, "load", write(t, "history.csv", table))
	p.send(t, strings.Join(lines[390:500], "\n"))
	run("incremental run")
	if out := p.ok(t, "query", "ws_outcomes", "--by", "ws_outcome", "--every", "none", "--measures", "events", "--format", "csv"); !strings.Contains(out, "duplicate,60") {
		t.Errorf("60 events were sent again, the outcomes are\n%s", out)
	}
	p.send(t, lines[500])
	run("full run: a full run was asked for", "--full")
	p.send(t, lines[501])
	run("incremental run")
}
