package stack_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/deployment/access"
)

// roleOf is how a function's role is called in the template.
var roleOf = map[string]string{
	access.Transform: "TransformRole", access.Speed: "SpeedRole", access.Query: "QueryRole", access.Batch: "BatchRole",
}

// granted gives the actions that a role is allowed, by the resources they are for.
func (t *template) granted(test *testing.T, role string) map[string][]string {
	test.Helper()
	out := map[string][]string{}
	for _, s := range t.statements(test, "AWS::IAM::Policy", role) {
		if s.at("Effect") != "Allow" {
			continue
		}
		for _, resource := range texts(s.Properties["Resource"]) {
			out[resource] = append(out[resource], texts(s.Properties["Action"])...)
		}
	}
	return out
}

// texts gives the JSON of a value, or of each of a list.
func texts(v any) (out []string) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	for _, v := range list {
		out = append(out, resource{Properties: map[string]any{"": v}}.at(""))
	}
	return out
}

var ownLog = regexp.MustCompile(`^logs:(CreateLogStream|PutLogEvents)$`)

// Whoever gets hold of a function can do what package access says, and no more.
func TestFunctionsMayDoWhatIsListed(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, on *template) {
		roles := maps.Clone(roleOf)
		if on == made[imported] {
			roles[access.Check] = "CheckRole"
		}
		for function, role := range roles {
			want := map[string]bool{}
			for _, g := range access.Of(function) {
				if g.Part == access.StreamKey && on == made[imported] {
					continue // the imported stream is not encrypted with a key of the account
				}
				for _, action := range g.Actions {
					want[action] = true
				}
			}
			got := map[string]bool{}
			for resource, actions := range on.granted(t, role) {
				if resource == "*" {
					t.Errorf("%s may %q of everything in the account", function, actions)
				}
				for _, action := range actions {
					got[action] = true
					if !want[action] && !ownLog.MatchString(action) {
						t.Errorf("%s may %s on %s, which is not listed", function, action, resource)
					}
				}
			}
			for action := range want {
				if !got[action] {
					t.Errorf("%s may not %s, and it needs that", function, action)
				}
			}
		}
		for name, role := range on.all(t, "AWS::IAM::Role", "") {
			if role.at("ManagedPolicyArns") != "" {
				t.Errorf("%s has the policies %s, whose actions others decide", name, role.at("ManagedPolicyArns"))
			}
		}
	})
}

func TestTheQueryFunctionCanWriteNothing(t *testing.T) {
	t.Parallel()
	reads := regexp.MustCompile(`^(dynamodb:(GetItem|Query)|s3:(GetObject|ListBucket)|kinesis:ListShards|kms:(Decrypt|DescribeKey)|states:(StartExecution|DescribeExecution))$`)
	everywhere(t, func(t *testing.T, on *template) {
		for resource, actions := range on.granted(t, "QueryRole") {
			for _, action := range actions {
				if !reads.MatchString(action) && !ownLog.MatchString(action) {
					t.Errorf("a query may %s on %s: whoever finds a fault in it can change answers", action, resource)
				}
			}
		}
	})
}

// The layers count the same log, each for itself. If one could write the other's
// entry, equal figures would prove nothing.
func TestTheTwoEntriesAreKeptApart(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, on *template) {
		for role, kept := range map[string]*regexp.Regexp{
			"SpeedRole":     regexp.MustCompile(`Buckets`),
			"TransformRole": regexp.MustCompile(`Buckets|Tables`),
			"DeliveryRole":  regexp.MustCompile(`Tables|BucketsViews`),
		} {
			for resource, actions := range on.granted(t, role) {
				if kept.MatchString(resource) {
					t.Errorf("%s may %q on %s", role, actions, resource)
				}
			}
		}
	})
}

