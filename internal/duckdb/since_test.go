package duckdb_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/watershed-data/watershed/internal/batch"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/duckdb"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
)

// some are views with every measure between them: by time and without, rolled up by
// age, and one that is a single group.
var some = []string{"b1", "a2", "b7", "k0"}

// TestIncrementalIsFull is half of design law 4: a version computed from the one
// before and the rows since is, file by file and byte for byte, what all rows give.
// It has every measure, grain and type; duplicates that straddle cuts, late rows,
// a shard and a load that come later, versions to which nothing was added, and
// rollup by age that moves on. The layers' histories are the other half.
func TestIncrementalIsFull(t *testing.T) {
	t.Parallel()
	for name, id := range map[string]string{"with ids": "word", "without": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			def := everything(t)
			def.Views = slices.DeleteFunc(def.Views, func(v definition.View) bool { return !slices.Contains(some, v.Name) })
			def.Events = definition.Events{ID: id, DedupeWithin: 20 * time.Second}
			g := &growing{Rand: rand.New(rand.NewPCG(21, 7)), bench: newBench(t, def), ends: map[string]int{}}
			load := protocol.LoadShard("0123456789abcdef0123456789abcdef")
			g.add("shard-a", 60)
			g.version(t)
			g.add("shard-a", 50)
			g.add("shard-b", 40)
			g.version(t)
			g.age(30 * time.Hour)
			g.add("shard-b", 1)
			g.add(load, 50)
			g.version(t)
			g.age(40 * 24 * time.Hour)
			g.version(t) // nothing came
			g.age(300 * 24 * time.Hour)
			g.add("shard-a", 70)
			g.doubled = g.add("shard-b", 45)
			g.version(t)
		})
	}
}

// growing is a master dataset and versions that go on from each other.
type growing struct {
	*rand.Rand
	*bench
	ends    map[string]int // rows by shard
	aged    time.Duration
	doubled bool // rows since the last version are stored twice
	made    []batch.Job
	results []batch.Result
}

func (g *growing) age(by time.Duration) { g.aged += by }

// add stores rows of a shard behind those that are there, now and then with the
// identity of an earlier one. It gives true.
func (g *growing) add(shard string, n int) bool {
	rows := rowsOf(g.Rand, g.def, shard, 1000+g.ends[shard], n)
	for i := range rows.Events {
		rows.Events[i].Arrival = 1_700_000_000_000 + int64(1000*(g.ends[shard]+i))
		rows.Hash[i] = protocol.Hash(shard, &rows.Events[i])
	}
	if g.def.Events.ID != "" {
		rows.ID = make([]rowlogic.Identity, n)
		for i := range rows.ID {
			if g.IntN(5) > 0 {
				rows.ID[i] = rowlogic.Identity{Hi: uint64(shard[len(shard)-1]), Lo: uint64(g.IntN(30))}
			}
		}
	}
	g.store(rows)
	g.ends[shard] += n
	return true
}

// version makes the next version in both ways.
func (g *growing) version(t *testing.T) {
	t.Helper()
	cut := map[string]string{}
	for shard, n := range g.ends {
		cut[shard] = fmt.Sprint(999 + n)
	}
	full := g.job(cut)
	full.Plan.T += g.aged.Milliseconds()
	full.Version = fmt.Sprintf("v%08d-full", len(g.made)+1)
	want, err := g.engine(duckdb.Options{}).Compute(t.Context(), full)
	if err != nil {
		t.Fatal(err)
	}
	for shard, f := range want.Figures { // what the ledger would say
		c := full.Plan.Cut[shard]
		c.Count, c.Sum = f.Count, f.Sum
		full.Plan.Cut[shard] = c
	}
	if last := len(g.made) - 1; last >= 0 {
		before := g.made[last]
		job := full
		job.Version = fmt.Sprintf("v%08d-more", len(g.made)+1)
		job.Since = batch.Since{Version: before.Version, Views: g.results[last].Views, Cut: before.Plan.Cut, From: before.Plan.Cut}
		if g.def.Events.ID != "" { // far enough back for the window
			job.Since.From = nil
			if last > 2 {
				job.Since.From = g.made[last-3].Plan.Cut
			}
		}
		if g.doubled {
			job.Files, job.Distinct = append(slices.Clone(job.Files), job.Files[len(job.Files)-1]), true
		}
		got, err := g.engine(duckdb.Options{Threads: 1, MemoryLimit: 256 << 20}).Compute(t.Context(), job)
		if err != nil {
			t.Fatal(err)
		}
		g.same(t, full, want, job, got)
		full, want = job, got // the next one goes on from it
	}
	g.made, g.results = append(g.made, full), append(g.results, want)
}

