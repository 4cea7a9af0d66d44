package stack

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskinesis"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/watershed-data/watershed/infra/config"
)

// StreamProps is the log.
type StreamProps struct {
	Name    string // the pipeline's
	Config  config.Stream
	Key     awskms.IKey
	Removal awscdk.RemovalPolicy
}

// NewStream makes the log, or imports it.
func NewStream(scope constructs.Construct, id string, props StreamProps) awskinesis.IStream {
	c := props.Config
	if c.Mode == config.Imported {
		attributes := &awskinesis.StreamAttributes{StreamArn: jsii.String(c.ARN)}
		if c.Key != "" {
			attributes.EncryptionKey = awskms.Key_FromKeyArn(scope, jsii.String(id+"Key"), jsii.String(c.Key))
		}
		return awskinesis.Stream_FromStreamAttributes(scope, jsii.String(id), attributes)
	}
	made := &awskinesis.StreamProps{
		StreamName:      jsii.String(props.Name),
		StreamMode:      awskinesis.StreamMode_ON_DEMAND,
		Encryption:      awskinesis.StreamEncryption_KMS,
		EncryptionKey:   props.Key,
		RetentionPeriod: awscdk.Duration_Hours(jsii.Number(c.Retention.Hours())),
		RemovalPolicy:   props.Removal,
	}
	if c.Mode == config.Provisioned {
		made.StreamMode = awskinesis.StreamMode_PROVISIONED
		made.ShardCount = jsii.Number(c.Shards)
	}
	return awskinesis.NewStream(scope, jsii.String(id), made)
}
