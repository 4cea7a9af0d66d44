//go:build !mutants

package laws

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/batch"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/measure"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
	"github.com/watershed-data/watershed/internal/serving"
	"github.com/watershed-data/watershed/internal/speed"
	"github.com/watershed-data/watershed/internal/verify"
)

// pipelines are the definitions that histories of the real layers run.
var pipelines = []string{`
pipeline: laws
events:
  format: json
  columns:
    id: {type: string, optional: true}
    k:  {type: string, optional: true}
    n:  {type: int}
    p:  {type: "decimal(6,2)", optional: true}
    big: {type: int, optional: true}
    at: {type: timestamp}
  time: at
  id: id
  dedupe_within: 3s
clean:
  - require: "n >= -5"
    reason: too small
  - drop: "k == 'drop'"
views:
  by_k:
    by: [k]
    every: 1m
    measures: {events: count, total: sum(n), paid: sum(p), mean: avg(p), least: min(n), most: max(p)}
  total:
    by: []
    every: none
    measures: {events: count, total: sum(n), huge: sum(big), mean: avg(big), kinds: "distinct(id, 16)"}
  positive:
    by: [k]
    every: 1d
    where: "n > 0 && k != 'b'"
    measures: {priced: count(p), prices: "quantiles(p, 0.02)", ids: distinct(id)}
`, `
pipeline: laws
zone: America/New_York
events:
  format: json
  columns:
    k:  {type: string, optional: true}
    n:  {type: int}
    at: {type: timestamp}
  time: at
clean:
  - default: {k: none}
  - set: {k: "upper(k)"}
views:
  by_n:
    by: [n, k]
    every: 1d
    measures: {events: count, first: min(at), last: max(k)}
`, `
pipeline: laws
zone: America/New_York
events:
  format: json
  columns:
    k:  {type: string, optional: true}
    n:  {type: int}
    at: {type: timestamp, from: around}
  time: at
views:
  aged:
    by: [k]
    every: 1m
    keep: [{for: 1s, every: 1m}, {for: 3h, every: 1h}, {every: 1d}]
    measures: {events: count, total: sum(n), first: min(at)}
`}

// layered is the plot in which the real layers handle real events: row logic,
// folder, archive, DuckDB, serving. The oracle is verify's.
type layered struct {
	*world
	def      *definition.Definition
	logic    *rowlogic.Logic
	fold     *speed.Folder
	master   *faultyMaster
	archiver *archive.Archiver
	versions *diskViews
	marker   *checkpoints
	engine   *engine
}

// PlayLayers plays one history with the real layers. Files go under dir, which
// the caller removes.
func PlayLayers(c Config, dir string) (Outcome, error) {
	l, err := newLayered(c, dir)
	if err != nil {
		return Outcome{}, err
	}
	l.plot = l
	return l.play(c)
}

func newLayered(c Config, dir string) (*layered, error) {
	w := newWorld(c)
	def, err := definition.Parse("laws.yaml", []byte(pipelines[w.random.IntN(len(pipelines))]))
	if err != nil {
		return nil, err
	}
	logic, err := rowlogic.New(def)
	if err != nil {
		return nil, err
	}
	l := &layered{world: w, def: def, logic: logic, fold: speed.NewFolder(def, logic)}
	l.master = &faultyMaster{w: w, dir: filepath.Join(dir, "master")}
	l.versions = &diskViews{s: &w.scheduler, dir: filepath.Join(dir, "views"), manifests: map[string]protocol.Manifest{}}
	l.engine = newEngine(l, filepath.Join(dir, "computed"))
	l.marker = &checkpoints{at: map[string]protocol.Position{}}
	l.archiver = &archive.Archiver{Definition: def, Logic: logic, Log: w.log, Master: l.master, Checkpoints: l.marker}
	w.items.PageSize = 5
	return l, nil
}

// PlayLayersAside plays one history with the real layers in a directory of its
// own, which it removes.
func PlayLayersAside(c Config) (Outcome, error) { return aside(PlayLayers, c) }

