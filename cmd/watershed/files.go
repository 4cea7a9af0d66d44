package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/watershed-data/watershed/internal/api"
	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/batch"
	"github.com/watershed-data/watershed/internal/erasure"
	"github.com/watershed-data/watershed/internal/rowlogic"
)

// mergeEvery is the time between looks for small files to merge.
const mergeEvery = 10 * time.Second

// keepMerging merges the small files that the archive writes.
func (g *generation) keepMerging(ctx context.Context) {
	for {
		if pause(ctx, mergeEvery); ctx.Err() != nil {
			return
		}
		doubled := false
		if s, err := g.batch.Standing(ctx); err == nil && s.Balance != nil {
			doubled = s.Balance.Doubled
		}
		done, err := g.merger.Merge(ctx, doubled)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			g.logger.Warn("merging files of the master dataset failed and will be tried again", "error", err)
		case done.Doubled > 0:
			g.logger.Info("the master dataset holds each row once again", "doubled", done.Doubled)
		}
	}
}

// eraseEvery is the time between looks for an erasure that was cut short.
const eraseEvery = 5 * time.Second

// keepErased completes erasures that were cut short: the events are gone from the
// master dataset, so the answers must not go on counting them.
func (g *generation) keepErased(ctx context.Context) {
	for failures := 0; ; {
		if err := g.batch.Whole(ctx); errors.Is(err, batch.ErrErasing) && ctx.Err() == nil {
			failures++
			if _, err := g.batch.RunIfChanged(ctx); err == nil { // it waits for the erasure if that is still running, and logs its own errors
				failures = 0
			}
		}
		if pause(ctx, max(eraseEvery, backoff(failures))); ctx.Err() != nil {
			return
		}
	}
}

// erase erases events, or counts them.
func (g *generation) erase(ctx context.Context, r api.Erasure) (*batch.EraseReport, error) {
	match, err := erasure.Match(g.def, g.logic, r.Request)
	if err != nil {
		return nil, err
	}
	if err := g.alone(); err != nil {
		return nil, err
	}
	if err := g.loaded(ctx); err != nil {
		return nil, err
	}
	e := &archive.Erasure{Master: g.master, Erasures: g.store.Erasures(), Wanted: func(shard, key string, stray bool, id rowlogic.Identity) bool {
		return match(erasure.Row{Shard: shard, PartitionKey: key, Stray: stray, ID: id})
	}}
	if r.DryRun {
		return g.batch.CountErasure(ctx, e)
	}
	return g.batch.Erase(ctx, e)
}

// alone gives an error unless this generation is the only one that has events. It
// asks the store: a request can come to a generation that answers, and be understood
// when another one has taken its place. Once it is alone it stays so until the
// process ends.
func (g *generation) alone() error {
	held, err := g.store.Generations()
	switch c := g.change(); {
	case err != nil:
		return err
	case held.Next != "" && c != nil:
		return &api.UnavailableError{Code: "changing", Message: "the definition is being changed, and events are in two generations: erase when that is complete; " + c.String()}
	case held.Next != "" || held.Serving != g.def.Generation:
		return &api.UnavailableError{Code: "changing", Message: "the definition was being changed when this came; try again"}
	case len(held.Doomed) > 0:
		return &api.UnavailableError{Code: "changing", Message: "what was made by the definition before is still being removed, and holds the events as well; try again, and if that does not help, the pipeline's log says what is in the way"}
	}
	return nil
}

// loaded waits until every load that was accepted is in the ledger. One that fails
// is an error: nobody knows how long it will.
func (g *generation) loaded(ctx context.Context) error {
	for {
		loads, err := g.loader.Reports(ctx)
		if err != nil {
			return fmt.Errorf("listing loads: %w", err)
		}
		waiting := 0
		for _, l := range loads {
			if l.Loaded != nil {
				continue
			}
			waiting++
			if l.Error != "" {
				return &api.UnavailableError{Code: "loading", Message: fmt.Sprintf("%s of %s was accepted and is not in the master dataset yet, since bringing it there fails; the pipeline's log says why. Erase when it is there, so that its events go as well", l.Load, l.Name)}
			}
		}
		if waiting == 0 {
			return nil
		}
		if pause(ctx, 100*time.Millisecond); ctx.Err() != nil {
			return ctx.Err()
		}
	}
}
