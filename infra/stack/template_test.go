package stack_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/infra/stack"
	"github.com/watershed-data/watershed/internal/archive"
)

// template is a stack's template, as CloudFormation gets it.
type template struct {
	Resources map[string]resource
	findings  []string // of the rules of AWS Solutions
}

type resource struct {
	Type           string
	Properties     map[string]any
	DeletionPolicy string
}

// at gives the text of a property's JSON by its path; "" if it is not set.
func (r resource) at(path ...string) string {
	var v any = r.Properties
	for _, name := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return ""
		}
		v = m[name]
	}
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	text, _ := json.Marshal(v) // it was read as JSON
	return string(text)
}

// all gives the resources of a type whose logical id matches, at least one.
func (t *template) all(test *testing.T, kind, id string) map[string]resource {
	test.Helper()
	found := map[string]resource{}
	for name, r := range t.Resources {
		if r.Type == kind && regexp.MustCompile(id).MatchString(name) {
			found[name] = r
		}
	}
	if len(found) == 0 {
		test.Fatalf("the stack has no %s like %s", kind, id)
	}
	return found
}

func (t *template) one(test *testing.T, kind, id string) resource {
	test.Helper()
	found := t.all(test, kind, id)
	if len(found) != 1 {
		test.Fatalf("the stack has %d %s like %s", len(found), kind, id)
	}
	for _, r := range found {
		return r
	}
	panic("unreachable")
}

// statements gives the statements of all policies of a type like id.
func (t *template) statements(test *testing.T, kind, id string) (out []resource) {
	test.Helper()
	for _, r := range t.all(test, kind, id) {
		document := r.Properties["PolicyDocument"].(map[string]any)
		for _, s := range document["Statement"].([]any) {
			out = append(out, resource{Properties: s.(map[string]any)})
		}
	}
	return out
}

// everywhere runs a test on every configuration's template.
func everywhere(t *testing.T, check func(t *testing.T, on *template)) {
	t.Helper()
	for name, on := range made {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, on)
		})
	}
}

// report is what CloudFormation's validator says, which CDK runs.
type report struct {
	PluginReports []struct {
		PluginName string
		Violations []struct{ RuleName, Description string }
	}
}

func TestCloudFormationTakesTheTemplates(t *testing.T) {
	t.Parallel()
	if len(validation.PluginReports) == 0 {
		t.Fatal("nobody has validated the templates")
	}
	for _, p := range validation.PluginReports {
		for _, v := range p.Violations {
			// CDK adds a mapping that only deliveries from other networks use.
			if v.RuleName != "W7001" || !strings.Contains(v.Description, "awscdkawskinesisfirehoseCidrBlocks") {
				t.Errorf("%s: %s: %s", p.PluginName, v.RuleName, v.Description)
			}
		}
	}
}

func TestNoRuleOfAWSSolutionsIsBrokenWithoutAReason(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, on *template) {
		for _, f := range on.findings {
			t.Error(f)
		}
	})
}

func TestAReplayCannotTakeEventsOutOfTheMasterDataset(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, on *template) {
		if got := on.one(t, "AWS::S3::Bucket", "Master").at("VersioningConfiguration", "Status"); got != "Enabled" {
			t.Errorf("the master bucket's versioning is %q: without it, writing over an object loses its events", got)
		}
		denied := ""
		for _, s := range on.statements(t, "AWS::S3::BucketPolicy", "Master") {
			if s.at("Effect") == "Deny" && strings.Contains(s.at("Principal"), "DeliveryRole") {
				denied += s.at("Action")
			}
		}
		for _, action := range []string{"s3:DeleteObject*", "s3:PutBucketVersioning", "s3:BypassGovernanceRetention"} {
			if !strings.Contains(denied, action) {
				t.Errorf("Firehose's role may %s on the master bucket: without the denial, whoever gets hold of it deletes events", action)
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

func TestNothingIsReadOrWrittenInTheClear(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, on *template) {
		for name, bucket := range on.all(t, "AWS::S3::Bucket", "") {
			for _, block := range []string{"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"} {
				if bucket.at("PublicAccessBlockConfiguration", block) != "true" {
					t.Errorf("%s without %s: a policy can make it public", name, block)
				}
			}
			if encryption := bucket.at("BucketEncryption"); !strings.Contains(name, "Logs") && !strings.Contains(encryption, "aws:kms") {
				t.Errorf("%s is encrypted by %s and not with the pipeline's key", name, encryption)
			}
			tls := false
			for _, s := range on.statements(t, "AWS::S3::BucketPolicy", "^"+strings.TrimRight(name, "0123456789ABCDEF")) {
				tls = tls || s.at("Effect") == "Deny" && s.at("Condition", "Bool", "aws:SecureTransport") == "false"
			}
			if !tls {
				t.Errorf("%s can be read without TLS", name)
			}
		}
		for name, table := range on.all(t, "AWS::DynamoDB::Table", "") {
			if table.at("SSESpecification", "KMSMasterKeyId") == "" {
				t.Errorf("%s is not encrypted with the pipeline's key", name)
			}
		}
		if on.one(t, "AWS::KMS::Key", "").at("EnableKeyRotation") != "true" {
			t.Error("the key is never rotated")
		}
	})
	stream := made[safe].one(t, "AWS::Kinesis::Stream", "")
	if stream.at("StreamEncryption", "EncryptionType") != "KMS" {
		t.Error("events lie in the stream unencrypted")
	}
}

func TestTheEventSourceNeverGivesAnEventUp(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, on *template) {
		source := on.one(t, "AWS::Lambda::EventSourceMapping", "")
		for name, allowed := range map[string][]string{
			"MaximumRetryAttempts":           {"", "-1"}, // for ever
			"MaximumRecordAgeInSeconds":      {"", "-1"},
			"DestinationConfig":              {""}, // gets what is discarded: a silent hole
			"FilterCriteria":                 {""}, // what does not match is never seen
			"TumblingWindowInSeconds":        {"", "0"},
			"ParallelizationFactor":          {"", "1"}, // else a shard's events come out of order
			"BisectBatchOnFunctionError":     {"", "false"},
			"FunctionResponseTypes":          {""},
			"StartingPosition":               {"TRIM_HORIZON"}, // else events from before the deployment are missing in one layer
			"MaximumBatchingWindowInSeconds": {"1"},
		} {
			if got := source.at(name); !slices.Contains(allowed, got) {
				t.Errorf("%s is %q, want one of %q", name, got, allowed)
			}
		}
	})
}

