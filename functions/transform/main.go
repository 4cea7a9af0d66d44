// Command transform is the Lambda function that Firehose calls: it makes rows of the
// events of a stream. It wires the stream to package firehose and holds no logic.
//
// WATERSHED_DEFINITION is the path of the definition, pipeline.yaml beside the
// program by default. WATERSHED_STREAM is the name of the stream.
package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/watershed-data/watershed/functions/internal/parts"
	"github.com/watershed-data/watershed/internal/firehose"
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

func wire(ctx context.Context, logger *slog.Logger) (*firehose.Handler, error) {
	p, err := parts.Open(ctx, logger)
	if err != nil {
		return nil, err
	}
	handler, err := firehose.NewHandler(p.Definition, p.Stream, logger)
	if err != nil {
		return nil, err
	}
	handler.Metrics = p.Metrics
	return handler, nil
}
