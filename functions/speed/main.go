// Command speed is the Lambda function that the stream's event source calls: it
// applies events to the real-time views and commits them to the ledger. It wires the
// event source to the speed layer and holds no logic.
//
// WATERSHED_DEFINITION is the path of the definition, pipeline.yaml beside the
// program by default. WATERSHED_STREAM, WATERSHED_ITEMS and WATERSHED_LEDGER name the
// stream and the two tables.
package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/watershed-data/watershed/functions/internal/parts"
	"github.com/watershed-data/watershed/internal/kinesisevent"
	"github.com/watershed-data/watershed/internal/protocol"
)

func main() {
	logger := parts.Logger()
	handler, err := wire(context.Background(), logger)
	if err != nil {
		logger.Error("the function does not start", "error", err)
		os.Exit(1)
	}
	lambda.Start(handler)
}

func wire(ctx context.Context, logger *slog.Logger) (*kinesisevent.Handler, error) {
	p, err := parts.Open(ctx, logger)
	if err != nil {
		return nil, err
	}
	store, err := p.Tables()
	if err != nil {
		return nil, err
	}
	log := p.Log(store)
	speed, err := p.Speed(log, store)
	if err != nil {
		return nil, err
	}
	return &kinesisevent.Handler{
		Speed: speed, Ranges: &protocol.HashRanges{Log: log}, Ready: p.Ready(store),
		Attend: func(ctx context.Context, shard string, committed protocol.Position) {
			if err := log.Attend(ctx, shard, committed); err != nil {
				logger.WarnContext(ctx, "the tip of a shard was not found", "shard", shard, "error", err)
			}
		},
	}, nil
}