func aside(play func(Config, string) (Outcome, error), c Config) (Outcome, error) {
	dir, err := os.MkdirTemp("", "watershed-laws-")
	if err != nil {
		return Outcome{}, err
	}
	defer os.RemoveAll(dir)
	return play(c, dir)
}

// SeededLayers gives the history of the real layers of a seed.
func SeededLayers(seed uint64) Config {
	c := Seeded(seed)
	c.Events *= 2
	return c
}

// ExplainLayers does what Explain does for a history of the real layers. These
// take longer to play, so it is made less small.
func ExplainLayers(c Config, script Script) string {
	return explain(PlayLayersAside, c, script, shrinkPlays/10, "-layers ")
}

func (l *layered) folder() protocol.Folder {
	if l.chance(20) {
		return speed.NewFolder(l.def, l.logic) // a process that has just started
	}
	return l.fold
}

// How far arrivals go, in milliseconds: forwards now and then, beyond what any
// dedup set keeps, and backwards, within the hour that is assumed of the stream.
const (
	jump      = 3 * 3600 * 1000
	backwards = 3500 * 1000
)

// appendRecord appends a record of one to three events, now and then a stray or
// a bad one.
func (l *layered) appendRecord() {
	l.now += pick[int64](l.random, 0, 1, 1, 2, 6) * 1000
	if l.chance(5) { // beyond the window and all slack: dedup segments are evicted
		l.now += jump
	}
	arrival := l.now - int64(l.random.IntN(skew+1))*1000
	if l.chance(5) {
		arrival -= int64(l.random.IntN(backwards))
	}
	key := fmt.Sprintf("p%d", l.random.IntN(6))
	shard := l.home(key)
	if l.chance(10) {
		shard = pick(l.random, l.open...)
	}
	n := pick(l.random, 1, 1, 1, 2, 3)
	records := make([]protocol.Record, n)
	for i := range records {
		if i > 0 && l.chance(30) { // an aggregate holds other keys too
			key = fmt.Sprintf("p%d", l.random.IntN(6))
		}
		records[i] = protocol.Record{PartitionKey: key, Data: l.event()}
	}
	seq := l.log.Put(shard, arrival, n > 1, records...)
	for i, r := range records {
		e := event{index: len(l.events), shard: shard, at: protocol.Position{Seq: seq, Sub: int64(i)}, arrival: arrival}
		l.events = append(l.events, e)
		l.trace("             event %d: %s@%s key %s arrival %d %s", e.index, short(shard), e.at, r.PartitionKey, arrival, r.Data)
	}
}

// home gives the open shard whose range holds the hash of a partition key.
func (l *layered) home(key string) string {
	sum := md5.Sum([]byte(key))
	h := new(big.Int).SetBytes(sum[:])
	shards, _ := l.log.Shards(context.Background())
	for _, s := range shards {
		from, _ := new(big.Int).SetString(s.HashFrom, 10)
		to, _ := new(big.Int).SetString(s.HashTo, 10)
		if slices.Contains(l.open, s.ID) && h.Cmp(from) >= 0 && h.Cmp(to) <= 0 {
			return s.ID
		}
	}
	panic("the open shards leave a hole")
}

func (l *layered) event() []byte {
	if l.chance(10) {
		return []byte(pick(l.random, "", "{", `{"n":"x"}`, `{"k":"a"}`, "\xff", `[]`))
	}
	var b strings.Builder
	fmt.Fprintf(&b, `{"n":%d`, l.random.IntN(12)-6)
	if l.chance(70) {
		fmt.Fprintf(&b, `,"id":"i%d"`, l.random.IntN(3))
	}
	if l.chance(80) {
		fmt.Fprintf(&b, `,"k":%q`, pick(l.random, "a", "b", "drop", ""))
	}
	if l.chance(70) {
		fmt.Fprintf(&b, `,"p":%d.%02d`, l.random.IntN(9999), l.random.IntN(100))
	}
	if l.chance(20) { // sums leave 64 bits, to both sides
		fmt.Fprintf(&b, `,"big":%d`, pick[int64](l.random, math.MaxInt64, math.MinInt64, math.MaxInt64-1))
	}
	// Around the time at which histories begin, for views that roll up by age.
	fmt.Fprintf(&b, `,"around":"1970-01-01T0%d:59:%02dZ"`, l.random.IntN(8), l.random.IntN(60))
	fmt.Fprintf(&b, `,"at":"2014-11-02T0%d:59:%02dZ"}`, 4+l.random.IntN(3), l.random.IntN(60))
	return []byte(b.String())
}

