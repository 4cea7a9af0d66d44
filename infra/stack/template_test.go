package stack_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/infra/stack"
	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/deployment"
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
	DependsOn      any
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
		firehose := on.one(t, "AWS::KinesisFirehose::DeliveryStream", "")
		byTable := firehose.at("ExtendedS3DestinationConfiguration", "DataFormatConversionConfiguration", "SchemaConfiguration", "TableName")
		types := map[archive.Physical]string{archive.Text: "string", archive.Int64: "bigint", archive.Int32: "int", archive.Boolean: "boolean", archive.Double: "double"}
		var want []struct{ Name, Type string }
		for _, c := range archive.Columns(def) {
			want = append(want, struct{ Name, Type string }{c.Name, types[c.Physical]})
		}
		for id, table := range on.all(t, "AWS::Glue::Table", "Tablesrows|Delivered") {
			var got []struct{ Name, Type string }
			if err := json.Unmarshal([]byte(table.at("TableInput", "StorageDescriptor", "Columns")), &got); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s has the columns\n%v, want\n%v", id, got, want)
			}
			if converts := strings.Contains(byTable, id); converts != strings.Contains(id, "Delivered") {
				t.Errorf("Firehose converts by %s", byTable)
			}
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

// What is read from a stream that ignores partition keys cannot be taken back.
func TestAnImportedStreamIsCheckedBeforeItIsRead(t *testing.T) {
	t.Parallel()
	on := made[imported]
	checked := ""
	for name := range on.all(t, "Custom::WatershedStream", "") {
		checked = name
	}
	for _, kind := range []string{"AWS::Lambda::EventSourceMapping", "AWS::KinesisFirehose::DeliveryStream"} {
		if reader := on.one(t, kind, ""); !slices.Contains(texts(reader.DependsOn), checked) {
			t.Errorf("%s waits for %v, and not for %s: it reads a stream that nobody has checked", kind, reader.DependsOn, checked)
		}
	}
	for _, r := range made[onDemand].Resources {
		if r.Type == "Custom::WatershedStream" {
			t.Error("the stack checks a stream that it makes itself")
		}
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
	runbook, err := os.ReadFile(filepath.Join("..", "..", "docs", "runbook.md"))
	if err != nil {
		t.Fatal(err)
	}
	everywhere(t, func(t *testing.T, on *template) {
		alarms := on.all(t, "AWS::CloudWatch::Alarm", "")
		if len(alarms) != deployment.Alarms {
			t.Errorf("%d alarms, and `watershed cost` counts %d", len(alarms), deployment.Alarms)
		}
		board := on.one(t, "AWS::CloudWatch::Dashboard", "").at("DashboardBody")
		for name, a := range alarms {
			if len(a.at("AlarmDescription")) < 80 {
				t.Errorf("%s says %q to whom it wakes", name, a.at("AlarmDescription"))
			}
			if metric := a.at("MetricName"); !strings.Contains(board, `\"`+metric+`\"`) {
				t.Errorf("%s watches %s, and the dashboard does not show it", name, metric)
			}
		}
		for name := range alarms {
			id := strings.TrimPrefix(name[:len(name)-8], "Alarms") // without CDK's digits
			if !strings.Contains(string(runbook), "`"+id+"`") {
				t.Errorf("whom %s wakes finds nothing about it in the runbook", id)
			}
		}
		watched := ""
		for _, a := range alarms {
			watched += a.at("Namespace") + " " + a.at("MetricName") + "\n"
		}
		for _, metric := range []string{deployment.RejectedMetric, deployment.MismatchMetric, deployment.RepairedMetric, deployment.PublishedMetric} {
			if !strings.Contains(watched, deployment.Metrics+" "+metric+"\n") {
				t.Errorf("nobody hears of %s", metric)
			}
		}
		// Also of a run whose function cannot even start, and so writes no metric.
		for _, metric := range []string{"ExecutionsFailed", "ExecutionsTimedOut"} {
			if !strings.Contains(watched, "AWS/States "+metric+"\n") {
				t.Errorf("nobody hears of %s of the state machine", metric)
			}
		}
	})
	for name, a := range made[safe].all(t, "AWS::CloudWatch::Alarm", "") {
		if !strings.Contains(a.at("AlarmActions"), "pages") || !strings.Contains(a.at("OKActions"), "pages") {
			t.Errorf("%s tells nobody", name)
		}
	}
	if got := made[safe].one(t, "AWS::CloudWatch::Alarm", "EventsRejected").at("Threshold"); got != "12" {
		t.Errorf("somebody is woken after %s rejected events, want 12 as configured", got)
	}
}

// A pipeline whose runs are not started any more sends no metric at all.
func TestSilenceOfTheBatchLayerIsAnAlarm(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, on *template) {
		old := on.one(t, "AWS::CloudWatch::Alarm", "VersionOld")
		if old.at("MetricName") != deployment.PublishedMetric || old.at("TreatMissingData") != "breaching" || old.at("ComparisonOperator") != "LessThanThreshold" || old.at("Threshold") != "1" {
			t.Errorf("silence is watched by %s %s %s, missing data is %s", old.at("MetricName"), old.at("ComparisonOperator"), old.at("Threshold"), old.at("TreatMissingData"))
		}
	})
}

