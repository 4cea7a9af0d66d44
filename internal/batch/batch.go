// Package batch is the batch layer: it recomputes all views from the master
// dataset up to an exact cut, makes sure that master dataset and ledger agree,
// and publishes the result as a version. A Layer does a run in one process; Steps does
// it step by step, in processes that live for minutes. It knows the ports, and
// engines, the archive and the catalog as interfaces and functions.
package batch

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/doubleentry"
	"github.com/watershed-data/watershed/internal/protocol"
)

// Job is what an engine computes: all views over the master rows up to a cut.
type Job struct {
	Plan     protocol.Plan
	Files    []protocol.File // the pinned list: nothing else is read
	Distinct bool            // keep one row per position
	Version  string          // the files go under this version's path
	Since    Since           // the zero Since: from the beginning
	// Check, if not nil, takes the figures as soon as they are known. Its error
	// ends the job, and is in the job's error: views of rows that do not balance
	// are of no use. An engine that has its figures last need not call it.
	Check func(figures map[string]Figure) error
}

// Since is a version that an incremental job goes on from. The job computes the
// states of the rows behind it and merges them with those of its files: what comes
// out is equal, bit for bit, to what all rows give.
type Since struct {
	Version string // "": there is none
	Views   map[string][]protocol.ViewFile
	Cut     map[string]protocol.Cut
	// From is its cut or that of an earlier version. Rows between the two are read only
	// for what they say of later ones, as duplicates of which those may be; figures are
	// of all rows behind From.
	From map[string]protocol.Cut
}

// Figure is one shard's side of the double entry.
type Figure struct {
	Count int64
	Sum   protocol.Sum
}

// Result is what an engine computed, in one pass.
type Result struct {
	Figures map[string]Figure // per shard with rows
	Views   map[string][]protocol.ViewFile
	Events  int64
}

// Engine computes batch views. Spark and DuckDB are engines.
type Engine interface {
	Compute(ctx context.Context, job Job) (Result, error)
}

// Archive is what the layer needs of the consumer that fills the master dataset.
type Archive interface {
	// Flush returns once every row up to the positions is in the master dataset,
	// but for files that are late.
	Flush(ctx context.Context, through map[string]protocol.Position) error
	// Repair writes the rows of the events in the spans, which are in log order,
	// once more.
	Repair(ctx context.Context, shard string, spans []protocol.Span) error
}

// Entries gives the key of the position and the hash of each row of a shard in a
// file of the master dataset, if it lies in the span, in any order. The key is
// the callback's only during the call. An error of the callback ends it.
type Entries func(r io.ReaderAt, size int64, shard string, span protocol.Span, fn func(key []byte, hash uint64) error) error

// Outline tells where the rows of a file of the master dataset lie, in stretches
// that hold all of them. It is an error if the file does not say.
type Outline func(r io.ReaderAt, size int64) ([]protocol.Stretch, error)

// Journal keeps one text across restarts: how the layer stands. Nothing is
// decided by it.
type Journal interface {
	// Load gives what was stored last; none at first.
	Load(ctx context.Context) ([]byte, error)
	// Store replaces it.
	Store(ctx context.Context, text []byte) error
}

// Late says how long a file of the master dataset may take until it is listed.
// A run whose double entry does not balance waits for that long before it reads
// from the log again what is missing.
type Late struct {
	Wait  time.Duration // 0: files are never late
	Every time.Duration // between looks at the list; 0: DefaultLateEvery
}

// DefaultLateEvery is the time between looks for late files.
const DefaultLateEvery = 30 * time.Second