func TestTheLedgerCanBeBroughtBack(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, on *template) {
		ledger := on.one(t, "AWS::DynamoDB::Table", "Ledger")
		if ledger.at("PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled") != "true" {
			t.Error("the ledger has no point-in-time recovery: without it, what was committed is not known after a mistake")
		}
		for name, table := range on.all(t, "AWS::DynamoDB::Table", "") {
			if got := table.at("KeySchema"); got != `[{"AttributeName":"pk","KeyType":"HASH"},{"AttributeName":"sk","KeyType":"RANGE"}]` {
				t.Errorf("the keys of %s are %s, which internal/aws does not write", name, got)
			}
			if table.at("TimeToLiveSpecification") != "" {
				t.Errorf("%s deletes by a clock: items go when a version has replaced them", name)
			}
		}
	})
}

func TestRolesDoNoMoreThanTheirPart(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, on *template) {
		for role, allowed := range map[string]string{
			"SpeedRole":     `^(dynamodb:(GetItem|BatchGetItem|Query|PutItem|UpdateItem|DeleteItem|BatchWriteItem|ConditionCheckItem)|kinesis:(Describe|Get|List|Subscribe).*|kms:(Decrypt|Encrypt|GenerateDataKey\*|ReEncrypt\*|DescribeKey)|logs:(CreateLogStream|PutLogEvents))$`,
			"TransformRole": `^(kinesis:(Describe|Get|List|Subscribe).*|kms:Decrypt|logs:(CreateLogStream|PutLogEvents))$`,
			"DeliveryRole":  `^(kinesis:(Describe|Get|List|Subscribe).*|kms:(Decrypt|Encrypt|GenerateDataKey\*|ReEncrypt\*|DescribeKey)|s3:.*|glue:Get.*|lambda:InvokeFunction|logs:(CreateLogStream|PutLogEvents))$`,
		} {
			fits := regexp.MustCompile(allowed)
			for _, s := range on.statements(t, "AWS::IAM::Policy", role) {
				actions, ok := s.Properties["Action"].([]any)
				if !ok {
					actions = []any{s.Properties["Action"]}
				}
				for _, a := range actions {
					if !fits.MatchString(a.(string)) {
						t.Errorf("%s may %s, which its part does not need", role, a)
					}
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

func TestFirehoseWritesWhatTheBatchLayerReads(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, on *template) {
		destination := []string{"ExtendedS3DestinationConfiguration"}
		firehose := on.one(t, "AWS::KinesisFirehose::DeliveryStream", "")
		get := func(path ...string) string { return firehose.at(append(slices.Clone(destination), path...)...) }
		if prefix := get("Prefix"); !regexp.MustCompile(`^master/[0-9a-f]+/arrival/!\{timestamp:yyyy-MM-dd-HH\}/$`).MatchString(prefix) || get("FileExtension") != ".parquet" {
			t.Errorf("objects are named %q and %q, where no batch run looks for rows", prefix, get("FileExtension"))
		}
		if prefix := get("ErrorOutputPrefix"); !strings.HasPrefix(prefix, "failed/") || !strings.Contains(prefix, "!{firehose:error-output-type}") {
			t.Errorf("failed records go to %q, among the rows", prefix)
		}
		if size := get("ProcessingConfiguration", "Processors"); !strings.Contains(size, `{"ParameterName":"BufferSizeInMBs","ParameterValue":"0.2"}`) {
			t.Errorf("the transform gets %s: more than 0.2 MiB of events do not fit into an answer", size)
		}
		if get("DataFormatConversionConfiguration", "SchemaConfiguration", "VersionId") != "LATEST" {
			t.Error("Firehose converts by a schema of the past after a new deployment")
		}
	})
}

func TestTheTableIsTheMasterDatasetsColumns(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, on *template) {
		table := on.one(t, "AWS::Glue::Table", "Rows")
		var got []struct{ Name, Type string }
		if err := json.Unmarshal([]byte(table.at("TableInput", "StorageDescriptor", "Columns")), &got); err != nil {
			t.Fatal(err)
		}
		types := map[archive.Physical]string{archive.Text: "string", archive.Int64: "bigint", archive.Int32: "int", archive.Boolean: "boolean", archive.Double: "double"}
		var want []struct{ Name, Type string }
		for _, c := range archive.Columns(def) {
			want = append(want, struct{ Name, Type string }{c.Name, types[c.Physical]})
		}
		if !slices.Equal(got, want) {
			t.Errorf("columns\n%v, want\n%v", got, want)
		}
	})
}

