package stack

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskinesis"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/watershed-data/watershed/infra/config"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/deployment"
	"github.com/watershed-data/watershed/internal/deployment/access"
	"github.com/watershed-data/watershed/internal/lookup"
)

// FunctionsProps is what the functions work on.
type FunctionsProps struct {
	Definition *definition.Definition
	Programs   string // folder with a folder for each function, which holds its bootstrap
	Config     config.Config
	Endpoint   string // of a stand-in for AWS; "": AWS itself
	Parts      Parts
	Removal    awscdk.RemovalPolicy
}

// Functions are the Lambda functions.
type Functions struct {
	Transform awslambda.Function // Firehose's
	Speed     awslambda.Function // the stream's
	Query     awslambda.Function // the API's
	Batch     awslambda.Function // the state machine's
	// Checked is there when an imported stream was found to be one that can be read;
	// nil: the stream is the stack's own.
	Checked awscdk.CustomResource
}

// How long an invocation may take.
const (
	transformSeconds = 60
	speedSeconds     = 60
	querySeconds     = 29 // the API gives up after 30
	batchSeconds     = 15 * 60
	checkSeconds     = 60
)

// The memory of functions whose work does not depend on the traffic, in MiB.
const (
	transformMemory = 512
	batchMemory     = 2048
	checkMemory     = 256
)

// functionProgramsFit says which program is missing, or is not one for Linux on the
// processor that is configured: Lambda would say so at the first event only.
func functionProgramsFit(programs string, chosen config.Config) error {
	needed := access.Functions()
	if chosen.Stream.Mode == config.Imported {
		needed = append(needed, access.Check)
	}
	for _, name := range needed {
		built, err := builtFor(bootstrap(programs, name))
		if err != nil {
			return fmt.Errorf("finding the program of function %s: %w; `make functions` builds it", name, err)
		}
		if want := chosen.Functions.Architecture; built != want {
			return fmt.Errorf("function %s is built for %s, and functions.architecture is %s; `make functions FUNCTIONS_ARCH=%s` builds it anew", name, built, want, goName[want])
		}
	}
	return nil
}

// goName is what Go calls an architecture.
var goName = map[config.Architecture]string{config.ARM64: "arm64", config.X86: "amd64"}

// builtFor reads a program's processor.
func builtFor(program string) (config.Architecture, error) {
	f, err := elf.Open(program)
	if format := new(elf.FormatError); errors.As(err, &format) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "", fmt.Errorf("%s is not a program for Linux", program)
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	switch f.Machine {
	case elf.EM_AARCH64:
		return config.ARM64, nil
	case elf.EM_X86_64:
		return config.X86, nil
	}
	return "", fmt.Errorf("%s is a program for %s, which Lambda does not have", program, f.Machine)
}

func bootstrap(programs, name string) string { return filepath.Join(programs, name, "bootstrap") }

// NewFunctions makes the functions and what invokes the speed function. It is an
// error if a program cannot be read.
func NewFunctions(scope constructs.Construct, id string, props FunctionsProps) (*Functions, error) {
	if err := functionProgramsFit(props.Programs, props.Config); err != nil {
		return nil, err
	}
	scope = constructs.NewConstruct(scope, jsii.String(id))
	made, chosen := &Functions{}, props.Config
	parts := props.Parts
	tables := map[string]*string{deployment.Items: parts.Tables.Items.TableName(), deployment.Ledger: parts.Tables.Ledger.TableName()}
	buckets := map[string]*string{deployment.Master: parts.Buckets.Master.BucketName(), deployment.Views: parts.Buckets.Views.BucketName()}
	batch := map[string]*string{
		deployment.Artifacts: parts.Buckets.Artifacts.BucketName(),
		deployment.Database:  parts.Catalog.Database,
		deployment.Late:      jsii.String(chosen.Delivery.Late.String()),
	}
	if chosen.Stream.Mode != config.Imported {
		batch[deployment.Retention] = jsii.String(chosen.Stream.Retention.String())
	}
	for _, f := range []struct {
		into        *awslambda.Function
		id, name    string
		memory      int
		seconds     float64
		environment []map[string]*string
	}{
		{&made.Transform, "Transform", access.Transform, transformMemory, transformSeconds, nil},
		{&made.Speed, "Speed", access.Speed, chosen.Speed.MemoryMiB, speedSeconds, []map[string]*string{tables}},
		{&made.Query, "Query", access.Query, chosen.Query.MemoryMiB, querySeconds, []map[string]*string{tables, buckets}},
		{&made.Batch, "Batch", access.Batch, batchMemory, batchSeconds, []map[string]*string{tables, buckets, batch}},
	} {
		var err error
		in := scope
		if f.name == access.Transform {
			in = ofGeneration(scope, props.Definition)
		}
		if *f.into, err = props.function(in, f.id, f.name, f.memory, f.seconds, f.environment); err != nil {
			return nil, err
		}
	}
	// No limit of retries or age, no filter, no destination for failures: each would
	// take events out of the stream that the ledger says are still to come.
	events := made.Speed.AddEventSourceMapping(jsii.String("Events"), &awslambda.EventSourceMappingOptions{
		EventSourceArn:        parts.Stream.StreamArn(),
		StartingPosition:      awslambda.StartingPosition_TRIM_HORIZON,
		BatchSize:             jsii.Number(chosen.Speed.Batch),
		MaxBatchingWindow:     awscdk.Duration_Seconds(jsii.Number(chosen.Speed.Window.Seconds())),
		ParallelizationFactor: jsii.Number(1), // a shard's events in their order
	})
	if chosen.Stream.Mode == config.Imported {
		check, err := props.function(scope, "Check", access.Check, checkMemory, checkSeconds, nil)
		if err != nil {
			return nil, err
		}
		made.Checked = checked(scope, check, parts.Stream)
		events.Node().AddDependency(made.Checked)
	}
	return made, nil
}

