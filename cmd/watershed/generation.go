package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/watershed-data/watershed/internal/api"
	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/batch"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/duckdb"
	"github.com/watershed-data/watershed/internal/load"
	"github.com/watershed-data/watershed/internal/local"
	"github.com/watershed-data/watershed/internal/lookup"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rejects"
	"github.com/watershed-data/watershed/internal/rowlogic"
	"github.com/watershed-data/watershed/internal/serving"
	"github.com/watershed-data/watershed/internal/speed"
	"github.com/watershed-data/watershed/internal/verify"
)

// batchMemory bounds what a batch run holds in memory, in bytes; the rest is
// spilled into the data directory.
const batchMemory = 2 << 30

// generation is one generation on a data directory: the batch, speed and serving
// layers of a definition, wired to the local ports. Nothing of it runs until it
// follows or leads.
type generation struct {
	def         *definition.Definition
	store       *local.Store
	logic       *rowlogic.Logic
	ledger      *local.Ledger
	items       *local.RealTime
	master      *local.Master
	checkpoints *local.Checkpoints
	folder      *speed.Folder
	source      *local.Source
	archive     *archive.Archiver
	merger      *archive.Merger
	loader      *load.Loader
	change      func() *serving.Change
	batch       *batch.Layer
	retention   *local.Retention
	service     *serving.Service
	handler     http.Handler // the API
	logger      *slog.Logger

	observe func(time.Duration, error)
}

// shared is what all generations of a data directory have together.
type shared struct {
	store     *local.Store
	loads     *local.Loads
	temp      string        // an empty folder
	computing chan struct{} // holds a token while a generation computes a version: one at a time does, for the memory
	retention time.Duration // how long the log keeps an event at least
	logger    *slog.Logger
	change    func() *serving.Change // for the status; nil: none is under way
}

func openGeneration(def *definition.Definition, o shared) (*generation, error) {
	store := o.store
	if err := store.Sweep(context.Background(), def.Generation); err != nil {
		return nil, err
	}
	lookups, err := lookup.Open(def, o.logger)
	if err != nil {
		return nil, err
	}
	logic, err := rowlogic.New(def)
	if err != nil {
		return nil, err
	}
	master, err := store.Master(def.Generation)
	if err != nil {
		return nil, err
	}
	views, err := store.Views(def.Generation)
	if err != nil {
		return nil, err
	}
	temp := filepath.Join(o.temp, def.Generation)
	if err := os.Mkdir(temp, 0o755); err != nil {
		return nil, fmt.Errorf("making a folder for temporary files: %w", err)
	}
	ledger, items, checkpoints := store.Ledger(def.Generation), store.RealTime(def.Generation), store.Checkpoints(def.Generation)
	millis := func() int64 { return time.Now().UnixMilli() }

	g := &generation{
		def: def, store: store, logic: logic, ledger: ledger, items: items, master: master, checkpoints: checkpoints,
		folder: speed.NewFolder(def, logic), logger: o.logger, change: o.change, merger: &archive.Merger{Master: master},
	}
	speedLayer := &protocol.Speed{Log: store.Log(), Ledger: ledger, RealTime: items, Folder: g.folder, Now: millis}
	g.source = &local.Source{
		Log: store.Log(),
		Start: func(ctx context.Context, shard string) (protocol.Position, error) {
			row, _, err := ledger.Row(ctx, shard)
			return row.Through, err
		},
		Handle: speedLayer.Apply,
		Limit:  10_000,
		Logger: o.logger,
	}
	g.archive = &archive.Archiver{Definition: def, Logic: logic, Log: store.Log(), Master: master, Checkpoints: checkpoints, Erasures: store.Erasures()}
	g.loader = g.newLoader(o.loads)
	engine := duckdb.New(def, duckdb.Paths{Master: master.Path, View: views.Path}, duckdb.Options{MemoryLimit: batchMemory, TempDir: temp})
	g.batch = &batch.Layer{
		Protocol: &protocol.Run{Speed: speedLayer, Views: views, Now: millis, Kept: 2},
		Log:      store.Log(), Ledger: ledger, Master: master, Views: views, Archive: g.archive,
		Engine:     oneAtATime{engine, o.computing},
		Generation: def.Generation, Definition: def, Logger: o.logger, Now: time.Now,
		Entries: archive.Entries, Outline: archive.Outline, Horizon: store.Log().Horizon, Journal: store.Journal(def.Generation),
		Erasing: store.ErasingJournal(def.Generation),
	}
	g.retention = &local.Retention{Log: store.Log(), Ledger: ledger, Views: views, Checkpoints: checkpoints, Keep: o.retention, Now: time.Now}
	reader := &protocol.Reader{
		Log: store.Log(), Ledger: ledger, RealTime: items, Views: views,
		Freeze: func() (protocol.Ledger, protocol.RealTime, func(), error) { return local.Freeze(ledger, items) },
	}
	g.service = serving.New(def, reader, millis, serving.Limits{})
	g.service.Batch = g.batch.Standing
	g.service.Lookups = lookups
	g.service.Change = o.change
	g.handler = g.routes()
	return g, nil
}

// oneAtATime is an engine that waits for others to end.
type oneAtATime struct {
	batch.Engine
	computing chan struct{}
}

