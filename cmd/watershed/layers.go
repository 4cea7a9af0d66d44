package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/watershed-data/watershed/internal/api"
	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/batch"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/duckdb"
	"github.com/watershed-data/watershed/internal/kinesis"
	"github.com/watershed-data/watershed/internal/local"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
	"github.com/watershed-data/watershed/internal/serving"
	"github.com/watershed-data/watershed/internal/speed"
	"github.com/watershed-data/watershed/internal/verify"
)

// batchMemory bounds what a batch run holds in memory, in bytes; the rest is
// spilled into the data directory.
const batchMemory = 2 << 30

// layerOptions is what `run` takes from its flags.
type layerOptions struct {
	data      string
	shards    int
	throttle  bool
	retention time.Duration // how long the log keeps an event at least
	logger    *slog.Logger
}

// layers is a pipeline running on one data directory: the batch, speed and
// serving layers, wired to the local ports.
type layers struct {
	def       *definition.Definition
	store     *local.Store
	source    *local.Source
	archive   *archive.Archiver
	batch     *batch.Layer
	retention *local.Retention
	service   *serving.Service
	handler   http.Handler
	logger    *slog.Logger

	observe func(time.Duration, error)
}

func openLayers(def *definition.Definition, o layerOptions) (_ *layers, err error) {
	store, err := local.Open(o.data, local.Options{Pipeline: def.Pipeline, Shards: o.shards, Logger: o.logger})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, store.Close())
		}
	}()
	if err := store.Adopt(def.Generation); err != nil {
		return nil, err
	}
	if err := store.Sweep(context.Background(), def.Generation); err != nil {
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
	temp, err := store.Temp()
	if err != nil {
		return nil, err
	}
	ledger, items, checkpoints := store.Ledger(def.Generation), store.RealTime(def.Generation), store.Checkpoints(def.Generation)
	millis := func() int64 { return time.Now().UnixMilli() }

	l := &layers{def: def, store: store, logger: o.logger}
	speedLayer := &protocol.Speed{Log: store.Log(), Ledger: ledger, RealTime: items, Folder: speed.NewFolder(def, logic), Now: millis}
	l.source = &local.Source{
		Log: store.Log(),
		Start: func(ctx context.Context, shard string) (protocol.Position, error) {
			row, _, err := ledger.Row(ctx, shard)
			return row.Through, err
		},
		Handle: speedLayer.Apply,
		Limit:  10_000,
		Logger: o.logger,
	}
	l.archive = &archive.Archiver{Definition: def, Logic: logic, Log: store.Log(), Master: master, Checkpoints: checkpoints}
	l.batch = &batch.Layer{
		Protocol: &protocol.Run{Speed: speedLayer, Views: views, Now: millis, Kept: 2},
		Log:      store.Log(), Ledger: ledger, Master: master, Views: views, Archive: l.archive,
		Engine:     duckdb.New(def, duckdb.Paths{Master: master.Path, View: views.Path}, duckdb.Options{MemoryLimit: batchMemory, TempDir: temp}),
		Generation: def.Generation, Logger: o.logger, Now: time.Now,
		Entries: archive.Entries, Horizon: store.Log().Horizon, Journal: store.Journal(def.Generation),
	}
	l.retention = &local.Retention{Log: store.Log(), Ledger: ledger, Views: views, Checkpoints: checkpoints, Keep: o.retention, Now: time.Now}
	reader := &protocol.Reader{
		Log: store.Log(), Ledger: ledger, RealTime: items, Views: views,
		Freeze: func() (protocol.Ledger, protocol.RealTime, func(), error) { return local.Freeze(ledger, items) },
	}
	l.service = serving.New(def, reader, millis, serving.Limits{})
	l.service.Batch = l.batch.Standing
	l.handler = l.routes(master, o)
	return l, nil
}

