package stack

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskinesis"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskinesisfirehose"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/watershed-data/watershed/infra/config"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/firehose"
)

// DeliveryProps is what Firehose reads and where it writes.
type DeliveryProps struct {
	Definition *definition.Definition
	Config     config.Delivery
	Stream     awskinesis.IStream
	Role       awsiam.Role
	Transform  awslambda.IFunction
	Catalog    *Catalog
	Buckets    *Buckets
	Key        awskms.IKey
	Removal    awscdk.RemovalPolicy
}

// NewDeliveryRole makes the role of Firehose.
func NewDeliveryRole(scope constructs.Construct, id string) awsiam.Role {
	return awsiam.NewRole(scope, jsii.String(id), &awsiam.RoleProps{
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("firehose.amazonaws.com"), nil),
	})
}

// NewDelivery makes the way of events into the master dataset.
func NewDelivery(scope constructs.Construct, id string, props DeliveryProps) awskinesisfirehose.DeliveryStream {
	scope = ofGeneration(constructs.NewConstruct(scope, jsii.String(id)), props.Definition)
	logs := newLog(scope, "Log", props.Key, props.Removal)
	props.letDeliver(logs)
	role := props.Role.WithoutPolicyUpdates(nil) // CDK's own grants let Firehose delete
	destination := awskinesisfirehose.NewS3Bucket(props.Buckets.Master, &awskinesisfirehose.S3BucketProps{
		Role:              role,
		EncryptionKey:     props.Key,
		BufferingSize:     awscdk.Size_Mebibytes(jsii.Number(props.Config.BufferMiB)),
		BufferingInterval: awscdk.Duration_Seconds(jsii.Number(props.Config.Interval.Seconds())),
		// The hour is that of the oldest arrival in an object, not of all.
		DataOutputPrefix:  jsii.String(rowsPrefix(props.Definition) + "arrival/!{timestamp:yyyy-MM-dd-HH}/"),
		FileExtension:     jsii.String(".parquet"), // by which internal/aws knows the master dataset's files
		ErrorOutputPrefix: jsii.String("failed/!{firehose:error-output-type}/!{timestamp:yyyy-MM-dd-HH}/"),
		LoggingConfig:     awskinesisfirehose.NewEnableLogging(logs),
		Processors: &[]awskinesisfirehose.IDataProcessor{
			awskinesisfirehose.NewLambdaFunctionProcessor(props.Transform, &awskinesisfirehose.DataProcessorProps{
				BufferSize:     awscdk.Size_Mebibytes(jsii.Number(firehose.BufferMiB)),
				BufferInterval: awscdk.Duration_Seconds(jsii.Number(60)),
				Retries:        jsii.Number(3),
			}),
		},
		DataFormatConversion: &awskinesisfirehose.DataFormatConversionProps{
			SchemaConfiguration: awskinesisfirehose.SchemaConfiguration_FromCfnTable(props.Catalog.Delivered, nil),
			InputFormat:         awskinesisfirehose.NewOpenXJsonInputFormat(&awskinesisfirehose.OpenXJsonInputFormatProps{}),
			OutputFormat:        awskinesisfirehose.NewParquetOutputFormat(&awskinesisfirehose.ParquetOutputFormatProps{}),
		},
	})
	stream := awskinesisfirehose.NewDeliveryStream(scope, jsii.String("Stream"), &awskinesisfirehose.DeliveryStreamProps{
		Source:      awskinesisfirehose.NewKinesisStreamSource(props.Stream),
		Role:        role,
		Destination: destination,
	})
	stream.Node().AddDependency(props.Role) // and its policy, which Firehose tries when it is made
	return stream
}

// letDeliver grants Firehose what its documentation asks for ("Controlling access
// with Amazon Data Firehose"), on what it reads and writes here.
func (p DeliveryProps) letDeliver(logs awslogs.ILogGroup) {
	master := p.Buckets.Master
	allow(p.Role, []string{"kinesis:DescribeStream", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"}, *p.Stream.StreamArn())
	if key := p.Stream.EncryptionKey(); key != nil {
		allow(p.Role, []string{"kms:Decrypt"}, *key.KeyArn())
	}
	allow(p.Role, []string{"lambda:GetFunctionConfiguration", "lambda:InvokeFunction"}, *p.Transform.FunctionArn(), *p.Transform.FunctionArn()+":*")
	allow(p.Role, []string{"s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"}, *master.BucketArn())
	allow(p.Role, []string{"s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"}, *master.ArnForObjects(jsii.String(rowsPrefix(p.Definition) + "*")), *master.ArnForObjects(jsii.String("failed/*")))
	allow(p.Role, []string{"kms:Decrypt", "kms:GenerateDataKey"}, *p.Key.KeyArn())
	catalog := p.Catalog.arns()
	allow(p.Role, []string{"glue:GetTable", "glue:GetTableVersion", "glue:GetTableVersions"}, catalog[0], catalog[1], p.Catalog.table(deliveredTable(p.Definition)))
	allow(p.Role, []string{"logs:CreateLogStream", "logs:PutLogEvents"}, *logs.LogGroupArn())
}
