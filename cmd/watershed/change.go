package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/watershed-data/watershed/internal/api"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/local"
	"github.com/watershed-data/watershed/internal/recompute"
	"github.com/watershed-data/watershed/internal/serving"
)

// change is a change of the definition: a generation is made beside the one that
// answers, and takes its place.
type change struct {
	held      local.Generations
	old       *generation // nil: its definition cannot be run, and nobody answers until the change is complete
	next      *generation
	recompute *recompute.Recompute
	answers   *answers
	store     *local.Store
	logger    *slog.Logger

	left func() // returns when no request is with the old generation any more; set by over

	mu       sync.Mutex
	failed   error // of the last try
	complete bool
}

// openChange opens the generation that answers, by its stored definition, beside
// the next one.
func openChange(held local.Generations, next *generation, a *answers, common shared) (*change, error) {
	c := &change{held: held, next: next, answers: a, store: common.store, logger: common.logger}
	old, err := openOld(held.Serving, common)
	if err != nil {
		c.logger.Warn("what the data directory holds cannot be answered from by this program; queries are refused until the recompute is complete",
			"generation", held.Serving, "reason", err)
	} else {
		c.old = old
		a.replace(old)
	}
	master, err := common.store.Master(held.Serving)
	if err != nil {
		return nil, err
	}
	from := recompute.Old{Ledger: common.store.Ledger(held.Serving), Master: master, Checkpoints: common.store.Checkpoints(held.Serving)}
	if c.old != nil {
		from.Ledger = c.old.ledger // there must be one per generation
	}
	c.recompute = &recompute.Recompute{
		Log: common.store.Log(), Old: from,
		New: recompute.New{
			Definition: next.def, Logic: next.logic, Ledger: next.ledger, RealTime: next.items, Master: next.master, Checkpoints: next.checkpoints,
			Keep:    next.folder.Keep(),
			Publish: func(ctx context.Context) error { _, err := next.batch.Run(ctx); return err },
		},
		Start: common.store.RecomputeJournal(next.def.Generation, "start"),
		Done:  common.store.RecomputeJournal(next.def.Generation, "done"),
	}
	return c, nil
}

// openOld opens a generation by the definition that is stored with it. It is an
// error if this program does not compute that generation of it.
func openOld(id string, common shared) (*generation, error) {
	text, ok, err := common.store.Definition(id)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, errors.New("its definition is not stored: the directory was made by an earlier release")
	}
	def, err := definition.Parse(text.File, text.Text)
	if err != nil {
		return nil, fmt.Errorf("its stored definition is not understood: %w", err)
	}
	if def.Generation != id {
		return nil, fmt.Errorf("this release computes generation %s of its stored definition", def.Generation)
	}
	old, err := openGeneration(def, common)
	if err != nil && len(def.Lookups) > 0 {
		common.logger.Warn("the old definition's lookups cannot be read; it answers without them until the change is complete", "error", err)
		def.Lookups = nil
		old, err = openGeneration(def, common)
	}
	return old, err
}

// run runs the generation that answers, and makes the next one beside it until
// stop is closed or publishing ends. The next one then goes on in its place.
func (c *change) run(ctx, publishing context.Context, stop <-chan struct{}) {
	changing, cancel := context.WithCancel(publishing)
	defer cancel()
	go func() {
		select {
		case <-stop:
			cancel()
		case <-changing.Done():
		}
	}()
	reporting := newCrew(changing, c.report)
	defer reporting.end()
	var old *running
	if c.old != nil {
		old = c.old.follow(ctx, stop)
		old.publish(publishing)
	}
	next := c.begin(ctx, changing, stop)
	if next != nil && !c.handOver(ctx, changing, stop, old, next) {
		next.end()
		next = nil
	}
	if next == nil {
		if old != nil {
			old.drain()
		}
		return
	}
	next.publish(publishing)
	c.retire(changing, old)
	next.own(publishing)
	next.drain()
}

// report logs each phase as it begins, and now and then how far it is.
func (c *change) report(ctx context.Context) {
	const look, every = time.Second / 4, 30 * time.Second
	var phase string
	var said time.Time
	for ; ctx.Err() == nil; pause(ctx, look) {
		s := c.status()
		if s == nil {
			return
		}
		if s.Phase != "" && s.Phase != phase || time.Since(said) > every {
			phase, said = s.Phase, time.Now()
			c.logger.Info("changing the definition", "to", s.To, "phase", s.Phase, "rows", s.Rows, "of", s.Of)
		}
	}
}

