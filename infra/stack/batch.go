package stack

import (
	"fmt"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctions"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/watershed-data/watershed/infra/config"
	"github.com/watershed-data/watershed/internal/definition"
)

// BatchProps is what batch runs are made of.
type BatchProps struct {
	Pipeline string
	When     definition.Batch
	Config   config.Batch
	Late     time.Duration       // how long a run waits for files, twice at most
	Step     awslambda.IFunction // the function batch, which takes the steps
	Driver   string              // the file of the program that computes on Spark; not for an external engine
	Buckets  *Buckets
	Key      awskms.Key
	Removal  awscdk.RemovalPolicy
}

// Check says what batch runs cannot be made of. It needs no CDK.
func (p BatchProps) Check() error {
	if err := checkSchedule(p.When); err != nil {
		return err
	}
	return p.driverExists()
}

// Batch is what makes versions.
type Batch struct {
	Runs     awsstepfunctions.StateMachine // an execution is a run
	RunsRole awsiam.Role
	ByItself awsiam.Role          // starts runs by the schedule; nil if there is none
	Spark    awsiam.Role          // computes; nil with an external engine
	Cluster  *Cluster             // of EMR, if that is the engine
	Engine   awsiam.ManagedPolicy // what an external engine may; else nil
}

// A run computes at most so often: at once, without duplicates, when late files are
// there, and after a repair. What it does besides computing and waiting takes less
// than the margin.
const (
	computations = 4
	margin       = 6 * time.Hour
)

// NewBatch makes the state machine of batch runs, what computes for it, and what
// starts it.
func NewBatch(scope constructs.Construct, id string, props BatchProps) *Batch {
	scope = constructs.NewConstruct(scope, jsii.String(id))
	name := runsName(props.Pipeline)
	made := &Batch{RunsRole: newRunsRole(scope, name, props)}
	r := newRun(scope, props.Step)
	switch props.Config.Engine {
	case config.GlueEngine:
		made.Spark = r.computeOnGlue(props, name)
		letStartGlue(made.RunsRole, name)
	case config.EMREngine:
		made.Cluster = r.computeOnEMR(props)
		made.Spark = made.Cluster.Instances
		letStartClusters(made.RunsRole, props.Pipeline, made.Cluster)
	case config.ExternalEngine:
		made.Engine = r.computeElsewhere(props)
	default:
		panic(fmt.Sprintf("batch engine %q computes nowhere", props.Config.Engine))
	}
	made.Runs = awsstepfunctions.NewStateMachine(scope, jsii.String("Runs"), &awsstepfunctions.StateMachineProps{
		StateMachineName: jsii.String(name), // its role is for this name
		Role:             made.RunsRole.WithoutPolicyUpdates(nil),
		Comment:          jsii.String("Makes a version of the batch views of Watershed pipeline " + props.Pipeline),
		QueryLanguage:    awsstepfunctions.QueryLanguage_JSONATA,
		DefinitionBody:   awsstepfunctions.DefinitionBody_FromChainable(r.start),
		Timeout:          seconds(computations*props.Config.Timeout + 2*props.Late + margin),
		Logs: &awsstepfunctions.LogOptions{
			Destination: newLog(scope, "Log", props.Key, props.Removal),
			Level:       awsstepfunctions.LogLevel_ALL, IncludeExecutionData: jsii.Bool(false),
		},
		TracingEnabled:          jsii.Bool(true),
		EncryptionConfiguration: awsstepfunctions.NewCustomerManagedEncryptionConfiguration(props.Key, awscdk.Duration_Minutes(jsii.Number(5))),
		RemovalPolicy:           awscdk.RemovalPolicy_DESTROY, // it holds nothing that is not in the ledger
	})
	made.Runs.Node().AddDependency(made.RunsRole)
	made.ByItself = newSchedule(scope, props.When, made.Runs)
	attend(scope, props.Step)
	return made
}

func seconds(d time.Duration) awscdk.Duration {
	return awscdk.Duration_Seconds(jsii.Number(d.Seconds()))
}

// runsName is the name of a pipeline's state machine, and of its job in Glue.
func runsName(pipeline string) string {
	return plain("watershed-", pipeline, notInStackNames, "-", 60)
}
