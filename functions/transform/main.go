// Command transform is the Lambda function that Firehose calls: it makes rows of the
// events of a stream. It wires the stream to package firehose and holds no logic.
//
// WATERSHED_DEFINITION is the path of the definition, pipeline.yaml beside the
// program by default. WATERSHED_STREAM is the name of the stream.
package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/watershed-data/watershed/internal/aws/stream"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/firehose"
)

func main() {
	logger := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	handler, err := wire(context.Background(), logger)
	if err != nil {
		logger.Error("the function does not start", "error", err)
		os.Exit(1)
	}
	lambda.Start(handler)
}

func wire(ctx context.Context, logger *slog.Logger) (*firehose.Handler, error) {
	def, err := definition.Load(cmp.Or(os.Getenv("WATERSHED_DEFINITION"), "pipeline.yaml"))
	if err != nil {
		return nil, err
	}
	account, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("loading the account's configuration: %w", err)
	}
	source, err := stream.New(account, os.Getenv("WATERSHED_STREAM"))
	if err != nil {
		return nil, fmt.Errorf("reading WATERSHED_STREAM: %w", err)
	}
	return firehose.NewHandler(def, source, logger)
}
