package duckdb_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/batch"
	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/duckdb"
	"github.com/watershed-data/watershed/internal/expr"
	"github.com/watershed-data/watershed/internal/measure"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
	"github.com/watershed-data/watershed/internal/view"
)

// everything is a definition with every column type that views take, every
// measure and every grain.
func everything(t testing.TB) *definition.Definition {
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	decimal := func(p, s int) column.Type { return column.Type{Kind: column.Decimal, Precision: p, Scale: s} }
	def := &definition.Definition{
		Pipeline: "laws", Zone: zone, Generation: "g1",
		Columns: []definition.Column{
			{Name: "word", Type: column.Type{Kind: column.String}, Optional: true},
			{Name: "select", Type: column.Type{Kind: column.String}, Optional: true}, // a reserved word of SQL
			{Name: "n", Type: column.Type{Kind: column.Int}, Optional: true},
			{Name: "at", Type: column.Type{Kind: column.Timestamp}, Optional: true},
			{Name: "yes", Type: column.Type{Kind: column.Bool}, Optional: true},
			{Name: "day", Type: column.Type{Kind: column.Date}, Optional: true},
			{Name: "heat", Type: column.Type{Kind: column.Float}, Optional: true},
			{Name: "whole", Type: decimal(18, 0), Optional: true},
			{Name: "price", Type: decimal(12, 2), Optional: true},
			{Name: "tiny", Type: decimal(4, 3), Optional: true},
			{Name: "part", Type: decimal(18, 18), Optional: true},
		},
	}
	var measures, sketches []definition.Measure
	measures = append(measures, definition.Measure{Name: "rows", Func: definition.Count})
	for _, c := range def.Columns {
		funcs := []definition.Func{definition.Count, definition.Min, definition.Max}
		if c.Type.Kind == column.Int || c.Type.Kind == column.Decimal {
			funcs = append(funcs, definition.Sum, definition.Avg)
		}
		for _, f := range funcs {
			measures = append(measures, definition.Measure{Name: string(f) + "_" + c.Name, Func: f, Column: c.Name, Type: c.Type})
		}
		if c.Type.Kind != column.Float {
			sketches = append(sketches,
				definition.Measure{Name: "few_" + c.Name, Func: definition.Distinct, Column: c.Name, Type: c.Type, K: 3},
				definition.Measure{Name: "all_" + c.Name, Func: definition.Distinct, Column: c.Name, Type: c.Type, K: 1024})
		}
		if slices.Contains([]column.Kind{column.Int, column.Decimal, column.Float}, c.Type.Kind) {
			for _, e := range []string{"0.01", "0.25"} {
				sketches = append(sketches, definition.Measure{Name: "quantiles_" + c.Name + e[2:], Func: definition.Quantiles, Column: c.Name, Type: c.Type, Error: e})
			}
		}
	}
	grains := []definition.Grain{
		definition.Minute, definition.FiveMinutes, definition.FifteenMinutes, definition.Hour,
		definition.Day, definition.Week, definition.Month, definition.None,
	}
	for i, by := range [][]string{{"word"}, {}, {"select", "n"}, {"price"}, {"at", "word"}, {"yes", "day"}, {"tiny", "part", "word", "whole"}, {}} {
		// Not of the loop's grain only: dimensions and grains in other pairs.
		def.Views = append(def.Views,
			definition.View{Name: fmt.Sprintf("a%d", i), By: by, Every: grains[i], Measures: measures},
			definition.View{Name: fmt.Sprintf("b%d", i), By: by, Every: grains[len(grains)-1-i], Measures: slices.Concat(sketches[i*len(sketches)/8:(i+1)*len(sketches)/8], measures)})
		if i%2 == 1 {
			def.Views[len(def.Views)-1].Where = &expr.Expr{Text: "what the random rows say"}
		}
	}
	for i, keep := range [][]definition.Keep{
		{{For: time.Hour, Every: definition.Minute}, {For: 30 * time.Hour, Every: definition.Hour}, {For: 200 * 24 * time.Hour, Every: definition.Day}, {Every: definition.Month}},
		{{For: time.Second, Every: definition.FifteenMinutes}, {Every: definition.Day}},
		{{For: time.Hour, Every: definition.FiveMinutes}, {For: 2 * time.Hour, Every: definition.FifteenMinutes}, {Every: definition.Week}},
	} {
		def.Views = append(def.Views, definition.View{Name: fmt.Sprintf("k%d", i), By: []string{"word"}, Every: keep[0].Every, Keep: keep, Measures: slices.Concat(sketches[5*i:5*i+2], measures)})
	}
	return def
}

