package stack

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskinesis"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/jsii-runtime-go"

	"github.com/watershed-data/watershed/internal/deployment/access"
)

// Parts are what functions are granted something on.
type Parts struct {
	Stream  awskinesis.IStream
	Key     awskms.IKey // of everything but an imported stream
	Tables  *Tables
	Buckets *Buckets
	Catalog *Catalog
}

// grant gives a function's role what package access has for it, and nothing more.
// Parts that have no resources are left out: the state machine is made after the
// functions that it calls.
func (p Parts) grant(role awsiam.IRole, function string) {
	for _, g := range access.Of(function) {
		for _, actions := range split(g) {
			if resources := p.resources(g, actions); len(resources) > 0 {
				allow(role, actions, resources...)
			}
		}
	}
}

func allow(role awsiam.IRole, actions []string, resources ...string) {
	role.AddToPrincipalPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions: jsii.Strings(actions...), Resources: jsii.Strings(resources...),
	}))
}

// split parts the actions on a bucket from those on its objects.
func split(g access.Grant) [][]string {
	var whole, objects []string
	for _, action := range g.Actions {
		if action == "s3:ListBucket" {
			whole = append(whole, action)
		} else {
			objects = append(objects, action)
		}
	}
	var out [][]string
	for _, actions := range [][]string{whole, objects} {
		if len(actions) > 0 {
			out = append(out, actions)
		}
	}
	return out
}

// resources gives the ARNs of a part that actions are for.
func (p Parts) resources(g access.Grant, actions []string) []string {
	bucket := func(b awss3.IBucket) []string {
		if actions[0] == "s3:ListBucket" {
			return []string{*b.BucketArn()}
		}
		return []string{*b.ArnForObjects(jsii.String(g.Under + "*"))}
	}
	switch g.Part {
	case access.Stream:
		return []string{*p.Stream.StreamArn()}
	case access.StreamKey:
		if key := p.Stream.EncryptionKey(); key != nil {
			return []string{*key.KeyArn()}
		}
		return nil // an imported one that is not encrypted, or with a key of AWS
	case access.Items:
		return []string{*p.Tables.Items.TableArn()}
	case access.Ledger:
		return []string{*p.Tables.Ledger.TableArn()}
	case access.Master:
		return bucket(p.Buckets.Master)
	case access.Views:
		return bucket(p.Buckets.Views)
	case access.Artifacts:
		return bucket(p.Buckets.Artifacts)
	case access.Catalog:
		return p.Catalog.arns()
	case access.Key:
		return []string{*p.Key.KeyArn()}
	case access.StateMachine, access.Executions:
		return nil // see LetRunsBeStarted
	}
	panic(fmt.Sprintf("nobody knows the resources of %s", g.Part))
}

// arns are those that a call about a table of the database is checked against: the
// catalog, the database, and all its tables.
func (c *Catalog) arns() []string {
	return []string{arn("glue", "catalog"), arn("glue", "database/"+*c.Database), c.table("*")}
}

// table is the ARN of tables of the database.
func (c *Catalog) table(name string) string { return arn("glue", "table/"+*c.Database+"/"+name) }

// arn is one of this account and region.
func arn(service, resource string) string {
	return fmt.Sprintf("arn:%s:%s:%s:%s:%s", *awscdk.Aws_PARTITION(), service, *awscdk.Aws_REGION(), *awscdk.Aws_ACCOUNT_ID(), resource)
}

// allowRuns grants what a function may do with the state machine and its
// executions.
func allowRuns(role awsiam.IRole, function, stateMachine string) {
	for _, g := range access.Of(function) {
		switch g.Part {
		case access.StateMachine:
			allow(role, g.Actions, stateMachine)
		case access.Executions:
			// arn:aws:states:region:account:stateMachine:NAME
			name := awscdk.Fn_Select(jsii.Number(6), awscdk.Fn_Split(jsii.String(":"), jsii.String(stateMachine), nil))
			allow(role, g.Actions, arn("states", "execution:"+*name+":*"))
		}
	}
}

// protect denies what no policy of a role may ever allow: to take something out of
// the master dataset, and to write over what there is. Firehose and Spark know no
// conditional writes; both make up names that were never there.
func (p *Pipeline) protect() {
	writers := []awsiam.IRole{p.DeliveryRole, p.Functions.Batch.Role()}
	if p.Batch.Spark != nil {
		writers = append(writers, p.Batch.Spark)
	}
	addOnly(p.Buckets.Master, writers...)
	neverOver(p.Buckets.Master, p.Functions.Batch.Role())
	neverOver(p.Buckets.Views, p.Functions.Batch.Role())
	neverOver(p.Buckets.Artifacts, p.Functions.Batch.Role())
}

// addOnly denies roles whatever takes something out of a bucket or writes over it,
// also what a policy of theirs allows.
func addOnly(bucket awss3.IBucket, roles ...awsiam.IRole) {
	deny(bucket, "OnlyAdds", roles, nil, "s3:DeleteObject*", "s3:PutBucketVersioning", "s3:BypassGovernanceRetention")
}

// neverOver denies roles to write an object without saying that it must not be
// there yet. Creating an upload and its parts takes no such header and makes no
// object; completing it does, and PutObject. (Both keys: "Enforce conditional
// writes on Amazon S3 buckets" in S3's documentation.)
func neverOver(bucket awss3.IBucket, roles ...awsiam.IRole) {
	deny(bucket, "NeverOver", roles, map[string]any{
		"Null": map[string]string{"s3:if-none-match": "true"},
		"Bool": map[string]string{"s3:ObjectCreationOperation": "true"},
	}, "s3:PutObject")
}

func deny(bucket awss3.IBucket, sid string, roles []awsiam.IRole, conditions map[string]any, actions ...string) {
	var principals []awsiam.IPrincipal
	for _, role := range roles {
		principals = append(principals, awsiam.NewArnPrincipal(role.RoleArn()))
	}
	props := &awsiam.PolicyStatementProps{
		Sid: jsii.String(sid), Effect: awsiam.Effect_DENY, Principals: &principals, Actions: jsii.Strings(actions...),
		Resources: jsii.Strings(*bucket.BucketArn(), *bucket.ArnForObjects(jsii.String("*"))),
	}
	if conditions != nil {
		props.Conditions = &conditions
	}
	bucket.AddToResourcePolicy(awsiam.NewPolicyStatement(props))
}
