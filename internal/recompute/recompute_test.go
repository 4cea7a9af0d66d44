package recompute

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/big"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/measure"
	"github.com/watershed-data/watershed/internal/memory"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
	"github.com/watershed-data/watershed/internal/speed"
)

const (
	minute = int64(60_000)
	within = 10 * minute // of the new definition
)

func parse(t *testing.T, text string) *definition.Definition {
	t.Helper()
	def, err := definition.Parse("pipeline.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return def
}

const (
	oldText = `
pipeline: p
events:
  format: json
  columns: {n: {type: int}}
views:
  all: {by: [], every: none, measures: {events: count}}
`
	newText = `
pipeline: p
events:
  format: json
  columns: {n: {type: int}, id: {type: string, optional: true}}
  id: id
  dedupe_within: 10m
views:
  all: {by: [], every: none, measures: {events: count, total: sum(n)}}
`
)

// checkpoints in memory.
type checkpoints struct {
	mu sync.Mutex
	at map[string]protocol.Position
}

func (c *checkpoints) Load(_ context.Context, shard string) (protocol.Position, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at[shard], nil
}

func (c *checkpoints) Store(_ context.Context, shard string, p protocol.Position) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at[shard] = p
	return nil
}

// pipeline is one generation over stores in memory.
type pipeline struct {
	def         *definition.Definition
	logic       *rowlogic.Logic
	folder      *speed.Folder
	ledger      *memory.Ledger
	items       *memory.RealTime
	master      *memory.Master
	checkpoints *checkpoints
	archive     *archive.Archiver
	speed       *protocol.Speed
}

func newPipeline(t *testing.T, log protocol.Log, text string) *pipeline {
	t.Helper()
	p := &pipeline{def: parse(t, text), ledger: memory.NewLedger(), items: memory.NewRealTime(), master: memory.NewMaster(), checkpoints: &checkpoints{at: map[string]protocol.Position{}}}
	var err error
	if p.logic, err = rowlogic.New(p.def); err != nil {
		t.Fatal(err)
	}
	p.folder = speed.NewFolder(p.def, p.logic)
	p.archive = &archive.Archiver{Definition: p.def, Logic: p.logic, Log: log, Master: p.master, Checkpoints: p.checkpoints}
	p.speed = &protocol.Speed{Log: log, Ledger: p.ledger, RealTime: p.items, Folder: p.folder, Now: func() int64 { return 0 }}
	return p
}

// fold applies the next events of a shard, at most about so many; false if it must wait
// for its parents or nothing is left.
func (p *pipeline) fold(t *testing.T, log protocol.Log, shard string, limit int) bool {
	t.Helper()
	err := p.speed.Apply(t.Context(), protocol.Batch{Shard: shard})
	if errors.Is(err, protocol.ErrNotYet) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	row, _, _ := p.ledger.Row(t.Context(), shard)
	page, err := log.Read(t.Context(), shard, row.Through, limit)
	if err == nil && len(page.Events) > 0 {
		err = p.speed.Apply(t.Context(), protocol.Batch{Shard: shard, After: row.Through, Events: page.Events})
	}
	if err != nil {
		t.Fatal(err)
	}
	return len(page.Events) > 0
}

// world is a stream with a generation that answers and one that is begun beside it.
type world struct {
	t    *testing.T
	rand *rand.Rand
	log  *memory.Log
	old  *pipeline
	next *pipeline

	clock int64 // latest arrival
	n     int   // events
}

func newWorld(t *testing.T, seed uint64) *world {
	t.Helper()
	w := &world{t: t, rand: rand.New(rand.NewPCG(seed, 7)), log: memory.NewLog(1), clock: 1_000_000 * minute}
	w.old, w.next = newPipeline(t, w.log, oldText), newPipeline(t, w.log, newText)
	return w
}