// Compute implements batch.Engine.
func (e oneAtATime) Compute(ctx context.Context, job batch.Job) (batch.Result, error) {
	select {
	case e.computing <- struct{}{}:
		defer func() { <-e.computing }()
	case <-ctx.Done():
		return batch.Result{}, ctx.Err()
	}
	return e.Engine.Compute(ctx, job)
}

// newLoader makes what takes loads: an archive of its own reads each of them, with
// the checkpoints of the stream's.
func (g *generation) newLoader(loads protocol.Loads) *load.Loader {
	return load.New(load.Options{
		Definition: g.def, Logic: g.logic, Loads: loads, Ledger: g.ledger, Logger: g.logger,
		Archive: func(log protocol.Log) load.Archive {
			return &archive.Archiver{Definition: g.def, Logic: g.logic, Log: log, Master: g.master, Checkpoints: g.checkpoints}
		},
		Now: func() int64 { return time.Now().UnixMilli() },
	})
}

// routes makes the API.
func (g *generation) routes() http.Handler {
	v1 := api.New(api.Options{
		Service: g.service,
		Instead: map[api.Operation]string{api.Run: "POST answers when the run is over, and status says how the last one ended"},
		Batch: func(ctx context.Context, full bool) (any, error) {
			if full {
				return g.batch.RunFull(ctx)
			}
			return g.batch.Run(ctx)
		},
		Verify: func(ctx context.Context, view string, progress func(events, of int64)) (any, error) {
			return g.verify(ctx, view, progress)
		},
		Erase: func(ctx context.Context, r api.Erasure) (any, error) { return g.erase(ctx, r) },
		Loads: g.loader,
		Rejects: func(ctx context.Context, reason string) (api.Report, error) {
			return rejects.Find(ctx, rejects.Options{
				Service: g.service, Log: g.store.Log(), Logic: g.logic, Master: g.master, Checkpoints: g.checkpoints,
			}, reason)
		},
		Logger: g.logger,
	})
	g.observe = v1.ObserveBatch
	return v1
}

func (g *generation) verify(ctx context.Context, view string, progress func(events, of int64)) (*verify.Result, error) {
	o := verify.Options{
		Def: g.def, Service: g.service, Log: g.store.Log(), Master: g.master, Progress: progress,
		TooLarge: func(err error) bool {
			var large *serving.Error
			return errors.As(err, &large) && large.Code == serving.TooLarge
		},
		Scan: func(r io.ReaderAt, size int64, fn func(string, protocol.Event) error) error {
			return archive.Scan(r, size, func(row *archive.Stored) error {
				return fn(row.Shard, row.Event)
			})
		},
	}
	if view != "" {
		o.Views = []string{view}
	}
	if err := g.batch.Whole(ctx); err != nil {
		return nil, &api.UnavailableError{Code: "erasing", Message: err.Error()}
	}
	result, err := verify.Run(ctx, o)
	if unknown := (*verify.UnknownViewError)(nil); errors.As(err, &unknown) {
		return nil, &serving.Error{Code: serving.NotFound, Field: "view", Message: unknown.Error()}
	}
	return result, err
}

// keepArchiving archives for as long as ctx lasts. What fails is tried again:
// the events are in the log.
func (g *generation) keepArchiving(ctx context.Context) {
	for ctx.Err() == nil {
		if err := g.archive.Run(ctx); err != nil {
			g.logger.Error("archiving failed and will be tried again", "error", err)
		}
		pause(ctx, time.Second)
	}
}

// keepPublishing makes versions as the definition says.
func (g *generation) keepPublishing(ctx context.Context) {
	every := g.def.Batch.Every
	if g.def.Batch.Continuous {
		every = time.Second // the pause between a run and the look for new events
	}
	if every <= 0 {
		return
	}
	wait := every
	if sealed, ok, err := g.batch.LastSealed(ctx); err == nil && ok { // else a run will say what is wrong
		wait = untilDue(every, time.Since(sealed))
	}
	for failures := 0; ; wait = max(every, backoff(failures)) {
		if pause(ctx, wait); ctx.Err() != nil {
			return
		}
		start := time.Now()
		report, err := g.batch.RunIfChanged(ctx) // it logs its own errors
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			failures++
		} else {
			failures = 0
		}
		if err != nil || !report.Unchanged {
			g.observe(time.Since(start), err)
		}
	}
}

// untilDue is the wait before the first version of this process, by the current
// one's age: a process that is started often makes versions as often as one that
// is not.
func untilDue(every, age time.Duration) time.Duration { return min(max(every-age, 0), every) }

// backoff is the least pause after so many runs that failed in a row.
func backoff(failures int) time.Duration {
	return min(time.Second<<min(failures, 10), time.Minute)
}

// keepTrimming lets go of the log's old records.
func (g *generation) keepTrimming(ctx context.Context) {
	for {
		if pause(ctx, min(max(g.retention.Keep/10, time.Second), time.Minute)); ctx.Err() != nil {
			return
		}
		if err := g.retention.Trim(ctx); err != nil && ctx.Err() == nil {
			g.logger.Warn("trimming the log failed and will be tried again", "error", err)
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
