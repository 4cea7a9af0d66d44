package batch_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/batch"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/doubleentry"
	"github.com/watershed-data/watershed/internal/memory"
	"github.com/watershed-data/watershed/internal/protocol"
)

// newGrowingPlant is a plant whose runs are incremental whenever they may be.
func newGrowingPlant(t *testing.T, shards int) *plant {
	p := newPlant(t, shards)
	p.growing()
	return p
}

func (p *plant) growing() {
	p.Outline = archive.Outline
	p.Cheaper = func(batch.Cost) bool { return true }
}

// wantMode makes a version, which has to be the truth.
func (p *plant) wantMode(mode doubleentry.Mode, why string) *batch.Report {
	p.t.Helper()
	report, err := p.Run(p.t.Context())
	must(p.t, err)
	if report.Mode != mode || !strings.Contains(report.Why, why) {
		p.t.Errorf("version %d is %s: %s; want %s: %s", report.Seq, report.Mode, report.Why, mode, why)
	}
	p.wantTruth()
	return report
}

func (p *plant) lastJob() batch.Job { return p.engine.jobs[len(p.engine.jobs)-1] }

func (p *plant) manifest() protocol.Manifest {
	p.t.Helper()
	pointer, err := p.ledger.Pointer(p.t.Context())
	must(p.t, err)
	m, err := p.views.Manifest(p.t.Context(), pointer.Version)
	must(p.t, err)
	return m
}

// TestIncremental: a run goes on from the version before and opens no file that
// holds only what that one covers.
func TestIncremental(t *testing.T) {
	t.Parallel()
	p := newGrowingPlant(t, 2)
	p.send(0, 12)
	p.send(1, 3)
	p.wantMode(doubleentry.Full, "no version")
	old := p.lastJob().Files
	p.send(1, 4)
	report := p.wantMode(doubleentry.Incremental, "bytes")
	if report.Events != 19 || !report.Balance.Equal || report.Balance.Ledger() != 19 {
		t.Errorf("an incremental run reports %d events, balance %+v", report.Events, report.Balance)
	}
	if now := p.lastJob().Files; len(now) == 0 || slices.ContainsFunc(now, func(f protocol.File) bool { return slices.Contains(old, f) }) {
		t.Errorf("it read %v; the version before had read %v", now, old)
	}
	p.wantMode(doubleentry.Incremental, "")
	if now := p.lastJob().Files; len(now) != 0 {
		t.Errorf("nothing came, and it read %v", now)
	}
	if full := p.manifest().Full; full.Seq != 1 {
		t.Errorf("version %d was the last full one, it says; want 1", full.Seq)
	}
	standing, err := p.Standing(t.Context())
	if err != nil || standing.Last.Mode != doubleentry.Incremental {
		t.Errorf("the status says %+v, %v", standing.Last, err)
	}
	p.restart()
	p.growing()
	p.send(0, 1)
	p.wantMode(doubleentry.Incremental, "")
}

// TestFullAfterAll: whenever it is not certain that going on gives what all rows
// give, all rows are read.
func TestFullAfterAll(t *testing.T) {
	t.Parallel()
	change := func(f func(m *protocol.Manifest)) func(*plant) {
		return func(p *plant) {
			m := p.manifest()
			f(&m)
			must(p.t, p.views.PutManifest(p.t.Context(), m))
		}
	}
	for name, c := range map[string]struct {
		before func(p *plant)
		why    string
	}{
		"it costs more":        {func(p *plant) { p.Cheaper = func(batch.Cost) bool { return false } }, "cost"},
		"no outlines":          {func(p *plant) { p.Outline = nil }, "where their rows lie"},
		"another generation":   {func(p *plant) { p.Generation = "other" }, "not one to go on from"},
		"a day later":          {func(p *plant) { p.now = p.now.Add(24 * time.Hour) }, "look at all rows again"},
		"many versions later":  {change(func(m *protocol.Manifest) { m.Full.Seq = m.Seq - 255 }), "look at all rows again"},
		"an earlier release's": {change(func(m *protocol.Manifest) { m.Full = protocol.Full{} }), "not known"},
		"a shard is gone":      {change(func(m *protocol.Manifest) { m.Cut["gone"] = protocol.Cut{} }), "not one to go on from"},
		"its figures are wrong": {change(func(m *protocol.Manifest) {
			m.Cut[memory.ShardID(0)] = protocol.Cut{Through: m.Cut[memory.ShardID(0)].Through}
		}), "did not work out"},
		"its file is gone": {change(func(m *protocol.Manifest) { m.Views["rows"][0].Name = "gone" }), "cannot be read"},
		"it is gone":       {func(p *plant) { must(p.t, p.views.Delete(p.t.Context(), p.manifest().Version)) }, "cannot be read"},
		"an old file is gone": {func(p *plant) {
			files, err := p.master.Files(p.t.Context())
			must(p.t, err)
			p.master.hidden[files[0].Name] = p.now.Add(time.Hour)
		}, "are gone"},
		"a new file was lost": {func(p *plant) { p.master.faults = []fault{once(lose)} }, "are gone"},
		"the run before failed": {func(p *plant) {
			p.Engine = dyingEngine{}
			if _, err := p.RunFull(p.t.Context()); err == nil {
				p.t.Error("a run did not fail")
			}
			p.Engine = p.engine
		}, "the run before failed"},
		"an erasure is under way": {func(p *plant) { p.Layer.Erasing = &journal{text: []byte("under way")} }, "erased"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newGrowingPlant(t, 2)
			p.send(0, 4)
			p.wantMode(doubleentry.Full, "")
			p.send(0, 2)
			p.wantMode(doubleentry.Incremental, "")
			c.before(p)
			p.send(0, 3)
			p.wantMode(doubleentry.Full, c.why)
		})
	}
	p := newGrowingPlant(t, 1)
	p.send(0, 4)
	p.wantMode(doubleentry.Full, "")
	if report, err := p.RunFull(t.Context()); err != nil || report.Mode != doubleentry.Full || !strings.Contains(report.Why, "asked for") {
		t.Errorf("a full run was asked for and gave %+v, %v", report, err)
	}
}

