package stack

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
)

// newClusterRole makes the role of EMR: what AWS's AmazonEMRServicePolicy_v2 grants,
// without what this cluster does not use (default security groups, placement
// groups, scaling, reservations), and with this network and this role by name.
func newClusterRole(scope constructs.Construct, c *Cluster) awsiam.Role {
	role := assumedFor(scope, "ClusterRole", "elasticmapreduce.amazonaws.com")
	tagged, tagging := equal("aws:ResourceTag/"+clusterTag, "true"), equal("aws:RequestTag/"+clusterTag, "true")
	ec2 := func(resource string) string { return arn("ec2", resource) }
	var network []string
	for _, id := range *c.Network.SubnetIDs() {
		network = append(network, ec2("subnet/"+*id))
	}
	var groups []string
	for _, g := range []awsec2.SecurityGroup{c.Network.Primary, c.Network.Core, c.Network.Access} {
		groups = append(groups, ec2("security-group/"+*g.SecurityGroupId()))
	}
	launch := []string{"ec2:CreateFleet", "ec2:CreateLaunchTemplate", "ec2:CreateLaunchTemplateVersion", "ec2:RunInstances"}
	allow(role, append([]string{"ec2:CreateNetworkInterface"}, launch...), append(network, groups...)...)
	allow(role, launch, ec2("network-interface/*"), "arn:"+*awscdk.Aws_PARTITION()+":ec2:"+*awscdk.Aws_REGION()+"::image/ami-*", ec2("fleet/*"))
	allowIf(role, tagged, []string{"ec2:CreateFleet", "ec2:CreateLaunchTemplateVersion", "ec2:RunInstances"}, ec2("launch-template/*"))
	allowIf(role, tagging, []string{"ec2:CreateLaunchTemplate"}, ec2("launch-template/*"))
	allowIf(role, tagging, []string{"ec2:CreateFleet", "ec2:RunInstances"}, ec2("instance/*"), ec2("volume/*"))
	allowIf(role, tagging, []string{"ec2:CreateNetworkInterface"}, ec2("network-interface/*"))
	made := []string{ec2("instance/*"), ec2("launch-template/*"), ec2("network-interface/*"), ec2("volume/*")}
	allowIf(role, map[string]map[string]any{"StringEquals": {"ec2:CreateAction": []string{"CreateFleet", "CreateLaunchTemplate", "CreateNetworkInterface", "RunInstances"}}},
		[]string{"ec2:CreateTags"}, made...)
	allowIf(role, tagged, []string{"ec2:CreateTags", "ec2:DeleteLaunchTemplate", "ec2:DeleteNetworkInterface", "ec2:DeleteTags", "ec2:ModifyInstanceAttribute", "ec2:TerminateInstances"}, made...)
	allow(role, []string{"ec2:AuthorizeSecurityGroupEgress", "ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress"}, groups...)
	allow(role, []string{
		"ec2:DescribeAccountAttributes", "ec2:DescribeCapacityReservations", "ec2:DescribeDhcpOptions", "ec2:DescribeImages", "ec2:DescribeInstances",
		"ec2:DescribeInstanceTypeOfferings", "ec2:DescribeLaunchTemplates", "ec2:DescribeNetworkAcls", "ec2:DescribeNetworkInterfaces", "ec2:DescribePlacementGroups",
		"ec2:DescribeRouteTables", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVolumeStatus", "ec2:DescribeVolumes",
		"ec2:DescribeVpcAttribute", "ec2:DescribeVpcEndpoints", "ec2:DescribeVpcs",
	}, "*") // these name no resource
	allowIf(role, equal("iam:PassedToService", "ec2.amazonaws.com"), []string{"iam:PassRole"}, *c.Instances.RoleArn())
	return role
}
