// Command query is the Lambda function behind the HTTP API: it answers queries, tells
// of the pipeline, and begins batch runs. It wires the stack's stores to package
// answers and holds no logic. Package deployment names its environment.
package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/watershed-data/watershed/functions/internal/answers"
	"github.com/watershed-data/watershed/functions/internal/parts"
	"github.com/watershed-data/watershed/functions/internal/runs"
	"github.com/watershed-data/watershed/internal/deployment"
	"github.com/watershed-data/watershed/internal/httpapi"
	"github.com/watershed-data/watershed/internal/protocol"
)

func main() {
	logger := parts.Logger()
	handler, err := wire(context.Background(), logger)
	if err != nil {
		logger.Error("the function does not start", "error", err)
		os.Exit(1)
	}
	lambda.Start(handler.Invoke)
}

func wire(ctx context.Context, logger *slog.Logger) (*httpapi.Handler, error) {
	p, err := parts.Open(ctx, logger)
	if err != nil {
		return nil, err
	}
	store, err := p.Store(0) // it replaces no files
	machine, other := parts.Variable(deployment.StateMachine)
	if err := errors.Join(err, other); err != nil {
		return nil, err
	}
	begun, err := runs.New(p.Account, machine, time.Now)
	if err != nil {
		return nil, err
	}
	of := p.Definition.Generation
	reader := &protocol.Reader{Ledger: store.Ledger(of), RealTime: store.RealTime(of), Views: store.Views(of)}
	return answers.New(answers.Options{
		Definition: p.Definition, Reader: reader, Shards: p.Stream.Shards, Tips: store.Tips(of), Master: store.Master(of), Runs: begun,
		Journal: store.Journal(of, deployment.BatchJournal).Load,
		Ready:   func(ctx context.Context) error { return store.Holds(ctx, of) },
		Logger:  logger, Now: time.Now, MemoryMiB: lambdacontext.MemoryLimitInMB,
	})
}
