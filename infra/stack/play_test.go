//go:build clients

package stack_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/watershed-data/watershed/internal/standin"
)

// said is what a task of a state machine gives, one for each time that it is come
// to: an answer, or an error that comes again however often it is repeated.
type said []map[string]any

// next is the function batch saying which step comes next, and more.
func next(step string, more ...any) map[string]any {
	state := map[string]any{"run": "r", "next": step, "job": "s3://artifacts/jobs/g/r/1.json"}
	for i := 0; i < len(more); i += 2 {
		state[more[i].(string)] = more[i+1]
	}
	return map[string]any{"Return": map[string]any{"Payload": state}}
}

func gives(value map[string]any) map[string]any { return map[string]any{"Return": value} }

func breaks(cause string) map[string]any {
	return map[string]any{"Throw": map[string]any{"Error": "States.TaskFailed", "Cause": cause}}
}

// The state machines of all engines, played by a stand-in for Step Functions, which
// is told what the function and the engines say.
var plays = []struct {
	name, on string
	says     map[string]said
	way      string // the states that the run came to
	fails    string // why; "": it does not
}{
	{"nothing is new", imported, map[string]said{"Seal": {next("done")}}, "Scheduled Seal Next Done", ""},
	{"somebody computes", imported, map[string]said{
		"Seal": {next("compute")}, "Computed": {next("compute", "seconds", 5), next("compare")}, "Compare": {next("publish")}, "Publish": {next("discard")}, "Discard": {next("done")},
	}, "Scheduled Seal Next Compute Computed Next Compute Computed Next Compare Next Publish Next Discard Next Done", ""},
	{"files are late, and one never comes", imported, map[string]said{
		"Seal": {next("wait", "seconds", 180)}, "Waited": {next("compute"), next("repair")}, "Computed": {next("compare"), next("compare")},
		"Compare": {next("wait", "seconds", 60), next("publish")}, "Repair": {next("compute")}, "Publish": {next("done")},
	}, "Scheduled Seal Next WaitForFiles Waited Next Compute Computed Next Compare Next WaitForFiles Waited Next Repair Next Compute Computed Next Compare Next Publish Next Done", ""},
	{"the entries do not balance", imported, map[string]said{
		"Seal": {next("compute")}, "Computed": {next("compare")}, "Compare": {next("fail", "error", "shard 3 has 4 of 5 events")},
	}, "Scheduled Seal Next Compute Computed Next Compare Next Failed", "shard 3 has 4 of 5 events"},
	{"publishing breaks", imported, map[string]said{
		"Seal": {next("compute")}, "Computed": {next("compare")}, "Compare": {next("publish")}, "Publish": {breaks("no answer")}, "RecordFailure": {next("fail", "error", "no answer")},
	}, "Scheduled Seal Next Compute Computed Next Compare Next Publish RecordFailure Next Failed", "no answer"},
	{"discarding breaks", imported, map[string]said{
		"Seal": {next("compute")}, "Computed": {next("compare")}, "Compare": {next("publish")}, "Publish": {next("discard")}, "Discard": {breaks("no answer")}, "RecordFailure": {next("fail", "error", "no answer")},
	}, "Scheduled Seal Next Compute Computed Next Compare Next Publish Next Discard RecordFailure Next Failed", "no answer"},
	{"the function is gone", imported, map[string]said{"Seal": {breaks("no function")}, "RecordFailure": {breaks("no function at all")}}, "Scheduled Seal RecordFailure", "no function at all"},
	{"nobody knows the word", imported, map[string]said{"Seal": {next("rest")}}, "Scheduled Seal Next Failed", `"next":"rest"`},

	{"Glue computes", onDemand, map[string]said{
		"Seal": {next("compute")}, "Compute": {gives(map[string]any{"JobRunState": "SUCCEEDED"})}, "Compare": {next("publish")}, "Publish": {next("done")},
	}, "Scheduled Seal Next Compute Compare Next Publish Next Done", ""},
	{"Glue fails", onDemand, map[string]said{
		"Seal": {next("compute")}, "Compute": {breaks("out of memory")}, "RecordFailure": {next("fail", "error", "out of memory")},
	}, "Scheduled Seal Next Compute RecordFailure Next Failed", "out of memory"},

	{"a cluster computes", safe, map[string]said{
		"Seal": {next("compute")}, "StartCluster": {gives(map[string]any{"ClusterId": "j-1"})}, "Compute": {gives(nil)}, "EndCluster": {gives(nil)}, "Compare": {next("publish")}, "Publish": {next("done")},
	}, "Scheduled Seal Next StartCluster Compute EndCluster Compare Next Publish Next Done", ""},
	{"a cluster does not end", safe, map[string]said{
		"Seal": {next("compute")}, "StartCluster": {gives(map[string]any{"ClusterId": "j-1"})}, "Compute": {gives(nil)}, "EndCluster": {breaks("throttled")}, "Compare": {next("publish")}, "Publish": {next("done")},
	}, "Scheduled Seal Next StartCluster Compute EndCluster Compare Next Publish Next Done", ""},
	{"a cluster fails to compute", safe, map[string]said{
		"Seal": {next("compute")}, "StartCluster": {gives(map[string]any{"ClusterId": "j-1"})}, "Compute": {breaks("out of memory")}, "EndClusterAfterFailure": {gives(nil)}, "RecordFailure": {next("fail", "error", "out of memory")},
	}, "Scheduled Seal Next StartCluster Compute EndClusterAfterFailure RecordFailure Next Failed", "out of memory"},
	{"a cluster fails, and does not end", safe, map[string]said{
		"Seal": {next("compute")}, "StartCluster": {gives(map[string]any{"ClusterId": "j-1"})}, "Compute": {breaks("out of memory")}, "EndClusterAfterFailure": {breaks("throttled")}, "RecordFailure": {next("fail", "error", "out of memory")},
	}, "Scheduled Seal Next StartCluster Compute EndClusterAfterFailure RecordFailure Next Failed", "out of memory"},
	{"there are no instances", safe, map[string]said{
		"Seal": {next("compute")}, "StartCluster": {breaks("no capacity")}, "RecordFailure": {next("fail", "error", "no capacity")},
	}, "Scheduled Seal Next StartCluster RecordFailure Next Failed", "no capacity"},
}