var words = []string{
	"", "a", "A", "a\x00", "a\x00b", "\x00", "\x00\x00", "é", "e\u0301", "z", "zz", "日本", "\uffff", "\U00010000", "'; DROP TABLE rows; --",
	`"quoted"`, "twelve bytes", "twelve bytes\x00", "a word of more than twelve bytes", "a word of more than twelve bytes\x00", " ", "NULL", "a\xcc\x80",
}

// rowsOf makes n random rows of a shard, at the positions from first on.
func rowsOf(r *rand.Rand, def *definition.Definition, shard string, first, n int) *rowlogic.Batch {
	b := &rowlogic.Batch{
		Shard: shard, Events: make([]protocol.Event, n), Outcome: make([]rowlogic.Outcome, n),
		Reason: make([]string, n), Detail: make([]string, n), Hash: make([]uint64, n),
		Times: map[definition.Grain]*column.Vector{},
	}
	for _, c := range def.Columns {
		b.Columns = append(b.Columns, column.NewVector(c.Type, n))
	}
	for _, v := range def.AllViews() {
		for _, g := range v.Grains() {
			b.Times[g] = column.NewVector(column.Type{Kind: column.Timestamp}, n)
		}
	}
	for i := range n {
		b.Events[i] = protocol.Event{
			Position:     protocol.Position{Seq: fmt.Sprint(first + i)},
			PartitionKey: words[r.IntN(len(words))], Arrival: 1_700_000_000_000 + r.Int64N(1e9),
			Data: fmt.Appendf(nil, `{"row":%d}`, first+i), Last: true,
		}
		b.Hash[i] = protocol.Hash(shard, &b.Events[i])
		randomRow(r, def, b, i)
	}
	b.Inputs = inputsOf(r, def, b)
	return b
}

// inputsOf makes what row logic makes of accepted rows for the views; which of
// them a view takes is random.
func inputsOf(r *rand.Rand, def *definition.Definition, b *rowlogic.Batch) map[string]*column.Vector {
	out := map[string]*column.Vector{}
	for _, in := range def.Inputs() {
		made := column.NewVector(in.Type, len(b.Events))
		out[in.Name] = made
		of := slices.IndexFunc(def.Columns, func(c definition.Column) bool { return c.Name == in.Measure.Column })
		for i := range b.Events {
			switch {
			case !b.Accepted(i):
			case in.View != "":
				made.Set(i, column.Value{Int: r.Int64N(2)})
			case b.Columns[of].Nulls[i]:
			case in.Measure.Func == definition.Distinct:
				made.Set(i, column.Value{Int: measure.Hash(in.Measure.Type, b.Columns[of].At(i))})
			default:
				buckets, err := measure.NewBuckets(in.Measure.Type, in.Measure.Error)
				if err != nil {
					panic(err)
				}
				if n, ok := buckets.Of(b.Columns[of].At(i)); ok {
					made.Set(i, column.Value{Int: n})
				}
			}
		}
	}
	return out
}

