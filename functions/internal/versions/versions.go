// Package versions makes the function batch: the steps of batch runs over the parts
// of a pipeline, with Spark as the engine.
package versions

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/watershed-data/watershed/functions/internal/parts"
	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/aws/catalog"
	"github.com/watershed-data/watershed/internal/aws/stream"
	"github.com/watershed-data/watershed/internal/batch"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/deployment"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
	"github.com/watershed-data/watershed/internal/sql"
)

const (
	// kept is how many versions stay besides the current one.
	kept = 1
	// keepReplaced is longer than any engine reads files.
	keepReplaced = 48 * time.Hour
	// readers is how many files a repair reads at a time: of most, only the footer.
	readers = 16
)

// Handler does steps of batch runs.
type Handler struct {
	steps *batch.Steps
	log   *stream.Log
	ready func(context.Context) error
}

// New makes the handler of a pipeline. It asks AWS for nothing yet.
func New(p *parts.Parts) (*Handler, error) {
	artifacts, err := parts.Variable(deployment.Artifacts)
	database, other := parts.Variable(deployment.Database)
	late, another := duration(deployment.Late)
	retention, fourth := time.Duration(0), error(nil)
	if os.Getenv(deployment.Retention) != "" {
		retention, fourth = duration(deployment.Retention)
	}
	if err := errors.Join(err, other, another, fourth); err != nil {
		return nil, err
	}
	store, err := p.Store(keepReplaced)
	if err != nil {
		return nil, err
	}
	log := p.Log(store)
	speed, err := p.Speed(log, store)
	if err != nil {
		return nil, err
	}
	logic, err := rowlogic.New(p.Definition)
	if err != nil {
		return nil, fmt.Errorf("preparing row logic: %w", err)
	}
	def, generation := p.Definition, p.Definition.Generation
	master, views := store.Master(generation), store.Views(generation)
	layer := &batch.Layer{
		Protocol: &protocol.Run{Speed: speed, Views: views, Now: speed.Now, Kept: kept},
		Log:      log, Ledger: speed.Ledger, Master: master, Views: views,
		Archive: &archive.Archiver{Definition: def, Logic: logic, Log: log, Master: master}, // only for repairs: Firehose is the archive
		Entries: archive.Entries, Generation: generation, Definition: def, Logger: p.Logger, Now: time.Now,
		Horizon: log.Horizon, Readers: readers, Journal: store.Journal(generation, deployment.BatchJournal), Late: batch.Late{Wait: late},
	}
	athena := sql.Athena{Def: def, Database: database, Bucket: os.Getenv(deployment.Views), Retention: retention}
	return &Handler{
		log: log, ready: p.Ready(store),
		steps: &batch.Steps{
			Layer: layer, Dialect: dialect{sql.Spark{Def: def}}, Jobs: store.Jobs(artifacts, generation),
			Places:    batch.Places{Files: master.URI(), Views: views.URI()},
			Published: catalog.New(p.Account, database, athena.Merged).Published,
			Count:     p.Metrics.Put,
		},
	}, nil
}

// duration reads a variable of the environment.
func duration(variable string) (time.Duration, error) {
	text, err := parts.Variable(variable)
	if err != nil {
		return 0, err
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("reading the environment: %s is %q; write a duration such as 10m", variable, text)
	}
	return d, nil
}

// Handle does one step, if the stores and the stream are the definition's.
func (h *Handler) Handle(ctx context.Context, p batch.Progress) (batch.Progress, error) {
	if err := h.ready(ctx); err != nil {
		return p, err
	}
	// An idle shard goes on only if somebody looked at its tip while its last record was
	// still there: see package stream. Runs do, and the schedule of the step attend, since
	// runs may be rare.
	if p.Step == deployment.AttendStep {
		return p, h.log.AttendAll(ctx, h.steps.Layer.Ledger)
	}
	if p.Step == "" || p.Step == deployment.SealStep {
		if err := h.log.AttendAll(ctx, h.steps.Layer.Ledger); err != nil {
			h.steps.Layer.Logger.ErrorContext(ctx, "shards were not read behind what is committed", "error", err)
		}
	}
	return h.steps.Do(ctx, p)
}

// dialect is Spark's, for jobs.
type dialect struct{ sql.Spark }

// Rows implements batch.Dialect.
func (d dialect) Rows(cut map[string]protocol.Cut, distinct bool) ([]string, error) {
	through := make(map[string]protocol.Position, len(cut))
	for shard, c := range cut {
		through[shard] = c.Through
	}
	return d.Spark.Rows(sql.Source{Cut: through, Distinct: distinct})
}

// View implements batch.Dialect.
func (d dialect) View(v definition.View, t int64) (query string, order []string, err error) {
	query, err = d.Spark.View(v, t)
	return query, d.Spark.Order(v), err
}
