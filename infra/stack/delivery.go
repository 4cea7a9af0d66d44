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
	"github.com/watershed-data/watershed/internal/firehose"
)

// DeliveryProps is what Firehose reads and where it writes.
type DeliveryProps struct {
	Config    config.Delivery
	Stream    awskinesis.IStream
	Prefix    string // of the objects in the master bucket
	Role      awsiam.IRole
	Transform awslambda.IFunction
	Catalog   *Catalog
	Buckets   *Buckets
	Key       awskms.IKey
	Removal   awscdk.RemovalPolicy
}

// NewDeliveryRole makes the role of Firehose.
func NewDeliveryRole(scope constructs.Construct, id string) awsiam.Role {
	return awsiam.NewRole(scope, jsii.String(id), &awsiam.RoleProps{
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("firehose.amazonaws.com"), nil),
	})
}

// NewDelivery makes the way of events into the master dataset.
func NewDelivery(scope constructs.Construct, id string, props DeliveryProps) awskinesisfirehose.DeliveryStream {
	scope = constructs.NewConstruct(scope, jsii.String(id))
	logs := awslogs.NewLogGroup(scope, jsii.String("Log"), &awslogs.LogGroupProps{
		Retention: awslogs.RetentionDays_ONE_MONTH, RemovalPolicy: props.Removal,
	})
	destination := awskinesisfirehose.NewS3Bucket(props.Buckets.Master, &awskinesisfirehose.S3BucketProps{
		Role:              props.Role,
		EncryptionKey:     props.Key,
		BufferingSize:     awscdk.Size_Mebibytes(jsii.Number(props.Config.BufferMiB)),
		BufferingInterval: awscdk.Duration_Seconds(jsii.Number(props.Config.Interval.Seconds())),
		// The hour is that of the oldest arrival in an object, not of all.
		DataOutputPrefix:  jsii.String(props.Prefix + "arrival/!{timestamp:yyyy-MM-dd-HH}/"),
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
			SchemaConfiguration: awskinesisfirehose.SchemaConfiguration_FromCfnTable(props.Catalog.Rows, nil),
			InputFormat:         awskinesisfirehose.NewOpenXJsonInputFormat(&awskinesisfirehose.OpenXJsonInputFormatProps{}),
			OutputFormat:        awskinesisfirehose.NewParquetOutputFormat(&awskinesisfirehose.ParquetOutputFormatProps{}),
		},
	})
	stream := awskinesisfirehose.NewDeliveryStream(scope, jsii.String("Stream"), &awskinesisfirehose.DeliveryStreamProps{
		Source:      awskinesisfirehose.NewKinesisStreamSource(props.Stream),
		Role:        props.Role,
		Destination: destination,
	})
	// CDK lets whoever writes to a bucket delete from it too. Firehose only adds.
	props.Buckets.Master.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String("DeliveryOnlyAdds"),
		Effect:     awsiam.Effect_DENY,
		Principals: &[]awsiam.IPrincipal{awsiam.NewArnPrincipal(props.Role.RoleArn())},
		Actions:    jsii.Strings("s3:DeleteObject*", "s3:PutBucketVersioning", "s3:BypassGovernanceRetention"),
		Resources:  jsii.Strings(*props.Buckets.Master.BucketArn(), *props.Buckets.Master.ArnForObjects(jsii.String("*"))),
	}))
	return stream
}
