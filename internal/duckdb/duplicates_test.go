package duckdb_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/batch"
	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/duckdb"
	"github.com/watershed-data/watershed/internal/measure"
	"github.com/watershed-data/watershed/internal/memory"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
	"github.com/watershed-data/watershed/internal/speed"
	"github.com/watershed-data/watershed/internal/verify"
	"github.com/watershed-data/watershed/internal/view"
)

// orders has an event id of some type, and rules of clean that must not decide
// what is a duplicate.
const orders = `
pipeline: orders
events:
  format: json
  columns:
    order:   {type: %s, optional: true}
    product: {type: string}
    price:   {type: "decimal(8,2)"}
    at:      {type: timestamp}
  time: at
  id: order
  dedupe_within: 15m
clean:
  - default: {order: %s}
  - require: "price >= 0"
    reason: negative price
  - drop: "product == 'test'"
views:
  by_product:
    by: [product]
    every: 1m
    measures: {sales: count, revenue: sum(price), last: max(at)}
  all_time:
    by: []
    every: none
    measures: {sales: count, revenue: sum(price)}
`

const (
	minute = 60_000 // milliseconds
	within = 15 * minute
)

// stream is a pipeline with its sources, played by a random hand.
type stream struct {
	*rand.Rand
	t       *testing.T
	def     *definition.Definition
	logic   *rowlogic.Logic
	log     *memory.Log
	ledger  *memory.Ledger
	items   *flaky
	views   *memory.Views
	folders []*speed.Folder // of several processes
	open    []protocol.Shard
	sent    []sent
	now     int64
}

// sent is an event that may be sent again.
type sent struct {
	protocol.Record
	at int64
}

func newStream(t *testing.T, seed uint64) *stream {
	types := []string{"string", "int", `"decimal(9,2)"`, "timestamp"}
	constants := []string{"none", "0", "0", `"2020-01-01T00:00:00Z"`}
	def, err := definition.Parse("orders.yaml", fmt.Appendf(nil, orders, types[seed%4], constants[seed%4]))
	if err != nil {
		t.Fatal(err)
	}
	logic, err := rowlogic.New(def)
	if err != nil {
		t.Fatal(err)
	}
	s := &stream{
		Rand: rand.New(rand.NewPCG(seed, 5)), t: t, def: def, logic: logic, log: memory.NewLog(1), ledger: memory.NewLedger(),
		views: memory.NewViews(), now: 1_700_000_000_000,
	}
	s.items = &flaky{RealTime: memory.NewRealTime(), Rand: s.Rand}
	for range 3 {
		s.folders = append(s.folders, speed.NewFolder(def, logic))
	}
	s.relist()
	return s
}

