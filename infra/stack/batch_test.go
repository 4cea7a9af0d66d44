package stack_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/infra/config"
	"github.com/watershed-data/watershed/infra/stack"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/deployment"
)

// machine is the definition of a state machine.
type machine struct {
	StartAt        string
	TimeoutSeconds int
	QueryLanguage  string
	States         map[string]state
}

type state struct {
	Type, Resource, Next, Default string
	TimeoutSeconds                int
	Arguments                     json.RawMessage
	Choices                       []struct{ Condition, Next string }
	Retry                         []struct {
		ErrorEquals    []string
		MaxAttempts    int
		JitterStrategy string
	}
	Catch []struct {
		ErrorEquals []string
		Next        string
	}
}

// ways are the states that may come after one.
func (s state) ways() (out []string) {
	for _, next := range []string{s.Next, s.Default} {
		if next != "" {
			out = append(out, next)
		}
	}
	for _, c := range s.Choices {
		out = append(out, c.Next)
	}
	for _, c := range s.Catch {
		out = append(out, c.Next)
	}
	return out
}

// definition is the text of the state machine of a template; what only
// CloudFormation knows is written as its reference.
func (t *template) definition(test *testing.T) string {
	test.Helper()
	var text strings.Builder
	for _, p := range t.one(test, "AWS::StepFunctions::StateMachine", "BatchRuns").Properties["DefinitionString"].(map[string]any)["Fn::Join"].([]any)[1].([]any) {
		switch part := p.(type) {
		case string:
			text.WriteString(part)
		case map[string]any:
			if part["Ref"] == "AWS::Partition" {
				text.WriteString("aws")
				continue
			}
			reference, _ := json.Marshal(part) // it was read as JSON
			text.WriteString(strings.ReplaceAll(string(reference), `"`, ""))
		}
	}
	return text.String()
}

// runs reads the state machine of a template.
func (t *template) runs(test *testing.T) (m machine) {
	test.Helper()
	if err := json.Unmarshal([]byte(t.definition(test)), &m); err != nil {
		test.Fatal(err)
	}
	return m
}

// Whatever the function says and whatever fails, a run comes to an end: one that
// hangs would keep the schedule from starting another.
func TestEveryRunEnds(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, on *template) {
		m := on.runs(t)
		if m.TimeoutSeconds < 4*7200+2*180 { // four computations, and files that are late twice
			t.Errorf("a run that does all that it may is cut off after %d s", m.TimeoutSeconds)
		}
		ends := map[string]bool{}
		for range m.States { // as often as the longest way has states
			for name, s := range m.States {
				ends[name] = ends[name] || s.Type == "Succeed" || s.Type == "Fail" || slices.ContainsFunc(s.ways(), func(next string) bool { return ends[next] })
			}
		}
		for name, s := range m.States {
			if !ends[name] {
				t.Errorf("a run that comes to %s never ends", name)
			}
			for _, next := range s.ways() {
				if _, ok := m.States[next]; !ok {
					t.Errorf("%s leads to %s, which is not there", name, next)
				}
			}
			if s.Type != "Task" {
				continue
			}
			if len(s.Retry) == 0 {
				t.Errorf("%s is not repeated when it fails", name)
			}
			for _, r := range s.Retry {
				if r.MaxAttempts < 1 || r.MaxAttempts > 10 || r.JitterStrategy != "FULL" {
					t.Errorf("%s is repeated %d times (%s)", name, r.MaxAttempts, r.JitterStrategy)
				}
			}
			if s.TimeoutSeconds == 0 && name != "Others" && !strings.Contains(s.Resource, "glue:") { // Glue ends its jobs itself
				t.Errorf("%s may take for ever", name)
			}
			if len(s.Catch) == 0 && name != "Others" && name != "RecordFailure" {
				t.Errorf("nobody hears of it when %s fails: neither status nor alarms", name)
			}
		}
	})
}

// What the function says and the machine does not know would end runs for no reason.
func TestEveryStepHasAState(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, on *template) {
		next := on.runs(t).States["Next"]
		for _, step := range []string{
			deployment.ComputeStep, deployment.CompareStep, deployment.WaitStep, deployment.RepairStep, deployment.PublishStep, deployment.DiscardStep, deployment.Done,
		} {
			want := fmt.Sprintf("{%% $states.input.next = %q %%}", step)
			if !slices.ContainsFunc(next.Choices, func(c struct{ Condition, Next string }) bool { return c.Condition == want }) {
				t.Errorf("nothing comes after %s", step)
			}
		}
		if next.Default != "Failed" {
			t.Errorf("a word that nobody knows leads to %s", next.Default)
		}
	})
}

