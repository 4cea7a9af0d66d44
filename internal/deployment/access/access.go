// Package access says what each function may ask of AWS: all of it, and nothing else.
// The CDK app makes the functions' roles of it, and the end-to-end run compares it with
// what the functions did ask. It knows nothing else.
package access

import "slices"

// The functions, by the folder of their program.
const (
	Transform = "transform"
	Speed     = "speed"
	Query     = "query"
	Batch     = "batch"
	Check     = "check" // only of a stack with an imported stream
)

// Part is a part of the stack that functions use.
type Part string

// The parts.
const (
	Stream       Part = "stream"
	StreamKey    Part = "stream's key" // the pipeline's, or that of an imported stream
	Items        Part = "items"        // the table of real-time items and dedup segments
	Ledger       Part = "ledger"       // the table of the ledger
	Master       Part = "master"       // the bucket of the master dataset
	Views        Part = "views"        // the bucket of the versions
	Artifacts    Part = "artifacts"    // the bucket of jobs and their results
	Catalog      Part = "catalog"      // the catalog's database and its tables
	StateMachine Part = "state machine"
	Executions   Part = "executions" // of the state machine
	Key          Part = "key"        // the pipeline's, of tables and buckets
)

// Grant is what a function may do with a part.
type Grant struct {
	Part Part
	// Under is the prefix of the objects that actions on objects are for; "": all.
	Under   string
	Actions []string // of IAM
}

// What the services that read or write for a function want of the key.
var (
	decrypts = []string{"kms:Decrypt", "kms:DescribeKey"}
	encrypts = []string{"kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo"}
)

var functions = map[string][]Grant{
	Transform: {
		{Part: Stream, Actions: []string{"kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"}},
		{Part: StreamKey, Actions: decrypts},
	},
	Speed: {
		// The event source reads the stream with the role of its function, and wants
		// DescribeStream and ListStreams beside what the function asks for itself.
		{Part: Stream, Actions: []string{"kinesis:DescribeStream", "kinesis:DescribeStreamSummary", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards", "kinesis:ListStreams"}},
		{Part: StreamKey, Actions: decrypts},
		{Part: Items, Actions: []string{"dynamodb:BatchGetItem", "dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"}},
		{Part: Ledger, Actions: []string{"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"}},
		{Part: Key, Actions: encrypts},
	},
	Query: {
		{Part: Stream, Actions: []string{"kinesis:ListShards"}},
		{Part: Items, Actions: []string{"dynamodb:Query"}},
		{Part: Ledger, Actions: []string{"dynamodb:GetItem", "dynamodb:Query"}},
		// Without ListBucket, S3 answers 403 and not 404 for what is not there.
		{Part: Master, Under: "master/", Actions: []string{"s3:GetObject", "s3:ListBucket"}},
		{Part: Views, Under: "views/", Actions: []string{"s3:GetObject", "s3:ListBucket"}},
		{Part: StateMachine, Actions: []string{"states:StartExecution"}},
		{Part: Executions, Actions: []string{"states:DescribeExecution"}},
		{Part: Key, Actions: decrypts},
	},
	Batch: {
		{Part: Stream, Actions: []string{"kinesis:DescribeStreamSummary", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"}},
		{Part: StreamKey, Actions: decrypts},
		{Part: Items, Actions: []string{"dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"}},
		{Part: Ledger, Actions: []string{"dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"}},
		// It adds what was missing, and takes nothing out.
		{Part: Master, Under: "master/", Actions: []string{"s3:GetObject", "s3:ListBucket", "s3:PutObject"}},
		{Part: Views, Under: "views/", Actions: []string{"s3:DeleteObject", "s3:GetObject", "s3:ListBucket", "s3:PutObject"}},
		{Part: Artifacts, Under: "jobs/", Actions: []string{"s3:GetObject", "s3:ListBucket", "s3:PutObject"}},
		{Part: Catalog, Actions: []string{"glue:CreateTable", "glue:GetTable", "glue:UpdateTable"}},
		{Part: Key, Actions: encrypts},
	},
	Check: {
		{Part: Stream, Actions: []string{"kinesis:DescribeStreamSummary"}},
	},
}

// Functions lists the functions that every stack has, in order.
func Functions() []string { return []string{Batch, Query, Speed, Transform} }

// Of gives the grants of a function, none if there is no such function.
func Of(function string) []Grant { return slices.Clone(functions[function]) }

// Allows reports whether a function may take an action of IAM on some part.
func Allows(function, action string) bool {
	return slices.ContainsFunc(functions[function], func(g Grant) bool { return slices.Contains(g.Actions, action) })
}

// needed are the operations whose action has another name.
var needed = map[string]string{
	"s3:CompleteMultipartUpload": "s3:PutObject",
	"s3:CreateMultipartUpload":   "s3:PutObject",
	"s3:DeleteObjects":           "s3:DeleteObject",
	"s3:HeadBucket":              "s3:ListBucket",
	"s3:HeadObject":              "s3:GetObject",
	"s3:ListObjects":             "s3:ListBucket",
	"s3:ListObjectsV2":           "s3:ListBucket",
	"s3:UploadPart":              "s3:PutObject",
}

// Action gives the action of IAM that a call of an operation needs. The service is
// named as in IAM, such as dynamodb or states.
func Action(service, operation string) string {
	call := service + ":" + operation
	if action, other := needed[call]; other {
		return action
	}
	return call
}