func (g *growing) same(t *testing.T, full batch.Job, want batch.Result, job batch.Job, got batch.Result) {
	t.Helper()
	for shard, c := range full.Plan.Cut {
		before := job.Since.From[shard]
		if f := got.Figures[shard]; f.Count != c.Count-before.Count || f.Sum.Plus(before.Sum) != c.Sum {
			t.Errorf("%s: the figures of %s are %+v behind %+v, want up to %+v", job.Version, shard, f, before, c)
		}
	}
	if !maps.EqualFunc(got.Views, want.Views, slices.Equal[[]protocol.ViewFile]) {
		t.Errorf("%s has the views\n%v, all rows give\n%v", job.Version, got.Views, want.Views)
	}
	for view, files := range want.Views {
		for _, f := range files {
			one, err := os.ReadFile(filepath.Join(g.dir, full.Version, f.Name))
			if err != nil {
				t.Fatal(err)
			}
			other, err := os.ReadFile(filepath.Join(g.dir, job.Version, f.Name))
			if err != nil || !bytes.Equal(one, other) {
				t.Errorf("%s: the file of view %s is not what all rows give (%v)", job.Version, view, err)
			}
		}
	}
}

// BenchmarkIncremental is a run over a million old rows and ten thousand new ones,
// in both ways, with an event id and 10,000 groups.
func BenchmarkIncremental(b *testing.B) {
	const files, rows, more = 10, 100_000, 10_000
	def := small()
	def.Events = definition.Events{ID: "word", DedupeWithin: 15 * time.Minute}
	g := &growing{Rand: rand.New(rand.NewPCG(1, 1)), bench: newBench(b, def), ends: map[string]int{}}
	add := func(n int) {
		from := g.ends["shard-a"]
		made := rowsOf(g.Rand, def, "shard-a", 10_000_000+from, n)
		made.ID = make([]rowlogic.Identity, n)
		for i := range made.ID {
			made.Events[i].Arrival = 1_700_000_000_000 + int64(100*(from+i)) // 10 events a second
			made.Hash[i] = protocol.Hash("shard-a", &made.Events[i])
			made.ID[i] = rowlogic.Identity{Hi: g.Uint64(), Lo: g.Uint64()}
		}
		g.store(made)
		g.ends["shard-a"] += n
	}
	job := func(version string) batch.Job {
		job := g.job(map[string]string{"shard-a": fmt.Sprint(10_000_000 + g.ends["shard-a"] - 1)})
		job.Version = version
		return job
	}
	for range files - 1 {
		add(rows)
	}
	earlier := job("")
	add(rows)
	before := job("v00000001-before")
	result, err := g.engine(duckdb.Options{}).Compute(b.Context(), before)
	if err != nil {
		b.Fatal(err)
	}
	add(more)
	full := job("v00000002-full")
	some := job("v00000002-some")
	some.Since = batch.Since{Version: before.Version, Views: result.Views, Cut: before.Plan.Cut, From: earlier.Plan.Cut}
	some.Files = some.Files[files-1:] // the window reaches back into the last one of before
	for _, c := range []struct {
		name string
		job  batch.Job
	}{{"full", full}, {"incremental", some}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := g.engine(duckdb.Options{}).Compute(b.Context(), c.job); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
