package stack

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskinesis"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskinesisfirehose"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/watershed-data/watershed/infra/config"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/deployment"
)

// PipelineProps is what a pipeline's stack is made of.
type PipelineProps struct {
	Definition *definition.Definition
	Config     config.Config
	Functions  string // folder with a folder for each function, which holds its bootstrap
	Driver     string // file of the program that computes on Spark
	Endpoint   string // of a stand-in for AWS, which the functions then talk to; "": AWS itself
}

// Check says what the stack cannot be made of. It needs no CDK.
func (p PipelineProps) Check() error {
	if p.Definition == nil {
		return errors.New("making the stack: there is no definition")
	}
	return errors.Join(functionProgramsFit(p.Functions, p.Config), lookupsCanBePacked(p.Definition), catalogFits(p.Definition), p.batch().Check())
}

// batch is what is known of batch runs before CDK starts.
func (p PipelineProps) batch() BatchProps {
	return BatchProps{Pipeline: p.Definition.Pipeline, When: p.Definition.Batch, Config: p.Config.Batch, Late: p.Config.Delivery.Late, Driver: p.Driver}
}

// Pipeline is the stack of one pipeline.
type Pipeline struct {
	Stack        awscdk.Stack
	Key          awskms.Key // encrypts everything but access logs of buckets
	Stream       awskinesis.IStream
	StreamIsOurs bool // made here, not imported
	Buckets      *Buckets
	Tables       *Tables
	Catalog      *Catalog
	Functions    *Functions
	Batch        *Batch
	DeliveryRole awsiam.Role
	Delivery     awskinesisfirehose.DeliveryStream
	API          *API
	Crawler      *Crawler // nil: none
}

// NewPipeline adds a pipeline's stack to an app.
func NewPipeline(app constructs.Construct, props PipelineProps) (*Pipeline, error) {
	if err := props.Check(); err != nil {
		return nil, err
	}
	def, chosen := props.Definition, props.Config
	name := StackName(def.Pipeline)
	stack := awscdk.NewStack(app, jsii.String(name), &awscdk.StackProps{
		StackName:             jsii.String(name),
		Description:           jsii.String("Watershed pipeline " + def.Pipeline),
		TerminationProtection: jsii.Bool(chosen.Retain),
	})
	awscdk.Tags_Of(stack).Add(jsii.String(pipelineTag), jsii.String(def.Pipeline), nil)

	p := &Pipeline{Stack: stack, StreamIsOurs: chosen.Stream.Mode != config.Imported}
	removal := removalPolicy(chosen.Retain)
	key := awskms.NewKey(stack, jsii.String("Key"), &awskms.KeyProps{
		Description:       jsii.String("Encrypts the events, views and ledger of Watershed pipeline " + def.Pipeline),
		EnableKeyRotation: jsii.Bool(true),
		RemovalPolicy:     removal,
	})
	letLogsUse(key)
	p.Key = key
	p.Stream = NewStream(stack, "Stream", StreamProps{Name: def.Pipeline, Config: chosen.Stream, Key: key, Removal: removal})
	p.Buckets = NewBuckets(stack, "Buckets", BucketsProps{Master: chosen.Master, Key: key, Removal: removal})
	p.Tables = NewTables(stack, "Tables", TablesProps{Key: key, Removal: removal, Retain: chosen.Retain})
	catalog, err := NewCatalog(stack, "Catalog", CatalogProps{Definition: def, Buckets: p.Buckets, Key: key, ScanLimitGiB: chosen.Athena.ScanLimitGiB})
	if err != nil {
		return nil, err
	}
	p.Catalog = catalog
	functions, err := NewFunctions(stack, "Functions", FunctionsProps{
		Definition: def, Programs: props.Functions, Config: chosen, Endpoint: props.Endpoint, Removal: removal,
		Parts: Parts{Stream: p.Stream, Key: key, Tables: p.Tables, Buckets: p.Buckets, Catalog: p.Catalog},
	})
	if err != nil {
		return nil, err
	}
	p.Functions = functions
	p.DeliveryRole = NewDeliveryRole(ofGeneration(stack, def), "DeliveryRole")
	p.Delivery = NewDelivery(stack, "Delivery", DeliveryProps{
		Definition: def, Config: chosen.Delivery, Stream: p.Stream, Role: p.DeliveryRole, Transform: functions.Transform, Catalog: p.Catalog, Buckets: p.Buckets, Key: key, Removal: removal,
	})
	if functions.Checked != nil {
		p.Delivery.Node().AddDependency(functions.Checked)
	}
	batch := props.batch()
	batch.Step, batch.Buckets, batch.Key, batch.Removal = functions.Batch, p.Buckets, key, removal
	p.Batch = NewBatch(stack, "Batch", batch)
	p.protect()
	functions.LetRunsBeStarted(p.Batch.Runs.StateMachineArn())
	p.API = NewAPI(stack, "API", APIProps{Name: name, Config: chosen.API, Query: functions.Query, Key: key, Removal: removal})
	if !chosen.Crawler.Off {
		p.Crawler = NewCrawler(stack, "Crawler", CrawlerProps{Name: name, Config: chosen.Crawler, Buckets: p.Buckets, Catalog: p.Catalog, Key: key})
	}
	NewAlarms(stack, "Alarms", AlarmsProps{Config: chosen, Definition: def, Pipeline: p})
	p.outputs()
	suppress(p)
	return p, nil
}

