package duckdb_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/watershed-data/watershed/internal/batch"
	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/duckdb"
	"github.com/watershed-data/watershed/internal/measure"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
)

var _ batch.Engine = (*duckdb.Engine)(nil)

// small is a definition that computes quickly.
func small() *definition.Definition {
	text, number := column.Type{Kind: column.String}, column.Type{Kind: column.Int}
	return &definition.Definition{
		Zone:    time.UTC,
		Columns: []definition.Column{{Name: "word", Type: text, Optional: true}, {Name: "n", Type: number, Optional: true}},
		Views: []definition.View{{Name: "words", By: []string{"word"}, Every: definition.Minute, Measures: []definition.Measure{
			{Name: "rows", Func: definition.Count}, {Name: "total", Func: definition.Sum, Column: "n", Type: number}}}},
	}
}

// TestDistinctKeepsOneRowPerPosition: rows that are stored twice are seen as they
// are, so that the double entry notices, and counted once when asked.
func TestDistinctKeepsOneRowPerPosition(t *testing.T) {
	t.Parallel()
	def := small()
	r := rand.New(rand.NewPCG(3, 4))
	b := newBench(t, def)
	first, second := rowsOf(r, def, "s", 1, 500), rowsOf(r, def, "s", 501, 500)
	b.store(first)
	b.store(second, first)
	b.store(second)
	job := b.job(map[string]string{"s": "800"})
	doubled, err := b.engine(duckdb.Options{}).Compute(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	if doubled.Events != 1600 || doubled.Figures["s"].Count != 1600 {
		t.Errorf("1600 rows up to the cut are stored, the figures say %+v", doubled)
	}
	job.Distinct = true
	f := newFold(def)
	f.add(job, first, second)
	// A memory limit: sorting by position has to work with less than all rows.
	once, err := b.engine(duckdb.Options{MemoryLimit: 64 << 20, Threads: 1}).Compute(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	f.compare(t, b, job, once)
}

// TestNothingToCompute: the first run of a pipeline may find no file, no shard or
// no row, and publishes an empty version.
func TestNothingToCompute(t *testing.T) {
	t.Parallel()
	def := small()
	rows := newBench(t, def)
	rows.store(rowsOf(rand.New(rand.NewPCG(1, 1)), def, "s", 10, 20))
	empty := newBench(t, def)
	for name, c := range map[string]struct {
		bench *bench
		cut   map[string]string
	}{
		"no files":         {empty, map[string]string{"s": "100"}},
		"no shards":        {rows, nil},
		"nothing till cut": {rows, map[string]string{"s": "9"}},
		"zero cut":         {rows, map[string]string{"s": ""}},
		"other shard":      {rows, map[string]string{"t": "999"}},
	} {
		for _, distinct := range []bool{false, true} {
			job := c.bench.job(c.cut)
			job.Distinct = distinct
			got, err := c.bench.engine(duckdb.Options{}).Compute(t.Context(), job)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if got.Events != 0 || len(got.Figures) != len(c.cut) || got.Figures["s"] != (batch.Figure{}) {
				t.Errorf("%s: the figures are %+v", name, got.Figures)
			}
			for view, files := range got.Views {
				if len(files) > 0 {
					t.Errorf("%s: view %s has files %v", name, view, files)
				}
			}
			left, err := filepath.Glob(filepath.Join(c.bench.dir, "v*", "*"))
			if err != nil || len(left) > 0 {
				t.Errorf("%s: files are left behind: %v %v", name, left, err)
			}
		}
	}
}

// TestMissingFileIsAnError: a version over fewer files would be a smaller answer.
func TestMissingFileIsAnError(t *testing.T) {
	t.Parallel()
	def := small()
	b := newBench(t, def)
	b.store(rowsOf(rand.New(rand.NewPCG(1, 1)), def, "s", 1, 5))
	job := b.job(map[string]string{"s": "9"})
	job.Files = append(job.Files, protocol.File{Name: "gone.parquet"})
	if _, err := b.engine(duckdb.Options{}).Compute(t.Context(), job); err == nil {
		t.Error("a version was made although a pinned file is missing")
	}
	if err := os.WriteFile(filepath.Join(b.dir, "gone.parquet"), []byte("PAR1 damaged PAR1"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := b.engine(duckdb.Options{}).Compute(t.Context(), job); err == nil {
		t.Error("a version was made although a pinned file is damaged")
	}
}

// TestCancelled: a run that is told to stop stops, says so and leaves no spilled
// rows behind.
func TestCancelled(t *testing.T) {
	t.Parallel()
	def := small()
	b := newBench(t, def)
	b.store(rowsOf(rand.New(rand.NewPCG(1, 1)), def, "s", 1, 5000))
	ctx, cancel := context.WithCancel(t.Context())
	steps := 0
	engine := b.engine(duckdb.Options{Progress: func(done, total int) {
		if steps++; done != steps || total != 4 {
			t.Errorf("step %d is reported as %d of %d", steps, done, total)
		}
		if done == 2 {
			cancel()
		}
	}})
	if _, err := engine.Compute(ctx, b.job(map[string]string{"s": "9999"})); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled job ended with %v", err)
	}
	if steps != 2 {
		t.Errorf("a job cancelled at step 2 went on to step %d", steps)
	}
	if left, err := filepath.Glob(filepath.Join(b.dir, "watershed-batch-*")); err != nil || len(left) > 0 {
		t.Errorf("directories for spilled rows are left behind: %v %v", left, err)
	}
}

// TestRanges: a scan of part of the time gives just the groups of that part,
// wherever row groups begin.
func TestRanges(t *testing.T) {
	t.Parallel()
	def := small()
	b := newBench(t, def)
	b.store(rowsOf(rand.New(rand.NewPCG(1, 1)), def, "s", 1, 60_000))
	job := b.job(map[string]string{"s": "99999"})
	got, err := b.engine(duckdb.Options{RowGroupRows: 2048}).Compute(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	v, file := def.Views[0], got.Views["words"][0]
	var all []string
	var starts []int64
	b.scan(t, job, file, v, math.MinInt64, math.MaxInt64, func(time int64, dims []column.Value, states []measure.State) error {
		all, starts = append(all, fmt.Sprint(time, dims, states)), append(starts, time)
		return nil
	})
	if int64(len(all)) != file.Rows {
		t.Errorf("the file has %d groups, the manifest would say %d", len(all), file.Rows)
	}
	for _, at := range []struct{ from, to int }{{0, 1}, {len(all) / 2, len(all)/2 + 100}, {len(all) - 1, len(all) - 1}, {5000, 5000}} {
		from, to := starts[at.from], starts[at.to]
		var want, have []string
		for i, s := range starts {
			if s >= from && s < to {
				want = append(want, all[i])
			}
		}
		b.scan(t, job, file, v, from, to, func(time int64, dims []column.Value, states []measure.State) error {
			have = append(have, fmt.Sprint(time, dims, states))
			return nil
		})
		if strings.Join(have, "\n") != strings.Join(want, "\n") {
			t.Errorf("[%d, %d) gives %d groups, want %d", from, to, len(have), len(want))
		}
	}
}

// BenchmarkCompute measures a run over rows with the first definition's views.
func BenchmarkCompute(b *testing.B) {
	for _, distinct := range []bool{false, true} {
		b.Run(fmt.Sprintf("distinct=%v", distinct), func(b *testing.B) {
			def := small()
			r := rand.New(rand.NewPCG(1, 1))
			bench := newBench(b, def)
			const files, rows = 10, 50_000
			for i := range files {
				bench.store(rowsOf(r, def, "s", 1+i*rows, rows))
			}
			job := bench.job(map[string]string{"s": "99999999"})
			job.Distinct = distinct
			for b.Loop() {
				if _, err := bench.engine(duckdb.Options{}).Compute(b.Context(), job); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)*files*rows/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// BenchmarkDuplicates is what it costs the batch layer to find duplicates: the
// same rows without and with an event id, one in a hundred of which is there
// twice.
func BenchmarkDuplicates(b *testing.B) {
	const files, rows, again = 10, 100_000, 100
	r := rand.New(rand.NewPCG(1, 1))
	def := small()
	def.Events = definition.Events{ID: "word", DedupeWithin: 15 * time.Minute}
	bench := newBench(b, def)
	for i := range files {
		batch := rowsOf(r, def, "shardId-000000000000", 0, rows)
		batch.ID = make([]rowlogic.Identity, rows)
		for k := range batch.ID {
			e := &batch.Events[k]
			e.Position = protocol.Position{Seq: fmt.Sprintf("495%053d", i*rows+k)}
			e.Arrival = 1_700_000_000_000 + int64(i*rows+k)
			batch.ID[k] = rowlogic.Identity{Hi: r.Uint64(), Lo: r.Uint64()}
			if k > again && r.IntN(again) == 0 {
				batch.ID[k] = batch.ID[k-1-r.IntN(again)]
			}
		}
		bench.store(batch)
	}
	for _, id := range []string{"", "word"} {
		for _, distinct := range []bool{false, true} {
			b.Run(fmt.Sprintf("id=%v/distinct=%v", id != "", distinct), func(b *testing.B) {
				def.Events.ID = id
				job := bench.job(map[string]string{"shardId-000000000000": "496" + strings.Repeat("0", 53)})
				job.Distinct = distinct
				for b.Loop() {
					if _, err := bench.engine(duckdb.Options{}).Compute(b.Context(), job); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.N)*files*rows/b.Elapsed().Seconds(), "rows/s")
			})
		}
	}
}
