// Package deployment holds the names by which the stack of a pipeline, its functions
// and the command know each other. It knows nothing else.
package deployment

// The environment variables that the stack sets for its functions.
const (
	Definition   = "WATERSHED_DEFINITION"    // path of the definition, beside the program
	Stream       = "WATERSHED_STREAM"        // name of the stream
	Items        = "WATERSHED_ITEMS"         // name of the table of real-time items and dedup segments
	Ledger       = "WATERSHED_LEDGER"        // name of the table of the ledger
	Master       = "WATERSHED_MASTER"        // bucket of the master dataset
	Views        = "WATERSHED_VIEWS"         // bucket of the versions
	Artifacts    = "WATERSHED_ARTIFACTS"     // bucket of the jobs of batch runs and their results
	Database     = "WATERSHED_DATABASE"      // the catalog's database
	StateMachine = "WATERSHED_STATE_MACHINE" // ARN of the state machine that makes a version
	Late         = "WATERSHED_LATE"          // how long a file of the master dataset may be late, such as 10m
	Retention    = "WATERSHED_RETENTION"     // how long the stream keeps events, such as 24h; not set for an imported one, of which it is not known
)

// BatchJournal is the name of the journal in which the batch layer notes how it
// stands.
const BatchJournal = "batch"

// DefinitionFile is where the stack puts the definition beside a function's program.
const DefinitionFile = "pipeline.yaml"

// The outputs of the stack.
const (
	EndpointOutput     = "Endpoint" // URL of the API
	StreamOutput       = "StreamName"
	MasterOutput       = "MasterBucket"
	ViewsOutput        = "ViewsBucket"
	ArtifactsOutput    = "ArtifactsBucket"
	ItemsOutput        = "ItemsTable"
	LedgerOutput       = "LedgerTable"
	DatabaseOutput     = "Database"
	WorkGroupOutput    = "WorkGroup"
	StateMachineOutput = "StateMachine"
	EnginePolicyOutput = "EnginePolicy" // ARN of the policy of who computes, if that is somebody else
)

// Metrics is the namespace of the pipelines' own metrics in CloudWatch. Each metric
// has one dimension, PipelineDimension.
const Metrics = "Watershed"

// PipelineDimension is the dimension of every metric: the pipeline's name.
const PipelineDimension = "Pipeline"

// The metrics.
const (
	RejectedMetric   = "RejectedEvents" // of transform: rejected rows; one that comes twice counts twice
	MismatchMetric   = "Mismatches"     // of batch: shards of a run that did not balance in the end
	RepairedMetric   = "RepairedEvents" // of batch: events that were written again from the log
	PublishedMetric  = "Versions"       // of batch: 1 for every run that ends well, also one without anything new
	BatchFailsMetric = "FailedRuns"     // of batch: 1 for every run that ends in an error
)

// Alarms is how many alarms a stack has whose runs start by themselves.
const Alarms = 21