// begin makes the next generation, up to where it follows the log; nil if changing
// ends before. What fails is tried again.
func (c *change) begin(ctx, changing context.Context, stop <-chan struct{}) *running {
	for failures := 0; changing.Err() == nil; failures++ {
		if failures > 0 {
			pause(changing, backoff(failures))
		}
		err := c.recompute.Run(changing)
		if changing.Err() != nil {
			return nil
		}
		c.note(err)
		if err == nil {
			return c.next.follow(ctx, stop)
		}
		c.logger.Error("recomputing under the new definition failed and will be tried again", "error", err)
	}
	return nil
}

const (
	catchUpEvery = 50 * time.Millisecond
	pausedFor    = 10 * time.Second // at most, before the old speed layer goes on
)

// handOver makes the next generation answer, once it has committed all that the
// old one has: nobody who asks again finds less than before. For the last stretch
// the old speed layer pauses. It gives false if changing ends before.
func (c *change) handOver(ctx, changing context.Context, stop <-chan struct{}, old, next *running) bool {
	for c.catchUp(changing) {
		if old != nil {
			old.source.end()
		}
		paused, cancel := context.WithTimeout(changing, pausedFor)
		caughtUp := c.catchUp(paused)
		cancel()
		if caughtUp {
			err := c.store.Switch(c.next.def.Generation)
			if err == nil {
				c.over()
				return true
			}
			c.note(err)
			c.logger.Error("switching to the new definition failed and will be tried again", "error", err)
		}
		if old != nil {
			old.consume(ctx, stop)
		}
		pause(changing, time.Second)
	}
	return false
}

// catchUp waits until the next generation has come as far as the old one; false if
// the context ends before.
func (c *change) catchUp(ctx context.Context) bool {
	for ctx.Err() == nil {
		caughtUp, err := c.recompute.CaughtUp(ctx)
		if err == nil && caughtUp {
			return true
		}
		if ctx.Err() == nil {
			c.note(err)
		}
		pause(ctx, catchUpEvery)
	}
	return false
}

// over makes the next generation answer what is asked from here on.
func (c *change) over() {
	c.mu.Lock()
	c.complete = true
	c.mu.Unlock()
	c.left = c.answers.replace(c.next)
	c.logger.Info("the new definition answers now", "generation", c.next.def.Generation, "since", c.held.Since)
}

// retire lets the generation that answered go, when the requests that it still has
// have ended.
func (c *change) retire(ctx context.Context, old *running) {
	if old != nil {
		old.end()
	}
	c.left()
	if c.old != nil {
		if err := c.old.service.Close(); err != nil {
			c.logger.Warn("closing the views of the old definition failed", "error", err)
		}
	}
	if err := c.store.SweepDoomed(ctx); err != nil && ctx.Err() == nil {
		c.logger.Warn("removing what the old definition made failed; the next start does it", "error", err)
	}
}

// close lets go of what does not answer.
func (c *change) close() error {
	if c.isComplete() {
		return nil
	}
	return c.next.service.Close()
}

func (c *change) isComplete() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.complete
}

// note keeps how the last try ended, for the status.
func (c *change) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = err
}

// status tells of the change; nil when it is complete.
func (c *change) status() *serving.Change {
	if c == nil || c.isComplete() {
		return nil
	}
	p := c.recompute.Progress()
	c.mu.Lock()
	defer c.mu.Unlock()
	out := &serving.Change{
		From: c.held.Serving, To: c.held.Next, Since: c.held.Since.UTC().Format(time.RFC3339), Answering: c.old != nil,
		Phase: string(p.Phase), Rows: min(p.Rows, p.Of), Of: p.Of,
	}
	if c.failed != nil {
		out.Error = c.failed.Error()
	}
	return out
}

// serveWithoutAnswers serves what can be while no generation answers.
func (c *change) serveWithoutAnswers(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/v1/status", "/metrics", "/healthz":
		c.next.handler.ServeHTTP(w, r)
		return
	}
	text := "nothing can be answered yet"
	if s := c.status(); s != nil {
		text += ": " + s.String()
	}
	api.Unavailable(w, "recomputing", text)
}
