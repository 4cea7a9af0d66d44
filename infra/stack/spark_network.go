package stack

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// NetworkProps is what a cluster reaches.
type NetworkProps struct {
	Reads   awss3.IBucket // beside the pipeline's buckets
	Buckets *Buckets
	Key     awskms.IKey
	Removal awscdk.RemovalPolicy
}

// Network is where clusters run: private subnets without a way out but to S3 and
// to the key. EMR comes in by an interface of its own in the same subnets, so no
// NAT is needed.
type Network struct {
	VPC                   awsec2.Vpc
	Primary, Core, Access awsec2.SecurityGroup // of the primary instance, the others, and EMR's interface
}

// NewNetwork makes the network.
func NewNetwork(scope constructs.Construct, id string, props NetworkProps) *Network {
	scope = constructs.NewConstruct(scope, jsii.String(id))
	vpc := awsec2.NewVpc(scope, jsii.String("VPC"), &awsec2.VpcProps{
		MaxAzs: jsii.Number(2), NatGateways: jsii.Number(0),
		SubnetConfiguration: &[]*awsec2.SubnetConfiguration{{Name: jsii.String("Cluster"), SubnetType: awsec2.SubnetType_PRIVATE_ISOLATED, CidrMask: jsii.Number(22)}},
	})
	vpc.AddFlowLog(jsii.String("Flows"), &awsec2.FlowLogOptions{
		Destination: awsec2.FlowLogDestination_ToCloudWatchLogs(newLog(scope, "Log", props.Key, props.Removal), nil),
		TrafficType: awsec2.FlowLogTrafficType_REJECT, // what is let through is known
	})
	s3 := vpc.AddGatewayEndpoint(jsii.String("S3"), &awsec2.GatewayVpcEndpointOptions{Service: awsec2.GatewayVpcEndpointAwsService_S3()})
	props.restrict(s3)
	group := func(id, what string, outbound bool) awsec2.SecurityGroup {
		return awsec2.NewSecurityGroup(scope, jsii.String(id), &awsec2.SecurityGroupProps{Vpc: vpc, Description: jsii.String(what), AllowAllOutbound: jsii.Bool(outbound)})
	}
	n := &Network{
		VPC:     vpc,
		Primary: group("Primary", "The primary instance of a cluster", true), Core: group("Core", "The core instances of a cluster", true),
		Access: group("Access", "EMR itself", false),
	}
	n.rules()
	keys := group("Keys", "The endpoint of the key", false)
	for _, from := range []awsec2.SecurityGroup{n.Primary, n.Core} {
		keys.AddIngressRule(from, awsec2.Port_Tcp(jsii.Number(443)), jsii.String("Instances of the cluster"), jsii.Bool(true))
	}
	vpc.AddInterfaceEndpoint(jsii.String("KMS"), &awsec2.InterfaceVpcEndpointOptions{
		Service: awsec2.InterfaceVpcEndpointAwsService_KMS(), SecurityGroups: &[]awsec2.ISecurityGroup{keys}, Open: jsii.Bool(false),
	})
	return n
}

// SubnetIDs names the subnets.
func (n *Network) SubnetIDs() *[]*string {
	return n.VPC.SelectSubnets(&awsec2.SubnetSelection{SubnetType: awsec2.SubnetType_PRIVATE_ISOLATED}).SubnetIds
}

// rules are those that EMR writes into the groups of a cluster if they are not
// there. Were it to write them, the stack could not be deleted: rules that
// CloudFormation does not know keep groups that they name.
func (n *Network) rules() {
	for _, of := range []awsec2.SecurityGroup{n.Primary, n.Core} {
		for _, from := range []awsec2.SecurityGroup{n.Primary, n.Core} {
			for _, port := range []awsec2.Port{awsec2.Port_AllTcp(), awsec2.Port_AllUdp(), awsec2.Port_AllIcmp()} {
				of.AddIngressRule(from, port, jsii.String("Instances of the cluster"), jsii.Bool(true))
			}
		}
		of.AddIngressRule(n.Access, awsec2.Port_Tcp(jsii.Number(8443)), jsii.String("EMR manages the instances"), jsii.Bool(true))
		n.Access.AddEgressRule(of, awsec2.Port_Tcp(jsii.Number(8443)), jsii.String("EMR manages the instances"), jsii.Bool(true))
	}
	n.Access.AddIngressRule(n.Primary, awsec2.Port_Tcp(jsii.Number(9443)), jsii.String("The primary instance reports to EMR"), jsii.Bool(true))
}

// restrict lets only those buckets be reached that a cluster needs: the pipeline's,
// and those of Amazon Linux and EMR ("Sample policies for private subnets that
// access Amazon S3" in EMR's documentation).
func (p NetworkProps) restrict(endpoint awsec2.GatewayVpcEndpoint) {
	region := *awscdk.Aws_REGION()
	allow := func(actions []string, buckets ...string) {
		var resources []string
		for _, b := range buckets {
			resources = append(resources, b, b+"/*")
		}
		endpoint.AddToPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
			Principals: &[]awsiam.IPrincipal{awsiam.NewAnyPrincipal()}, Actions: jsii.Strings(actions...), Resources: jsii.Strings(resources...),
		}))
	}
	theirs := func(name string) string { return fmt.Sprintf("arn:%s:s3:::%s", *awscdk.Aws_PARTITION(), name) }
	allow([]string{"s3:GetObject"}, *p.Reads.BucketArn(), theirs("al2023-repos-"+region+"-de612dc2"), theirs("repo."+region+".emr.amazonaws.com"))
	allow([]string{"s3:PutObject"}, theirs("aws157-logs-prod"), theirs("aws157-logs-prod-"+region))
	b := p.Buckets
	allow([]string{"s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:ListBucket", "s3:ListMultipartUploadParts", "s3:PutObject"},
		*b.Master.BucketArn(), *b.Views.BucketArn(), *b.Artifacts.BucketArn(), *b.Staging.BucketArn())
}