// outputs names what a user or a script needs of the stack.
func (p *Pipeline) outputs() {
	for _, output := range []struct {
		name  string
		value *string
	}{
		{deployment.EndpointOutput, p.API.HTTP.ApiEndpoint()},
		{deployment.StreamOutput, p.Stream.StreamName()},
		{deployment.MasterOutput, p.Buckets.Master.BucketName()},
		{deployment.ViewsOutput, p.Buckets.Views.BucketName()},
		{deployment.ArtifactsOutput, p.Buckets.Artifacts.BucketName()},
		{deployment.ItemsOutput, p.Tables.Items.TableName()},
		{deployment.LedgerOutput, p.Tables.Ledger.TableName()},
		{deployment.DatabaseOutput, p.Catalog.Database},
		{deployment.WorkGroupOutput, p.Catalog.WorkGroup.Name()},
		{deployment.StateMachineOutput, p.Batch.Runs.StateMachineArn()},
	} {
		awscdk.NewCfnOutput(p.Stack, jsii.String(output.name), &awscdk.CfnOutputProps{Value: output.value})
	}
	if p.Batch.Engine != nil {
		awscdk.NewCfnOutput(p.Stack, jsii.String(deployment.EnginePolicyOutput), &awscdk.CfnOutputProps{Value: p.Batch.Engine.ManagedPolicyArn()})
	}
}

func removalPolicy(retain bool) awscdk.RemovalPolicy {
	if retain {
		return awscdk.RemovalPolicy_RETAIN
	}
	return awscdk.RemovalPolicy_DESTROY
}

var (
	notInStackNames    = regexp.MustCompile(`[^A-Za-z0-9-]+`)
	notInDatabaseNames = regexp.MustCompile(`[^a-z0-9_]+`)
)

// StackName is the name of a pipeline's stack.
func StackName(pipeline string) string {
	return plain("watershed-", pipeline, notInStackNames, "-", 100)
}

// databaseName is the name of a pipeline's database in Glue, which knows lower case.
func databaseName(pipeline string) string {
	return plain("watershed_", pipeline, notInDatabaseNames, "_", 100)
}

// plain makes a name of a pipeline's. Names that lose something get a hash of what
// they were, so that two pipelines never share one.
func plain(prefix, pipeline string, not *regexp.Regexp, instead string, most int) string {
	kept := not.ReplaceAllString(pipeline, instead)
	if kept == pipeline && len(kept) <= most {
		return prefix + kept
	}
	sum := sha256.Sum256([]byte(pipeline))
	return fmt.Sprintf("%s%s%s%s", prefix, strings.Trim(kept[:min(len(kept), most)], instead), instead, hex.EncodeToString(sum[:4]))
}
