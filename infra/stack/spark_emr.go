package stack

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsemr"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3assets"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctionstasks"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/watershed-data/watershed/internal/deployment"
)

// Cluster is what a run's cluster of EMR is made with. Between runs there is none.
type Cluster struct {
	Network   *Network
	Service   awsiam.Role // EMR's own
	Instances awsiam.Role // that of the instances
	Security  awsemr.CfnSecurityConfiguration
	profile   awsiam.CfnInstanceProfile // with Instances
}

// clusterTag is the tag by which the role of EMR knows what it has made.
const clusterTag = "for-use-with-amazon-emr-managed-policies"

// startUp is the longest that a cluster may take to start or to end.
const startUp = 45 * time.Minute

// clusterLogs is where clusters put their logs in the staging bucket.
const clusterLogs = "emr/"

// python is the interpreter of the release that the driver is started with.
const python = "python3.11"

// computeOnEMR lets a cluster compute that is started for the job and ended after
// it, whatever becomes of the job.
func (r *run) computeOnEMR(props BatchProps) *Cluster {
	driver := props.newDriver(r.scope)
	made := newCluster(r.scope, props, driver)
	start, compute := r.startCluster(props, made), r.computeOn(props, driver)
	end, endAfterFailure := r.endCluster("EndCluster"), r.endCluster("EndClusterAfterFailure")
	goOn := &awsstepfunctions.CatchProps{Errors: jsii.Strings("States.ALL"), Outputs: jsii.String("{% $states.input %}")}
	start.AddCatch(r.failure, caught)
	start.Next(compute)
	compute.AddCatch(endAfterFailure, caught)
	compute.Next(end)
	end.AddCatch(r.compare, goOn)
	end.Next(r.compare)
	endAfterFailure.AddCatch(r.failure, goOn)
	endAfterFailure.Next(r.failure)
	r.when(deployment.ComputeStep, start)
	return made
}

// newCluster makes what clusters are started with.
func newCluster(scope constructs.Construct, props BatchProps, driver awss3assets.Asset) *Cluster {
	made := &Cluster{
		Network: NewNetwork(scope, "Network", NetworkProps{Reads: driver.Bucket(), Buckets: props.Buckets, Key: props.Key, Removal: props.Removal}),
		Instances: awsiam.NewRole(scope, jsii.String("SparkRole"), &awsiam.RoleProps{
			AssumedBy: awsiam.NewServicePrincipal(jsii.String("ec2.amazonaws.com"), nil),
		}),
	}
	made.Service = newClusterRole(scope, made)
	props.letCompute(made.Instances, driver)
	allow(made.Instances, []string{"s3:PutObject"}, *props.Buckets.Staging.ArnForObjects(jsii.String(clusterLogs + "*")))
	// EC2 encrypts the disks for EMR, for which it needs a grant of the key.
	allowIf(made.Service, map[string]map[string]any{"Bool": {"kms:GrantIsForAWSResource": "true"}}, []string{"kms:CreateGrant"}, *props.Key.KeyArn())
	allow(made.Service, []string{"kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo"}, *props.Key.KeyArn())
	made.profile = awsiam.NewCfnInstanceProfile(scope, jsii.String("Profile"), &awsiam.CfnInstanceProfileProps{
		InstanceProfileName: made.Instances.RoleName(), // a cluster names the role, and means the profile
		Roles:               &[]any{made.Instances.RoleName()},
	})
	made.Security = awsemr.NewCfnSecurityConfiguration(scope, jsii.String("Security"), &awsemr.CfnSecurityConfigurationProps{
		SecurityConfiguration: map[string]any{
			"EncryptionConfiguration": map[string]any{
				"EnableInTransitEncryption": false, // see suppressions
				"EnableAtRestEncryption":    true,
				"AtRestEncryptionConfiguration": map[string]any{
					"S3EncryptionConfiguration":        map[string]any{"EncryptionMode": "SSE-KMS", "AwsKmsKey": props.Key.KeyArn()},
					"LocalDiskEncryptionConfiguration": map[string]any{"EncryptionKeyProviderType": "AwsKms", "AwsKmsKey": props.Key.KeyArn(), "EnableEbsEncryption": true},
				},
			},
			// Credentials only for who can make a PUT first: version 2.
			"InstanceMetadataServiceConfiguration": map[string]any{"MinimumInstanceMetadataServiceVersion": 2, "HttpPutResponseHopLimit": 1},
		},
	})
	return made
}