// Firehose reads the stream and adds objects; that CDK would grant more is its own
// choice and not ours.
func TestFirehoseDoesOnlyItsPart(t *testing.T) {
	t.Parallel()
	part := []string{
		"kinesis:DescribeStream", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards", "kms:Decrypt", "kms:GenerateDataKey",
		"lambda:GetFunctionConfiguration", "lambda:InvokeFunction", "s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads",
		"s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject", "glue:GetTable", "glue:GetTableVersion", "glue:GetTableVersions", "logs:CreateLogStream", "logs:PutLogEvents",
	}
	everywhere(t, func(t *testing.T, on *template) {
		for resource, actions := range on.granted(t, "DeliveryRole") {
			for _, action := range actions {
				if !slices.Contains(part, action) {
					t.Errorf("Firehose may %s on %s, which its part does not need", action, resource)
				}
				if action == "s3:PutObject" && !strings.Contains(resource, "/master/") && !strings.Contains(resource, "/failed/") {
					t.Errorf("Firehose may write to %s, where nobody looks for rows", resource)
				}
			}
		}
	})
}

// Two statements of one name are no policy to S3.
func TestStatementsOfAPolicyHaveNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, on *template) {
		for name := range on.all(t, "AWS::S3::BucketPolicy", "") {
			seen := map[string]bool{}
			for _, s := range on.statements(t, "AWS::S3::BucketPolicy", "^"+name+"$") {
				if sid := s.at("Sid"); sid != "" && seen[sid] {
					t.Errorf("%s has two statements %s", name, sid)
				} else {
					seen[sid] = true
				}
			}
		}
	})
}

// denied gives the denials of a bucket's policy for a role.
func (t *template) denied(test *testing.T, bucket, role string) (out []resource) {
	test.Helper()
	for _, s := range t.statements(test, "AWS::S3::BucketPolicy", bucket) {
		if s.at("Effect") == "Deny" && strings.Contains(s.at("Principal"), role) {
			out = append(out, s)
		}
	}
	return out
}

func TestAReplayCannotTakeEventsOutOfTheMasterDataset(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, on *template) {
		if got := on.one(t, "AWS::S3::Bucket", "Master").at("VersioningConfiguration", "Status"); got != "Enabled" {
			t.Errorf("the master bucket's versioning is %q: without it, writing over an object loses its events", got)
		}
		for _, role := range []string{"DeliveryRole", "BatchRole"} {
			var denied []string
			for _, s := range on.denied(t, "Master", role) {
				if s.at("Condition") == "" {
					denied = append(denied, texts(s.Properties["Action"])...)
				}
			}
			for _, action := range []string{"s3:DeleteObject*", "s3:PutBucketVersioning", "s3:BypassGovernanceRetention"} {
				if !slices.Contains(denied, action) {
					t.Errorf("%s may %s on the master bucket: without the denial, whoever gets hold of it deletes events", role, action)
				}
			}
		}
	})
	locked := made[safe].one(t, "AWS::S3::Bucket", "Master")
	if got := locked.at("ObjectLockConfiguration", "Rule", "DefaultRetention"); !strings.Contains(got, "GOVERNANCE") || !strings.Contains(got, "45") {
		t.Errorf("the lock is %q: without it, an administrator's mistake deletes events", got)
	}
	if got := locked.at("LifecycleConfiguration", "Rules"); !strings.Contains(got, `"NoncurrentDays":45`) {
		t.Errorf("the lifecycle is %s: it would want to delete what is locked", got)
	}
}

// A repeated step of a run writes the same keys. What is there stays, whoever wrote
// it first.
func TestARepeatedRunCannotWriteOverAnything(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, on *template) {
		for _, bucket := range []string{"Master", "Views", "Artifacts"} {
			ok := false
			for _, s := range on.denied(t, "^Buckets"+bucket, "BatchRole") {
				ok = ok || s.at("Action") == "s3:PutObject" &&
					s.at("Condition", "Null", "s3:if-none-match") == "true" && s.at("Condition", "Bool", "s3:ObjectCreationOperation") == "true"
			}
			if !ok {
				t.Errorf("the batch function may write to %s without If-None-Match, so a zombie writes over what was published", bucket)
			}
		}
	})
}
