package laws

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/watershed-data/watershed/internal/memory"
	"github.com/watershed-data/watershed/internal/protocol"
)

// Config says what a history plays.
type Config struct {
	Seed   uint64
	Events int // records, about
	Faults int
	Script Script                           // decisions to repeat, in place of the seed's
	Trace  func(format string, args ...any) // nil: silent
}

// Outcome counts what a history checked.
type Outcome struct {
	Answers   int // answers that were compared with the oracle
	Refused   int // readings that gave up with an error
	Compared  int // incremental computations that were compared with one of all rows
	Published int
	Script    Script // the decisions that made the history
}

// Seeded gives the history of a seed: few events and no faults at first, more
// with growing seeds, and around again.
func Seeded(seed uint64) Config {
	return Config{Seed: seed, Events: 2 + int(seed%6), Faults: int(seed / 6 % 4)}
}

// Add adds up the counts.
func (o *Outcome) Add(p Outcome) {
	o.Answers += p.Answers
	o.Refused += p.Refused
	o.Compared += p.Compared
	o.Published += p.Published
}

const (
	viewName = "v"
	within   = 3 // dedup window
	slack    = 3 // covers the skew of arrivals
	skew     = 2
	maxIdle  = 4000
	noID     = 0xff // an event without an id is no duplicate of any
)

// event is one event of a history as the oracle knows it.
type event struct {
	index   int
	shard   string
	at      protocol.Position
	arrival int64
	id      byte
	key     byte
}

// world is one history.
type world struct {
	scheduler
	log      *memory.Log
	ledger   *memory.Ledger
	items    *memory.RealTime
	views    *memory.Views
	master   []protocol.Event // what the archive delivered; shards beside it
	shards   []string
	loaded   map[protocol.Position]protocol.Event // of the load, if the history has one
	events   []event
	now      int64
	open     []string
	appended bool // the environment has finished
	quiet    bool // no new trouble: let everything end
	skips    bool // sources lose batches now and then
	out      Outcome
	attempts int
	plot     plot
}

// plot is what a history is about: what the events are, and the layers that
// handle them. The protocol, the faults and the schedule are the same for all.
type plot interface {
	appendRecord()                                  // appends a record to an open shard
	folder() protocol.Folder                        // the speed layer's
	archive(ctx context.Context) error              // fills the master dataset while the history lasts
	load(ctx context.Context) error                 // loads some history
	batchRun(ctx context.Context, run string) error // makes a version
	read(ctx context.Context, last bool) error      // asks for an answer and checks it
	manifest(version string) (protocol.Manifest, error)
}

// marks is the plot in which event i is one bit of a cell's state, so that an
// answer shows which events it holds, and how often. Its layers are toys.
type marks struct{ *world }

// Play plays one history. It gives an error if a law is broken.
func Play(c Config) (Outcome, error) { return newWorld(c).play(c) }

func (w *world) play(c Config) (Outcome, error) {
	w.skips = w.chance(20)
	defer w.end()
	w.spawn("producer", false, func(ctx context.Context) error { return w.produce(ctx, c.Events) })
	w.spawn("source "+short(w.open[0]), false, func(ctx context.Context) error { return w.source(ctx, w.open[0]) })
	w.spawn("archive", false, w.plot.archive)
	if w.chance(30) {
		w.spawn("loader", false, w.plot.load)
	}
	w.spawn("readers", false, w.readers)
	for k := range 2 {
		w.spawn(fmt.Sprintf("runs%d", k), false, func(ctx context.Context) error { return w.runs(ctx, k) })
	}
	w.run(1500)
	w.faults, w.quiet = 0, true
	for i := range 3 {
		w.run(maxIdle)
		w.spawn("last read", false, func(ctx context.Context) error { return w.plot.read(ctx, true) })
		w.run(maxIdle)
		w.atRest()
		w.spawn("last run", false, func(ctx context.Context) error { return w.lastRun(ctx, fmt.Sprintf("last%d", i)) })
	}
	w.out.Script = w.random.made
	return w.out, w.failed
}

func newWorld(c Config) *world {
	w := &world{
		scheduler: scheduler{random: newChoices(c.Seed, c.Script), faults: c.Faults, trace: c.Trace},
		log:       memory.NewLog(1), ledger: memory.NewLedger(), items: memory.NewRealTime(), views: memory.NewViews(),
		open: []string{memory.ShardID(0)}, now: 10, loaded: map[protocol.Position]protocol.Event{},
	}
	if w.trace == nil {
		w.trace = func(string, ...any) {}
	}
	w.items.PageSize = 2
	w.plot = marks{w}
	return w
}