// once is a fault that happens to one file only.
func once(f fault) fault {
	done := false
	return func(rows []archive.Stored) ([][]archive.Stored, time.Duration) {
		if done {
			return [][]archive.Stored{rows}, 0
		}
		done = true
		return f(rows)
	}
}

// TestDoubledSinceTheVersionBefore: rows that are stored twice are counted once, and
// the report says so; no full run is needed for it.
func TestDoubledSinceTheVersionBefore(t *testing.T) {
	t.Parallel()
	p := newGrowingPlant(t, 1)
	p.send(0, 7)
	p.wantMode(doubleentry.Full, "")
	p.master.faults = []fault{once(double)}
	p.send(0, 3)
	if report := p.wantMode(doubleentry.Incremental, ""); !report.Balance.Doubled {
		t.Errorf("the balance does not say that rows were doubled: %+v", report.Balance)
	}
}

// identified are events with ids that are compared for half a second.
func (p *plant) identified() {
	p.Definition = &definition.Definition{Zone: time.UTC, Events: definition.Events{ID: "id", DedupeWithin: 500 * time.Millisecond}}
}

// TestLookBack: what can decide whether a new event is a duplicate is read again,
// from the latest earlier cut that leaves nothing of it out. Without this, a
// duplicate that straddles two versions counts.
func TestLookBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		arrivals []int64 // of the new events
		want     int     // the version from whose cut on rows are read
	}{
		"all long after":             {[]int64{13_000}, 4},
		"just out of the window":     {[]int64{12_501}, 4},
		"just within the window":     {[]int64{12_500}, 3},
		"one of them goes back":      {[]int64{13_000, 9_501}, 1},
		"further than what is known": {[]int64{9_500}, 0},
		"nothing came in the stream": {nil, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newGrowingPlant(t, 2)
			p.identified()
			var cuts []map[string]protocol.Cut
			for i := range int64(4) { // versions with events up to 9000, 10000, 11000, 12000
				p.person(int(i%2), "anna", 9000+1000*i)
				_, err := p.Run(t.Context())
				must(t, err)
				p.wantTruth()
				cuts = append(cuts, p.manifest().Cut)
			}
			p.person(1, "anna", c.arrivals...)
			report, err := p.Run(t.Context())
			must(t, err)
			p.wantTruth()
			want := map[string]protocol.Cut{} // the beginning
			if c.want > 0 {
				want = cuts[c.want-1]
			}
			if from := p.lastJob().Since.From; report.Mode != doubleentry.Incremental || !maps.Equal(from, want) {
				t.Errorf("the %s run reads from %v on, want %v", report.Mode, from, want)
			}
		})
	}
}

// TestLostWhereItLooksBack: a file that is no longer there might have held what a
// new event is a duplicate of. The double entry covers it, though nothing in it is
// new.
func TestLostWhereItLooksBack(t *testing.T) {
	t.Parallel()
	p := newGrowingPlant(t, 1)
	p.identified()
	p.person(0, "anna", 1000)
	p.wantMode(doubleentry.Full, "")
	p.person(0, "anna", 2000)
	p.wantMode(doubleentry.Incremental, "")
	for _, f := range p.lastJob().Files {
		p.master.hidden[f.Name] = p.now.Add(time.Hour)
	}
	p.master.faults = []fault{double} // so that there are as many rows as there should be
	p.person(0, "anna", 2100)
	if report := p.wantMode(doubleentry.Full, "did not work out"); report.Balance.Repaired() != 1 {
		t.Errorf("the balance is %+v, want one event written again", report.Balance)
	}
}

// TestPastCutsAreFew: what a manifest remembers does not grow with the number of
// versions, and however far back a run has to look, a cut is not much further.
func TestPastCutsAreFew(t *testing.T) {
	t.Parallel()
	p := newGrowingPlant(t, 1)
	p.identified()
	p.Cheaper = func(batch.Cost) bool { return false }
	const versions, every = 100, 1000
	for i := range int64(versions) {
		p.person(0, "anna", every*(i+1))
		_, err := p.Run(t.Context())
		must(t, err)
	}
	m := p.manifest()
	var ages []int64
	for _, cut := range m.Past {
		ages = append(ages, versions-cut[memory.ShardID(0)].MaxArrival/every)
	}
	if len(ages) > 20 || ages[0] != 1 || ages[len(ages)-1] != versions-1 {
		t.Fatalf("cuts of %v versions ago are remembered", ages)
	}
	for i := 1; i < len(ages); i++ {
		if ages[i] > 2*ages[i-1] {
			t.Errorf("cuts of %v versions ago are remembered, and none between %d and %d", ages, ages[i-1], ages[i])
		}
	}
}