func (s *stream) relist() {
	shards, err := s.log.Shards(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	s.open = slices.DeleteFunc(shards, protocol.Shard.Closed)
}

// home gives the shard that a partition key hashes to.
func (s *stream) home(key string) string {
	sum := md5.Sum([]byte(key))
	h := new(big.Int).SetBytes(sum[:])
	for _, shard := range s.open {
		from, _ := new(big.Int).SetString(shard.HashFrom, 10)
		to, _ := new(big.Int).SetString(shard.HashTo, 10)
		if h.Cmp(from) >= 0 && h.Cmp(to) <= 0 {
			return shard.ID
		}
	}
	s.t.Fatalf("no shard takes %s", key)
	return ""
}

// event makes an event, or takes one that was sent before: some within the
// window, some just outside of it.
func (s *stream) event() protocol.Record {
	if len(s.sent) > 0 && s.IntN(3) == 0 {
		again := s.sent[len(s.sent)-1-s.IntN(min(len(s.sent), 60))]
		if s.IntN(4) == 0 { // exactly at the edge of the window
			s.now = max(s.now, again.at+within+int64(s.IntN(2)))
		}
		return again.Record
	}
	n := s.IntN(100_000)
	id := []string{"null", `""`, fmt.Sprint(n), fmt.Sprint(n), fmt.Sprint(n % 7), fmt.Sprintf("%d.00", n), fmt.Sprintf("%de0", n%7)}[s.IntN(7)]
	r := protocol.Record{
		PartitionKey: fmt.Sprint("k", s.IntN(12)),
		Data: fmt.Appendf(nil, `{"order":%s,"product":"%s","price":%d,"at":%d}`,
			id, []string{"tea", "coffee", "test"}[s.IntN(3)], s.IntN(20)-3, 1_600_000_000+n%300),
	}
	if s.IntN(15) == 0 {
		r.Data = r.Data[:len(r.Data)-1]
	}
	return r
}

// send puts one record into the log.
func (s *stream) send() {
	s.now += []int64{0, 1, 1000, minute, 3 * minute}[s.IntN(5)]
	if s.IntN(60) == 0 {
		s.now += 40 * minute
	}
	events := []protocol.Record{s.event()}
	shard := s.home(events[0].PartitionKey)
	aggregated := s.IntN(4) == 0
	for aggregated && s.IntN(3) > 0 { // some of them belong elsewhere
		events = append(events, s.event())
	}
	if s.IntN(8) == 0 { // a producer that chooses the shard itself
		shard = s.open[s.IntN(len(s.open))].ID
	}
	arrival := s.now - int64(s.IntN(2))*int64(s.IntN(50))*minute // backwards, within the slack
	s.log.Put(shard, arrival, aggregated, events...)
	for _, e := range events {
		s.sent = append(s.sent, sent{e, arrival})
	}
}

func (s *stream) reshard() {
	parents, children := []string{s.open[s.IntN(len(s.open))].ID}, 2
	if len(s.open) > 1 && s.IntN(2) == 0 { // neighbours merge
		slices.SortFunc(s.open, func(a, b protocol.Shard) int {
			x, _ := new(big.Int).SetString(a.HashFrom, 10)
			y, _ := new(big.Int).SetString(b.HashFrom, 10)
			return x.Cmp(y)
		})
		i := s.IntN(len(s.open) - 1)
		parents, children = []string{s.open[i].ID, s.open[i+1].ID}, 1
	}
	s.log.Reshard(parents, children)
	s.relist()
}

func (s *stream) speed() *protocol.Speed {
	return &protocol.Speed{Log: s.log, Ledger: s.ledger, RealTime: s.items, Folder: s.folders[s.IntN(len(s.folders))], Now: func() int64 { return s.now }}
}

// apply applies a batch of a shard with random bounds, from behind any event: it
// may come again, and may fail at any write.
func (s *stream) apply(shard string, from protocol.Position, limit int) (protocol.Position, error) {
	page, err := s.log.Read(context.Background(), shard, from, limit)
	if err != nil {
		s.t.Fatal(err)
	}
	err = s.speed().Apply(context.Background(), protocol.Batch{Shard: shard, Events: page.Events})
	if err != nil && !errors.Is(err, errFlaky) && !errors.Is(err, protocol.ErrNotYet) && !errors.Is(err, protocol.ErrGap) {
		s.t.Fatal(err)
	}
	if err != nil || len(page.Events) == 0 {
		return from, err
	}
	return page.Events[len(page.Events)-1].Position, nil
}

// catchUp applies every shard to its end.
func (s *stream) catchUp() {
	shards, err := s.log.Shards(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	for _, shard := range shards {
		for {
			row, _, _ := s.ledger.Row(context.Background(), shard.ID)
			at, err := s.apply(shard.ID, row.Through, 1+s.IntN(40))
			if err == nil && at == row.Through {
				break
			}
		}
	}
}

// flaky is a store whose writes fail now and then, before or after they land.
type flaky struct {
	protocol.RealTime
	*rand.Rand
	segments, deleted int
}

var errFlaky = errors.New("the store is out of order")

func (f *flaky) fails() bool { return f.Rand != nil && f.IntN(25) == 0 }

func (f *flaky) Put(ctx context.Context, puts []protocol.Put) ([]bool, error) {
	if f.fails() {
		puts = puts[:f.IntN(len(puts)+1)]
		_, _ = f.RealTime.Put(ctx, puts)
		return nil, errFlaky
	}
	return f.RealTime.Put(ctx, puts)
}

func (f *flaky) PutSegment(ctx context.Context, s protocol.Segment) error {
	if f.fails() {
		return errFlaky
	}
	f.segments++
	return f.RealTime.PutSegment(ctx, s)
}

func (f *flaky) DeleteSegment(ctx context.Context, id protocol.SegmentID) error {
	if f.fails() {
		return errFlaky
	}
	f.deleted++
	return f.RealTime.DeleteSegment(ctx, id)
}

// noSegmentStays checks that once all lines of shards have moved on, the store
// holds no segment of their past, also none of shards that have ended.
func (s *stream) noSegmentStays(seed uint64) {
	s.items.Rand = nil
	s.folders = []*speed.Folder{speed.NewFolder(s.def, s.logic)} // a new process
	const rounds = 3
	for range rounds {
		s.now += 3 * 60 * minute
		for _, shard := range s.open {
			s.log.Put(shard.ID, s.now, false, protocol.Record{PartitionKey: "k", Data: []byte(`{"order":5,"product":"tea","price":1,"at":0}`)})
		}
		s.catchUp()
	}
	shards, err := s.log.Shards(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	left := 0
	for _, shard := range shards {
		segments, err := s.items.Segments(context.Background(), shard.ID)
		if err != nil {
			s.t.Fatal(err)
		}
		left += len(segments)
	}
	if left > 2*len(s.open) {
		s.t.Errorf("seed %d: %d segments are left of %d shards, %d of them open", seed, left, len(shards), len(s.open))
	}
}

type cells map[protocol.Key][]byte

func (c cells) merge(t *testing.T, f *speed.Folder, key protocol.Key, state []byte) {
	if old, ok := c[key]; ok {
		var err error
		if state, err = f.Merge(key.View, old, state); err != nil {
			t.Fatal(err)
		}
	}
	c[key] = bytes.Clone(state)
}

// realTime adds the items behind a cut, of all epochs if it is nil.
func (s *stream) realTime(into cells, cut map[string]protocol.Cut) {
	for _, v := range s.def.AllViews() {
		for token, more := "", true; more; {
			page, err := s.items.Query(context.Background(), v.Name, math.MinInt64, math.MaxInt64, token)
			if err != nil {
				s.t.Fatal(err)
			}
			for _, it := range page.Items {
				if c, ok := cut[it.Shard]; !ok || it.Epoch > c.Epoch {
					into.merge(s.t, s.folders[0], it.Key, it.Cur)
				}
			}
			token, more = page.Next, page.Next != ""
		}
	}
}

// computed gives what DuckDB makes of the master dataset up to a cut.
func (s *stream) computed(b *bench, cut map[string]protocol.Cut) cells {
	job := batch.Job{Plan: protocol.Plan{Cut: cut}, Files: b.files, Distinct: true, Version: fmt.Sprintf("v%08d-x", 1+s.IntN(1e6))}
	result, err := b.engine(duckdb.Options{}).Compute(context.Background(), job)
	if err != nil {
		s.t.Fatal(err)
	}
	for shard, c := range cut {
		if got := result.Figures[shard]; got != (batch.Figure{Count: c.Count, Sum: c.Sum}) {
			s.t.Errorf("the figures of %s are %+v, the ledger's %+v", shard, got, c)
		}
	}
	out := cells{}
	for _, v := range s.def.AllViews() {
		var types []column.Type
		for _, name := range v.By {
			c, _ := s.def.Column(name)
			types = append(types, c.Type)
		}
		for _, file := range result.Views[v.Name] {
			b.scan(s.t, job, file, v, math.MinInt64, math.MaxInt64, func(time int64, dims []column.Value, states []measure.State) error {
				key := protocol.Key{View: v.Name, Time: time, Dims: view.EncodeDims(types, dims)}
				out[key] = measure.Encode(measure.New(v), states)
				return nil
			})
		}
	}
	return out
}

// store writes the whole log to the master dataset, some of it twice.
func (s *stream) store(b *bench) {
	shards, err := s.log.Shards(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	for _, shard := range shards {
		page, err := s.log.Read(context.Background(), shard.ID, protocol.Position{}, math.MaxInt32)
		if err != nil {
			s.t.Fatal(err)
		}
		if n := len(page.Events); n > 0 {
			b.store(s.logic.Run(shard.ID, page.Events), s.logic.Run(shard.ID, page.Events[s.IntN(n):]))
		}
	}
}

func (s *stream) snapshot(version string, cut map[string]protocol.Cut) *protocol.Snapshot {
	shards, err := s.log.Shards(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	out := &protocol.Snapshot{Rows: map[string]protocol.Row{}, Lineage: protocol.NewLineage(shards)}
	if version != "" {
		out.Manifest = &protocol.Manifest{Version: version, Cut: cut}
	}
	for _, shard := range shards {
		if row, ok, _ := s.ledger.Row(context.Background(), shard.ID); ok {
			out.Rows[shard.ID] = row
		}
	}
	return out
}

// answer is a merged answer that verify can ask for.
type answer struct {
	*stream
	cells
	*protocol.Snapshot
}

func (a answer) Cells(_ context.Context, _ []string, _ func(string, protocol.Key) bool, visit func(string, protocol.Key, []measure.State) error) (*protocol.Snapshot, error) {
	for key, state := range a.cells {
		v, _ := a.def.View(key.View)
		states, err := measure.Decode(measure.New(v), state)
		if err != nil {
			return nil, err
		}
		if err := visit(key.View, key, states); err != nil {
			return nil, err
		}
	}
	return a.Snapshot, nil
}

// files reads the bench's files of the master dataset.
type files struct {
	protocol.Master
	*bench
}

func (f files) Pin(context.Context) (func(), error) { return func() {}, nil }

func (f files) Files(context.Context) ([]protocol.File, error) { return f.files, nil }

func (f files) Open(_ context.Context, name string) (protocol.ReadAtCloser, int64, error) {
	file, err := os.Open(filepath.Join(f.dir, name))
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	return file, info.Size(), err
}

// TestDuplicatesAreTheSameInEveryLayer is the law of duplicates: whatever is
// sent, split, merged, retried and evicted, the speed layer, the generated SQL
// and the oracle agree on what is a duplicate; and so does every merge of a
// version at some cut with what the speed layer has behind it.
func TestDuplicatesAreTheSameInEveryLayer(t *testing.T) {
	t.Parallel()
	seen := map[string]int64{}
	for seed := range uint64(12) {
		s := newStream(t, seed)
		checkpoint := map[string]protocol.Position{}
		var cut map[string]protocol.Cut
		for n := range 600 {
			switch {
			case s.IntN(150) == 0:
				s.reshard()
			case s.IntN(3) > 0:
				s.send()
			default:
				shards, _ := s.log.Shards(context.Background())
				shard := shards[s.IntN(len(shards))].ID
				from := checkpoint[shard]
				if s.IntN(10) == 0 {
					from = protocol.Position{} // an old batch comes again
				}
				if at, err := s.apply(shard, from, 1+s.IntN(30)); err == nil && at.After(checkpoint[shard]) {
					checkpoint[shard] = at
				}
			}
			if n == 400 {
				s.catchUp()
				plan, err := (&protocol.Run{Speed: s.speed(), Views: s.views, Now: func() int64 { return s.now }}).Plan(context.Background(), "run")
				if err != nil {
					t.Fatal(err)
				}
				cut = plan.Cut
			}
		}
		s.catchUp()
		b := newBench(t, s.def)
		s.store(b)

		live := cells{}
		s.realTime(live, nil)
		merged := s.computed(b, cut)
		s.realTime(merged, cut)
		end := map[string]protocol.Cut{}
		for shard, row := range s.snapshot("", nil).Rows {
			end[shard] = protocol.Cut{Through: row.Through, Count: row.Count, Sum: row.Sum}
		}
		s.same(seed, "the speed layer and a version of everything", live, s.computed(b, end))
		s.same(seed, "the speed layer and a version with what lies behind it", live, merged)
		for version, c := range map[string]map[string]protocol.Cut{"": nil, "v00000001-a": cut} {
			a := answer{s, live, s.snapshot(version, c)}
			result, err := verify.Run(context.Background(), verify.Options{Def: s.def, Service: a, Log: s.log, Master: files{bench: b}, Scan: scanStored})
			if err != nil {
				t.Fatal(err)
			}
			if !result.Equal {
				var text strings.Builder
				_ = result.WriteTable(&text)
				t.Errorf("seed %d: the oracle differs:\n%s", seed, &text)
			}
			for outcome, n := range result.Outcomes {
				seen[outcome] += n
			}
		}
		s.noSegmentStays(seed)
		seen["deleted"] += int64(s.items.deleted)
		seen["segments"] += int64(s.items.segments)
		if t.Failed() {
			return
		}
	}
	t.Log(seen)
	for what, least := range map[string]int64{"accepted": 2500, "rejected": 1000, "dropped": 1000, "duplicate": 800, "deleted": 300, "segments": 700} {
		if seen[what] < least {
			t.Errorf("the histories show too little: %v", seen)
		}
	}
}

func scanStored(r io.ReaderAt, size int64, fn func(string, protocol.Event) error) error {
	return archive.Scan(r, size, func(row *archive.Stored) error { return fn(row.Shard, row.Event) })
}

func (s *stream) same(seed uint64, what string, a, b cells) {
	s.t.Helper()
	if maps.EqualFunc(a, b, bytes.Equal) {
		return
	}
	for key, state := range a {
		if !bytes.Equal(state, b[key]) {
			s.t.Errorf("seed %d: %s differ in %v: %x and %x", seed, what, key, state, b[key])
		}
	}
	if len(a) != len(b) {
		s.t.Errorf("seed %d: %s have %d and %d cells", seed, what, len(a), len(b))
	}
}