func TestFunctionsAreGoProgramsThatKnowTheirStack(t *testing.T) {
	t.Parallel()
	architecture := map[string]string{onDemand: `["arm64"]`, safe: `["arm64"]`, imported: `["x86_64"]`}
	stores := []string{deployment.Items, deployment.Ledger}
	buckets := []string{deployment.Master, deployment.Views}
	know := map[string][]string{
		"Speed": stores,
		"Query": slices.Concat(stores, buckets, []string{deployment.StateMachine}),
		"Batch": slices.Concat(stores, buckets, []string{deployment.Artifacts, deployment.Database, deployment.Late}),
	}
	for name, on := range made {
		for id, variables := range know {
			f := on.one(t, "AWS::Lambda::Function", "^Functions"+id+"[0-9A-F]{8}$")
			for _, variable := range variables {
				if f.at("Environment", "Variables", variable) == "" {
					t.Errorf("%s: %s does not know %s", name, id, variable)
				}
			}
		}
		for id, f := range on.all(t, "AWS::Lambda::Function", "") {
			if f.at("Runtime") != "provided.al2023" || f.at("Architectures") != architecture[name] {
				t.Errorf("%s: %s runs on %s, %s", name, id, f.at("Runtime"), f.at("Architectures"))
			}
			if f.at("Environment", "Variables", deployment.Definition) == "" || f.at("Environment", "Variables", deployment.Stream) == "" {
				t.Errorf("%s: %s does not know its definition and its stream: %s", name, id, f.at("Environment"))
			}
			// A function that talked to something else than AWS would look well and do nothing.
			if got := f.at("Environment", "Variables", "AWS_ENDPOINT_URL"); got != endpoints[name] {
				t.Errorf("%s: %s talks to %q, want %q", name, id, got, endpoints[name])
			}
		}
	}
}

// The crawler looks at what has landed, and names tables so that nobody takes them
// for the pipeline's.
func TestTheCrawlerKeepsToLandedFiles(t *testing.T) {
	t.Parallel()
	crawler := made[onDemand].one(t, "AWS::Glue::Crawler", "")
	if targets := crawler.at("Targets"); !strings.Contains(targets, "BucketsLanding") || crawler.at("TablePrefix") != "landed_" || crawler.at("Schedule") != "" {
		t.Errorf("the crawler looks at %s by the schedule %q and makes tables %s*", targets, crawler.at("Schedule"), crawler.at("TablePrefix"))
	}
	for resource, actions := range made[onDemand].granted(t, "CrawlerRole") {
		if regexp.MustCompile("Buckets(Master|Views|Artifacts|Staging)|Tables").MatchString(resource) {
			t.Errorf("the crawler may %q on %s", actions, resource)
		}
		if strings.Contains(resource, ":table/") && !strings.Contains(resource, "landed_*") {
			t.Errorf("the crawler may %q on tables of the pipeline: %s", actions, resource)
		}
	}
	if got := made[safe].one(t, "AWS::Glue::Crawler", "").at("Schedule", "ScheduleExpression"); got != "cron(0 6 * * ? *)" {
		t.Errorf("the crawler runs at %q", got)
	}
	for id, r := range made[imported].Resources {
		if r.Type == "AWS::Glue::Crawler" {
			t.Errorf("%s was to be left out", id)
		}
	}
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