func randomRow(r *rand.Rand, def *definition.Definition, b *rowlogic.Batch, i int) {
	switch r.IntN(10) {
	case 0:
		b.Outcome[i], b.Reason[i], b.Detail[i] = rowlogic.Rejected, words[1+r.IntN(4)], "for people"
		return
	case 1:
		b.Outcome[i] = rowlogic.Dropped
	default:
		b.Outcome[i] = rowlogic.Accepted
	}
	at := time.Date(2014, 11, 1, 0, 0, 0, 0, time.UTC).UnixMicro() + r.Int64N(3*86400e6) // clocks change on the 2nd
	if r.IntN(20) == 0 {
		at = -r.Int64N(62135596800e6) // years 1 to 1969
	}
	for g, v := range b.Times {
		v.Set(i, column.Value{Int: view.Bucket(g, def.Zone, at)})
	}
	for k, c := range def.Columns {
		if r.IntN(6) > 0 {
			b.Columns[k].Set(i, randomValue(r, c.Type))
		}
	}
}

func randomValue(r *rand.Rand, t column.Type) column.Value {
	switch t.Kind {
	case column.String:
		return column.Value{Str: words[r.IntN(len(words))]}
	case column.Timestamp:
		return column.Value{Int: r.Int64N(20) * 1_234_567_890_123 * int64(1-2*r.IntN(2))}
	}
	switch t.Kind {
	case column.Bool:
		return column.Value{Int: r.Int64N(2)}
	case column.Date:
		return column.Value{Int: []int64{-719162, -1, 0, 16375, 2932896, r.Int64N(20)}[r.IntN(6)]} // years 1 to 9999
	case column.Float:
		of := []float64{0, 0.1, -0.1, 1e300, -1e300, math.MaxFloat64, math.SmallestNonzeroFloat64, -math.SmallestNonzeroFloat64, r.NormFloat64()}
		return column.Value{Float: of[r.IntN(len(of))]}
	}
	limit := int64(math.MaxInt64)
	if t.Kind == column.Decimal {
		limit = 1
		for range t.Precision {
			limit *= 10
		}
		limit--
	}
	switch r.IntN(4) {
	case 0:
		return column.Value{Int: limit}
	case 1:
		if t.Kind == column.Int {
			return column.Value{Int: math.MinInt64}
		}
		return column.Value{Int: -limit}
	case 2:
		return column.Value{Int: r.Int64N(min(limit, 20)) - 10}
	}
	return column.Value{Int: r.Int64N(limit) * int64(1-2*r.IntN(2))}
}

// bench is a directory with a master dataset and versions.
type bench struct {
	t     testing.TB
	def   *definition.Definition
	dir   string
	files []protocol.File
}

func newBench(t testing.TB, def *definition.Definition) *bench {
	// A path that means something else to SQL, to globs and to Hive.
	dir := filepath.Join(t.TempDir(), "it's [a] day=1 *?")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return &bench{t: t, def: def, dir: dir}
}

// store writes a file of the master dataset.
func (b *bench) store(rows ...*rowlogic.Batch) {
	b.t.Helper()
	name := fmt.Sprintf("m%03d.parquet", len(b.files))
	f, err := os.Create(filepath.Join(b.dir, name))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := archive.Write(f, b.def, rows...); err != nil {
		b.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.files = append(b.files, protocol.File{Name: name})
}

func (b *bench) engine(options duckdb.Options) *duckdb.Engine {
	options.TempDir = b.dir
	return duckdb.New(b.def, duckdb.Paths{
		Master: func(name string) string { return filepath.Join(b.dir, name) },
		View:   func(version, name string) string { return filepath.Join(b.dir, version, name) },
	}, options)
}

func (b *bench) job(cut map[string]string) batch.Job {
	plan := protocol.Plan{Cut: map[string]protocol.Cut{}, T: time.Date(2014, 11, 3, 12, 0, 0, 0, time.UTC).UnixMilli()} // within the rows' days
	for shard, seq := range cut {
		plan.Cut[shard] = protocol.Cut{Through: protocol.Position{Seq: seq}}
	}
	return batch.Job{Plan: plan, Files: b.files, Version: "v00000001-" + strings.ToLower("A")}
}