// lastRun is a run when all is at rest: it succeeds, and its version answers for
// everything.
func (w *world) lastRun(ctx context.Context, run string) error {
	if err := w.plot.batchRun(ctx, run); err != nil {
		return fmt.Errorf("%w: a run at rest fails: %w", errBroken, err)
	}
	pointer, _ := w.ledger.Pointer(ctx)
	m, err := w.plot.manifest(pointer.Version)
	if err != nil {
		return fmt.Errorf("%w: the current version has no manifest: %w", errBroken, err)
	}
	for _, e := range w.events {
		if e.at.After(m.Cut[e.shard].Through) {
			return fmt.Errorf("%w: a run at rest leaves out event %d", errBroken, e.index)
		}
	}
	return nil
}

// atRest checks that every shard is committed to its end.
func (w *world) atRest() {
	if len(w.actors) > 0 || w.failed != nil {
		return
	}
	for _, e := range w.events {
		row, _, _ := w.ledger.Row(context.Background(), e.shard)
		if e.at.After(row.Through) {
			w.failed = fmt.Errorf("%w: event %d was never committed", errBroken, e.index)
		}
	}
}

func pick[T any](c *choices, from ...T) T { return from[c.IntN(len(from))] }

// produce appends records, some of them aggregates of two events, and reshards.
func (w *world) produce(ctx context.Context, left int) error {
	reshard := pick(w.random, 0, 1, 1, 2)
	for left > 0 || reshard > 0 {
		if left > 0 && (reshard == 0 || w.chance(70)) {
			left--
			if err := w.step(ctx, "append", w.plot.appendRecord); err != nil {
				return err
			}
		} else if reshard > 0 {
			reshard--
			if err := w.step(ctx, "reshard", w.reshard); err != nil {
				return err
			}
		}
		if err := w.idle(ctx, pick(w.random, 0, 2, 10, 40)); err != nil {
			return err
		}
	}
	w.appended = true
	return nil
}

func (w marks) appendRecord() {
	id := byte(w.random.IntN(4))
	shard := w.open[int(id)%len(w.open)] // an id's events stay in its lineage
	if w.chance(30) {
		id = noID
	}
	w.now += pick[int64](w.random, 0, 1, 1, 2, 6)
	arrival := w.now - int64(w.random.IntN(skew+1))
	n := pick(w.random, 1, 1, 2)
	var data [][]byte
	for i := range n {
		if id != noID && i > 0 && w.chance(50) {
			id ^= 2
		}
		data = append(data, []byte{byte(len(w.events) + i), id, "ab"[w.random.IntN(2)]})
	}
	w.append(shard, arrival, data...)
}

// append appends one record that holds the events.
func (w *world) append(shard string, arrival int64, data ...[]byte) {
	seq := w.log.Append(shard, "k", arrival, data...)
	for i, d := range data {
		w.events = append(w.events, event{index: int(d[0]), shard: shard, at: protocol.Position{Seq: seq, Sub: int64(i)}, arrival: arrival, id: d[1], key: d[2]})
		w.trace("             event %d: %s@%s:%d id %d key %c arrival %d", d[0], short(shard), seq, i, d[1], d[2], arrival)
	}
}

func (w *world) reshard() {
	parents, children := w.open, 2
	if len(w.open) > 1 {
		children = 1
	}
	w.open = w.log.Reshard(parents, children)
	for _, s := range w.open {
		w.spawn("source "+short(s), false, func(ctx context.Context) error { return w.source(ctx, s) })
	}
}