func TestDeletingAStackKeepsTheDataUnlessAsked(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{onDemand: "Delete", safe: "Retain", imported: "Retain"} {
		for _, kind := range []string{"AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::KMS::Key"} {
			for id, r := range made[name].all(t, kind, "") {
				if r.DeletionPolicy != want {
					t.Errorf("%s: deleting the stack means %s for %s, want %s", name, r.DeletionPolicy, id, want)
				}
			}
		}
	}
}

func TestAnImportedStreamIsNotMade(t *testing.T) {
	t.Parallel()
	for name, r := range made[imported].Resources {
		if r.Type == "AWS::Kinesis::Stream" {
			t.Errorf("%s is made beside the imported stream", name)
		}
	}
	source := made[imported].one(t, "AWS::Lambda::EventSourceMapping", "")
	firehose := made[imported].one(t, "AWS::KinesisFirehose::DeliveryStream", "")
	const theirs = "arn:aws:kinesis:us-east-1:123456789012:stream/theirs"
	if source.at("EventSourceArn") != theirs || firehose.at("KinesisStreamSourceConfiguration", "KinesisStreamARN") != theirs {
		t.Errorf("speed reads %s and Firehose %s: both have to read the imported stream", source.at("EventSourceArn"), firehose.at("KinesisStreamSourceConfiguration", "KinesisStreamARN"))
	}
}

func TestTheStreamIsAsChosen(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{onDemand: "ON_DEMAND  24", safe: "PROVISIONED 3 168"} {
		s := made[name].one(t, "AWS::Kinesis::Stream", "")
		if got := fmt.Sprint(s.at("StreamModeDetails", "StreamMode"), " ", s.at("ShardCount"), " ", s.at("RetentionPeriodHours")); got != want {
			t.Errorf("%s: the stream is %s, want %s", name, got, want)
		}
	}
}

func TestEveryAlarmSaysWhatToDo(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, on *template) {
		alarms := on.all(t, "AWS::CloudWatch::Alarm", "")
		board := on.one(t, "AWS::CloudWatch::Dashboard", "").at("DashboardBody")
		if widgets := strings.Count(board, `\"type\":\"metric\"`); widgets != len(alarms) {
			t.Errorf("%d graphs for %d alarms", widgets, len(alarms))
		}
		for name, a := range alarms {
			if len(a.at("AlarmDescription")) < 80 {
				t.Errorf("%s says %q to whom it wakes", name, a.at("AlarmDescription"))
			}
		}
	})
	for name, a := range made[safe].all(t, "AWS::CloudWatch::Alarm", "") {
		if !strings.Contains(a.at("AlarmActions"), "pages") || !strings.Contains(a.at("OKActions"), "pages") {
			t.Errorf("%s tells nobody", name)
		}
	}
}

func TestFunctionsAreSmallGoProgramsOnArm(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, on *template) {
		for name, f := range on.all(t, "AWS::Lambda::Function", "") {
			if f.at("Runtime") != "provided.al2023" || f.at("Architectures") != `["arm64"]` {
				t.Errorf("%s runs on %s, %s", name, f.at("Runtime"), f.at("Architectures"))
			}
			if f.at("Environment", "Variables", "WATERSHED_DEFINITION") == "" || f.at("Environment", "Variables", "WATERSHED_STREAM") == "" {
				t.Errorf("%s does not know its definition and its stream: %s", name, f.at("Environment"))
			}
		}
	})
}

// Two pipelines never share a stack, whatever their names lose.
func TestNamesOfStacks(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, pipeline := range []string{"sales", "sa-les", "sa_les", "sa.les", "sa__les", ".", "_", strings.Repeat("a", 128), strings.Repeat("a", 127)} {
		name := stack.StackName(pipeline)
		if !regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,127}$`).MatchString(name) {
			t.Errorf("the stack of %s would be called %s, which CloudFormation refuses", pipeline, name)
		}
		if seen[name] != "" {
			t.Errorf("%s and %s share the stack %s", pipeline, seen[name], name)
		}
		seen[name] = pipeline
	}
}
