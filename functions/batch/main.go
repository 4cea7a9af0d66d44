// Command batch is the Lambda function that the state machine of batch runs asks for
// each of their steps. It wires the stack's parts to the batch layer and holds no
// logic.
//
// WATERSHED_DEFINITION is the path of the definition, pipeline.yaml beside the
// program by default. WATERSHED_STREAM, WATERSHED_ITEMS, WATERSHED_LEDGER,
// WATERSHED_MASTER, WATERSHED_VIEWS, WATERSHED_ARTIFACTS and WATERSHED_DATABASE name
// the stream, the two tables, the three buckets and the catalog's database.
// WATERSHED_LATE is how long a file of the master dataset may be late.
package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/watershed-data/watershed/functions/internal/parts"
	"github.com/watershed-data/watershed/functions/internal/versions"
)

func main() {
	logger := parts.Logger()
	handler, err := wire(context.Background(), logger)
	if err != nil {
		logger.Error("the function does not start", "error", err)
		os.Exit(1)
	}
	lambda.Start(handler.Handle)
}

func wire(ctx context.Context, logger *slog.Logger) (*versions.Handler, error) {
	p, err := parts.Open(ctx, logger)
	if err != nil {
		return nil, err
	}
	return versions.New(p)
}