// startCluster starts a cluster and remembers it as $cluster.
func (r *run) startCluster(props BatchProps, c *Cluster) awsstepfunctionstasks.EmrCreateCluster {
	chosen := props.Config.EMR
	fleet := func(kind awsstepfunctionstasks.EmrCreateCluster_InstanceRoleType, instances int) *awsstepfunctionstasks.EmrCreateCluster_InstanceFleetConfigProperty {
		return &awsstepfunctionstasks.EmrCreateCluster_InstanceFleetConfigProperty{
			InstanceFleetType: kind, TargetOnDemandCapacity: jsii.Number(instances),
			InstanceTypeConfigs: &[]*awsstepfunctionstasks.EmrCreateCluster_InstanceTypeConfigProperty{{InstanceType: jsii.String(chosen.Instance), WeightedCapacity: jsii.Number(1)}},
		}
	}
	start := awsstepfunctionstasks.EmrCreateCluster_Jsonata(r.scope, jsii.String("StartCluster"), &awsstepfunctionstasks.EmrCreateClusterJsonataProps{
		Comment:      jsii.String("A cluster for this job alone"),
		Name:         jsii.String("{% 'watershed-' & $states.context.Execution.Name %}"),
		ReleaseLabel: jsii.String(chosen.Release),
		Applications: &[]*awsstepfunctionstasks.EmrCreateCluster_ApplicationConfigProperty{{Name: jsii.String("Spark")}},
		Instances: &awsstepfunctionstasks.EmrCreateCluster_InstancesConfigProperty{
			InstanceFleets: &[]*awsstepfunctionstasks.EmrCreateCluster_InstanceFleetConfigProperty{
				fleet(awsstepfunctionstasks.EmrCreateCluster_InstanceRoleType_MASTER, 1), fleet(awsstepfunctionstasks.EmrCreateCluster_InstanceRoleType_CORE, chosen.Cores),
			},
			Ec2SubnetIds:                  c.Network.SubnetIDs(), // EMR takes the one that has the instances
			EmrManagedMasterSecurityGroup: c.Network.Primary.SecurityGroupId(),
			EmrManagedSlaveSecurityGroup:  c.Network.Core.SecurityGroupId(),
			ServiceAccessSecurityGroup:    c.Network.Access.SecurityGroupId(),
			TerminationProtected:          jsii.Bool(false),
		},
		ServiceRole: c.Service, ClusterRole: c.Instances,
		SecurityConfiguration: c.Security.Ref(),
		Configurations:        sparkSettings(),
		LogUri:                jsii.String("s3://" + *props.Buckets.Staging.BucketName() + "/" + clusterLogs),
		// The last resort, when nobody is left to end it.
		AutoTerminationPolicyIdleTimeout: seconds(chosen.Idle),
		VisibleToAllUsers:                jsii.Bool(true),
		Tags:                             &map[string]*string{clusterTag: jsii.String("true"), pipelineTag: jsii.String(props.Pipeline)},
		TaskTimeout:                      awsstepfunctions.Timeout_Duration(seconds(startUp)),
		Assign:                           &map[string]any{"cluster": "{% $states.result.ClusterId %}"},
		Outputs:                          jsii.String("{% $states.input %}"),
	})
	start.Node().AddDependency(c.profile)
	start.AddRetry(retry(1, 60, "States.ALL"))
	return start
}

// computeOn runs the driver on the cluster.
func (r *run) computeOn(props BatchProps, driver awss3assets.Asset) awsstepfunctionstasks.EmrAddStep {
	compute := awsstepfunctionstasks.EmrAddStep_Jsonata(r.scope, jsii.String("Compute"), &awsstepfunctionstasks.EmrAddStepJsonataProps{
		Comment:         jsii.String("Spark reads the pinned files once, and computes figures and views"),
		ClusterId:       jsii.String("{% $cluster %}"),
		Name:            jsii.String("Compute"),
		Jar:             jsii.String("command-runner.jar"),
		Args:            jsii.Strings("spark-submit", *driver.S3ObjectUrl(), jobArgument, theJob),
		ActionOnFailure: awsstepfunctionstasks.ActionOnFailure_CONTINUE, // the state machine repeats it, and ends the cluster
		TaskTimeout:     awsstepfunctions.Timeout_Duration(seconds(props.Config.Timeout)),
		Outputs:         jsii.String("{% $states.input %}"),
	})
	compute.AddRetry(retry(1, 60, "States.TaskFailed"))
	return compute
}

// endCluster ends the cluster. If that does not work, the idle cluster ends itself,
// and the run goes on.
func (r *run) endCluster(id string) awsstepfunctionstasks.EmrTerminateCluster {
	end := awsstepfunctionstasks.EmrTerminateCluster_Jsonata(r.scope, jsii.String(id), &awsstepfunctionstasks.EmrTerminateClusterJsonataProps{
		ClusterId:          jsii.String("{% $cluster %}"),
		IntegrationPattern: awsstepfunctions.IntegrationPattern_RUN_JOB,
		TaskTimeout:        awsstepfunctions.Timeout_Duration(seconds(startUp)),
		Outputs:            jsii.String("{% $states.input %}"),
	})
	end.AddRetry(retry(3, 10, "States.ALL"))
	return end
}

// sparkSettings starts the driver with the right Python, uses all of the instances
// for the only job, and encrypts what they send each other and spill to disk with
// keys that Spark makes for each application.
func sparkSettings() *[]*awsstepfunctionstasks.EmrCreateCluster_ConfigurationProperty {
	settings := func(classification string, properties map[string]string) *awsstepfunctionstasks.EmrCreateCluster_ConfigurationProperty {
		made := map[string]*string{}
		for name, value := range properties {
			made[name] = jsii.String(value)
		}
		return &awsstepfunctionstasks.EmrCreateCluster_ConfigurationProperty{Classification: jsii.String(classification), Properties: &made}
	}
	return &[]*awsstepfunctionstasks.EmrCreateCluster_ConfigurationProperty{
		settings("spark", map[string]string{"maximizeResourceAllocation": "true"}),
		settings("spark-defaults", map[string]string{
			"spark.pyspark.python":         python,
			"spark.pyspark.driver.python":  python,
			"spark.authenticate":           "true",
			"spark.network.crypto.enabled": "true",
			"spark.io.encryption.enabled":  "true",
		}),
	}
}