// routes joins the API and the Kinesis endpoint on one port.
func (l *layers) routes(master protocol.Master, o layerOptions) http.Handler {
	v1 := api.New(api.Options{
		Service: l.service,
		Batch:   func(ctx context.Context) (any, error) { return l.batch.Run(ctx) },
		Verify: func(ctx context.Context, view string) (any, error) {
			return l.verify(ctx, master, view)
		},
		Logger: o.logger,
	})
	l.observe = v1.ObserveBatch
	stream := kinesis.New(kinesis.Options{Stream: l.def.Pipeline, Log: l.store.Log(), Throttle: o.throttle, Retention: o.retention, Logger: o.logger})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" && r.Header.Get("X-Amz-Target") != "" {
			stream.ServeHTTP(w, r)
			return
		}
		v1.ServeHTTP(w, r)
	})
}

func (l *layers) verify(ctx context.Context, master protocol.Master, view string) (*verify.Result, error) {
	o := verify.Options{
		Def: l.def, Service: l.service, Log: l.store.Log(), Master: master,
		Scan: func(r io.ReaderAt, size int64, fn func(string, protocol.Event) error) error {
			return archive.Scan(r, size, func(row *archive.Stored) error {
				return fn(row.Shard, row.Event)
			})
		},
	}
	if view != "" {
		o.Views = []string{view}
	}
	result, err := verify.Run(ctx, o)
	if unknown := (*verify.UnknownViewError)(nil); errors.As(err, &unknown) {
		return nil, &serving.Error{Code: serving.NotFound, Field: "view", Message: unknown.Error()}
	}
	return result, err
}

// serve runs the layers until stop is closed; then it lets the speed layer catch
// up with the log, which by then must take no more events. No version is begun or
// finished once leaving ends: that would keep the process from stopping.
func (l *layers) serve(ctx, leaving context.Context, stop <-chan struct{}) {
	var wg sync.WaitGroup
	background, cancel := context.WithCancel(ctx)
	publishing, cancelPublishing := context.WithCancel(background)
	defer context.AfterFunc(leaving, cancelPublishing)()
	wg.Go(func() { l.keepArchiving(background) })
	wg.Go(func() { l.keepPublishing(publishing) })
	wg.Go(func() { l.keepTrimming(background) })
	l.source.Run(ctx, stop)
	cancel()
	wg.Wait()
}

// keepArchiving archives for as long as ctx lasts. What fails is tried again:
// the events are in the log.
func (l *layers) keepArchiving(ctx context.Context) {
	for ctx.Err() == nil {
		if err := l.archive.Run(ctx); err != nil {
			l.logger.Error("archiving failed and will be tried again", "error", err)
		}
		pause(ctx, time.Second)
	}
}

// keepPublishing makes versions as the definition says.
func (l *layers) keepPublishing(ctx context.Context) {
	every := l.def.Batch.Every
	if l.def.Batch.Continuous {
		every = time.Second // the pause between a run and the look for new events
	}
	if every <= 0 {
		return
	}
	for failures := 0; ; {
		if pause(ctx, max(every, backoff(failures))); ctx.Err() != nil {
			return
		}
		start := time.Now()
		report, err := l.batch.RunIfChanged(ctx) // it logs its own errors
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			failures++
		} else {
			failures = 0
		}
		if err != nil || !report.Unchanged {
			l.observe(time.Since(start), err)
		}
	}
}

// backoff is the least pause after so many runs that failed in a row.
func backoff(failures int) time.Duration {
	return min(time.Second<<min(failures, 10), time.Minute)
}

// keepTrimming lets go of the log's old records.
func (l *layers) keepTrimming(ctx context.Context) {
	for {
		if pause(ctx, min(max(l.retention.Keep/10, time.Second), time.Minute)); ctx.Err() != nil {
			return
		}
		if err := l.retention.Trim(ctx); err != nil && ctx.Err() == nil {
			l.logger.Warn("trimming the log failed and will be tried again", "error", err)
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// close lets the data directory go. Nothing may use the layers any more.
func (l *layers) close() error {
	if err := errors.Join(l.service.Close(), l.store.Close()); err != nil {
		return fmt.Errorf("closing: %w", err)
	}
	return nil
}