// source hands a shard's events to invocations of the speed layer, with other
// bounds at every retry, and starts a new one while the old one still runs.
func (w *world) source(ctx context.Context, shard string) error {
	var checkpoint protocol.Position
	for n := 0; ; n++ {
		page, _ := w.log.Read(ctx, shard, checkpoint, 1<<20)
		if len(page.Events) == 0 {
			row, _, _ := w.ledger.Row(ctx, shard)
			switch behind := checkpoint.After(row.Through); {
			case behind && w.quiet && w.skips: // it lost the shard's last batch: it begins anew, as after a restart
				checkpoint = protocol.Position{}
			case !behind && (page.Ended || w.quiet && w.appended):
				return nil
			}
			if err := w.idle(ctx, 1); err != nil {
				return err
			}
			continue
		}
		var bounds []int
		for i, e := range page.Events {
			if e.Last {
				bounds = append(bounds, i+1)
			}
		}
		if w.skips && !w.quiet && w.chance(10) { // a source that loses a batch
			checkpoint = page.Events[pick(w.random, bounds...)-1].Position
			continue
		}
		b := protocol.Batch{Shard: shard, Events: page.Events[:pick(w.random, bounds...)]}
		a := w.spawn(fmt.Sprintf("speed %s.%d", short(shard), n), true, func(ctx context.Context) error {
			return w.speed().Apply(ctx, b)
		})
		for range pick(w.random, 3, 8, 20, 60, 200) {
			if a.done {
				break
			}
			if err := w.idle(ctx, 1); err != nil {
				return err
			}
		}
		if a.done && a.err == nil {
			checkpoint = b.Events[len(b.Events)-1].Position
		}
		if errors.Is(a.err, protocol.ErrGap) {
			checkpoint = protocol.Position{} // the handler noticed: from the beginning
		}
		if err := w.idle(ctx, 1); err != nil {
			return err
		}
	}
}

func (w *world) speed() *protocol.Speed {
	return &protocol.Speed{
		Log: log{w.log, &w.scheduler}, Ledger: ledger{w.ledger, &w.scheduler}, RealTime: realTime{w.items, &w.scheduler},
		Folder: w.plot.folder(), Now: func() int64 { return w.now },
	}
}

// archive delivers events to the master dataset: out of order, some twice, some never.
func (w marks) archive(ctx context.Context) error {
	delivered := map[int]bool{}
	for {
		var todo []event
		for _, e := range w.events {
			if !delivered[e.index] && !protocol.IsLoad(e.shard) {
				todo = append(todo, e)
			}
		}
		if len(todo) == 0 {
			if w.quiet && w.appended {
				return nil
			}
		} else {
			e := todo[w.random.IntN(len(todo))]
			delivered[e.index] = true
			if w.chance(85) {
				w.deliver(e)
			}
			if w.chance(20) {
				w.deliver(e)
			}
		}
		if err := w.idle(ctx, 1+pick(w.random, 0, 5, 20)); err != nil {
			return err
		}
	}
}

func (w marks) deliver(e event) {
	w.shards = append(w.shards, e.shard)
	w.master = append(w.master, w.logged(e))
}

func (w marks) logged(e event) protocol.Event {
	if protocol.IsLoad(e.shard) {
		return w.loaded[e.at]
	}
	page, _ := w.log.Read(context.Background(), e.shard, protocol.Position{}, 1<<20)
	i := slices.IndexFunc(page.Events, func(x protocol.Event) bool { return x.Position == e.at })
	return page.Events[i]
}

// runs starts batch runs, and starts them again from their stored plans when
// they died; the old one may be a zombie.
func (w *world) runs(ctx context.Context, k int) error {
	for j := range pick(w.random, 0, 1, 2) {
		if err := w.idle(ctx, pick(w.random, 5, 30, 100)); err != nil {
			return err
		}
		run := fmt.Sprintf("run%d.%d", k, j)
		a := w.spawn(run, true, func(ctx context.Context) error { return w.plot.batchRun(ctx, run) })
		for range pick(w.random, 20, 60, 300) {
			if a.done {
				break
			}
			if err := w.idle(ctx, 1); err != nil {
				return err
			}
		}
		if !a.done || a.err != nil {
			w.spawn(run+"'", true, func(ctx context.Context) error { return w.plot.batchRun(ctx, run) })
		}
	}
	return nil
}

func (w marks) batchRun(ctx context.Context, run string) error {
	p := &protocol.Run{Speed: w.speed(), Views: views{w.views, &w.scheduler}, Now: func() int64 { return w.now }, Kept: 1}
	plan, err := p.Plan(ctx, run)
	if err != nil {
		return err
	}
	cells, err := w.compute(ctx, plan)
	if err != nil {
		return err
	}
	w.attempts++
	version := protocol.VersionName(plan.Pointer, strconv.Itoa(w.attempts))
	for _, key := range []byte("ab") {
		// A file is first empty, then full.
		for _, content := range [][]byte{nil, cells[key]} {
			if err := w.step(ctx, "write view "+version, func() { w.views.Write(version, string(key), content) }); err != nil {
				return err
			}
		}
	}
	if err := p.Views.PutManifest(ctx, protocol.Manifest{Version: version, Seq: plan.Pointer.Seq + 1, Run: run, T: plan.T, Cut: plan.Cut}); err != nil {
		return err
	}
	published, err := p.Publish(ctx, plan, version)
	if err != nil {
		return err
	}
	if !published {
		return p.Views.Delete(ctx, version)
	}
	w.out.Published++
	_, err = p.Discard(ctx)
	return err
}