// archive lets the archive take its turns, and late files come in.
func (l *layered) archive(ctx context.Context) error {
	for {
		if err := l.step(ctx, "", l.master.release); err != nil {
			return err
		}
		if l.quiet && l.appended {
			return nil
		}
		if err := l.idle(ctx, 1+pick(l.random, 5, 20, 60)); err != nil {
			return err
		}
		if l.chance(30) {
			_ = l.Flush(ctx, l.tips()) // what fails is tried again
		}
	}
}

// load does nothing: how the layers treat loads is tested with whole pipelines.
func (l *layered) load(context.Context) error { return nil }

// tips gives the last positions of all shards that hold events.
func (l *layered) tips() map[string]protocol.Position {
	out := map[string]protocol.Position{}
	for _, e := range l.events {
		if e.at.After(out[e.shard]) {
			out[e.shard] = e.at
		}
	}
	return out
}

// Flush implements batch.Archive, shard by shard; each is one step.
func (l *layered) Flush(ctx context.Context, through map[string]protocol.Position) error {
	for _, shard := range slices.Sorted(maps.Keys(through)) {
		var err error
		died := l.step(ctx, "flush "+short(shard), func() {
			err = l.archiver.Flush(context.Background(), map[string]protocol.Position{shard: through[shard]})
		})
		if err := first(died, err); err != nil {
			return err
		}
	}
	return nil
}

// Repair implements batch.Archive.
func (l *layered) Repair(ctx context.Context, shard string, spans []protocol.Span) (err error) {
	died := l.step(ctx, "repair "+short(shard), func() { err = l.archiver.Repair(context.Background(), shard, spans) })
	return first(died, err)
}

func (l *layered) batchRun(ctx context.Context, _ string) error {
	layer := l.layer()
	layer.Engine, layer.Outline = l.engine, archive.Outline
	layer.Cheaper = func(batch.Cost) bool { return l.chance(70) }
	report, err := layer.Run(ctx)
	l.out.Compared = l.engine.increments
	if l.engine.unequal != nil {
		return l.engine.unequal
	}
	if err == nil && !report.Superseded {
		l.out.Published++
	}
	return err
}

// layer is the batch layer of a process that has just started, without an engine.
func (l *layered) layer() *batch.Layer {
	return &batch.Layer{
		Protocol: &protocol.Run{Speed: l.speed(), Views: l.versions, Now: func() int64 { return l.now }, Kept: 1},
		Log:      log{l.log, &l.scheduler}, Ledger: ledger{l.ledger, &l.scheduler}, Master: l.master, Views: l.versions, Archive: l,
		Entries: archive.Entries, Generation: l.def.Generation, Definition: l.def,
		Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return time.UnixMilli(l.now) },
		Sleep: func(ctx context.Context, _ time.Duration) error { return l.idle(ctx, 1) },
	}
}

func (l *layered) manifest(version string) (protocol.Manifest, error) {
	return l.versions.Manifest(context.Background(), version)
}

// recorded is an answer that verify takes for the merged one. It hides the
// version, so that all events come from the log.
type recorded struct {
	cells    func(visit func(string, protocol.Key, []measure.State) error) error
	snapshot *protocol.Snapshot
}

