package stack

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// newLog makes a log group that keeps a month and is encrypted with the pipeline's
// key.
func newLog(scope constructs.Construct, id string, key awskms.IKey, removal awscdk.RemovalPolicy) awslogs.LogGroup {
	return awslogs.NewLogGroup(scope, jsii.String(id), &awslogs.LogGroupProps{
		Retention: awslogs.RetentionDays_ONE_MONTH, EncryptionKey: key, RemovalPolicy: removal,
	})
}

// letLogsUse lets CloudWatch Logs use a key for the log groups of this account and
// region, whose names CloudFormation makes.
func letLogsUse(key awskms.Key) {
	key.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String("Logs"),
		Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.String(fmt.Sprintf("logs.%s.amazonaws.com", *awscdk.Aws_REGION())), nil)},
		Actions:    jsii.Strings("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"),
		Resources:  jsii.Strings("*"), // of a key's own policy: this key
		Conditions: &map[string]any{"ArnLike": map[string]string{"kms:EncryptionContext:aws:logs:arn": arn("logs", "log-group:*")}},
	}), nil)
}