// compute computes the views of the master rows up to the cut once they balance
// with the ledger, and repairs them from the log if they do not.
func (w marks) compute(ctx context.Context, plan protocol.Plan) (map[byte][]byte, error) {
	for range 30 {
		var rows []event
		if err := w.step(ctx, "list master", func() { rows = w.masterRows(plan.Cut) }); err != nil {
			return nil, err
		}
		if w.balances(plan.Cut, rows) {
			return oracle(rows, everything), nil
		}
		rows = slices.CompactFunc(rows, func(a, b event) bool { return a.shard == b.shard && a.at == b.at })
		if w.balances(plan.Cut, rows) {
			return oracle(rows, everything), nil
		}
		if w.quiet || w.chance(40) {
			if err := w.step(ctx, "repair", func() { w.repair(plan.Cut) }); err != nil {
				return nil, err
			}
		} else if err := w.idle(ctx, 1); err != nil {
			return nil, err
		}
	}
	return nil, errors.New("the master dataset never balanced")
}

func (w marks) masterRows(cut map[string]protocol.Cut) []event {
	var rows []event
	for i, e := range w.master {
		if c, ok := cut[w.shards[i]]; ok && e.Position.Compare(c.Through) <= 0 {
			rows = append(rows, event{index: int(e.Data[0]), shard: w.shards[i], at: e.Position, arrival: e.Arrival, id: e.Data[1], key: e.Data[2]})
		}
	}
	slices.SortStableFunc(rows, byPosition)
	return rows
}

func byPosition(a, b event) int {
	if c := strings.Compare(a.shard, b.shard); c != 0 {
		return c
	}
	return a.at.Compare(b.at)
}

func (w marks) balances(cut map[string]protocol.Cut, rows []event) bool {
	count, sum := map[string]int64{}, map[string]protocol.Sum{}
	for _, e := range rows {
		logged := w.logged(e)
		count[e.shard]++
		sum[e.shard] = sum[e.shard].Add(protocol.Hash(e.shard, &logged))
	}
	for shard, c := range cut {
		if count[shard] != c.Count || sum[shard] != c.Sum {
			return false
		}
	}
	return true
}

func (w marks) repair(cut map[string]protocol.Cut) {
	for _, e := range w.events {
		c, ok := cut[e.shard]
		has := func(i int) bool { return w.shards[i] == e.shard && w.master[i].Position == e.at }
		found := false
		for i := range w.master {
			found = found || has(i)
		}
		if ok && !found && e.at.Compare(c.Through) <= 0 {
			w.deliver(e)
		}
	}
}

// readers ask for answers all the time.
func (w *world) readers(ctx context.Context) error {
	for range 5 {
		if err := w.idle(ctx, pick(w.random, 3, 20, 60)); err != nil {
			return err
		}
		w.spawn(fmt.Sprintf("query%d", w.random.IntN(100)), true, func(ctx context.Context) error { return w.plot.read(ctx, false) })
	}
	return nil
}

// read asks for one answer and holds it against the oracle.
func (w marks) read(ctx context.Context, last bool) error {
	r := &protocol.Reader{
		Log: log{w.log, &w.scheduler}, Ledger: ledger{w.ledger, &w.scheduler}, RealTime: realTime{w.items, &w.scheduler},
		Views: views{w.views, &w.scheduler},
		Pause: func(ctx context.Context, _ time.Duration) error { return w.idle(ctx, 1) },
	}
	v := &visitor{w: w}
	snapshot, err := r.Read(ctx, []protocol.Range{{View: viewName, From: 0, To: 1}}, v)
	if err != nil {
		if last {
			return fmt.Errorf("%w: the last reading failed: %w", errBroken, err)
		}
		w.out.Refused++
		return err
	}
	w.out.Answers++
	want := oracle(w.events, func(e event) bool { return e.at.Compare(snapshot.Committed(e.shard)) <= 0 })
	for _, key := range []byte("ab") {
		if !bytes.Equal(bytes.TrimRight(v.cells[key], "\x00"), bytes.TrimRight(want[key], "\x00")) {
			return fmt.Errorf("%w: cell %c holds %v, the oracle says %v (pointer %v)", errBroken, key, v.cells[key], want[key], snapshot.Pointer)
		}
	}
	return w.closed(snapshot)
}

