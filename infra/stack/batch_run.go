package stack

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctionstasks"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/watershed-data/watershed/internal/deployment"
)

// run is the graph of a batch run. The function batch alone decides which step
// comes next; the graph takes it there:
//
//	Scheduled? -> Others? -> Skipped
//	     |           |
//	     +-----------+-> Seal -> Next? -> one of the steps -> Next? ... -> Done, or Failed
//
// The state that passes along is the function's own; package deployment says what
// is in it.
type run struct {
	scope    constructs.Construct
	function awslambda.IFunction
	start    awsstepfunctions.State
	next     awsstepfunctions.Choice            // to the step that the function has named
	failure  awsstepfunctionstasks.LambdaInvoke // records an error
	compare  awsstepfunctionstasks.LambdaInvoke
}

// newRun makes the graph but for the computing.
func newRun(scope constructs.Construct, function awslambda.IFunction) *run {
	r := &run{scope: scope, function: function}
	r.next = awsstepfunctions.Choice_Jsonata(scope, jsii.String("Next"), &awsstepfunctions.ChoiceJsonataProps{
		Comment: jsii.String("The step that the function has named"),
	})
	failed := awsstepfunctions.Fail_Jsonata(scope, jsii.String("Failed"), &awsstepfunctions.FailJsonataProps{
		Error: jsii.String("NoVersion"),
		// Step Functions takes 32,768 characters.
		Cause: jsii.String("{% $substring($string($exists($states.input.error) ? $states.input.error : $states.input), 0, 32000) %}"),
	})
	r.failure = r.step("RecordFailure", deployment.FailedStep, "Tells status and alarms of an error that repeating did not help")
	r.failure.Next(r.next)

	wait := awsstepfunctions.Wait_Jsonata(scope, jsii.String("WaitForFiles"), &awsstepfunctions.WaitJsonataProps{
		Comment: jsii.String("Events may still be on their way into the master dataset"),
		Time:    awsstepfunctions.WaitTime_Seconds(jsii.String("{% $states.input.seconds %}")),
	})
	wait.Next(r.task("Waited", deployment.WaitStep, "Asks whether they have come"))
	r.compare = r.task("Compare", deployment.CompareStep, "Compares the master dataset with the ledger: only what is equal is published")
	r.when(deployment.WaitStep, wait)
	r.when(deployment.CompareStep, r.compare)
	r.when(deployment.RepairStep, r.task("Repair", deployment.RepairStep, "Reads what is missing from the stream again"))
	r.when(deployment.PublishStep, r.task("Publish", deployment.PublishStep, "Moves the pointer to the new version"))
	r.when(deployment.DiscardStep, r.task("Discard", deployment.DiscardStep, "Deletes the items that the new version answers for, and old versions"))
	r.when(deployment.Done, awsstepfunctions.Succeed_Jsonata(scope, jsii.String("Done"), nil))
	r.next.Otherwise(failed)
	r.start = r.unlessRunning(r.task("Seal", deployment.SealStep, "Cuts every shard's log, and plans the version"))
	return r
}

// when leads to a state if the function has named a step.
func (r *run) when(step string, to awsstepfunctions.IChainable) {
	r.next.When(awsstepfunctions.Condition_Jsonata(jsii.String(fmt.Sprintf("{%% $states.input.next = %q %%}", step))), to, nil)
}

// task is a step after which the function says how to go on.
func (r *run) task(id, step, comment string) awsstepfunctionstasks.LambdaInvoke {
	task := r.step(id, step, comment)
	task.AddCatch(r.failure, caught)
	task.Next(r.next)
	return task
}

// caught hands an error over to the step that records it.
var caught = &awsstepfunctions.CatchProps{
	Errors:  jsii.Strings("States.ALL"),
	Outputs: jsii.String("{% $merge([$states.input, {'run': $states.context.Execution.Name, 'caught': $states.errorOutput}]) %}"),
}

