package stack

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// What runs need of AWS beside the function batch is written here, statement by
// statement: what CDK would grant for the same states reaches further, to every
// cluster of the account for instance.

// assumedFor makes a role for a service that works for this account only.
func assumedFor(scope constructs.Construct, id, service string) awsiam.Role {
	return awsiam.NewRole(scope, jsii.String(id), &awsiam.RoleProps{
		AssumedBy: awsiam.NewServicePrincipal(jsii.String(service), &awsiam.ServicePrincipalOpts{
			Conditions: &map[string]any{"StringEquals": map[string]any{"aws:SourceAccount": awscdk.Aws_ACCOUNT_ID()}},
		}),
	})
}

// allowIf is allow under conditions: operators, with keys and values.
func allowIf(role awsiam.IRole, conditions map[string]map[string]any, actions []string, resources ...string) {
	with := map[string]any{}
	for operator, of := range conditions {
		with[operator] = of
	}
	role.AddToPrincipalPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions: jsii.Strings(actions...), Resources: jsii.Strings(resources...), Conditions: &with,
	}))
}

// equal is the condition that a key has a value.
func equal(key, value string) map[string]map[string]any {
	return map[string]map[string]any{"StringEquals": {key: value}}
}

// newRunsRole makes the role of the state machine of a name.
func newRunsRole(scope constructs.Construct, name string, props BatchProps) awsiam.Role {
	role := assumedFor(scope, "RunsRole", "states.amazonaws.com")
	self := arn("states", "stateMachine:"+name)
	allow(role, []string{"lambda:InvokeFunction"}, *props.Step.FunctionArn())
	allow(role, []string{"states:ListExecutions"}, self)
	allowIf(role, equal("kms:EncryptionContext:aws:states:stateMachineArn", self), []string{"kms:Decrypt", "kms:GenerateDataKey"}, *props.Key.KeyArn())
	allowIf(role, equal("kms:EncryptionContext:SourceArn", arn("logs", "*")), []string{"kms:GenerateDataKey"}, *props.Key.KeyArn())
	// Neither deliveries of logs nor traces have resources.
	allow(role, []string{
		"logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:DescribeLogGroups", "logs:DescribeResourcePolicies", "logs:GetLogDelivery",
		"logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:UpdateLogDelivery",
		"xray:GetSamplingRules", "xray:GetSamplingTargets", "xray:PutTelemetryRecords", "xray:PutTraceSegments",
	}, "*")
	return role
}

// letStartGlue lets a role start a job in Glue, watch it, and stop it with the run.
func letStartGlue(role awsiam.Role, job string) {
	allow(role, []string{"glue:BatchStopJobRun", "glue:GetJobRun", "glue:GetJobRuns", "glue:StartJobRun"}, arn("glue", "job/"+job))
}

// pipelineTag is on everything of a pipeline's.
const pipelineTag = "watershed:pipeline"

// letStartClusters lets a role start clusters of the pipeline's, and work with no
// other ones.
func letStartClusters(role awsiam.Role, pipeline string, c *Cluster) {
	// A cluster has no name before it is there.
	allowIf(role, equal("elasticmapreduce:RequestTag/"+pipelineTag, pipeline), []string{"elasticmapreduce:AddTags", "elasticmapreduce:RunJobFlow"}, "*")
	allowIf(role, equal("elasticmapreduce:ResourceTag/"+pipelineTag, pipeline), []string{
		"elasticmapreduce:AddJobFlowSteps", "elasticmapreduce:CancelSteps", "elasticmapreduce:DescribeCluster", "elasticmapreduce:DescribeStep", "elasticmapreduce:TerminateJobFlows",
	}, arn("elasticmapreduce", "cluster/*"))
	allowIf(role, equal("iam:PassedToService", "elasticmapreduce.amazonaws.com"), []string{"iam:PassRole"}, *c.Service.RoleArn())
	allowIf(role, equal("iam:PassedToService", "ec2.amazonaws.com"), []string{"iam:PassRole"}, *c.Instances.RoleArn())
	// The first cluster of an account makes the role by which EMR cleans up.
	allowIf(role, equal("iam:AWSServiceName", "elasticmapreduce.amazonaws.com"), []string{"iam:CreateServiceLinkedRole"},
		"arn:"+*awscdk.Aws_PARTITION()+":iam::"+*awscdk.Aws_ACCOUNT_ID()+":role/aws-service-role/elasticmapreduce.amazonaws.com/AWSServiceRoleForEMRCleanup")
	// Step Functions hears of the end of clusters and steps by its own rules.
	allow(role, []string{"events:DescribeRule", "events:PutRule", "events:PutTargets"},
		arn("events", "rule/StepFunctionsGetEventForEMRAddJobFlowStepsRule"), arn("events", "rule/StepFunctionsGetEventForEMRRunJobFlowRule"), arn("events", "rule/StepFunctionsGetEventForEMRTerminateJobFlowsRule"))
}