// checked is made by CloudFormation asking the function check. If the stream cannot
// be a pipeline's log the deployment fails with the function's reason, before anything
// reads the stream.
func checked(scope constructs.Construct, check awslambda.IFunction, stream awskinesis.IStream) awscdk.CustomResource {
	return awscdk.NewCustomResource(scope, jsii.String("Checked"), &awscdk.CustomResourceProps{
		ResourceType:   jsii.String("Custom::WatershedStream"),
		ServiceToken:   check.FunctionArn(),
		ServiceTimeout: awscdk.Duration_Seconds(jsii.Number(2 * checkSeconds)),
		Properties:     &map[string]any{"Stream": stream.StreamArn()},
	})
}

// LetRunsBeStarted tells the query function of the state machine that makes a
// version, and lets it start one.
func (f *Functions) LetRunsBeStarted(stateMachineARN *string) {
	f.Query.AddEnvironment(jsii.String(deployment.StateMachine), stateMachineARN, nil)
	allowRuns(f.Query.Role(), access.Query, *stateMachineARN)
}

// function makes one function. Its role may write the function's log, and do what
// package access has for it.
func (p FunctionsProps) function(scope constructs.Construct, id, name string, memory int, seconds float64, environment []map[string]*string) (awslambda.Function, error) {
	code, err := p.code(name)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(code)
	logs := newLog(scope, id+"Log", p.Parts.Key, p.Removal)
	role := awsiam.NewRole(scope, jsii.String(id+"Role"), &awsiam.RoleProps{
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil),
	})
	logs.GrantWrite(role)
	p.Parts.grant(role, name)
	variables := map[string]*string{
		deployment.Definition: jsii.String(deployment.DefinitionFile),
		deployment.Stream:     p.Parts.Stream.StreamName(),
	}
	if p.Endpoint != "" {
		variables["AWS_ENDPOINT_URL"] = jsii.String(p.Endpoint)
	}
	for _, more := range environment {
		maps.Copy(variables, more)
	}
	return awslambda.NewFunction(scope, jsii.String(id), &awslambda.FunctionProps{
		Runtime:       awslambda.Runtime_PROVIDED_AL2023(),
		Architecture:  architecture(p.Config.Functions.Architecture),
		Handler:       jsii.String("bootstrap"),
		Code:          awslambda.Code_FromAsset(jsii.String(code), nil),
		MemorySize:    jsii.Number(memory),
		Timeout:       awscdk.Duration_Seconds(jsii.Number(seconds)),
		Role:          role,
		LogGroup:      logs,
		LoggingFormat: awslambda.LoggingFormat_JSON,
		Environment:   &variables,
	}), nil
}

func architecture(a config.Architecture) awslambda.Architecture {
	if a == config.X86 {
		return awslambda.Architecture_X86_64()
	}
	return awslambda.Architecture_ARM_64()
}

// code puts a function's program, the definition and, for queries, its lookups' files
// into a folder, which CDK copies. The same content is the same asset.
func (p FunctionsProps) code(name string) (dir string, err error) {
	dir, err = os.MkdirTemp("", "watershed-"+name+"-")
	if err != nil {
		return "", fmt.Errorf("packing function %s: %w", name, err)
	}
	defer func() {
		if err != nil {
			os.RemoveAll(dir)
			dir, err = "", fmt.Errorf("packing function %s: %w", name, err)
		}
	}()
	if err := copyFile(filepath.Join(dir, "bootstrap"), bootstrap(p.Programs, name), 0o755); err != nil {
		return dir, err
	}
	if name == access.Query {
		packed := map[string]bool{} // several lookups may read one file
		for _, l := range p.Definition.Lookups {
			if packed[l.File] {
				continue
			}
			packed[l.File] = true
			if err := copyFile(filepath.Join(dir, filepath.FromSlash(l.File)), p.Definition.Path(l), 0o644); err != nil {
				return dir, fmt.Errorf("lookup %s: %w", l.Name, err)
			}
		}
	}
	return dir, os.WriteFile(filepath.Join(dir, deployment.DefinitionFile), p.Definition.Text, 0o644)
}

// lookupsCanBePacked says which lookup's file cannot be read, or cannot lie beside
// the query function's program as it lies beside the definition.
func lookupsCanBePacked(def *definition.Definition) error {
	for _, l := range def.Lookups {
		if !filepath.IsLocal(filepath.FromSlash(l.File)) {
			return fmt.Errorf("%s:%d:%d: lookup %s: file %s is not below the definition's folder, so it cannot be deployed with it; move it there", def.File, l.FileAt.Line, l.FileAt.Column, l.Name, l.File)
		}
	}
	_, err := lookup.Open(def, nil)
	return err
}

// copyFile copies a file into folders that it makes.
func copyFile(to, from string, mode os.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