// closed checks that an answer's cut is causally closed.
func (w *world) closed(snapshot *protocol.Snapshot) error {
	for _, s := range snapshot.Lineage.Shards {
		if snapshot.Committed(s.ID).IsZero() {
			continue
		}
		for _, p := range snapshot.Lineage.Ancestors(s.ID) {
			for _, e := range w.events {
				if e.shard == p && e.at.After(snapshot.Committed(p)) {
					return fmt.Errorf("%w: %s is committed before its ancestor %s", errBroken, s.ID, p)
				}
			}
		}
	}
	return nil
}

type visitor struct {
	w     marks
	cells map[byte][]byte
}

func (v *visitor) Reset() { v.cells = map[byte][]byte{} }

func (v *visitor) add(key byte, state []byte) { v.cells[key] = merge(v.cells[key], state) }

func (v *visitor) Version(ctx context.Context, m protocol.Manifest, _ protocol.Range) error {
	for _, key := range []byte("ab") {
		var content []byte
		var err error
		died := v.w.step(ctx, "read view "+m.Version, func() {
			var f protocol.ReadAtCloser
			var size int64
			if f, size, err = v.w.views.Open(ctx, m.Version, string(key)); err == nil {
				content = make([]byte, size)
				_, _ = f.ReadAt(content, 0)
			}
		})
		if err := first(died, err); err != nil {
			return err
		}
		v.add(key, content)
	}
	return nil
}

func (v *visitor) Item(key protocol.Key, state []byte) error {
	v.add(key.Dims[0], state)
	return nil
}

func (v *visitor) End(context.Context) error { return nil }

// merge adds two states: byte i is how often event i is counted.
func merge(a, b []byte) []byte {
	out := make([]byte, max(len(a), len(b)))
	copy(out, a)
	for i, n := range b {
		out[i] += n
	}
	return out
}

func one(index int) []byte {
	out := make([]byte, index+1)
	out[index] = 1
	return out
}

// oracle counts events by their cells: all of them decide what is a duplicate,
// the wanted ones count. It knows nothing of the protocol.
func oracle(events []event, want func(event) bool) map[byte][]byte {
	all := slices.Clone(events)
	slices.SortStableFunc(all, byPosition)
	seen := map[byte]int64{}
	out := map[byte][]byte{}
	for _, e := range all {
		last, ok := seen[e.id]
		seen[e.id] = e.arrival
		if (e.id == noID || !ok || e.arrival-last > within) && want(e) {
			out[e.key] = merge(out[e.key], one(e.index))
		}
	}
	return out
}

func everything(event) bool { return true }

func (w marks) manifest(version string) (protocol.Manifest, error) {
	return w.views.Manifest(context.Background(), version)
}

func (marks) folder() protocol.Folder { return folder{} }

// folder is the row logic of a history.
type folder struct{}

// Keep implements protocol.Folder.
func (folder) Keep() int64 { return within + slack }

func (folder) Merge(_ string, a, b []byte) ([]byte, error) { return merge(a, b), nil }

// Fold implements protocol.Folder. A segment is a list of (id, arrival).
func (f folder) Fold(ctx context.Context, shard string, events []protocol.Event, seen protocol.Seen) (protocol.Folded, error) {
	set, err := seen.Load(ctx)
	if err != nil {
		return protocol.Folded{}, err
	}
	var out protocol.Folded
	expired := protocol.Expired(set, seen.MaxArrival, f.Keep())
	out.Expired = set[:expired]
	last := map[byte]int64{}
	for _, s := range set[expired:] {
		for i := 0; i < len(s.Data); i += 2 {
			last[s.Data[i]] = int64(s.Data[i+1])
		}
	}
	cells := map[byte][]byte{}
	segment := protocol.Segment{SegmentID: protocol.SegmentID{Shard: shard, Through: events[len(events)-1].Position}}
	for _, e := range events {
		id, key := e.Data[1], e.Data[2]
		at, ok := last[id]
		last[id] = e.Arrival
		segment.Data = append(segment.Data, id, byte(e.Arrival))
		segment.MaxArrival = max(segment.MaxArrival, e.Arrival)
		if id == noID || !ok || e.Arrival-at > within {
			cells[key] = merge(cells[key], one(int(e.Data[0])))
		}
	}
	out.Segments = []protocol.Segment{segment}
	for _, key := range []byte("ab") {
		if cells[key] != nil {
			out.Deltas = append(out.Deltas, protocol.Delta{Key: protocol.Key{View: viewName, Dims: string(key)}, State: cells[key]})
		}
	}
	return out, nil
}
