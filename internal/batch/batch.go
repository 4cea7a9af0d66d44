// Package batch is the batch layer: it recomputes all views from the master
// dataset up to an exact cut, makes sure that master dataset and ledger agree,
// and publishes the result as a version. It knows the ports, and engines and the
// archive as the interfaces below.
package batch

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/watershed-data/watershed/internal/doubleentry"
	"github.com/watershed-data/watershed/internal/protocol"
)

// Job is what an engine computes: all views over the master rows up to a cut.
type Job struct {
	Plan     protocol.Plan
	Files    []protocol.File // the pinned list: nothing else is read
	Distinct bool            // keep one row per position
	Version  string          // the files go under this version's path
	// Check, if not nil, takes the figures as soon as they are known. Its error
	// ends the job, and is in the job's error: views of rows that do not balance
	// are of no use. An engine that has its figures last need not call it.
	Check func(figures map[string]Figure) error
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
	Generation string
	Logger     *slog.Logger
	Now        func() time.Time // for durations, reports and the wait for late files
	// Horizon gives the position behind which the log still holds a shard's events;
	// nil: it holds all of them.
	Horizon func(ctx context.Context, shard string) (protocol.Position, error)
	Journal Journal // nil: how the layer stands is forgotten at the end of the process
	Late    Late
	// Sleep waits between looks for late files; nil is a timer.
	Sleep func(ctx context.Context, d time.Duration) error

	mu       sync.Mutex // one run at a time in this process; others are the protocol's business
	standing standing
	audits   bounds
}

// Report says what a run did.
type Report struct {
	Version    string               `json:"version"`
	Seq        int64                `json:"seq"`
	Watershed  time.Time            `json:"watershed"`
	Unchanged  bool                 `json:"unchanged"`  // nothing came since the current version; nothing was computed
	Superseded bool                 `json:"superseded"` // another run published first; this one's version is gone
	Events     int64                `json:"events"`
	Cut        map[string]ReportCut `json:"cut"`
	Rows       map[string]int64     `json:"rows"`    // per view
	Balance    *doubleentry.Balance `json:"balance"` // null: nothing was compared
	Discarded  int64                `json:"discarded"`
	Seconds    map[string]float64   `json:"seconds"` // per step
}

// ReportCut is a shard's cut for people.
type ReportCut struct {
	Epoch   int64  `json:"epoch"`
	Through string `json:"through"`
	Events  int64  `json:"events"`
}

// Run makes one version now.
func (l *Layer) Run(ctx context.Context) (*Report, error) { return l.run(ctx, true) }

// RunIfChanged makes one version unless nothing came since the current one and
// the last run did not fail.
func (l *Layer) RunIfChanged(ctx context.Context) (*Report, error) { return l.run(ctx, false) }

func (l *Layer) run(ctx context.Context, always bool) (*Report, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &run{Layer: l, report: &Report{Seconds: map[string]float64{}, Cut: map[string]ReportCut{}, Rows: map[string]int64{}}}
	err := r.all(ctx, always)
	l.remember(ctx, r.report, err)
	if err != nil {
		return nil, err
	}
	return r.report, nil
}
