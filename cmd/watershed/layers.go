package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/kinesis"
	"github.com/watershed-data/watershed/internal/local"
	"github.com/watershed-data/watershed/internal/serving"
)

// layerOptions is what `run` takes from its flags.
type layerOptions struct {
	data      string
	shards    int
	throttle  bool
	retention time.Duration // how long the log keeps an event at least
	logger    *slog.Logger
}

// layers is a pipeline running on one data directory: a log, and the generation
// that answers; and while the definition is being changed, the next one beside it.
type layers struct {
	store   *local.Store
	answers *answers
	change  *change // nil: none was under way at the start
	handler http.Handler
	logger  *slog.Logger
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
	file, err := filepath.Abs(def.File)
	if err != nil {
		return nil, err
	}
	before, err := store.Generations()
	if err != nil {
		return nil, err
	}
	held, err := store.Adopt(context.Background(), def.Generation, local.DefinitionText{File: file, Text: def.Text})
	if err != nil {
		return nil, err
	}
	tell(o.logger, before, held, func() []string { return differences(store, held.Serving, def) })

	l := &layers{store: store, answers: &answers{}, logger: o.logger}
	common := shared{store: store, computing: make(chan struct{}, 1), retention: o.retention, logger: o.logger, change: l.changing}
	if common.temp, err = store.Temp(); err != nil {
		return nil, err
	}
	if common.loads, err = store.Loads(); err != nil {
		return nil, err
	}
	mine, err := openGeneration(def, common)
	if err != nil {
		return nil, err
	}
	if held.Next == "" {
		l.answers.replace(mine)
	} else if l.change, err = openChange(held, mine, l.answers, common); err != nil {
		return nil, err
	}
	l.handler = l.routes(def, o)
	return l, nil
}

// changing tells of the change that is under way; nil: none is.
func (l *layers) changing() *serving.Change { return l.change.status() }

// routes joins the API and the Kinesis endpoint on one port.
func (l *layers) routes(def *definition.Definition, o layerOptions) http.Handler {
	stream := kinesis.New(kinesis.Options{Stream: def.Pipeline, Log: l.store.Log(), Throttle: o.throttle, Retention: o.retention, Logger: o.logger})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" && r.Header.Get("X-Amz-Target") != "" {
			stream.ServeHTTP(w, r)
			return
		}
		g, done := l.answers.enter()
		defer done()
		if g == nil {
			l.change.serveWithoutAnswers(w, r)
			return
		}
		g.handler.ServeHTTP(w, r)
	})
}

// serve runs the layers until stop is closed; then it lets the speed layer catch
// up with the log, which by then must take no more events. No version is begun or
// finished once leaving ends: that would keep the process from stopping.
func (l *layers) serve(ctx, leaving context.Context, stop <-chan struct{}) {
	publishing, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(leaving, cancel)()
	if l.change == nil {
		g, done := l.answers.enter()
		done()
		r := g.follow(ctx, stop)
		r.publish(publishing)
		r.own(publishing)
		r.drain()
		return
	}
	l.change.run(ctx, publishing, stop)
}

// close lets the data directory go. Nothing may use the layers any more.
func (l *layers) close() error {
	var errs []error
	if g, done := l.answers.enter(); g != nil {
		done()
		errs = append(errs, g.service.Close())
	}
	if l.change != nil {
		errs = append(errs, l.change.close())
	}
	if err := errors.Join(append(errs, l.store.Close())...); err != nil {
		return fmt.Errorf("closing: %w", err)
	}
	return nil
}

// tell says what a start with this definition means for the data directory.
func tell(logger *slog.Logger, before, held local.Generations, differences func() []string) {
	switch {
	case before.Serving == "":
	case held.Next == "" && before.Next == "":
		logger.Info("the definition decides the same answers as the data directory's; nothing is recomputed", "generation", held.Serving)
	case held.Next == "":
		logger.Info("the definition is the one that answers; the change that was under way is given up", "generation", held.Serving, "givenUp", before.Next)
	case held.Next == before.Next:
		logger.Info("going on with the change of the definition", "from", held.Serving, "to", held.Next, "since", held.Since)
	default:
		if before.Next != "" {
			logger.Info("the change that was under way is given up", "givenUp", before.Next)
		}
		logger.Info("the definition decides other answers than the data directory's; everything is recomputed from the raw events, and until then the answers are the old ones",
			"from", held.Serving, "to", held.Next, "differences", strings.Join(differences(), "; "))
	}
}

// differences says what a definition decides in another way than the stored one of
// a generation, as far as that can be told.
func differences(store *local.Store, generation string, now *definition.Definition) []string {
	text, ok, err := store.Definition(generation)
	if err != nil || !ok {
		return []string{"the definition before is not known"}
	}
	before, err := definition.Parse(text.File, text.Text)
	if err != nil {
		return []string{"the definition before is not understood by this release"}
	}
	return definition.Differences(before, now)
}
