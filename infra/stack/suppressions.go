package stack

import (
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
	const grants = "Patterns of actions that CDK grants to whoever writes to an encrypted bucket, all on that bucket or the pipeline's key. A policy of the master bucket denies deleting."
	except(p.DeliveryRole, "IAM5", grants, "Action::kms:GenerateDataKey*", "Action::kms:ReEncrypt*",
		"Action::s3:Abort*", "Action::s3:DeleteObject*", "Action::s3:GetBucket*", "Action::s3:GetObject*", "Action::s3:List*")
	except(p.DeliveryRole, "IAM5", "Firehose chooses the names of the objects that it writes to the master bucket.", like(`/^Resource::<BucketsMaster\w+\.Arn>\/\*$/`))
	except(p.DeliveryRole, "IAM5", "Versions of the transform, and of no other function.", like(`/^Resource::<FunctionsTransform\w+\.Arn>:\*$/`))
	except(p.DeliveryRole, "IAM5", "glue:GetSchemaVersion, which CDK grants for conversion to Parquet, names no resource.", "Resource::*")
	except(p.Functions.Speed.Role(), "IAM5", "The variants of GenerateDataKey and ReEncrypt that DynamoDB uses for a table's key, on the pipeline's key.", "Action::kms:GenerateDataKey*", "Action::kms:ReEncrypt*")
}