// busy is a run that is at work until it is stopped.
const busy = "busy"

func TestRunsTakeTheirWay(t *testing.T) {
	t.Parallel()
	stepFunctions := startPlays(t)
	for _, p := range plays {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			run := stepFunctions.start(t, p.on, p.name, "{}")
			ended := run.end(t)
			if way := run.way(t); way != p.way {
				t.Errorf("the run went\n%s, and not\n%s", way, p.way)
			}
			if failed := ended.Status != types.ExecutionStatusSucceeded; failed != (p.fails != "") || !strings.Contains(aws.ToString(ended.Cause), p.fails) {
				t.Errorf("the run ended as %s: %s, want %q", ended.Status, aws.ToString(ended.Cause), p.fails)
			}
		})
	}
}

// What was caught reaches the step that tells status and alarms of it.
func TestFailuresAreHandedOver(t *testing.T) {
	t.Parallel()
	stepFunctions := startPlays(t)
	run := stepFunctions.start(t, safe, "a cluster fails to compute", "{}")
	run.end(t)
	var state struct {
		Run, Job string
		Caught   struct{ Error, Cause string }
	}
	if err := json.Unmarshal([]byte(run.input(t, "RecordFailure")), &state); err != nil {
		t.Fatal(err)
	}
	if state.Caught.Error != "States.TaskFailed" || state.Caught.Cause != "out of memory" || state.Job == "" || !strings.HasSuffix(run.arn, ":"+state.Run) {
		t.Errorf("the function is told %+v", state)
	}
}

// Starts of the schedule do not pile up while a run is slow, and a run that somebody
// asks for is not held back.
func TestTheScheduleStartsOneRunAtATime(t *testing.T) {
	t.Parallel()
	stepFunctions := startPlays(t)
	slow := stepFunctions.start(t, imported, busy, "{}")
	slow.reaches(t, "WaitForFiles")
	const full = "Scheduled Seal Next Done"
	for _, c := range []struct{ input, want string }{
		{`{"scheduled":true}`, "Scheduled Others Alone Skipped"},
		{`{"full":true}`, full},
	} {
		run := stepFunctions.start(t, imported, "nothing is new", c.input)
		if run.end(t); run.way(t) != c.want {
			t.Errorf("beside another run, %s goes %s, and not %s", c.input, run.way(t), c.want)
		}
	}
	slow.stop(t)
	run := stepFunctions.start(t, imported, "nothing is new", `{"scheduled":true}`)
	if run.end(t); run.way(t) != strings.Replace(full, "Seal", "Others Alone Seal", 1) {
		t.Errorf("alone, the scheduled run goes %s", run.way(t))
	}
}

// stage is a stand-in for Step Functions with the state machines.
type stage struct {
	client *sfn.Client
	arns   map[string]string // by configuration
}

