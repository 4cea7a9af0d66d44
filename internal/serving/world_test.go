package serving_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/measure"
	"github.com/watershed-data/watershed/internal/memory"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/serving"
	"github.com/watershed-data/watershed/internal/view"
	"github.com/watershed-data/watershed/internal/viewfile/viewfiletest"
)

// now is the fixed clock of all tests: 2014-12-01T00:00:00Z.
const now = int64(1417392000000)

func fixedClock() int64 { return now }

func parse(t testing.TB, text string) *definition.Definition {
	t.Helper()
	def, err := definition.Parse("pipeline.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return def
}

// fact is one accepted row: its values by column.
type fact map[string]column.Value

func text(s string) column.Value { return column.Value{Str: s} }
func whole(n int64) column.Value { return column.Value{Int: n} }

// world is a pipeline in memory whose views are filled by hand, without row
// logic and batch runs.
type world struct {
	t        testing.TB
	def      *definition.Definition
	log      *memory.Log
	ledger   *memory.Ledger
	realTime *memory.RealTime
	views    *memory.Views
	manifest protocol.Manifest
}

func newWorld(t testing.TB, def *definition.Definition, shards int) *world {
	w := &world{t: t, def: def, log: memory.NewLog(shards), ledger: memory.NewLedger(), realTime: memory.NewRealTime(), views: memory.NewViews()}
	w.manifest = protocol.Manifest{Version: "v00000001-a", Seq: 1, T: now - 3600_000, Cut: map[string]protocol.Cut{}, Views: map[string][]protocol.ViewFile{}}
	w.realTime.PageSize = 10_000 // a page of the store in memory costs as much as all of them
	return w
}

func (w *world) reader() *protocol.Reader {
	return &protocol.Reader{Log: w.log, Ledger: w.ledger, RealTime: w.realTime, Views: w.views}
}

func (w *world) service(limits serving.Limits) *serving.Service {
	s := serving.New(w.def, w.reader(), fixedClock, limits)
	w.t.Cleanup(func() {
		if err := s.Close(); err != nil {
			w.t.Error(err)
		}
	})
	return s
}

// cells groups facts into the cells of a view, as real-time items hold them.
func (w *world) cells(v definition.View, facts []fact) map[protocol.Key][]measure.State {
	return w.cellsBy(view.Unrolled(v, w.def.Zone), v, facts)
}

// cellsBy groups facts into the cells of a view, old ones rolled up.
func (w *world) cellsBy(rollup view.Rollup, v definition.View, facts []fact) map[protocol.Key][]measure.State {
	out := map[protocol.Key][]measure.State{}
	ms := measure.New(v)
	types := w.dimTypes(v)
	for _, f := range facts {
		if v.Outcomes {
			continue
		}
		dims := make([]column.Value, len(v.By))
		for i, name := range v.By {
			dims[i] = f[name]
		}
		key := protocol.Key{View: v.Name, Dims: view.EncodeDims(types, dims)}
		if v.Every != definition.None {
			key.Time = rollup.Bucket(f[w.def.Events.Time].Int)
		}
		if out[key] == nil {
			out[key] = make([]measure.State, len(ms))
		}
		for i, m := range ms {
			m.Add(&out[key][i], f[m.Column])
		}
	}
	return out
}

func (w *world) dimTypes(v definition.View) []column.Type {
	types := make([]column.Type, len(v.By))
	for i, name := range v.By {
		c, _ := w.def.Column(name)
		types[i] = c.Type
	}
	return types
}

// publish stores a version made of the facts, in the given number of files per
// view, and makes it the current one.
func (w *world) publish(facts []fact, files int) {
	ctx := context.Background()
	for _, v := range w.def.AllViews() {
		all := w.cellsBy(view.RolledUp(v, w.def.Zone, w.manifest.T), v, facts)
		keys := make([]protocol.Key, 0, len(all))
		for k := range all {
			keys = append(keys, k)
		}
		slices.SortFunc(keys, func(a, b protocol.Key) int {
			return cmp.Or(cmp.Compare(a.Time, b.Time), strings.Compare(a.Dims, b.Dims))
		})
		for i := range files {
			part := keys[len(keys)*i/files : len(keys)*(i+1)/files]
			name := fmt.Sprintf("%s-%d.parquet", v.Name, i)
			w.views.Write(w.manifest.Version, name, w.encode(v, part, all))
			w.manifest.Views[v.Name] = append(w.manifest.Views[v.Name], protocol.ViewFile{Name: name, Rows: int64(len(part))})
		}
	}
	must(w.t, w.views.PutManifest(ctx, w.manifest))
	old, err := w.ledger.Pointer(ctx)
	must(w.t, err)
	if ok, err := w.ledger.SwapPointer(ctx, old, protocol.Pointer{Seq: w.manifest.Seq, Version: w.manifest.Version}); err != nil || !ok {
		w.t.Fatal("the version was not published", err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// encode writes a view file with the columns that viewfile lays out.
func (w *world) encode(v definition.View, keys []protocol.Key, all map[protocol.Key][]measure.State) []byte {
	cells := make([]viewfiletest.Cell, len(keys))
	for i, key := range keys {
		dims, err := view.DecodeDims(w.dimTypes(v), key.Dims)
		must(w.t, err)
		cells[i] = viewfiletest.Cell{Time: key.Time, Dims: dims, States: all[key]}
	}
	file, err := viewfiletest.Encode(w.def, v, cells, parquet.PageBufferSize(512), parquet.MaxRowsPerRowGroup(200))
	must(w.t, err)
	return file
}

func at(n int64) protocol.Position { return protocol.Position{Seq: strconv.FormatInt(n, 10)} }

// commit gives a shard a ledger row that is committed up to the position.
func (w *world) commit(shard string, row protocol.Row) {
	if ok, err := w.ledger.Create(context.Background(), shard, row); err != nil || !ok {
		w.t.Fatal("the ledger row was not stored", err)
	}
}

// put stores a real-time item.
func (w *world) put(it protocol.Item) {
	if ok, err := w.realTime.Put(context.Background(), []protocol.Put{{Item: it}}); err != nil || !ok[0] {
		w.t.Fatal("the item was not stored", err)
	}
}

// items stores facts as real-time items of a shard and epoch: committed up to
// the position through, and some of them with a batch on top that is not.
func (w *world) items(rng *rand.Rand, shard string, epoch int64, through protocol.Position, facts []fact) {
	for _, v := range w.def.AllViews() {
		ms := measure.New(v)
		for key, states := range w.cells(v, facts) {
			it := protocol.Item{ItemID: protocol.ItemID{Key: key, Epoch: epoch, Shard: shard}, Cur: measure.Encode(ms, states), Through: through}
			if rng.IntN(3) == 0 { // a batch that is written and not committed
				measure.MergeAll(ms, states, states)
				it.Prev, it.PrevThrough = it.Cur, it.Through
				it.Cur, it.Through = measure.Encode(ms, states), protocol.Position{Seq: through.Seq + "9"}
			}
			w.put(it)
		}
	}
}

// fill spreads the facts at random over version, shards and epochs. Every
// answer depends on the facts only.
func (w *world) fill(rng *rand.Rand, shards int, facts []fact) {
	const epochs = 3 // 0 is what the version covers
	parts := make([][]fact, 1+shards*(epochs-1))
	for _, f := range facts {
		i := rng.IntN(len(parts))
		parts[i] = append(parts[i], f)
	}
	through := at(1000)
	for i := range shards {
		shard := memory.ShardID(i)
		w.manifest.Cut[shard] = protocol.Cut{Epoch: 0, Through: at(500), Count: 1}
		w.commit(shard, protocol.Row{Epoch: epochs - 1, Through: through, Count: int64(len(facts)), MaxArrival: now})
		w.items(rng, shard, 0, through, facts) // covered by the version: to be ignored
		for e := 1; e < epochs; e++ {
			w.items(rng, shard, int64(e), through, parts[1+i*(epochs-1)+e-1])
		}
		// Written and not committed at all: to be ignored.
		for _, v := range w.def.AllViews() {
			for key, states := range w.cells(v, facts[:1]) {
				w.put(protocol.Item{ItemID: protocol.ItemID{Key: key, Epoch: epochs, Shard: shard}, Cur: measure.Encode(measure.New(v), states), Through: at(1001)})
			}
		}
	}
	w.publish(parts[0], 1+rng.IntN(3))
}

// show gives an answer as JSON.
func show(t testing.TB, a *serving.Answer) string {
	t.Helper()
	var b bytes.Buffer
	must(t, a.WriteJSON(&b))
	return b.String()
}

// rowsOf gives the part of an answer's JSON that holds the rows.
func rowsOf(t testing.TB, a *serving.Answer) string {
	t.Helper()
	_, rows, found := strings.Cut(show(t, a), `"columns":`)
	if !found {
		t.Fatal("the answer has no columns")
	}
	return rows
}

func query(t testing.TB, s *serving.Service, q serving.Query) *serving.Answer {
	t.Helper()
	a, err := s.Query(t.Context(), q)
	if err != nil {
		t.Fatalf("%+v: %v", q, err)
	}
	return a
}

func must1[T any](x T, ok bool) T {
	if !ok {
		panic("not found")
	}
	return x
}

// encode gives the states of a view as real-time items hold them.
func encode(w *world, name string, states []measure.State) []byte {
	return measure.Encode(measure.New(must1(w.def.View(name))), states)
}
