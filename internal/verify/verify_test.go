package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/measure"
	"github.com/watershed-data/watershed/internal/memory"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
	"github.com/watershed-data/watershed/internal/speed"
)

const sales = `
pipeline: sales
events:
  format: json
  columns:
    product: {type: string}
    price:   {type: decimal(12,2), optional: true}
    sold_at: {type: timestamp}
  time: sold_at
clean:
  - require: "coalesce(price, 0) >= 0"
    reason: negative price
  - drop: "product == 'test'"
views:
  by_product:
    by: [product]
    every: 1h
    measures: {sales: count, revenue: sum(price), least: min(price), last: max(sold_at), average: avg(price)}
  all_time:
    by: []
    every: none
    measures: {sales: count, revenue: sum(price)}
`

// world is a pipeline whose master dataset, log and answer are made by hand, so
// that each can be wrong on its own.
type world struct {
	def      *definition.Definition
	log      *memory.Log
	master   *memory.Master
	folder   *speed.Folder
	snapshot *protocol.Snapshot
	answer   map[protocol.Key][]byte
	most     int // cells that are given at once; 0: all
}

var errTooLarge = errors.New("too many cells at once")

const shards = 3

// newWorld puts events into the log, the first cut of each shard's into the
// master dataset, and all up to through into the answer.
func newWorld(t *testing.T, events, cut, through int) *world {
	t.Helper()
	def, err := definition.Parse("pipeline.yaml", []byte(sales))
	if err != nil {
		t.Fatal(err)
	}
	logic, err := rowlogic.New(def)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		def: def, log: memory.NewLog(shards), master: memory.NewMaster(), folder: speed.NewFolder(def, logic),
		snapshot: &protocol.Snapshot{Rows: map[string]protocol.Row{}}, answer: map[protocol.Key][]byte{},
	}
	random := rand.New(rand.NewPCG(7, 7))
	manifest := &protocol.Manifest{Version: "v00000001-a", Cut: map[string]protocol.Cut{}}
	for s := range shards {
		shard := memory.ShardID(s)
		for i := range events {
			w.log.Append(shard, fmt.Sprint("key", i), int64(i), event(random))
		}
		all := w.read(t, shard)
		if cut > 0 {
			c := figures(shard, all[:cut])
			manifest.Cut[shard] = protocol.Cut{Through: c.Through, Count: c.Count, Sum: c.Sum}
			w.snapshot.Manifest = manifest
			w.store(t, shard, all[:cut/2])
			w.store(t, shard, all[cut/2:cut])
		}
		w.snapshot.Rows[shard] = figures(shard, all[:through])
		w.fold(t, shard, all[:through])
	}
	return w
}

func event(r *rand.Rand) []byte {
	if r.IntN(10) == 0 {
		return []byte(`{"product":`)
	}
	return fmt.Appendf(nil, `{"product":"%s","price":%d.%02d,"sold_at":%d}`,
		[]string{"tea", "coffee", "test", "\u00e9"}[r.IntN(4)], r.IntN(20)-2, r.IntN(100), 1_400_000_000+r.IntN(100_000))
}

func figures(shard string, events []protocol.Event) protocol.Row {
	var row protocol.Row
	for i := range events {
		row.Count++
		row.Sum = row.Sum.Add(protocol.Hash(shard, &events[i]))
		row.Through = events[i].Position
	}
	return row
}

