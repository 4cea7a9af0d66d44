package stack

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/cdklabs/cdk-nag-go/cdknag/v2"
)

// suppress names every rule of AWS Solutions that the stack does not follow, where,
// and why. A finding that is not here fails the tests and the deployment.
func suppress(p *Pipeline) {
	// An exception takes findings by their text, or by a regular expression if that
	// holds a resource's generated name.
	except := func(at constructs.IConstruct, rule, reason string, findings ...any) {
		s := &cdknag.NagPackSuppression{Id: jsii.String("AwsSolutions-" + rule), Reason: jsii.String(reason)}
		if len(findings) > 0 {
			s.AppliesTo = &findings
		}
		cdknag.NagSuppressions_AddResourceSuppressions(at, &[]*cdknag.NagPackSuppression{s}, jsii.Bool(true))
	}
	like := func(expression string) any { return map[string]any{"regex": expression} }

	if p.StreamIsOurs {
		except(p.Stream, "KDS3", "The stream is encrypted with the pipeline's own key, whose policy and rotation the account decides; the rule prefers the key that AWS manages.")
	}
	except(p.Tables.Items, "DDB3", "Items are derived from the log and the master dataset. An old copy of them beside a newer ledger would give wrong answers; what is lost is recomputed as a new generation.")
	except(p.Delivery, "KDF1", "The source is a Kinesis data stream, which is encrypted; Firehose then keeps nothing of its own and refuses this setting.")
	except(p.DeliveryRole, "IAM5", "Firehose chooses the names of the objects that it writes to the master bucket, below these.", like(`/^Resource::<BucketsMaster\w+\.Arn>\/(master\/[0-9a-f]+|failed)\/\*$/`))
	except(p.DeliveryRole, "IAM5", "Versions of the transform, and of no other function.", like(`/^Resource::<FunctionsOf[0-9a-f]{16}Transform\w+\.Arn>:\*$/`))
	except(p.Functions.Query.Role(), "IAM5", "Executions of the pipeline's own state machine, whose names are made when they start.", like(`/^Resource::arn:<AWS::Partition>:states:.*:execution:.*:\*$/`))
	const named = "The functions choose the names of the objects that they write, which begin as the policy says; the bucket holds nothing of another pipeline."
	for _, f := range []awslambda.Function{p.Functions.Query, p.Functions.Batch} {
		except(f.Role(), "IAM5", named, like(`/^Resource::<Buckets\w+\.Arn>\/(master|views|jobs)\/\*$/`))
	}
	except(p.Functions.Batch.Role(), "IAM5", "The tables of the pipeline's own database, in which a run replaces the merged views.", like(`/^Resource::arn:<AWS::Partition>:glue:.*:table\/watershed_\w+\/\*$/`))
	if p.Crawler != nil {
		except(p.Crawler.Role, "IAM5", "Whoever lands a file chooses its name.", like(`/^Resource::<BucketsLanding\w+\.Arn>\/\*$/`))
		except(p.Crawler.Role, "IAM5", "The crawler names tables after the folders that it finds; all begin with landed_.", like(`/^Resource::arn:<AWS::Partition>:glue:.*\/landed_\*$/`))
		except(p.Crawler.Role, "IAM5", "Glue makes the log group and its streams, and names them.", like(`/^Resource::arn:<AWS::Partition>:logs:.*:\/aws-glue\/crawlers\*$/`))
	}
	p.Batch.suppressions(except, like)
}