func startPlays(t *testing.T) *stage {
	t.Helper()
	script := filepath.Join(t.TempDir(), "script.json")
	text, err := json.Marshal(scripts())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(script, text, 0o644); err != nil {
		t.Fatal(err)
	}
	// A second takes a tenth of a millisecond.
	url, stop, err := standin.Ministack("SFN_MOCK_CONFIG="+script, "SFN_WAIT_SCALE=0.0001")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	s := &stage{client: sfn.NewFromConfig(standin.Config(url)), arns: map[string]string{}}
	for name, on := range made {
		created, err := s.client.CreateStateMachine(t.Context(), &sfn.CreateStateMachineInput{
			Name: aws.String(machineName(name)), Definition: aws.String(on.definition(t)), RoleArn: aws.String("arn:aws:iam::000000000000:role/runs"),
		})
		if err != nil {
			t.Fatal(err)
		}
		s.arns[name] = *created.StateMachineArn
	}
	return s
}

func machineName(name string) string { return strings.ReplaceAll(name, " ", "-") }

// scripts tells the stand-in who says what: the format is Step Functions Local's.
func scripts() map[string]any {
	cases, answers := map[string]map[string]any{}, map[string]any{}
	tell := func(on, name string, says map[string]said) {
		if cases[on] == nil {
			cases[on] = map[string]any{}
		}
		states := map[string]string{}
		for state, list := range says {
			answer := name + " " + state
			states[state] = answer
			attempts := map[string]any{}
			for i, a := range list {
				attempts[fmt.Sprint(i)] = a
			}
			answers[answer] = attempts
		}
		cases[on][caseName(name)] = states
	}
	for _, p := range plays {
		tell(p.on, p.name, p.says)
	}
	tell(imported, busy, map[string]said{"Seal": {next("wait", "seconds", 99_999_999)}})
	machines := map[string]any{}
	for on, c := range cases {
		machines[machineName(on)] = map[string]any{"TestCases": c}
	}
	return map[string]any{"StateMachines": machines, "MockedResponses": answers}
}

func caseName(name string) string { return strings.NewReplacer(" ", "-", ",", "").Replace(name) }

// played is one run.
type played struct {
	stage *stage
	arn   string
}

func (s *stage) start(t *testing.T, on, name, input string) played {
	t.Helper()
	begun, err := s.client.StartExecution(t.Context(), &sfn.StartExecutionInput{StateMachineArn: aws.String(s.arns[on] + "#" + caseName(name)), Input: &input})
	if err != nil {
		t.Fatal(err)
	}
	return played{s, *begun.ExecutionArn}
}

// until asks again and again, for a minute at most.
func until(t *testing.T, what string, there func() bool) {
	t.Helper()
	limit := time.After(time.Minute)
	for !there() {
		select {
		case <-limit:
			t.Fatalf("%s: not within a minute", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (p played) end(t *testing.T) (ended *sfn.DescribeExecutionOutput) {
	t.Helper()
	until(t, "the end of "+p.arn, func() bool {
		var err error
		if ended, err = p.stage.client.DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{ExecutionArn: &p.arn}); err != nil {
			t.Fatal(err)
		}
		return ended.Status != types.ExecutionStatusRunning
	})
	return ended
}

func (p played) stop(t *testing.T) {
	t.Helper()
	if _, err := p.stage.client.StopExecution(t.Context(), &sfn.StopExecutionInput{ExecutionArn: &p.arn}); err != nil {
		t.Fatal(err)
	}
}

// entered lists the states that the run has come to, with what they were given.
func (p played) entered(t *testing.T) (out []*types.StateEnteredEventDetails) {
	t.Helper()
	history, err := p.stage.client.GetExecutionHistory(t.Context(), &sfn.GetExecutionHistoryInput{ExecutionArn: &p.arn, MaxResults: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range history.Events {
		if e.StateEnteredEventDetails != nil {
			out = append(out, e.StateEnteredEventDetails)
		}
	}
	return out
}

func (p played) way(t *testing.T) string {
	t.Helper()
	var names []string
	for _, e := range p.entered(t) {
		names = append(names, *e.Name)
	}
	return strings.Join(names, " ")
}

func (p played) reaches(t *testing.T, state string) {
	t.Helper()
	until(t, p.arn+" at "+state, func() bool { return strings.HasSuffix(p.way(t), state) })
}

// input is what a state was given.
func (p played) input(t *testing.T, state string) string {
	t.Helper()
	for _, e := range p.entered(t) {
		if *e.Name == state {
			return aws.ToString(e.Input)
		}
	}
	t.Fatalf("the run never came to %s", state)
	return ""
}