// A cluster that nobody ends costs money for ever.
func TestAClusterEndsWhateverHappens(t *testing.T) {
	t.Parallel()
	m := made[safe].runs(t)
	ends := func(name string) bool { return strings.HasSuffix(m.States[name].Resource, "terminateCluster.sync") }
	start := m.States["StartCluster"]
	if !strings.HasSuffix(start.Resource, "createCluster.sync") {
		t.Fatalf("StartCluster does %s", start.Resource)
	}
	after := m.States[start.Next]
	if len(after.Catch) == 0 || !slices.Contains(after.Catch[0].ErrorEquals, "States.ALL") {
		t.Errorf("an error of %s is not caught", start.Next)
	}
	for _, next := range after.ways() {
		if !ends(next) {
			t.Errorf("after %s comes %s, and the cluster goes on", start.Next, next)
		}
	}
	for name, s := range m.States {
		if name != "StartCluster" && slices.Contains(s.ways(), start.Next) {
			t.Errorf("%s leads into the cluster's work without a cluster", name)
		}
		if ends(name) && len(s.Catch) == 0 {
			t.Errorf("a run whose computing is done fails since %s does", name)
		}
	}
	var cluster struct {
		AutoTerminationPolicy struct{ IdleTimeout int }
		Instances             struct{ TerminationProtected bool }
	}
	if err := json.Unmarshal(start.Arguments, &cluster); err != nil {
		t.Fatal(err)
	}
	if idle := cluster.AutoTerminationPolicy.IdleTimeout; idle < 60 || idle > 3600 || cluster.Instances.TerminationProtected {
		t.Errorf("the cluster of a run that somebody stops goes on (%+v)", cluster)
	}
}

// The engine is the one program of the batch layer that others have written.
func TestWhoComputesCannotTouchEventsOrLedger(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, on *template) {
		kind, who := "AWS::IAM::Policy", "BatchSparkRole"
		if on == made[imported] {
			kind, who = "AWS::IAM::ManagedPolicy", "BatchEngine" // for somebody else
		}
		for _, s := range on.statements(t, kind, who) {
			for _, action := range texts(s.Properties["Action"]) {
				for _, resource := range texts(s.Properties["Resource"]) {
					switch {
					case strings.HasPrefix(action, "dynamodb:"), strings.HasPrefix(action, "kinesis:"):
						t.Errorf("the engine may %s: it could write the entry that it is compared with", action)
					case strings.Contains(resource, "BucketsMaster") && action != "s3:GetObject" && action != "s3:ListBucket":
						t.Errorf("the engine may %s in the master dataset", action)
					case strings.Contains(resource, "BucketsArtifacts") && action == "s3:PutObject" && !strings.Contains(resource, "jobs/*.result.json"):
						t.Errorf("the engine may write %s, its own job among them", resource)
					case strings.Contains(action, "*"), resource == "*":
						t.Errorf("the engine may %s on %s", action, resource)
					}
				}
			}
		}
	})
}

func TestTheScheduleIsTheDefinitions(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{onDemand: "rate(15 minutes)", safe: "rate(1 minute)", imported: "rate(2 hours)"} {
		schedule := made[name].one(t, "AWS::Scheduler::Schedule", "^BatchSchedule")
		if got := schedule.at("ScheduleExpression"); got != want {
			t.Errorf("%s: runs start at %s, want %s", name, got, want)
		}
		if input := schedule.at("Target", "Input"); input != `{"scheduled":true}` {
			t.Errorf("%s: runs start with %s, so they pile up", name, input)
		}
		for resource, actions := range made[name].granted(t, "ScheduleRole") {
			if !slices.Equal(actions, []string{"states:StartExecution"}) || !strings.Contains(resource, "BatchRuns") {
				t.Errorf("%s: the schedule may %q on %s", name, actions, resource)
			}
		}
	}
}