func (w *world) read(t *testing.T, shard string) []protocol.Event {
	t.Helper()
	page, err := w.log.Read(context.Background(), shard, protocol.Position{}, 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	return page.Events
}

// fold adds events to the answer as the speed layer would.
func (w *world) fold(t *testing.T, shard string, events []protocol.Event) {
	t.Helper()
	folded, err := w.folder.Fold(context.Background(), shard, events, protocol.Seen{})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range folded.Deltas {
		if old := w.answer[d.Key]; old != nil {
			if d.State, err = w.folder.Merge(d.Key.View, old, d.State); err != nil {
				t.Fatal(err)
			}
		}
		w.answer[d.Key] = d.State
	}
}

// stored is a row of the tests' master files, one JSON value after the other.
type stored struct {
	Shard string
	Event protocol.Event
}

func (w *world) store(t *testing.T, shard string, events []protocol.Event) {
	t.Helper()
	_, err := w.master.Put(context.Background(), shard, func(out io.Writer) error {
		e := json.NewEncoder(out)
		for _, ev := range events {
			if err := e.Encode(stored{shard, ev}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func scan(r io.ReaderAt, size int64, fn func(string, protocol.Event) error) error {
	d := json.NewDecoder(io.NewSectionReader(r, 0, size))
	for {
		var row stored
		if err := d.Decode(&row); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := fn(row.Shard, row.Event); err != nil {
			return err
		}
		clear(row.Event.Data) // the callback's only during the call
	}
}

// Cells implements Service.
func (w *world) Cells(_ context.Context, views []string, wanted func(string, protocol.Key) bool, visit func(string, protocol.Key, []measure.State) error) (*protocol.Snapshot, error) {
	visited := 0
	for key, state := range w.answer {
		if !slices.Contains(views, key.View) || wanted != nil && !wanted(key.View, key) {
			continue
		}
		if w.most > 0 && visited == w.most {
			return nil, errTooLarge
		}
		visited++
		v, _ := w.def.View(key.View)
		states, err := measure.Decode(measure.New(v), state)
		if err != nil {
			return nil, err
		}
		if err := visit(key.View, key, states); err != nil {
			return nil, err
		}
	}
	return w.snapshot, nil
}

func (w *world) run(t *testing.T, views ...string) *Result {
	t.Helper()
	r, err := Run(context.Background(), Options{Def: w.def, Service: w, Log: w.log, Master: w.master, Scan: scan, Views: views})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestEqualWhateverLiesWhere(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                 string
		events, cut, through int
	}{
		{"no version yet", 300, 0, 300},
		{"a version and events behind it", 300, 200, 300},
		{"the version holds all", 300, 300, 300},
		{"the log is ahead of the answer", 300, 100, 200},
		{"no events", 0, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.events, c.cut, c.through)
			r := w.run(t)
			if !r.Equal {
				t.Fatalf("differences: %+v", r.Differences)
			}
			if r.Events != int64(shards*c.through) || r.FromMaster != int64(shards*c.cut) || r.FromLog != r.Events-r.FromMaster {
				t.Errorf("recomputed %d events, %d from the master dataset and %d from the log", r.Events, r.FromMaster, r.FromLog)
			}
			if r.Cells != int64(len(w.answer)) {
				t.Errorf("compared %d cells of %d", r.Cells, len(w.answer))
			}
		})
	}
}

// A repair writes rows that are there already; files overlap and come in any
// order. None of that is a difference.
func TestRowsStoredTwiceCountOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 300, 200, 300)
	all := w.read(t, memory.ShardID(1))
	w.store(t, memory.ShardID(1), all[50:250]) // over the cut, too
	w.store(t, memory.ShardID(1), append(slices.Clone(all[120:130]), all[10:125]...))
	r := w.run(t)
	if !r.Equal || r.FromMaster != shards*200 {
		t.Errorf("%d events from the master dataset, differences: %+v", r.FromMaster, r.Differences)
	}
}

func TestWhatIsWrongIsFound(t *testing.T) {
	t.Parallel()
	tea := func(w *world) protocol.Key {
		keys := make([]protocol.Key, 0, len(w.answer))
		for key := range w.answer {
			if key.View == "by_product" {
				keys = append(keys, key)
			}
		}
		return slices.MinFunc(keys, func(a, b protocol.Key) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	}
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, w *world)
		want  []string // of the text
	}{
		{"an event counted twice", func(t *testing.T, w *world) { w.fold(t, memory.ShardID(0), w.read(t, memory.ShardID(0))[:1]) },
			[]string{"DIFFERENT"}},
		{"a cell that no event made", func(t *testing.T, w *world) {
			key := tea(w)
			key.Time -= 3600e6 * 1000
			w.answer[key] = w.answer[tea(w)]
		}, []string{"1 differences", "cell is there, recomputed absent"}},
		{"a cell that is lost", func(t *testing.T, w *world) { delete(w.answer, tea(w)) },
			[]string{"1 differences", "cell is absent, recomputed there"}},
		{"a lost row of the master dataset", func(t *testing.T, w *world) {
			w.master = memory.NewMaster()
			for s := range shards {
				all := w.read(t, memory.ShardID(s))
				w.store(t, memory.ShardID(s), append(slices.Clone(all[:33]), all[34:200]...))
			}
		}, []string{"master dataset of " + memory.ShardID(0) + ": events is 200, recomputed 199", "ledger of " + memory.ShardID(2) + ": events is 300, recomputed 299"}},
		{"a row that differs from the event", func(t *testing.T, w *world) {
			ev := w.read(t, memory.ShardID(0))[40]
			ev.Data = []byte(`{"product":"tea","price":1,"sold_at":0}`)
			w.store(t, memory.ShardID(0), []protocol.Event{ev})
		}, []string{"event is two different events, recomputed one event"}},
		{"a lost event and a doubled one", func(t *testing.T, w *world) {
			row := w.snapshot.Rows[memory.ShardID(1)]
			row.Sum.Lo++
			w.snapshot.Rows[memory.ShardID(1)] = row
		}, []string{"1 differences", "ledger of " + memory.ShardID(1) + ": checksum is"}},
		{"an answer beyond the log", func(t *testing.T, w *world) {
			row := w.snapshot.Rows[memory.ShardID(1)]
			row.Through.Seq += "0"
			row.Count++
			w.snapshot.Rows[memory.ShardID(1)] = row
		}, []string{"1 differences", "ledger of " + memory.ShardID(1) + ": events is 301, recomputed 300"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 300, 200, 300)
			c.spoil(t, w)
			r := w.run(t)
			var text strings.Builder
			if err := r.WriteTable(&text); err != nil {
				t.Fatal(err)
			}
			if r.Equal {
				t.Fatalf("it went unnoticed:\n%s", &text)
			}
			for _, want := range c.want {
				if !strings.Contains(text.String(), want) {
					t.Errorf("the result does not say %q:\n%s", want, &text)
				}
			}
		})
	}
}

func TestOneViewOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 100, 50, 100)
	r := w.run(t, "all_time")
	if !r.Equal || r.Cells != 1 || len(r.Views) != 1 {
		t.Errorf("compared %d cells of %d views: %+v", r.Cells, len(r.Views), r.Differences)
	}
	_, err := Run(context.Background(), Options{Def: w.def, Service: w, Log: w.log, Master: w.master, Scan: scan, Views: []string{"sale"}})
	var unknown *UnknownViewError
	if !errors.As(err, &unknown) {
		t.Errorf("a view that does not exist gave %v", err)
	}
}

func TestFewDifferencesAreKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 300, 0, 300)
	for key := range w.answer {
		if key.View == "by_product" {
			delete(w.answer, key)
		}
	}
	r := w.run(t)
	if len(r.Differences) != defaultMost || r.DifferenceCount <= defaultMost {
		t.Errorf("%d differences of %d are kept", len(r.Differences), r.DifferenceCount)
	}
	var text strings.Builder
	if err := r.WriteTable(&text); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("and %d more", r.DifferenceCount-defaultMost); !strings.Contains(text.String(), want) {
		t.Errorf("the text does not say %q", want)
	}
}

func TestJSONComesBackTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 50, 20, 50)
	delete(w.answer, protocol.Key{View: "all_time"})
	r := w.run(t)
	var first, second strings.Builder
	if err := r.WriteJSON(&first); err != nil {
		t.Fatal(err)
	}
	var back Result
	if err := json.Unmarshal([]byte(first.String()), &back); err != nil {
		t.Fatal(err)
	}
	if err := back.WriteJSON(&second); err != nil || first.String() != second.String() {
		t.Errorf("%v: %s became %s", err, &first, &second)
	}
}

// Without this, a pipeline with more cells than fit in memory cannot be verified,
// or a part is left out.
func TestManyCellsAreComparedInParts(t *testing.T) {
	t.Parallel()
	parts := func(w *world, tooLarge func(error) bool) (*Result, error) {
		return Run(t.Context(), Options{Def: w.def, Service: w, Log: w.log, Master: w.master, Scan: scan, TooLarge: tooLarge})
	}
	is := func(err error) bool { return errors.Is(err, errTooLarge) }
	w := newWorld(t, 300, 200, 300)
	whole := w.run(t)
	w.most = len(w.answer) / 3
	r, err := parts(w, is)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Equal || r.Parts < 3 || r.Cells != whole.Cells || r.Events != whole.Events || fmt.Sprint(r.Views, r.Outcomes) != fmt.Sprint(whole.Views, whole.Outcomes) {
		t.Errorf("in %d parts: %+v, as a whole: %+v", r.Parts, r, whole)
	}
	for key := range w.answer {
		missing := w.answer[key]
		delete(w.answer, key)
		if r, err := parts(w, is); err != nil || r.Equal || r.DifferenceCount != 1 {
			t.Errorf("a lost cell is one difference: %+v, %v", r, err)
		}
		w.answer[key] = missing
		break
	}
	w.most = 0
	if _, err := parts(w, is); err != nil {
		t.Error(err)
	}
	w.most = 1
	if _, err := parts(w, nil); !errors.Is(err, errTooLarge) {
		t.Errorf("an error that nobody asked to avoid: %v", err)
	}
}
