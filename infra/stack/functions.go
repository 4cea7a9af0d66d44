package stack

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskinesis"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambdaeventsources"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/watershed-data/watershed/infra/config"
	"github.com/watershed-data/watershed/internal/definition"
)

// FunctionsProps is what the functions work on.
type FunctionsProps struct {
	Definition *definition.Definition
	Programs   string // folder with a folder for each function, which holds its bootstrap
	Speed      config.Speed
	Stream     awskinesis.IStream
	Tables     *Tables
	Key        awskms.IKey // of the tables
	Removal    awscdk.RemovalPolicy
}

// Functions are the Lambda functions.
type Functions struct {
	Transform awslambda.Function // Firehose's
	Speed     awslambda.Function // the stream's
}

// The folders of the functions' programs.
const (
	transform = "transform"
	speed     = "speed"
)

// The functions' environment.
const (
	definitionVariable = "WATERSHED_DEFINITION" // path of the definition, beside the program
	streamVariable     = "WATERSHED_STREAM"
	itemsVariable      = "WATERSHED_ITEMS"
	ledgerVariable     = "WATERSHED_LEDGER"
)

const definitionFile = "pipeline.yaml"

func functionProgramsExist(programs string) error {
	for _, name := range []string{transform, speed} {
		if _, err := os.Stat(bootstrap(programs, name)); err != nil {
			return fmt.Errorf("finding the program of function %s: %w; `make functions` builds it", name, err)
		}
	}
	return nil
}

func bootstrap(programs, name string) string { return filepath.Join(programs, name, "bootstrap") }

// NewFunctions makes the functions and what invokes the speed function. It is an
// error if a program cannot be read.
func NewFunctions(scope constructs.Construct, id string, props FunctionsProps) (*Functions, error) {
	if err := functionProgramsExist(props.Programs); err != nil {
		return nil, err
	}
	scope = constructs.NewConstruct(scope, jsii.String(id))
	made := &Functions{}
	var err error
	if made.Transform, err = props.function(scope, "Transform", transform, 512, map[string]*string{}); err != nil {
		return nil, err
	}
	if made.Speed, err = props.function(scope, "Speed", speed, props.Speed.MemoryMiB, map[string]*string{
		itemsVariable: props.Tables.Items.TableName(), ledgerVariable: props.Tables.Ledger.TableName(),
	}); err != nil {
		return nil, err
	}
	// Both ask the stream for its shards and, rarely, for events.
	props.Stream.GrantRead(made.Transform)
	props.Tables.Items.Grant(made.Speed, *jsii.Strings(tableActions...)...)
	props.Tables.Ledger.Grant(made.Speed, *jsii.Strings(tableActions...)...)
	props.Key.GrantEncryptDecrypt(made.Speed)
	// No limit of retries or age, no filter, no destination for failures: each would
	// take events out of the stream that the ledger says are still to come.
	made.Speed.AddEventSource(awslambdaeventsources.NewKinesisEventSource(props.Stream, &awslambdaeventsources.KinesisEventSourceProps{
		StartingPosition:      awslambda.StartingPosition_TRIM_HORIZON,
		BatchSize:             jsii.Number(props.Speed.Batch),
		MaxBatchingWindow:     awscdk.Duration_Seconds(jsii.Number(props.Speed.Window.Seconds())),
		ParallelizationFactor: jsii.Number(1), // a shard's events in their order
	}))
	return made, nil
}

// function makes one function with a role that may write its own log, and nothing
// else until it is granted.
func (p FunctionsProps) function(scope constructs.Construct, id, name string, memory int, environment map[string]*string) (awslambda.Function, error) {
	code, err := p.code(name)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(code)
	logs := awslogs.NewLogGroup(scope, jsii.String(id+"Log"), &awslogs.LogGroupProps{
		Retention: awslogs.RetentionDays_ONE_MONTH, RemovalPolicy: p.Removal,
	})
	role := awsiam.NewRole(scope, jsii.String(id+"Role"), &awsiam.RoleProps{
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil),
	})
	logs.GrantWrite(role)
	environment[definitionVariable] = jsii.String(definitionFile)
	environment[streamVariable] = p.Stream.StreamName()
	return awslambda.NewFunction(scope, jsii.String(id), &awslambda.FunctionProps{
		Runtime:       awslambda.Runtime_PROVIDED_AL2023(),
		Architecture:  awslambda.Architecture_ARM_64(),
		Handler:       jsii.String("bootstrap"),
		Code:          awslambda.Code_FromAsset(jsii.String(code), nil),
		MemorySize:    jsii.Number(memory),
		Timeout:       awscdk.Duration_Minutes(jsii.Number(1)),
		Role:          role,
		LogGroup:      logs,
		LoggingFormat: awslambda.LoggingFormat_JSON,
		Environment:   &environment,
	}), nil
}

// code puts a function's program and the definition into a folder, which CDK
// copies. The same program and the same definition are the same asset.
func (p FunctionsProps) code(name string) (dir string, err error) {
	dir, err = os.MkdirTemp("", "watershed-"+name+"-")
	if err != nil {
		return "", fmt.Errorf("packing function %s: %w", name, err)
	}
	if err := copyProgram(filepath.Join(dir, "bootstrap"), bootstrap(p.Programs, name)); err != nil {
		return "", fmt.Errorf("packing function %s: %w", name, err)
	}
	if err := os.WriteFile(filepath.Join(dir, definitionFile), p.Definition.Text, 0o644); err != nil {
		return "", fmt.Errorf("packing function %s: %w", name, err)
	}
	return dir, nil
}

func copyProgram(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}
