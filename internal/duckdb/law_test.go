package duckdb_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/watershed-data/watershed/internal/batch"
	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/duckdb"
	"github.com/watershed-data/watershed/internal/measure"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
	"github.com/watershed-data/watershed/internal/view"
	"github.com/watershed-data/watershed/internal/viewfile/viewfiletest"
)

// TestStatesAreGos is design law 2: the states that DuckDB computes are those of
// Go, bit for bit, for every measure, grain and type. Without it an answer that
// merges a batch view with real-time items is wrong.
func TestStatesAreGos(t *testing.T) {
	t.Parallel()
	def := everything(t)
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 7))
			b := newBench(t, def)
			a1, a2 := rowsOf(r, def, "shard-a", 100, 700), rowsOf(r, def, "shard-a", 800, 300)
			other := rowsOf(r, def, "shard-b", 9, 400)
			b.store(a1, a2)
			b.store(other)
			b.store(rowsOf(r, def, "shard-c", 1, 50)) // a shard that is not part of the cut
			// Positions compare as numbers: 1000 lies after 999.
			job := b.job(map[string]string{"shard-a": "1049", "shard-b": "99"})
			result, err := b.engine(duckdb.Options{RowGroupRows: 2048}).Compute(context.Background(), job)
			if err != nil {
				t.Fatal(err)
			}
			f := newFold(def)
			f.add(job, a1, a2, other)
			f.compare(t, b, job, result)
		})
	}
}

// fold computes in Go what a job has to compute.
type fold struct {
	def     *definition.Definition
	sealed  int64 // the job's T
	figures map[string]batch.Figure
	views   map[string]map[protocol.Key][]measure.State
}

func newFold(def *definition.Definition) *fold {
	f := &fold{def: def, figures: map[string]batch.Figure{}, views: map[string]map[protocol.Key][]measure.State{}}
	for _, v := range def.AllViews() {
		f.views[v.Name] = map[protocol.Key][]measure.State{}
	}
	return f
}

func (f *fold) add(job batch.Job, batches ...*rowlogic.Batch) {
	f.sealed = job.Plan.T
	for shard := range job.Plan.Cut {
		f.figures[shard] = batch.Figure{}
	}
	for _, b := range batches {
		cut, ok := job.Plan.Cut[b.Shard]
		for i, e := range b.Events {
			if !ok || e.Position.After(cut.Through) {
				continue
			}
			figure := f.figures[b.Shard]
			f.figures[b.Shard] = batch.Figure{Count: figure.Count + 1, Sum: figure.Sum.Add(b.Hash[i])}
			for _, v := range f.def.AllViews() {
				if v.Outcomes || b.Outcome[i] == rowlogic.Accepted && (v.Where == nil || b.Chosen(v).Int[i] == 1) {
					f.row(v, b, i)
				}
			}
		}
	}
}

func (f *fold) row(v definition.View, b *rowlogic.Batch, i int) {
	value := func(name string) column.Value {
		switch name {
		case definition.OutcomeColumn:
			return column.Value{Str: string(b.Outcome[i])}
		case definition.ReasonColumn:
			return column.Value{Str: b.Reason[i], Null: b.Reason[i] == ""}
		}
		for k, c := range f.def.Columns {
			if c.Name == name {
				return b.Columns[k].At(i)
			}
		}
		if in := b.Inputs[name]; in != nil {
			return in.At(i)
		}
		return column.Null
	}
	var dims []column.Value
	for _, d := range v.By {
		dims = append(dims, value(d))
	}
	key := protocol.Key{View: v.Name, Dims: view.EncodeDims(f.types(v), dims)}
	if v.Every != definition.None {
		key.Time = view.RolledUp(v, f.def.Zone, f.sealed).Bucket(b.Times[v.Every].Int[i])
	}
	states := f.views[v.Name][key]
	if states == nil {
		states = make([]measure.State, len(v.Measures))
		f.views[v.Name][key] = states
	}
	for k, m := range measure.New(v) {
		m.Add(&states[k], value(m.Input()))
	}
}

func (f *fold) types(v definition.View) []column.Type {
	out := make([]column.Type, len(v.By))
	for i, name := range v.By {
		c, _ := f.def.Column(name)
		out[i] = c.Type
	}
	return out
}

// compare holds every cell of every file against Go's, and the order of rows
// against the order of keys.
func (f *fold) compare(t *testing.T, b *bench, job batch.Job, result batch.Result) {
	t.Helper()
	if !maps.Equal(result.Figures, f.figures) {
		t.Errorf("the double entry would compare figures %v, want %v", result.Figures, f.figures)
	}
	for _, v := range f.def.AllViews() {
		want := f.views[v.Name]
		keys := slices.SortedFunc(maps.Keys(want), func(a, b protocol.Key) int {
			if a.Time != b.Time {
				return int(max(-1, min(1, a.Time-b.Time)))
			}
			return bytes.Compare([]byte(a.Dims), []byte(b.Dims))
		})
		ms := measure.New(v)
		n := 0
		for _, file := range result.Views[v.Name] {
			b.scan(t, job, file, v, math.MinInt64, math.MaxInt64, func(time int64, dims []column.Value, states []measure.State) error {
				key := protocol.Key{View: v.Name, Time: time, Dims: view.EncodeDims(f.types(v), dims)}
				if n < len(keys) && key != keys[n] {
					t.Fatalf("view %s, group %d is %v, want %v", v.Name, n, key, keys[n])
				}
				if got, want := measure.Encode(ms, states), measure.Encode(ms, want[key]); !bytes.Equal(got, want) {
					t.Errorf("view %s, group %v: the states are %+v", v.Name, key, states)
				}
				n++
				return nil
			})
		}
		if n != len(keys) {
			t.Errorf("view %s has %d groups, want %d", v.Name, n, len(keys))
		}
	}
}

func (b *bench) scan(t testing.TB, job batch.Job, file protocol.ViewFile, v definition.View, from, to int64, fn func(int64, []column.Value, []measure.State) error) {
	t.Helper()
	f, err := os.Open(filepath.Join(b.dir, job.Version, file.Name))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if err := viewfiletest.Scan(f, info.Size(), b.def, v, from, to, fn); err != nil {
		t.Fatal(err)
	}
}
