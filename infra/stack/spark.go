package stack

import (
	"errors"
	"fmt"
	"os"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsglue"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3assets"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctionstasks"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/watershed-data/watershed/infra/config"
	"github.com/watershed-data/watershed/internal/deployment"
)

// jobArgument is the driver's: the URI of the job that it is to compute.
const jobArgument = "--job"

// theJob is that URI in the state of a run.
const theJob = "{% $states.input.job %}"

// driverExists says whether the program for Spark is missing.
func (p BatchProps) driverExists() error {
	if p.Config.Engine == config.ExternalEngine {
		return nil
	}
	info, err := os.Stat(p.Driver)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a file")
	}
	if err != nil {
		return fmt.Errorf("finding the driver for Spark: %w; -c driver=FILE names it, glue/batch.py of the repository", err)
	}
	return nil
}

// computing is what computing a job needs: to read the job and the master dataset's
// files, and to write the views and the job's result. It can take nothing out of the
// master dataset and write nothing into it.
func (p BatchProps) computing() []awsiam.PolicyStatement {
	b := p.Buckets
	objects := func(bucket awss3.IBucket, under string) string { return *bucket.ArnForObjects(jsii.String(under)) }
	may := func(resources []string, actions ...string) awsiam.PolicyStatement {
		return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{Actions: jsii.Strings(actions...), Resources: jsii.Strings(resources...)})
	}
	return []awsiam.PolicyStatement{
		may([]string{objects(b.Master, "master/*"), objects(b.Artifacts, "jobs/*")}, "s3:GetObject"),
		// Spark's committers write beside a file's place and clean up behind them.
		may([]string{objects(b.Views, "views/*")}, "s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"),
		may([]string{objects(b.Artifacts, "jobs/*.result.json")}, "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:PutObject"),
		// A file is looked for before it is read or written, and so are the folders above.
		// Who may not list the bucket is answered 403 and not 404 for what is not there.
		may([]string{*b.Master.BucketArn(), *b.Views.BucketArn(), *b.Artifacts.BucketArn()}, "s3:ListBucket"),
		may([]string{objects(b.Views, "views")}, "s3:GetObject"),
		may([]string{*p.Key.KeyArn()}, "kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"),
	}
}

// letCompute grants a role what computing needs, and the driver.
func (p BatchProps) letCompute(role awsiam.Role, driver awss3assets.Asset) {
	for _, s := range p.computing() {
		role.AddToPolicy(s)
	}
	allow(role, []string{"s3:GetObject"}, *driver.Bucket().ArnForObjects(driver.S3ObjectKey()))
}

// newDriver makes an asset of the program for Spark.
func (p BatchProps) newDriver(scope constructs.Construct) awss3assets.Asset {
	return awss3assets.NewAsset(scope, jsii.String("Driver"), &awss3assets.AssetProps{Path: jsii.String(p.Driver)})
}

// glueVersion is one with Spark 3.5.6, with which the driver is tested.
const glueVersion = "5.1"

// computeOnGlue lets a job in Glue of a name compute. It gives the job's role.
func (r *run) computeOnGlue(props BatchProps, name string) awsiam.Role {
	driver := props.newDriver(r.scope)
	role := assumedFor(r.scope, "SparkRole", "glue.amazonaws.com")
	props.letCompute(role, driver)
	logs := "/aws-glue/" + name
	// Glue makes its log groups itself and gives them the key; with a security
	// configuration it may put that one's name behind the prefix.
	allow(role, []string{"logs:AssociateKmsKey", "logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"}, arn("logs", "log-group:"+logs+"*"))
	security := awsglue.NewCfnSecurityConfiguration(r.scope, jsii.String("Security"), &awsglue.CfnSecurityConfigurationProps{
		Name: jsii.String(name),
		EncryptionConfiguration: &awsglue.CfnSecurityConfiguration_EncryptionConfigurationProperty{
			S3Encryptions:          []any{&awsglue.CfnSecurityConfiguration_S3EncryptionProperty{S3EncryptionMode: jsii.String("SSE-KMS"), KmsKeyArn: props.Key.KeyArn()}},
			CloudWatchEncryption:   &awsglue.CfnSecurityConfiguration_CloudWatchEncryptionProperty{CloudWatchEncryptionMode: jsii.String("SSE-KMS"), KmsKeyArn: props.Key.KeyArn()},
			JobBookmarksEncryption: &awsglue.CfnSecurityConfiguration_JobBookmarksEncryptionProperty{JobBookmarksEncryptionMode: jsii.String("CSE-KMS"), KmsKeyArn: props.Key.KeyArn()},
		},
	})
	job := awsglue.NewCfnJob(r.scope, jsii.String("Job"), &awsglue.CfnJobProps{
		Name:        jsii.String(name),
		Description: jsii.String("Computes the batch views of Watershed pipeline " + props.Pipeline),
		Role:        role.RoleArn(),
		GlueVersion: jsii.String(glueVersion),
		Command:     &awsglue.CfnJob_JobCommandProperty{Name: jsii.String("glueetl"), PythonVersion: jsii.String("3"), ScriptLocation: driver.S3ObjectUrl()},
		DefaultArguments: map[string]any{
			"--job-bookmark-option":    "job-bookmark-disable", // a job says itself what it reads
			"--custom-logGroup-prefix": logs,
		},
		WorkerType:            jsii.String(props.Config.Glue.Worker),
		NumberOfWorkers:       jsii.Number(props.Config.Glue.Workers),
		Timeout:               jsii.Number(props.Config.Timeout.Minutes()),
		MaxRetries:            jsii.Number(0),                                                               // the state machine repeats
		ExecutionProperty:     &awsglue.CfnJob_ExecutionPropertyProperty{MaxConcurrentRuns: jsii.Number(2)}, // one by the schedule, one by hand
		SecurityConfiguration: security.Name(),
	})
	job.AddResourceDependency(security, nil)
	// There is no timeout here: CDK would hand it to Glue, and the job has one.
	compute := awsstepfunctionstasks.GlueStartJobRun_Jsonata(r.scope, jsii.String("Compute"), &awsstepfunctionstasks.GlueStartJobRunJsonataProps{
		Comment:            jsii.String("A job in Glue reads the pinned files once, and computes figures and views"),
		GlueJobName:        job.Ref(),
		IntegrationPattern: awsstepfunctions.IntegrationPattern_RUN_JOB,
		Arguments:          awsstepfunctions.TaskInput_FromObject(&map[string]any{jobArgument: theJob}),
		Outputs:            jsii.String("{% $states.input %}"),
	})
	compute.AddRetry(retry(10, 60, "Glue.ConcurrentRunsExceededException", "Glue.ThrottlingException", "Glue.ResourceNumberLimitExceededException"))
	compute.AddRetry(retry(1, 60, "States.ALL"))
	compute.AddCatch(r.failure, caught)
	compute.Next(r.compare)
	r.when(deployment.ComputeStep, compute)
	return role
}
