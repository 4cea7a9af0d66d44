package stack

import (
	"fmt"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsscheduler"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsschedulertargets"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctions"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/deployment"
)

// every gives the time between two starts by the schedule; 0: there is none. Who
// asks for continuous runs gets the shortest: a start while a run is at work ends
// at once, so the next run starts within a minute of the end of the one before.
func every(when definition.Batch) time.Duration {
	if when.Continuous {
		return time.Minute
	}
	return when.Every
}

// checkSchedule says what EventBridge Scheduler cannot do.
func checkSchedule(when definition.Batch) error {
	if d := every(when); d%time.Minute != 0 {
		return fmt.Errorf("scheduling batch runs: batch.every of the definition is %s, and AWS starts runs in whole minutes; write for instance every: %dm", d, (d+time.Minute-1)/time.Minute)
	}
	return nil
}

// newSchedule starts runs as the definition says, with a role that can do nothing
// else; nil if it says nothing.
func newSchedule(scope constructs.Construct, when definition.Batch, runs awsstepfunctions.StateMachine) awsiam.Role {
	if every(when) == 0 {
		return nil
	}
	role := assumedFor(scope, "ScheduleRole", "scheduler.amazonaws.com")
	awsscheduler.NewSchedule(scope, jsii.String("Schedule"), &awsscheduler.ScheduleProps{
		Description: jsii.String("Starts batch runs"),
		Schedule:    awsscheduler.ScheduleExpression_Rate(seconds(every(when))),
		Target: awsschedulertargets.NewStepFunctionsStartExecution(runs, &awsschedulertargets.ScheduleTargetBaseProps{
			Role:  role,
			Input: awsscheduler.ScheduleTargetInput_FromObject(map[string]any{"scheduled": true}),
			// What could not be started is not made up for: the next start comes.
			MaxEventAge:   seconds(min(every(when), 24*time.Hour)),
			RetryAttempts: jsii.Number(3),
		}),
	})
	return role
}

// attendEvery is how often somebody looks at the shards' tips, also where runs are rare
// or are started by hand: a few times in the day for which records are kept at least.
const attendEvery = 6 * time.Hour

// attend lets the function batch look at the shards' tips.
func attend(scope constructs.Construct, batch awslambda.IFunction) {
	role := assumedFor(scope, "AttendRole", "scheduler.amazonaws.com")
	allow(role, []string{"lambda:InvokeFunction"}, *batch.FunctionArn())
	awsscheduler.NewSchedule(scope, jsii.String("Attend"), &awsscheduler.ScheduleProps{
		Description: jsii.String("Notes which shards are empty behind what was read, before their last records go"),
		Schedule:    awsscheduler.ScheduleExpression_Rate(seconds(attendEvery)),
		Target: awsschedulertargets.NewLambdaInvoke(batch, &awsschedulertargets.ScheduleTargetBaseProps{
			Role:  role.WithoutPolicyUpdates(nil), // CDK would let it invoke old versions, too
			Input: awsscheduler.ScheduleTargetInput_FromObject(map[string]any{"step": deployment.AttendStep}),
		}),
	})
}
