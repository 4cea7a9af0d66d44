// Package parts makes the parts of a pipeline that its functions share, from the
// environment that the stack gives them: the ports on AWS, and the speed layer, which
// the batch layer needs as well. Making them asks AWS for nothing.
package parts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"

	store "github.com/watershed-data/watershed/internal/aws"
	"github.com/watershed-data/watershed/internal/aws/stream"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/deployment"
	"github.com/watershed-data/watershed/internal/emf"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
	"github.com/watershed-data/watershed/internal/speed"
)

// Parts are those that every function has.
type Parts struct {
	Definition *definition.Definition
	Account    aws.Config
	Stream     *stream.Stream
	Metrics    *emf.Metrics
	Logger     *slog.Logger
}

// Logger is what a function writes its log with: JSON on the standard output.
func Logger() *slog.Logger { return slog.New(slog.NewJSONHandler(os.Stdout, nil)) }

// Open reads the definition, beside the program unless the environment says
// otherwise, and finds account and stream.
func Open(ctx context.Context, logger *slog.Logger) (*Parts, error) {
	def, err := definition.Load(cmp.Or(os.Getenv(deployment.Definition), deployment.DefinitionFile))
	if err != nil {
		return nil, err
	}
	account, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("loading the account's configuration: %w", err)
	}
	name, err := Variable(deployment.Stream)
	if err != nil {
		return nil, err
	}
	of, err := stream.New(account, name)
	if err != nil {
		return nil, err
	}
	return &Parts{
		Definition: def, Account: account, Stream: of, Logger: logger,
		Metrics: emf.New(os.Stdout, deployment.Metrics, def.Pipeline, time.Now),
	}, nil
}

// Variable reads an environment variable that has to be set.
func Variable(name string) (string, error) {
	if value := os.Getenv(name); value != "" {
		return value, nil
	}
	return "", fmt.Errorf("reading the environment: %s is not set", name)
}

// Tables opens the stores of a function that uses the tables and no bucket.
func (p *Parts) Tables() (*store.Store, error) {
	return p.store(store.Options{Master: none, Views: none})
}

// none is the name of a bucket that a function does not use.
const none = "none"

// Store opens all stores. Readers of the master dataset may take as long as keep.
func (p *Parts) Store(keep time.Duration) (*store.Store, error) {
	master, err := Variable(deployment.Master)
	views, other := Variable(deployment.Views)
	if err := errors.Join(err, other); err != nil {
		return nil, err
	}
	return p.store(store.Options{Master: master, Views: views, KeepReplaced: keep})
}

func (p *Parts) store(o store.Options) (*store.Store, error) {
	items, err := Variable(deployment.Items)
	ledger, other := Variable(deployment.Ledger)
	if err := errors.Join(err, other); err != nil {
		return nil, err
	}
	o.Items, o.Ledger, o.Logger = items, ledger, p.Logger
	// An endpoint of its own is a stand-in on one machine, where a bucket is no host.
	o.PathStyle = p.Account.BaseEndpoint != nil
	return store.Open(p.Account, o)
}

// Speed makes the speed layer over a log and the stores of the definition's
// generation.
func (p *Parts) Speed(log *stream.Log, s *store.Store) (*protocol.Speed, error) {
	logic, err := rowlogic.New(p.Definition)
	if err != nil {
		return nil, fmt.Errorf("preparing row logic: %w", err)
	}
	generation := p.Definition.Generation
	return &protocol.Speed{
		Log: log, Ledger: s.Ledger(generation), RealTime: s.RealTime(generation),
		Folder: speed.NewFolder(p.Definition, logic), Genesis: log.Genesis,
		Now: func() int64 { return time.Now().UnixMilli() },
	}, nil
}

// Ready checks that the stream can be a pipeline's log and that the stores are of the
// definition's generation, until both are so.
func (p *Parts) Ready(s *store.Store) func(ctx context.Context) error {
	var checked atomic.Bool
	return func(ctx context.Context) error {
		if !checked.Load() {
			if err := p.Stream.Check(ctx); err != nil {
				return err
			}
			checked.Store(true)
		}
		return s.Adopt(ctx, p.Definition.Generation)
	}
}

// Log gives the stream as the log of the definition's generation, which stores notes
// of its tips.
func (p *Parts) Log(s *store.Store) *stream.Log {
	return stream.NewLog(p.Stream, stream.Options{Notes: s.Notes(p.Definition.Generation), Noting: true, Logger: p.Logger})
}