func (r recorded) Cells(_ context.Context, _ []string, _ func(string, protocol.Key) bool, visit func(string, protocol.Key, []measure.State) error) (*protocol.Snapshot, error) {
	s := *r.snapshot
	s.Pointer = protocol.Pointer{}
	if s.Manifest != nil { // without its cut; by its T, old buckets are rolled up
		s.Manifest = &protocol.Manifest{T: s.Manifest.T}
	}
	return &s, r.cells(visit)
}

func (l *layered) read(ctx context.Context, last bool) error {
	reader := &protocol.Reader{
		Log: log{l.log, &l.scheduler}, Ledger: ledger{l.ledger, &l.scheduler}, RealTime: realTime{l.items, &l.scheduler}, Views: l.versions,
		Pause: func(ctx context.Context, _ time.Duration) error { return l.idle(ctx, 1) },
	}
	service := serving.New(l.def, reader, func() int64 { return l.now }, serving.Limits{})
	defer service.Close()
	type cell struct {
		view   string
		key    protocol.Key
		states []measure.State
	}
	var cells []cell
	var names []string
	for _, v := range l.def.AllViews() {
		names = append(names, v.Name)
	}
	snapshot, err := service.Cells(ctx, names, nil, func(view string, key protocol.Key, states []measure.State) error {
		cells = append(cells, cell{view, key, slices.Clone(states)})
		return nil
	})
	if err != nil {
		if last {
			return fmt.Errorf("%w: the last reading failed: %w", errBroken, err)
		}
		if !errors.Is(err, errDied) && !errors.Is(err, protocol.ErrBusy) {
			return fmt.Errorf("%w: a reading failed: %w", errBroken, err)
		}
		l.out.Refused++
		return err
	}
	l.out.Answers++
	result, err := verify.Run(context.Background(), verify.Options{
		Def: l.def, Log: l.log, Master: &faultyMaster{w: l.world, dir: os.DevNull},
		Service: recorded{snapshot: snapshot, cells: func(visit func(string, protocol.Key, []measure.State) error) error {
			for _, c := range cells {
				if err := visit(c.view, c.key, c.states); err != nil {
					return err
				}
			}
			return nil
		}},
	})
	if err != nil {
		return fmt.Errorf("%w: verifying failed: %w", errBroken, err)
	}
	if !result.Equal {
		var b strings.Builder
		_ = result.WriteTable(&b)
		return fmt.Errorf("%w (pointer %v):\n%s", errBroken, snapshot.Pointer, b.String())
	}
	return l.closed(snapshot)
}

// checkpoints are the archive's, in memory.
type checkpoints struct{ at map[string]protocol.Position }

func (c *checkpoints) Load(_ context.Context, shard string) (protocol.Position, error) {
	return c.at[shard], nil
}

func (c *checkpoints) Store(_ context.Context, shard string, p protocol.Position) error {
	c.at[shard] = p
	return nil
}

// faultyMaster is a master dataset on disk that loses, doubles and delays files.
type faultyMaster struct {
	w     *world
	dir   string
	n     int
	files []protocol.File
	late  []protocol.File
}

var errWriting = errors.New("the file landed and the reply is lost")

// Put implements protocol.Master.
func (m *faultyMaster) Put(_ context.Context, shard string, write func(io.Writer) error) (protocol.File, error) {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return protocol.File{}, err
	}
	store := func() (protocol.File, error) {
		m.n++
		f := protocol.File{Name: fmt.Sprintf("%s-%06d.parquet", shard, m.n), Shard: shard, Size: int64(b.Len())}
		if err := os.MkdirAll(m.dir, 0o755); err != nil {
			return f, err
		}
		return f, os.WriteFile(filepath.Join(m.dir, f.Name), b.Bytes(), 0o600)
	}
	f, err := store()
	if err != nil {
		return f, err
	}
	how := 0
	if !m.w.quiet {
		how = m.w.random.IntN(12)
	}
	switch how {
	case 1: // lost
		m.w.trace("             %s is lost", f.Name)
	case 2:
		m.w.trace("             %s comes late", f.Name)
		m.late = append(m.late, f)
	case 3:
		m.w.trace("             %s comes twice", f.Name)
		m.files = append(m.files, f)
		if f, err = store(); err != nil {
			return f, err
		}
		m.files = append(m.files, f)
	case 4:
		m.w.trace("             %s: %v", f.Name, errWriting)
		m.files = append(m.files, f)
		return protocol.File{}, errWriting
	default:
		m.files = append(m.files, f)
	}
	return f, nil
}

