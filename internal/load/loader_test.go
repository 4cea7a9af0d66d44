package load_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/load"
	"github.com/watershed-data/watershed/internal/memory"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
)

const text = `
pipeline: p
events:
  format: json
  columns:
    n:  {type: int}
    at: {type: timestamp}
    id: {type: string, optional: true}
  time: at
  id: id
clean:
  - require: "n >= 0"
    reason: negative
  - drop: "n == 99"
views:
  v: {by: [n], every: 1h, measures: {events: count}}
`

// world is a loader over stores in memory, which stay when it is made anew.
type world struct {
	def         *definition.Definition
	logic       *rowlogic.Logic
	loads       protocol.Loads
	ledger      protocol.Ledger
	master      *memory.Master
	checkpoints archive.Checkpoints
	now         int64
}

func newWorld(t *testing.T, text string) *world {
	t.Helper()
	def, err := definition.Parse("p.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	logic, err := rowlogic.New(def)
	if err != nil {
		t.Fatal(err)
	}
	return &world{def: def, logic: logic, loads: memory.NewLoads(), ledger: memory.NewLedger(), master: memory.NewMaster(), checkpoints: checkpoints{}, now: 1000}
}

// loader is a process of its own: it knows only what the stores do.
func (w *world) loader() *load.Loader {
	return load.New(load.Options{
		Definition: w.def, Logic: w.logic, Loads: w.loads, Ledger: w.ledger, Logger: slog.New(slog.DiscardHandler),
		Archive: func(log protocol.Log) load.Archive {
			return &archive.Archiver{Definition: w.def, Logic: w.logic, Log: log, Master: w.master, Checkpoints: w.checkpoints, FileBytes: 100}
		},
		Now: func() int64 { w.now++; return w.now },
	})
}

// accept uploads lines as /v1/load takes them.
func (w *world) accept(t *testing.T, l *load.Loader, content string, before *int64) (*load.Report, error) {
	t.Helper()
	return l.Accept(t.Context(), load.Upload{Name: "history.ndjson", Before: before, Events: load.NewLines(strings.NewReader(content)), Content: func() string { return digest(content) }})
}

func digest(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

// finish brings what is accepted into the ledger.
func (w *world) finish(t *testing.T, l *load.Loader, shard string) {
	t.Helper()
	if err := l.FinishAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r, err := l.Report(t.Context(), shard); err != nil || r == nil || r.Loaded == nil || r.Archived != r.Events {
		t.Fatalf("the load stands at %+v, %v", r, err)
	}
}

// rows gives the rows of the master dataset by shard and position, and how often
// each is there.
func (w *world) rows(t *testing.T) map[string]int {
	t.Helper()
	rows := map[string]int{}
	files, err := w.master.Files(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		r, size, err := w.master.Open(t.Context(), f.Name)
		if err != nil {
			t.Fatal(err)
		}
		err = archive.Scan(r, size, func(row *archive.Stored) error {
			rows[fmt.Sprintf("%s %s %d %s", row.Shard, row.Position, row.Arrival, row.Data)]++
			return nil
		})
		if err := errors.Join(err, r.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return rows
}

// figures adds up the master dataset's side of the double entry, one row of each
// position.
func (w *world) figures(t *testing.T, shard string) (count int64, sum protocol.Sum) {
	t.Helper()
	seen := map[string]bool{}
	files, err := w.master.Files(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := protocol.Span{Through: protocol.Position{Seq: strings.Repeat("9", 60)}}
	for _, f := range files {
		r, size, err := w.master.Open(t.Context(), f.Name)
		if err != nil {
			t.Fatal(err)
		}
		err = archive.Entries(r, size, shard, all, func(key []byte, hash uint64) error {
			if !seen[string(key)] {
				seen[string(key)] = true
				count, sum = count+1, sum.Add(hash)
			}
			return nil
		})
		if err := errors.Join(err, r.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return count, sum
}

func lines(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"n":%d,"at":"2014-11-%02dT00:00:00Z","id":"e%d"}`+"\n", i%50, 1+i%28, i)
	}
	return b.String()
}

func TestALoadBecomesTheRowsOfAPseudoShard(t *testing.T) {
	t.Parallel()
	w := newWorld(t, text)
	l := w.loader()
	content := "\ufeff{\"n\":1,\"at\":1}\r\n\nno JSON\n{\"n\":-1,\"at\":1}\n{\"n\":99,\"at\":1}"
	r, err := w.accept(t, l, content, nil)
	if err != nil || r.Events != 4 || r.Loaded != nil || r.Already || r.Load != protocol.LoadShard(digest(content)) {
		t.Fatalf("accepted %+v, %v", r, err)
	}
	w.finish(t, l, r.Load)
	at := func(line int, data string) string { return fmt.Sprintf("%s %d:0 1001 %s", r.Load, line, data) }
	want := map[string]int{at(1, `{"n":1,"at":1}`): 1, at(3, "no JSON"): 1, at(4, `{"n":-1,"at":1}`): 1, at(5, `{"n":99,"at":1}`): 1}
	if got := w.rows(t); !maps.Equal(got, want) {
		t.Errorf("rows of the master dataset: %v\nwant %v", got, want)
	}
	row, ok, err := w.ledger.Row(t.Context(), r.Load)
	count, sum := w.figures(t, r.Load)
	if !ok || err != nil || row.Count != count || row.Sum != sum || count != 4 || row.Through != protocol.LoadPosition(5) || row.MaxArrival != 1001 || row.Epoch != 0 || row.Pending != nil {
		t.Errorf("the ledger has %+v (%v, %v); the master dataset %d, %v", row, ok, err, count, sum)
	}
}

func TestAContentIsLoadedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, text)
	l := w.loader()
	content, before := lines(20), int64(1415000000_000000)
	first, err := w.accept(t, l, content, &before)
	if err != nil || first.Events == 0 || first.Newer == 0 || first.Events+first.Newer != 20 {
		t.Fatalf("accepted %+v, %v", first, err)
	}
	w.finish(t, l, first.Load)
	rows := w.rows(t)

	l = w.loader()
	again, err := w.accept(t, l, content, &before)
	if err != nil || !again.Already || again.Loaded == nil || *again.Accepted != *first.Accepted || again.Events != first.Events {
		t.Errorf("loaded again: %+v, %v; want the first load", again, err)
	}
	var refused *load.RefusedError
	if _, err := w.accept(t, l, content, nil); !errors.As(err, &refused) || !refused.Conflict || refused.Field != "before" || !strings.Contains(err.Error(), *first.Before) {
		t.Errorf("loaded again without a time: %v; want a refusal that names the first", err)
	}
	if got := w.rows(t); !maps.Equal(got, rows) {
		t.Errorf("the rows changed from %v to %v", rows, got)
	}
	all, err := l.Reports(t.Context())
	if err != nil || len(all) != 1 {
		t.Errorf("there are %d loads, %v; want one", len(all), err)
	}
}

func TestRunFinishesWhatIsAcceptedAndWaitsForIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, text)
	created := make(chan string, 2)
	w.ledger = telling{w.ledger, created}
	l := w.loader()
	first, err := w.accept(t, l, lines(3), nil)
	if err != nil || !first.Waiting {
		t.Fatalf("accepted while nobody takes loads: %+v, %v", first, err)
	}
	l = w.loader() // another process
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); l.Run(ctx) }()
	if shard := <-created; shard != first.Load {
		t.Errorf("the ledger got %s, want %s", shard, first.Load)
	}
	second, err := w.accept(t, l, lines(4), nil)
	if err != nil || second.Waiting {
		t.Errorf("accepted while Run is at work: %+v, %v", second, err)
	}
	if shard := <-created; shard != second.Load {
		t.Errorf("the ledger got %s, want %s", shard, second.Load)
	}
	cancel()
	<-ended
}

// telling is a ledger that says which rows it got.
type telling struct {
	protocol.Ledger
	created chan<- string
}

func (l telling) Create(ctx context.Context, shard string, row protocol.Row) (bool, error) {
	ok, err := l.Ledger.Create(ctx, shard, row)
	l.created <- shard
	return ok, err
}

func TestADamagedSpoolIsNotLoaded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, text)
	l := w.loader()
	r, err := w.accept(t, l, lines(3), nil)
	if err != nil {
		t.Fatal(err)
	}
	w.loads = rotten{w.loads}
	l = w.loader()
	if err := l.FinishAll(t.Context()); err == nil || !strings.Contains(err.Error(), "the disk is damaged") {
		t.Errorf("a spool with a changed byte: %v", err)
	}
	if got, err := l.Report(t.Context(), r.Load); err != nil || got.Loaded != nil || got.Error == "" {
		t.Errorf("it stands at %+v, %v; want the failure", got, err)
	}
	if _, ok, _ := w.ledger.Row(t.Context(), r.Load); ok {
		t.Error("the ledger has it")
	}
}

// rotten changes a byte of every spool that is read.
type rotten struct{ store }

func (l rotten) OpenSpool(ctx context.Context, name string) (io.ReadCloser, error) {
	f, err := l.store.OpenSpool(ctx, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	text[len(text)/2] ^= 1
	return io.NopCloser(bytes.NewReader(text)), err
}

func TestBeforeTakesOlderEventsAndWhatHasNoTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, text)
	before := int64(1_000_000_000_000_000)
	cases := []struct {
		event string
		taken bool
	}{
		{`{"n":1,"at":"2001-09-09T01:46:39.999999Z"}`, true},
		{`{"n":1,"at":"2001-09-09T01:46:40Z"}`, false},
		{`{"n":99,"at":"2001-09-10T00:00:00Z"}`, false},     // dropped
		{`{"n":-1,"at":"2001-09-08T00:00:00Z"}`, true},      // rejected by a rule
		{`{"n":-1,"at":"2001-09-10T00:00:00Z"}`, false},     // the same, and the stream has it
		{`{"n":"many","at":"2001-09-10T00:00:00Z"}`, false}, // rejected before its time is read
		{`{"n":1,"at":"at noon"}`, true},                    // no time
		{`{"n":1}`, true},                                   // no time
		{`{"at":"2001-09-10T00:00:00Z"}`, false},            // a column is missing
		{`{"n":1,"at":"2001-09-10T00:00:00Z"`, true},        // no JSON
	}
	var content, want []string
	for _, c := range cases {
		content = append(content, c.event)
		if c.taken {
			want = append(want, c.event)
		}
	}
	l := w.loader()
	r, err := w.accept(t, l, strings.Join(content, "\n"), &before)
	if err != nil || r.Events != int64(len(want)) || r.Newer != int64(len(cases)-len(want)) {
		t.Fatalf("accepted %+v, %v; want %d events", r, err, len(want))
	}
	w.finish(t, l, r.Load)
	var got []string
	for row := range w.rows(t) {
		got = append(got, strings.SplitN(row, " ", 4)[3])
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("taken:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestNothingIsRememberedOfWhatIsNotLoaded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, text)
	l := w.loader()
	early := int64(-1)
	for name, c := range map[string]struct {
		content string
		before  *int64
		refused string
	}{
		"no events":       {content: "\n\r\n"},
		"all are newer":   {content: lines(3), before: &early},
		"a line too long": {content: lines(3) + strings.Repeat("x", load.MaxEvent+1) + "\n", refused: "line 4: the event is larger than 1 MiB"},
	} {
		r, err := w.accept(t, l, c.content, c.before)
		switch {
		case c.refused != "":
			if err == nil || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%s: %+v, %v; want %q", name, r, err, c.refused)
			}
		case err != nil || r.Load != "" || r.Events != 0:
			t.Errorf("%s: %+v, %v; want an empty report", name, r, err)
		}
	}
	if all, err := w.loads.Loads(t.Context()); len(all) != 0 || err != nil {
		t.Errorf("remembered: %+v, %v", all, err)
	}

	timeless := newWorld(t, "pipeline: p\nevents:\n  format: json\n  columns:\n    n: {type: int}\nviews:\n  v: {by: [n], every: none, measures: {events: count}}\n")
	var refused *load.RefusedError
	if _, err := timeless.accept(t, timeless.loader(), lines(3), &early); !errors.As(err, &refused) || refused.Field != "before" {
		t.Errorf("a time in a pipeline without event time: %v", err)
	}
}

// dying is a process that is killed at one of its operations on the stores, after
// it has landed or before.
type dying struct {
	left   int
	landed bool
}

var errKilled = errors.New("killed")

// at does an operation, unless the process is dead.
func (d *dying) at(do func() error) error {
	d.left--
	if d.left > 0 {
		return do()
	}
	if d.left == 0 && d.landed {
		_ = do()
	}
	return errKilled
}

// store is protocol.Loads under a name that none of its methods has.
type store = protocol.Loads

type dyingLoads struct {
	store
	*dying
}

func (l dyingLoads) Spool(ctx context.Context, write func(io.Writer) error) (name string, err error) {
	return name, l.at(func() (err error) { name, err = l.store.Spool(ctx, write); return err })
}

func (l dyingLoads) PutLoad(ctx context.Context, load protocol.Load) (stored protocol.Load, err error) {
	return stored, l.at(func() (err error) { stored, err = l.store.PutLoad(ctx, load); return err })
}

func (l dyingLoads) FinishLoad(ctx context.Context, shard string, loaded int64) error {
	return l.at(func() error { return l.store.FinishLoad(ctx, shard, loaded) })
}

func (l dyingLoads) DeleteSpool(ctx context.Context, name string) error {
	return l.at(func() error { return l.store.DeleteSpool(ctx, name) })
}

type dyingLedger struct {
	protocol.Ledger
	*dying
}

func (l dyingLedger) Create(ctx context.Context, shard string, row protocol.Row) (ok bool, err error) {
	return ok, l.at(func() (err error) { ok, err = l.Ledger.Create(ctx, shard, row); return err })
}

type dyingCheckpoints struct {
	archive.Checkpoints
	*dying
}

func (c dyingCheckpoints) Store(ctx context.Context, shard string, through protocol.Position) error {
	return c.at(func() error { return c.Checkpoints.Store(ctx, shard, through) })
}

// TestKilledAnywhere kills a process at every operation of a load, before and
// after it lands, and goes on with another one: the ledger has the load when the
// master dataset has all of it, and never before.
func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	content := lines(20)
	kills := 0
	for operation := 1; ; operation++ {
		for _, landed := range []bool{false, true} {
			w := newWorld(t, text)
			loads, ledger, checkpoints := w.loads, w.ledger, w.checkpoints
			d := &dying{left: operation, landed: landed}
			w.loads, w.ledger, w.checkpoints = dyingLoads{loads, d}, dyingLedger{ledger, d}, dyingCheckpoints{checkpoints, d}
			l := w.loader()
			_, err := w.accept(t, l, content, nil)
			if err == nil {
				err = l.FinishAll(t.Context())
			}
			if d.left > 0 { // it lived
				if err != nil || kills < 10 {
					t.Fatalf("%d kills, then %v", kills, err)
				}
				return
			}
			kills++
			w.loads, w.ledger, w.checkpoints = loads, ledger, checkpoints
			shard := protocol.LoadShard(digest(content))
			if _, ok, _ := ledger.Row(t.Context(), shard); ok && len(w.rows(t)) != 20 {
				t.Errorf("killed at operation %d (landed: %v): the ledger has the load before the master dataset", operation, landed)
			}
			l = w.loader()
			if _, err := w.accept(t, l, content, nil); err != nil {
				t.Fatalf("killed at operation %d (landed: %v): loading again: %v", operation, landed, err)
			}
			w.finish(t, l, shard)
			row, _, err := ledger.Row(t.Context(), shard)
			count, sum := w.figures(t, shard)
			if err != nil || len(w.rows(t)) != 20 || row.Count != 20 || count != 20 || row.Sum != sum {
				t.Errorf("killed at operation %d (landed: %v): ledger %+v, master dataset %d, %v, %d rows; %v", operation, landed, row, count, sum, len(w.rows(t)), err)
			}
		}
	}
}

// checkpoints are those of an archive, in memory.
type checkpoints map[string]protocol.Position

func (c checkpoints) Load(_ context.Context, shard string) (protocol.Position, error) {
	return c[shard], nil
}

func (c checkpoints) Store(_ context.Context, shard string, through protocol.Position) error {
	c[shard] = through
	return nil
}