// step asks the function for a step. Whatever keeps it from its answer, it is asked
// again: every step may be repeated.
func (r *run) step(id, step, comment string) awsstepfunctionstasks.LambdaInvoke {
	asked := fmt.Sprintf("{%% $merge([$states.input, {'step': '%s'}]) %%}", step)
	if step == deployment.SealStep {
		asked = fmt.Sprintf("{%% {'step': '%s', 'run': $states.context.Execution.Name, 'full': $states.input.full = true} %%}", step)
	}
	task := awsstepfunctionstasks.LambdaInvoke_Jsonata(r.scope, jsii.String(id), &awsstepfunctionstasks.LambdaInvokeJsonataProps{
		Comment:        jsii.String(comment),
		LambdaFunction: r.function,
		Payload:        awsstepfunctions.TaskInput_FromText(jsii.String(asked)),
		Outputs:        jsii.String("{% $states.result.Payload %}"),
		// A minute more than the function has, so that its own end is seen first.
		TaskTimeout:              awsstepfunctions.Timeout_Duration(awscdk.Duration_Seconds(jsii.Number(batchSeconds + 60))),
		RetryOnServiceExceptions: jsii.Bool(false), // it is among those below
	})
	task.AddRetry(retry(6, 2, "Lambda.ClientExecutionTimeoutException", "Lambda.ServiceException", "Lambda.AWSLambdaException", "Lambda.SdkClientException", "Lambda.TooManyRequestsException"))
	task.AddRetry(retry(2, 30, "States.ALL"))
	return task
}

// retry repeats what has failed with some errors, at most so often, first after so
// many seconds and then after twice as many each time, up to five minutes.
func retry(attempts, first float64, errors ...string) *awsstepfunctions.RetryProps {
	return &awsstepfunctions.RetryProps{
		Errors: jsii.Strings(errors...), MaxAttempts: jsii.Number(attempts), Interval: awscdk.Duration_Seconds(jsii.Number(first)),
		BackoffRate: jsii.Number(2), MaxDelay: awscdk.Duration_Minutes(jsii.Number(5)), JitterStrategy: awsstepfunctions.JitterType_FULL,
	}
}

// unlessRunning goes on to a state unless the schedule has started this run and
// another is still at work. Two at once harm nothing, but one of them works in vain.
func (r *run) unlessRunning(to awsstepfunctions.IChainable) awsstepfunctions.State {
	others := awsstepfunctionstasks.CallAwsService_Jsonata(r.scope, jsii.String("Others"), &awsstepfunctionstasks.CallAwsServiceJsonataProps{
		Comment: jsii.String("Looks for runs that are at work"),
		Service: jsii.String("sfn"), Action: jsii.String("listExecutions"), IamAction: jsii.String("states:ListExecutions"),
		Parameters:   &map[string]any{"StateMachineArn": "{% $states.context.StateMachine.Id %}", "StatusFilter": "RUNNING"},
		IamResources: jsii.Strings(arn("states", "stateMachine")), // the role is written by hand
		Assign:       &map[string]any{"others": "{% $count($states.result.Executions[ExecutionArn != $states.context.Execution.Id]) %}"},
		Outputs:      jsii.String("{% $states.input %}"),
	})
	others.AddRetry(retry(6, 2, "States.ALL"))
	alone := awsstepfunctions.Choice_Jsonata(r.scope, jsii.String("Alone"), nil)
	alone.When(awsstepfunctions.Condition_Jsonata(jsii.String("{% $others > 0 %}")), awsstepfunctions.Succeed_Jsonata(r.scope, jsii.String("Skipped"), &awsstepfunctions.SucceedJsonataProps{
		Comment: jsii.String("Another run is at work; the schedule comes again"),
		Outputs: &map[string]any{"next": deployment.Done, "skipped": true},
	}), nil)
	alone.Otherwise(to)
	others.Next(alone)
	scheduled := awsstepfunctions.Choice_Jsonata(r.scope, jsii.String("Scheduled"), nil)
	scheduled.When(awsstepfunctions.Condition_Jsonata(jsii.String("{% $states.input.scheduled = true %}")), others, nil)
	scheduled.Otherwise(to)
	return scheduled
}

// computeElsewhere waits for whoever looks for jobs, and gives the policy that they
// need. The state machine's timeout ends the waiting.
func (r *run) computeElsewhere(props BatchProps) awsiam.ManagedPolicy {
	compute := awsstepfunctions.Wait_Jsonata(r.scope, jsii.String("Compute"), &awsstepfunctions.WaitJsonataProps{
		Comment: jsii.String("Somebody else computes the job"),
		Time:    awsstepfunctions.WaitTime_Seconds(jsii.String("{% $exists($states.input.seconds) and $states.input.seconds > 0 ? $states.input.seconds : 15 %}")),
	})
	compute.Next(r.task("Computed", deployment.ComputedStep, "Asks whether the result is there"))
	r.when(deployment.ComputeStep, compute)
	may := props.computing()
	return awsiam.NewManagedPolicy(r.scope, jsii.String("Engine"), &awsiam.ManagedPolicyProps{
		Description: jsii.String("What computing the batch views of Watershed pipeline " + props.Pipeline + " needs"),
		Statements:  &may,
	})
}