// A shard that is idle for longer than records are kept stops for good, unless somebody
// noted that it was empty. Runs do; but they may be a week apart.
func TestIdleShardsAreLookedAtWithoutRuns(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, on *template) {
		schedule := on.one(t, "AWS::Scheduler::Schedule", "^BatchAttend")
		if got := schedule.at("ScheduleExpression"); got != "rate(6 hours)" {
			t.Errorf("tips are looked at at %s, and records may be gone after a day", got)
		}
		if input := schedule.at("Target", "Input"); input != `{"step":"attend"}` {
			t.Errorf("the function is asked for %s", input)
		}
		for resource, actions := range on.granted(t, "AttendRole") {
			if !slices.Equal(actions, []string{"lambda:InvokeFunction"}) || !strings.Contains(resource, "FunctionsBatch") {
				t.Errorf("the schedule may %q on %s", actions, resource)
			}
		}
	})
}

// The mistake is found before CDK starts.
func TestSchedulesThatAWSDoesNotHave(t *testing.T) {
	t.Parallel()
	for text, wrong := range map[string]bool{"batch: {every: 90s}": true, "batch: {every: 30s}": true, "batch: {every: 60s}": false, "batch: {every: 365d}": false, "batch: continuous": false, "": false} {
		d, err := definition.Parse("p.yaml", []byte("pipeline: p\nevents: {format: json, columns: {a: {type: int}}}\nviews: {v: {by: [], every: none, measures: {n: count}}}\n"+text))
		if err != nil {
			t.Fatal(err)
		}
		c, err := config.Parse("c.yaml", []byte("batch: {engine: external}"))
		if err != nil {
			t.Fatal(err)
		}
		err = stack.PipelineProps{Definition: d, Config: c}.Check()
		if found := err != nil && strings.Contains(err.Error(), "AWS starts runs in whole minutes"); found != wrong {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Logs and traces are read by more people than the data.
func TestRunsAreWatchedWithoutTheirData(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, on *template) {
		runs := on.one(t, "AWS::StepFunctions::StateMachine", "")
		if runs.at("LoggingConfiguration", "Level") != "ALL" || runs.at("LoggingConfiguration", "IncludeExecutionData") != "false" || runs.at("TracingConfiguration", "Enabled") != "true" {
			t.Errorf("logging is %s, tracing %s", runs.at("LoggingConfiguration"), runs.at("TracingConfiguration"))
		}
		if runs.at("EncryptionConfiguration", "Type") != "CUSTOMER_MANAGED_KMS_KEY" {
			t.Error("what runs know is not encrypted with the pipeline's key")
		}
	})
}

func TestTheJobInGlue(t *testing.T) {
	t.Parallel()
	job := made[onDemand].one(t, "AWS::Glue::Job", "")
	for name, want := range map[string]string{
		"GlueVersion": "5.1", // Spark 3.5.6, with which the driver is tested
		"Timeout":     "120", // minutes; by default Glue takes 8 hours
		"MaxRetries":  "0",   // the state machine repeats, and knows of it
		"WorkerType":  "G.1X", "NumberOfWorkers": "2",
	} {
		if got := job.at(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if got := job.at("DefaultArguments", "--job-bookmark-option"); got != "job-bookmark-disable" {
		t.Errorf("bookmarks: %q: Glue would leave out files that it has seen before", got)
	}
	compute := made[onDemand].runs(t).States["Compute"]
	if !strings.HasSuffix(compute.Resource, "glue:startJobRun.sync") || !strings.Contains(string(compute.Arguments), `"--job":"{% $states.input.job %}"`) {
		t.Errorf("Compute does %s with %s", compute.Resource, compute.Arguments)
	}
}

// A cluster has no way to or from anywhere but S3, the key, and EMR.
func TestClustersAreShutIn(t *testing.T) {
	t.Parallel()
	on := made[safe]
	for name, r := range on.Resources {
		switch r.Type {
		case "AWS::EC2::InternetGateway", "AWS::EC2::NatGateway", "AWS::EC2::Route":
			t.Errorf("%s is a way out", name)
		case "AWS::EC2::Subnet":
			if r.at("MapPublicIpOnLaunch") != "false" {
				t.Errorf("instances in %s have public addresses", name)
			}
		case "AWS::EC2::SecurityGroup", "AWS::EC2::SecurityGroupIngress":
			if r.at("SecurityGroupIngress") != "" || r.at("CidrIp") != "" || r.at("CidrIpv6") != "" {
				t.Errorf("%s lets addresses in, and not a group: %v", name, r.Properties)
			}
		case "AWS::EC2::VPCEndpoint":
			if r.at("VpcEndpointType") == "Gateway" && strings.Contains(r.at("PolicyDocument"), `"Resource":"*"`) {
				t.Errorf("%s leads to every bucket there is", name)
			}
		}
	}
	security := on.one(t, "AWS::EMR::SecurityConfiguration", "")
	at := []string{"SecurityConfiguration", "EncryptionConfiguration", "AtRestEncryptionConfiguration"}
	if security.at(append(at, "LocalDiskEncryptionConfiguration", "EnableEbsEncryption")...) != "true" || !strings.Contains(security.at(append(at, "S3EncryptionConfiguration")...), "SSE-KMS") {
		t.Errorf("disks or objects are not encrypted with the pipeline's key: %s", security.at())
	}
	if security.at("SecurityConfiguration", "InstanceMetadataServiceConfiguration", "MinimumInstanceMetadataServiceVersion") != "2" {
		t.Error("a program that can be talked into a GET gets the instance's credentials")
	}
	start := string(on.runs(t).States["StartCluster"].Arguments)
	for _, setting := range []string{`"spark.authenticate":"true"`, `"spark.network.crypto.enabled":"true"`, `"spark.io.encryption.enabled":"true"`, `"spark.pyspark.python":"python3.11"`} {
		if !strings.Contains(start, setting) {
			t.Errorf("the cluster is not set %s", setting)
		}
	}
}

// The rules that EMR misses it would write itself, and the stack could not be
// deleted any more.
func TestEMRFindsItsRules(t *testing.T) {
	t.Parallel()
	on := made[safe]
	got := map[string]bool{}
	group := func(r resource, property string) string {
		return regexp.MustCompile(`BatchNetwork(Primary|Core|Access)`).FindString(r.at(property))
	}
	for _, r := range on.all(t, "AWS::EC2::SecurityGroupIngress", "") {
		got[fmt.Sprint(group(r, "GroupId"), " from ", group(r, "SourceSecurityGroupId"), " ", r.at("IpProtocol"), " ", r.at("FromPort"), "-", r.at("ToPort"))] = true
	}
	for _, r := range on.all(t, "AWS::EC2::SecurityGroupEgress", "") {
		got[fmt.Sprint(group(r, "GroupId"), " to ", group(r, "DestinationSecurityGroupId"), " ", r.at("IpProtocol"), " ", r.at("FromPort"), "-", r.at("ToPort"))] = true
	}
	const n = "BatchNetwork"
	want := []string{n + "Access from " + n + "Primary tcp 9443-9443"}
	for _, of := range []string{"Primary", "Core"} {
		want = append(want, n+of+" from "+n+"Access tcp 8443-8443", n+"Access to "+n+of+" tcp 8443-8443")
		for _, from := range []string{"Primary", "Core"} {
			for _, what := range []string{"tcp 0-65535", "udp 0-65535", "icmp -1--1"} {
				want = append(want, n+of+" from "+n+from+" "+what)
			}
		}
	}
	for _, rule := range want {
		if !got[rule] {
			t.Errorf("there is no rule %s", rule)
		}
	}
}

// The role of runs could otherwise end everybody's clusters.
func TestRunsWorkWithTheirOwnClusters(t *testing.T) {
	t.Parallel()
	seen := false
	for _, s := range made[safe].statements(t, "AWS::IAM::Policy", "BatchRunsRole") {
		for _, action := range texts(s.Properties["Action"]) {
			if !strings.HasPrefix(action, "elasticmapreduce:") {
				continue
			}
			seen = true
			if condition := s.at("Condition", "StringEquals"); !strings.Contains(condition, `Tag/watershed:pipeline":"sales.safe"`) {
				t.Errorf("runs may %s on %s under the condition %q", action, s.at("Resource"), condition)
			}
		}
	}
	if !seen {
		t.Error("runs cannot start a cluster")
	}
}

// Who brings an engine pays for no other one.
func TestAnExternalEngineIsNotMade(t *testing.T) {
	t.Parallel()
	for name, r := range made[imported].Resources {
		for _, kind := range []string{"AWS::Glue::Job", "AWS::Glue::SecurityConfiguration", "AWS::EC2::", "AWS::EMR::"} {
			if strings.HasPrefix(r.Type, kind) {
				t.Errorf("there is %s, a %s", name, r.Type)
			}
		}
	}
	for name, s := range made[imported].runs(t).States {
		if strings.Contains(s.Resource, ".sync") {
			t.Errorf("%s waits for %s", name, s.Resource)
		}
	}
}
