// Command check is the Lambda function that CloudFormation asks whether an imported
// stream can be a pipeline's log, before anything reads it. It wires the stream to
// CloudFormation and holds no logic.
//
// WATERSHED_STREAM is the name of the stream.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/cfn"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/watershed-data/watershed/internal/aws/stream"
	"github.com/watershed-data/watershed/internal/deployment"
)

func main() {
	handler, err := wire(context.Background())
	if err != nil {
		slog.New(slog.NewJSONHandler(os.Stdout, nil)).Error("the function does not start", "error", err)
		os.Exit(1)
	}
	lambda.Start(handler)
}

func wire(ctx context.Context) (cfn.CustomResourceLambdaFunction, error) {
	account, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("loading the account's configuration: %w", err)
	}
	name := os.Getenv(deployment.Stream)
	imported, err := stream.New(account, name)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", deployment.Stream, err)
	}
	return cfn.LambdaWrap(func(ctx context.Context, asked cfn.Event) (id string, data map[string]any, err error) {
		if asked.RequestType != cfn.RequestDelete {
			err = imported.Check(ctx)
		}
		return name, nil, err
	}), nil
}