// release lets a late file come in, all of them once the history is quiet.
func (m *faultyMaster) release() {
	for len(m.late) > 0 && (m.w.quiet || m.w.chance(20)) {
		m.files, m.late = append(m.files, m.late[0]), m.late[1:]
	}
}

// Files implements protocol.Master.
func (m *faultyMaster) Files(ctx context.Context) (out []protocol.File, err error) {
	if ctx.Value(actorKey{}) == nil {
		return slices.Clone(m.files), nil
	}
	err = m.w.step(ctx, "list master", func() { out = slices.Clone(m.files) })
	slices.SortFunc(out, func(a, b protocol.File) int { return strings.Compare(a.Name, b.Name) })
	return out, err
}

// Replace implements protocol.Master; no history replaces files.
func (m *faultyMaster) Replace(context.Context, []string, []protocol.NewFile) ([]protocol.File, error) {
	return nil, errors.ErrUnsupported
}

// Pin implements protocol.Master: no file ever goes.
func (m *faultyMaster) Pin(context.Context) (func(), error) { return func() {}, nil }

// Open implements protocol.Master.
func (m *faultyMaster) Open(_ context.Context, name string) (protocol.ReadAtCloser, int64, error) {
	return openDisk(filepath.Join(m.dir, name))
}

func openDisk(path string) (protocol.ReadAtCloser, int64, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, 0, err
	}
	return closer{bytes.NewReader(content)}, int64(len(content)), nil
}

type closer struct{ io.ReaderAt }

func (closer) Close() error { return nil }

// diskViews holds the versions where DuckDB writes them.
type diskViews struct {
	s         *scheduler
	dir       string
	manifests map[string]protocol.Manifest
}

// PutManifest implements protocol.Views.
func (v *diskViews) PutManifest(ctx context.Context, m protocol.Manifest) error {
	return v.s.step(ctx, "put manifest "+m.Version, func() { v.manifests[m.Version] = m })
}

// Manifest implements protocol.Views.
func (v *diskViews) Manifest(ctx context.Context, version string) (m protocol.Manifest, err error) {
	read := func() {
		var ok bool
		if m, ok = v.manifests[version]; !ok {
			err = fmt.Errorf("version %s has no manifest", version)
		}
	}
	if ctx.Value(actorKey{}) == nil {
		read()
		return m, err
	}
	died := v.s.step(ctx, "read manifest "+version, read)
	return m, first(died, err)
}

// Open implements protocol.Views.
func (v *diskViews) Open(ctx context.Context, version, name string) (f protocol.ReadAtCloser, size int64, err error) {
	died := v.s.step(ctx, "open "+version+"/"+name, func() { f, size, err = openDisk(filepath.Join(v.dir, version, name)) })
	return f, size, first(died, err)
}

// Versions implements protocol.Views.
func (v *diskViews) Versions(ctx context.Context) (out []string, err error) {
	died := v.s.step(ctx, "list versions", func() {
		var entries []os.DirEntry
		entries, err = os.ReadDir(v.dir)
		for _, e := range entries {
			out = append(out, e.Name())
		}
	})
	return out, first(died, err)
}

// Delete implements protocol.Views.
func (v *diskViews) Delete(ctx context.Context, version string) (err error) {
	died := v.s.step(ctx, "delete version "+version, func() {
		delete(v.manifests, version)
		err = os.RemoveAll(filepath.Join(v.dir, version))
	})
	return first(died, err)
}