// Layer runs the batch layer of one generation.
type Layer struct {
	Protocol   *protocol.Run
	Log        protocol.Log
	Ledger     protocol.Ledger
	Master     protocol.Master
	Views      protocol.Views
	Engine     Engine
	Archive    Archive
	Entries    Entries
	Outline    Outline // nil: every run is a full one
	Generation string
	Definition *definition.Definition // whose views may roll up by age, and events have ids; nil: none do
	Logger     *slog.Logger
	Now        func() time.Time // for durations, reports and the wait for late files
	// Horizon gives the position behind which the log still holds a shard's events;
	// nil: it holds all of them.
	Horizon func(ctx context.Context, shard string) (protocol.Position, error)
	// Erasing keeps, across restarts, that an erasure is under way; nil: nothing is
	// ever erased.
	Erasing Journal
	Journal Journal // nil: how the layer stands is forgotten at the end of the process
	Late    Late
	// Readers is how many files of the master dataset a repair reads at a time; 0: one.
	Readers int
	// Cheaper decides whether an incremental run is worth it; nil is Cost.Incremental
	// being less than Cost.Full.
	Cheaper func(Cost) bool
	// Sleep waits between looks for late files; nil is a timer.
	Sleep func(ctx context.Context, d time.Duration) error

	turn     turn // one run at a time in this process; others are the protocol's business
	standing standing
	audits   bounds
	outlines map[string][]protocol.Stretch // by file
}

// Report says what a run did.
type Report struct {
	Version    string               `json:"version"`
	Seq        int64                `json:"seq"`
	Watershed  time.Time            `json:"watershed"`
	Unchanged  bool                 `json:"unchanged"`  // nothing came since the current version; nothing was computed
	Superseded bool                 `json:"superseded"` // another run published first; this one's version is gone
	Mode       doubleentry.Mode     `json:"mode"`       // what the version was computed from; "": nothing was computed
	Why        string               `json:"why"`        // in this mode
	Events     int64                `json:"events"`
	Cut        map[string]ReportCut `json:"cut"`     // null: of too many shards to be told here; the version's manifest has it
	Rows       map[string]int64     `json:"rows"`    // per view
	Balance    *doubleentry.Balance `json:"balance"` // null: nothing was compared
	Discarded  int64                `json:"discarded"`
	Seconds    map[string]float64   `json:"seconds"` // per step
}

func newReport() *Report {
	return &Report{Seconds: map[string]float64{}, Cut: map[string]ReportCut{}, Rows: map[string]int64{}}
}

// ReportCut is a shard's cut for people.
type ReportCut struct {
	Epoch   int64  `json:"epoch"`
	Through string `json:"through"`
	Events  int64  `json:"events"`
}

// Run makes one version now. A run that is under way goes first: Run waits for it,
// or until ctx ends.
func (l *Layer) Run(ctx context.Context) (*Report, error) { return l.run(ctx, request{}) }

// RunFull is Run from all rows of the master dataset, whatever it costs.
func (l *Layer) RunFull(ctx context.Context) (*Report, error) {
	return l.run(ctx, request{full: true})
}

// RunIfChanged makes one version unless nothing came since the current one, no
// bucket is to be rolled up, and the last run did not fail.
func (l *Layer) RunIfChanged(ctx context.Context) (*Report, error) {
	return l.run(ctx, request{ifChanged: true})
}

// request is what is asked of a run.
type request struct {
	ifChanged bool // make no version if it were the current one again
	full      bool // compute it from all rows
}

// LastSealed gives the watershed of the current version; false if none is
// published yet.
func (l *Layer) LastSealed(ctx context.Context) (time.Time, bool, error) {
	pointer, err := l.Ledger.Pointer(ctx)
	if err != nil || pointer.Seq == 0 {
		return time.Time{}, false, err
	}
	m, err := l.Views.Manifest(ctx, pointer.Version)
	if err != nil {
		return time.Time{}, false, fmt.Errorf("reading the manifest of %s: %w", pointer.Version, err)
	}
	return time.UnixMilli(m.T).UTC(), true, nil
}

func (l *Layer) run(ctx context.Context, asked request) (*Report, error) {
	if err := l.turn.take(ctx); err != nil {
		return nil, err
	}
	defer l.turn.give()
	r := &run{Layer: l, report: newReport()}
	err := r.all(ctx, asked)
	l.remember(ctx, r.plan.Run, r.report, err)
	if err != nil {
		return nil, err
	}
	return r.report, nil
}