func (w *world) shards() []protocol.Shard {
	shards, err := w.log.Shards(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return shards
}

// route gives the open shard of a partition key.
func (w *world) route(key string) string {
	h := md5.Sum([]byte(key))
	at := new(big.Int).SetBytes(h[:])
	for _, s := range w.shards() {
		from, _ := new(big.Int).SetString(s.HashFrom, 10)
		to, _ := new(big.Int).SetString(s.HashTo, 10)
		if !s.Closed() && at.Cmp(from) >= 0 && at.Cmp(to) <= 0 {
			return s.ID
		}
	}
	w.t.Fatalf("no shard takes %s", key)
	return ""
}

// send appends an event of an identity that arrives at a time.
func (w *world) send(id int, arrival int64) {
	key := fmt.Sprint("key", id%5)
	data := fmt.Appendf(nil, `{"n":%d,"id":"i%d"}`, w.n, id)
	if id < 0 {
		data = fmt.Appendf(nil, `{"n":%d}`, w.n)
	}
	w.n++
	w.clock = max(w.clock, arrival)
	w.log.Append(w.route(key), key, arrival, data)
}

// some lets a random part of a pipeline's life happen.
func (w *world) some(events int) {
	for range events {
		switch r := w.rand.IntN(100); {
		case r < 3:
			w.reshard()
		case r < 8:
			w.clock += w.rand.Int64N(3 * 60 * minute) // a quiet time
		}
		arrival := w.clock + w.rand.Int64N(3*minute)
		if w.rand.IntN(5) == 0 { // arrivals may go backwards, by the slack at most
			arrival = w.clock - w.rand.Int64N(speed.Slack.Milliseconds())
		}
		w.send(w.rand.IntN(13)-1, arrival)
	}
}

func (w *world) reshard() {
	var open []string
	for _, s := range w.shards() {
		if !s.Closed() {
			open = append(open, s.ID)
		}
	}
	if len(open) > 2 && w.rand.IntN(2) == 0 {
		w.log.Reshard(open, 1)
	} else {
		w.log.Reshard(open[:1], 2)
	}
}

// archiveSome archives some shards to some place, doubles files, and writes rows
// here and there once more, as repairs do.
func (w *world) archiveSome() {
	ctx := w.t.Context()
	for _, s := range w.shards() {
		for range w.rand.IntN(3) {
			events := w.events(s.ID)
			if len(events) == 0 {
				continue
			}
			until := events[w.rand.IntN(len(events))].Position
			if err := w.old.archive.Flush(ctx, map[string]protocol.Position{s.ID: until}); err != nil {
				w.t.Fatal(err)
			}
			archived, _ := w.old.checkpoints.Load(ctx, s.ID)
			var spans []protocol.Span
			for i, e := range events {
				if !e.Position.After(archived) && w.rand.IntN(6) == 0 {
					span := protocol.Span{Through: e.Position}
					if i > 0 {
						span.After = events[i-1].Position
					}
					spans = append(spans, span)
				}
			}
			if err := w.old.archive.Repair(ctx, s.ID, spans); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

func (w *world) events(shard string) []protocol.Event {
	page, err := w.log.Read(w.t.Context(), shard, protocol.Position{}, 1<<20)
	if err != nil {
		w.t.Fatal(err)
	}
	return page.Events
}

// foldSome lets the old speed layer come to some place.
func (w *world) foldSome() {
	for _, s := range w.shards() {
		for range w.rand.IntN(4) {
			w.old.fold(w.t, w.log, s.ID, 1+w.rand.IntN(30))
		}
	}
}

func (w *world) recompute() *Recompute {
	return &Recompute{
		Log: w.log,
		Old: Old{Ledger: w.old.ledger, Master: w.old.master, Checkpoints: w.old.checkpoints},
		New: New{
			Definition: w.next.def, Logic: w.next.logic, Ledger: w.next.ledger, RealTime: w.next.items, Master: w.next.master, Checkpoints: w.next.checkpoints,
			Keep: w.next.folder.Keep(), Publish: w.publish,
		},
		Start: &journal{}, Done: &journal{},
	}
}

// publish does what matters here of a batch run: it seals nothing, flushes the
// archive, and compares the rows with the ledger, one of each position.
func (w *world) publish(ctx context.Context) error {
	shards, _ := w.next.ledger.Shards(ctx)
	for _, shard := range shards {
		row, _, _ := w.next.ledger.Row(ctx, shard)
		if err := w.next.archive.Flush(ctx, map[string]protocol.Position{shard: row.Through}); err != nil {
			return err
		}
		var sum protocol.Sum
		rows := w.rows(w.next.master, shard, row.Through)
		for _, e := range rows {
			sum = sum.Add(protocol.Hash(shard, &e))
		}
		if int64(len(rows)) != row.Count || sum != row.Sum {
			return fmt.Errorf("%s: %d rows, the ledger has %d: %w", shard, len(rows), row.Count, protocol.ErrMismatch)
		}
	}
	_, err := w.next.ledger.SwapPointer(ctx, protocol.Pointer{}, protocol.Pointer{Seq: 1, Version: "v"})
	return err
}

// rows gives a shard's rows up to a position, one of each.
func (w *world) rows(m protocol.Master, shard string, through protocol.Position) map[protocol.Position]protocol.Event {
	out := map[protocol.Position]protocol.Event{}
	files, err := m.Files(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range files {
		r, size, err := m.Open(w.t.Context(), f.Name)
		if err != nil {
			w.t.Fatal(err)
		}
		err = archive.Scan(r, size, func(row *archive.Stored) error {
			if row.Shard == shard && !row.Position.After(through) {
				e := row.Event
				e.Data = slices.Clone(e.Data)
				out[e.Position] = e
			}
			return nil
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	return out
}

// journal in memory.
type journal struct{ text []byte }

func (j *journal) Load(context.Context) ([]byte, error) { return j.text, nil }
func (j *journal) Store(_ context.Context, text []byte) error {
	j.text = slices.Clone(text)
	return nil
}

// duplicates counts, by the rule alone, the duplicates of each shard behind a place.
func (w *world) duplicates(behind map[string]protocol.Position) map[string]int64 {
	type event struct {
		protocol.Event
		shard string
	}
	var all []event
	for _, s := range w.shards() {
		for _, e := range w.events(s.ID) {
			all = append(all, event{e, s.ID})
		}
	}
	slices.SortFunc(all, func(a, b event) int { return a.Position.Compare(b.Position) }) // a lineage's order too
	last, out := map[string]int64{}, map[string]int64{}
	for _, e := range all {
		_, id, identified := strings.Cut(string(e.Data), `"id":`)
		if !identified {
			continue
		}
		before, seen := last[id]
		last[id] = e.Arrival
		if seen && e.Arrival-before <= within && e.Position.After(behind[e.shard]) {
			out[e.shard]++
		}
	}
	return out
}

// found counts the duplicates that the new generation's speed layer found.
func (w *world) found() map[string]int64 {
	out := map[string]int64{}
	set := measure.New(definition.Outcomes())
	for token, more := "", true; more; {
		page, err := w.next.items.Query(w.t.Context(), definition.OutcomesView, -1, 1, token)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, it := range page.Items {
			if !strings.Contains(it.Dims, string(rowlogic.Duplicate)) {
				continue
			}
			states, err := measure.Decode(set, it.Cur)
			if err != nil {
				w.t.Fatal(err)
			}
			out[it.Shard] += states[0].N
		}
		token, more = page.Next, page.Next != ""
	}
	return out
}

// follow lets the new speed layer read the log to its end.
func (w *world) follow() {
	for again := true; again; {
		again = false
		for _, s := range w.shards() {
			for w.next.fold(w.t, w.log, s.ID, 1+w.rand.IntN(40)) {
				again = true
			}
		}
	}
}

// A generation that begins in the middle of a log finds the duplicates behind that
// place as if it had read all before it: over splits, merges, late and doubled
// files, arrivals that go backwards, and wherever ledger and archive are.
func TestDuplicatesAcrossTheBeginning(t *testing.T) {
	t.Parallel()
	across := 0
	for seed := range uint64(40) {
		w := newWorld(t, seed)
		for range 1 + w.rand.IntN(4) {
			w.some(w.rand.IntN(60))
			w.foldSome()
			w.archiveSome()
		}
		r := w.recompute()
		r.identities = 12 + w.rand.IntN(30) // some turns
		if err := r.Run(t.Context()); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		behind := map[string]protocol.Position{}
		rows, _ := protocol.Committed(t.Context(), w.log, w.next.ledger)
		for shard, row := range rows {
			behind[shard] = row.Through
		}
		w.some(w.rand.IntN(40))
		w.follow()
		want, got := w.duplicates(behind), w.found()
		if !maps.Equal(want, got) {
			t.Fatalf("seed %d: duplicates behind the beginning %v, want %v", seed, got, want)
		}
		for _, n := range want {
			across += int(n)
		}
		for _, s := range w.shards() { // and nothing is lost or doubled
			row, _, _ := w.next.ledger.Row(t.Context(), s.ID)
			if events := w.events(s.ID); row.Count != int64(len(events)) {
				t.Fatalf("seed %d: %s has %d events, %d are committed", seed, s.ID, len(events), row.Count)
			}
		}
	}
	if across < 200 {
		t.Fatalf("only %d duplicates: the histories test nothing", across)
	}
}

var errCrash = errors.New("crash")

// fuse makes the stores of a recompute fail at one of their writes, before or after
// it is done.
type fuse struct {
	left  int
	after bool
}

func (f *fuse) write(do func() error) error {
	f.left--
	if f.left == 0 && !f.after {
		return errCrash
	}
	err := do()
	if f.left == 0 {
		return errCrash
	}
	return err
}

type fusedJournal struct {
	*journal
	f *fuse
}

func (j fusedJournal) Store(ctx context.Context, text []byte) error {
	return j.f.write(func() error { return j.journal.Store(ctx, text) })
}

type fusedLedger struct {
	protocol.Ledger
	f *fuse
}

func (l fusedLedger) Create(ctx context.Context, shard string, row protocol.Row) (ok bool, err error) {
	err = l.f.write(func() error { ok, err = l.Ledger.Create(ctx, shard, row); return err })
	return ok, err
}

type fusedItems struct {
	protocol.RealTime
	f *fuse
}

func (r fusedItems) PutSegment(ctx context.Context, s protocol.Segment) error {
	return r.f.write(func() error { return r.RealTime.PutSegment(ctx, s) })
}

type fusedMaster struct {
	protocol.Master
	f *fuse
}

func (m fusedMaster) Put(ctx context.Context, shard string, write func(io.Writer) error) (file protocol.File, err error) {
	err = m.f.write(func() error { file, err = m.Master.Put(ctx, shard, write); return err })
	return file, err
}

type fusedCheckpoints struct {
	archive.Checkpoints
	f *fuse
}

func (c fusedCheckpoints) Store(ctx context.Context, shard string, p protocol.Position) error {
	return c.f.write(func() error { return c.Checkpoints.Store(ctx, shard, p) })
}

// A recompute that dies at any of its writes, before or after it, goes on where it
// was, and what it makes is the same; while the old generation goes on.
func TestKilledAtEveryWrite(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		finished := false
		for write := 1; !finished; write++ {
			w := newWorld(t, 3)
			w.some(50)
			w.foldSome()
			w.archiveSome()
			start, progress := &journal{}, &journal{}
			f := &fuse{left: write, after: after}
			fused := w.recompute()
			fused.Start, fused.Done = fusedJournal{start, f}, fusedJournal{progress, f}
			fused.New.Ledger, fused.New.RealTime = fusedLedger{w.next.ledger, f}, fusedItems{w.next.items, f}
			fused.New.Master, fused.New.Checkpoints = fusedMaster{w.next.master, f}, fusedCheckpoints{w.next.checkpoints, f}
			err := fused.Run(t.Context())
			if finished = err == nil; !finished && !errors.Is(err, errCrash) {
				t.Fatal(err)
			}
			w.some(20) // life goes on
			w.foldSome()
			w.archiveSome()
			again := w.recompute()
			again.Start, again.Done = start, progress
			if err := again.Run(t.Context()); err != nil {
				t.Fatalf("after a crash at write %d: %v", write, err)
			}
			behind := map[string]protocol.Position{}
			rows, _ := protocol.Committed(t.Context(), w.log, w.next.ledger)
			for shard, row := range rows {
				behind[shard] = row.Through
			}
			w.follow()
			if want, got := w.duplicates(behind), w.found(); !maps.Equal(want, got) {
				t.Fatalf("after a crash at write %d: duplicates %v, want %v", write, got, want)
			}
		}
	}
}

// The last event of an identity counts, not the one that arrived last: here the last
// one arrived long before the one before it, too long ago for what comes.
func TestAnEventThatArrivedEarlierCounts(t *testing.T) {
	t.Parallel()
	for _, split := range []bool{false, true} {
		w := newWorld(t, 1)
		from := w.clock
		w.send(5, from+50*minute)
		w.send(5, from+100*minute) // no duplicate
		if split {
			w.log.Reshard([]string{memory.ShardID(0)}, 2)
		}
		w.send(5, from+50*minute) // a duplicate, as it goes backwards
		w.send(0, from+121*minute)
		for _, s := range w.shards() {
			for w.old.fold(t, w.log, s.ID, 10) {
			}
		}
		if err := w.recompute().Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.send(5, from+105*minute) // 5 minutes behind the last but one, and 55 behind the last
		w.follow()
		if got := w.found(); len(got) > 0 {
			t.Errorf("split %v: duplicates %v; there are none", split, got)
		}
	}
}

// What arrived too long ago to make a coming event a duplicate is not remembered,
// however long the log is, and an idle shard does not change that for its siblings.
func TestNothingIsRememberedForNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	for i := range 50 {
		w.send(i, w.clock) // before the split
	}
	w.log.Reshard([]string{memory.ShardID(0)}, 2)
	busy := ""
	for i := range 200 { // one of the children is idle
		if at := w.route(fmt.Sprint("key", i%5)); busy == "" || at == busy {
			busy = at
			w.send(i, w.clock+10*minute)
		}
	}
	for again := true; again; {
		again = false
		for _, s := range w.shards() {
			again = w.old.fold(t, w.log, s.ID, 1000) || again
		}
	}
	if err := w.recompute().Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	row, _, _ := w.next.ledger.Row(t.Context(), busy)
	remembered := 0
	segments, _ := w.next.items.Segments(t.Context(), busy)
	for _, s := range segments {
		remembered += len(s.Data) / 17
	}
	if keep := int(w.next.folder.Keep() / (10 * minute)); row.Count < 3*int64(keep) || remembered == 0 || remembered > keep+2 {
		t.Fatalf("%d events in %s, %d of them remembered; at most %d can matter", row.Count, busy, remembered, keep)
	}
}

// A row that the old master dataset lost is no smaller answer.
func TestALostRowIsNoSmallerAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5)
	w.some(80)
	for _, s := range w.shards() {
		for w.old.fold(t, w.log, s.ID, 1000) {
		}
		if events := w.events(s.ID); len(events) > 0 { // the checkpoint lies
			if err := w.old.checkpoints.Store(t.Context(), s.ID, events[len(events)-1].Position); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.recompute().Run(t.Context()); !errors.Is(err, protocol.ErrMismatch) {
		t.Fatalf("a hole in the master dataset gave %v", err)
	}
}

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}
