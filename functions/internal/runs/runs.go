// Package runs begins batch runs and tells of them, where a run is an execution of a
// state machine. It knows what package api shows of a run, and the steps' last words.
package runs

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/watershed-data/watershed/internal/api"
	"github.com/watershed-data/watershed/internal/serving"
)

// Runs are the executions of one state machine.
type Runs struct {
	client  *sfn.Client
	machine string // ARN
	now     func() time.Time
}

// New gives the runs of a state machine by its ARN.
func New(account aws.Config, machine string, now func() time.Time) (*Runs, error) {
	if !strings.Contains(machine, ":stateMachine:") {
		return nil, fmt.Errorf("finding the state machine: %q is not an ARN of one", machine)
	}
	return &Runs{client: sfn.NewFromConfig(account), machine: machine, now: now}, nil
}

// Begin starts a run, from all rows if full is true, and does not wait for it.
func (r *Runs) Begin(ctx context.Context, full bool) (*api.BatchRun, error) {
	// The name begins with the time, so that people find it in a list. A request that
	// the SDK sends again has the same name, and starts nothing.
	name := r.now().UTC().Format("20060102T150405Z") + "-" + rand.Text()[:8]
	input, err := json.Marshal(map[string]bool{"full": full})
	if err != nil {
		return nil, err
	}
	begun, err := r.client.StartExecution(ctx, &sfn.StartExecutionInput{
		StateMachineArn: &r.machine, Name: &name, Input: aws.String(string(input)),
	})
	if err != nil {
		return nil, fmt.Errorf("starting run %s: %w", name, err)
	}
	return &api.BatchRun{Run: name, State: api.Running, Began: instant(begun.StartDate)}, nil
}

// names are those that an execution may have; see the API's reference of
// StartExecution.
var names = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

// Run tells of a run. One that is not there is a *serving.Error.
func (r *Runs) Run(ctx context.Context, name string) (*api.BatchRun, error) {
	unknown := &serving.Error{Code: serving.NotFound, Field: "run", Message: "there is no run of this name; executions are forgotten 90 days after their end"}
	if !names.MatchString(name) {
		return nil, unknown
	}
	arn := strings.Replace(r.machine, ":stateMachine:", ":execution:", 1) + ":" + name
	found, err := r.client.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: &arn})
	var missing *types.ExecutionDoesNotExist
	switch {
	case errors.As(err, &missing):
		return nil, unknown
	case err != nil:
		return nil, fmt.Errorf("asking for run %s: %w", name, err)
	}
	out := &api.BatchRun{Run: name, Began: instant(found.StartDate)}
	if found.StopDate != nil {
		ended := instant(found.StopDate)
		out.Ended = &ended
	}
	switch found.Status {
	case types.ExecutionStatusRunning, types.ExecutionStatusPendingRedrive:
		out.State = api.Running
	case types.ExecutionStatusSucceeded:
		out.State = api.Done
		if out.Report, err = report(aws.ToString(found.Output)); err != nil {
			return nil, fmt.Errorf("reading what run %s gave: %w", name, err)
		}
	default:
		out.State, out.Error = api.Failed, failure(found)
	}
	return out, nil
}

// report takes the report out of what the last step gave. A scheduled run that left the
// work to another one has none.
func report(output string) (json.RawMessage, error) {
	var last struct {
		Report  json.RawMessage `json:"report"`
		Skipped bool            `json:"skipped"`
	}
	if err := json.Unmarshal([]byte(output), &last); err != nil {
		return nil, err
	}
	if len(last.Report) == 0 && !last.Skipped {
		return nil, errors.New("it has no report")
	}
	return last.Report, nil
}

// failure says why an execution ended without success.
func failure(found *sfn.DescribeExecutionOutput) string {
	switch found.Status {
	case types.ExecutionStatusTimedOut:
		return "the run took longer than the state machine allows"
	case types.ExecutionStatusAborted:
		return "somebody stopped the run"
	}
	if cause := aws.ToString(found.Cause); cause != "" {
		return cause
	}
	return "the run failed: " + aws.ToString(found.Error)
}

func instant(at *time.Time) string { return aws.ToTime(at).UTC().Format("2006-01-02T15:04:05.999Z") }
