package stack

import "github.com/aws/constructs-go/constructs/v10"

// suppressions names what batch runs do not follow of AWS Solutions' rules, and why.
func (b *Batch) suppressions(except func(at constructs.IConstruct, rule, reason string, findings ...any), like func(expression string) any) {
	except(b.RunsRole, "IAM5", "Deliveries of logs, traces, and clusters that are not there yet name no resource; clusters are those with the pipeline's tag.", "Resource::*")
	except(b.RunsRole, "IAM5", "The logs that Step Functions delivers are encrypted for any log group of the account, says its documentation.", like(`/^Resource::arn:<AWS::Partition>:logs:.*:\*$/`))
	const named = "Spark chooses the names of the files that it writes; they begin as the policy says."
	files := like(`/^Resource::<Buckets\w+\.Arn>\/(master|views|jobs|emr)\/\*/`)
	if b.Engine != nil {
		except(b.Engine, "IAM5", named, files)
	}
	if b.Spark != nil {
		except(b.Spark, "IAM5", named, files)
		except(b.Spark, "IAM5", "Glue makes the log groups, and puts its own words behind the prefix.", like(`/^Resource::arn:<AWS::Partition>:logs:.*:log-group:\/aws-glue\/.*\*$/`))
	}
	if b.Cluster == nil {
		return
	}
	except(b.RunsRole, "IAM5", "Of the clusters, those with the pipeline's tag.", like(`/^Resource::arn:<AWS::Partition>:elasticmapreduce:.*:cluster\/\*$/`))
	except(b.Cluster.Service, "IAM5", "What EC2 makes for a cluster has no name before; a tag says whose it is. Descriptions name no resource.",
		"Resource::*", like(`/^Resource::arn:<AWS::Partition>:ec2:.*\/(\*|ami-\*)$/`))
	except(b.Cluster.Security, "EMR5", "EMR's encryption in transit wants a certificate that somebody has to make and renew. Spark encrypts what its instances send each other with a key that it makes for each application, S3 is reached by TLS, and the network has no way out.")
}
