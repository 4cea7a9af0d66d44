//go:build clients

package versions_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	gluetypes "github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	kinesistypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/watershed-data/watershed/functions/internal/parts"
	"github.com/watershed-data/watershed/functions/internal/versions"
	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/aws/awstest"
	"github.com/watershed-data/watershed/internal/batch"
	"github.com/watershed-data/watershed/internal/deployment"
	"github.com/watershed-data/watershed/internal/emf"
	"github.com/watershed-data/watershed/internal/job"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
	"github.com/watershed-data/watershed/internal/standin"
)

const pipeline = `
pipeline: shop
events:
  format: json
  columns:
    k: {type: string}
views:
  by_k:
    by: [k]
    every: none
    measures: {events: count}
`

// stack is a stack without what starts its functions.
type stack struct {
	t    *testing.T
	s3   *s3.Client
	glue *glue.Client
	log  bytes.Buffer // the metrics
	*parts.Parts
}

const shard = "shardId-000000000000"

// newStack makes stream, tables, buckets and catalog, and the environment that names
// them.
func newStack(t *testing.T) *stack {
	t.Helper()
	start := func(start func() (string, func(), error)) string {
		url, stop, err := start()
		must(t, err)
		t.Cleanup(stop)
		return url
	}
	definition := filepath.Join(t.TempDir(), deployment.DefinitionFile)
	must(t, os.WriteFile(definition, []byte(pipeline), 0o600))
	for variable, value := range map[string]string{
		"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing",
		"AWS_ENDPOINT_URL":          start(func() (string, func(), error) { return standin.Ministack() }),
		"AWS_ENDPOINT_URL_DYNAMODB": start(standin.DynamoDB), "AWS_ENDPOINT_URL_KINESIS": start(standin.Kinesis),
		deployment.Definition: definition, deployment.Stream: "shop", deployment.Items: "items", deployment.Ledger: "ledger",
		deployment.Master: "master", deployment.Views: "views", deployment.Artifacts: "artifacts",
		deployment.Database: "shop", deployment.Late: "0s",
	} {
		t.Setenv(variable, value)
	}
	p, err := parts.Open(t.Context(), parts.Logger())
	must(t, err)
	s := &stack{t: t, Parts: p, s3: s3.NewFromConfig(p.Account, func(o *s3.Options) { o.UsePathStyle = true }), glue: glue.NewFromConfig(p.Account)}
	s.Metrics = emf.New(&s.log, deployment.Metrics, p.Definition.Pipeline, time.Now)
	awstest.MakeTables(s.t, s.Account, "items", "ledger")
	for _, name := range []string{"master", "views", "artifacts"} {
		_, err := s.s3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name})
		must(t, err)
	}
	_, err = s.glue.CreateDatabase(t.Context(), &glue.CreateDatabaseInput{DatabaseInput: &gluetypes.DatabaseInput{Name: sdk.String("shop")}})
	must(t, err)
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// send puts events into a new stream, and gives them as the log has them.
func (s *stack) send(log protocol.Log, n int) []protocol.Event {
	s.t.Helper()
	client := kinesis.NewFromConfig(s.Account)
	_, err := client.CreateStream(s.t.Context(), &kinesis.CreateStreamInput{StreamName: sdk.String("shop"), ShardCount: sdk.Int32(1)})
	must(s.t, err)
	must(s.t, kinesis.NewStreamExistsWaiter(client, func(o *kinesis.StreamExistsWaiterOptions) { o.MinDelay, o.MaxDelay = time.Millisecond, time.Second }).
		Wait(s.t.Context(), &kinesis.DescribeStreamInput{StreamName: sdk.String("shop")}, time.Minute))
	var records []kinesistypes.PutRecordsRequestEntry
	for i := range n {
		records = append(records, kinesistypes.PutRecordsRequestEntry{Data: fmt.Appendf(nil, `{"k":"k%d"}`, i%3), PartitionKey: sdk.String("p")})
	}
	put, err := client.PutRecords(s.t.Context(), &kinesis.PutRecordsInput{StreamName: sdk.String("shop"), Records: records})
	must(s.t, err)
	if *put.FailedRecordCount > 0 {
		s.t.Fatalf("%d records were not put", *put.FailedRecordCount)
	}
	page, err := log.Read(s.t.Context(), shard, protocol.Position{}, n)
	must(s.t, err)
	if len(page.Events) != n {
		s.t.Fatalf("the log shows %d of %d events", len(page.Events), n)
	}
	return page.Events
}

// engine is an engine in another process that counts rows, and stores views without
// content.
func (s *stack) engine(uri string) {
	s.t.Helper()
	j, err := job.Parse(s.read(uri))
	must(s.t, err)
	out := job.Result{Format: job.Format, Version: j.Version, Figures: map[string]job.Figure{}, Views: map[string][]job.File{}, Engine: "a test"}
	seen := map[string]bool{}
	for _, file := range j.Files {
		content := s.read(file)
		must(s.t, archive.Scan(bytes.NewReader(content), int64(len(content)), func(row *archive.Stored) error {
			if at := row.Position.String(); !seen[at] {
				f, sum := out.Figures[row.Shard], protocol.Sum{}
				sum = sum.Add(protocol.Hash(row.Shard, &row.Event))
				out.Figures[row.Shard] = job.Figure{Count: f.Count + 1, Hi: f.Hi + sum.Hi, Lo: f.Lo + sum.Lo}
				seen[at] = true
			}
			return nil
		}))
	}
	if out.Balanced = out.Figures[shard] == j.Check[shard]; out.Balanced {
		for _, v := range j.Views {
			s.write(v.Output+"1/part.parquet", []byte("rows"))
			out.Views[v.Name] = []job.File{{Name: v.Name + "/1/part.parquet", Rows: 3}}
		}
	}
	text, err := out.Text()
	must(s.t, err)
	s.write(j.Result, text)
}

func (s *stack) read(uri string) []byte {
	s.t.Helper()
	bucket, key, err := job.Place(uri)
	must(s.t, err)
	out, err := s.s3.GetObject(s.t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	must(s.t, err)
	defer out.Body.Close()
	content, err := io.ReadAll(out.Body)
	must(s.t, err)
	return content
}

func (s *stack) write(uri string, content []byte) {
	s.t.Helper()
	bucket, key, err := job.Place(uri)
	must(s.t, err)
	_, err = s.s3.PutObject(s.t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(content)})
	must(s.t, err)
}

// execute does what the state machine does, with texts as it hands them on.
func (s *stack) execute(h *versions.Handler, p batch.Progress) (end batch.Progress, steps []string) {
	s.t.Helper()
	for p.Next != deployment.Done && p.Next != deployment.Fail {
		steps = append(steps, p.Next)
		if p.Next == deployment.ComputeStep {
			s.engine(p.Job)
			p.Step = deployment.CompareStep
		}
		text, err := json.Marshal(p)
		must(s.t, err)
		var in batch.Progress
		must(s.t, json.Unmarshal(text, &in))
		p, err = h.Handle(s.t.Context(), in)
		must(s.t, err)
	}
	return p, steps
}

// A run over the stores of a stack: what Firehose left out is repaired, a version is
// published and told to the catalog, and the items that it covers are gone.
func TestARunOverAStack(t *testing.T) {
	s := newStack(t)
	h, err := versions.New(s.Parts)
	must(t, err)
	store, err := s.Store(0)
	must(t, err)
	log := s.Log(store)
	events := s.send(log, 10)
	speed, err := s.Speed(log, store)
	must(t, err)
	must(t, speed.Apply(t.Context(), protocol.Batch{Shard: shard, Events: events}))
	_, err = h.Handle(t.Context(), batch.Progress{Step: deployment.AttendStep})
	must(t, err)
	if note, ok, err := store.Notes(s.Definition.Generation).Note(t.Context(), shard); err != nil || !ok || note.Through != events[9].Position {
		t.Errorf("behind the last event, which is committed, %+v is noted (%v)", note, err)
	}
	logic, err := rowlogic.New(s.Definition)
	must(t, err)
	firehose := archive.Archiver{Definition: s.Definition, Logic: logic, Log: log, Master: store.Master(s.Definition.Generation)}
	must(t, firehose.Repair(t.Context(), shard, []protocol.Span{{After: events[3].Position, Through: events[9].Position}}))

	end, steps := s.execute(h, batch.Progress{Run: "one"})
	if got := strings.Join(steps, " "); end.Next != deployment.Done || got != " compute repair compute publish discard" {
		t.Fatalf("the run ended with %s (%s) after%s", end.Next, end.Error, got)
	}
	if r := end.Report; r.Events != 10 || r.Rows["by_k"] != 3 || !r.Balance.Equal || r.Balance.Repaired() != 4 {
		t.Errorf("the run reports %+v", end.Report)
	}
	pointer, err := speed.Ledger.Pointer(t.Context())
	if err != nil || pointer.Version != end.Report.Version {
		t.Errorf("the current version is %s (%v), want %s", pointer.Version, err, end.Report.Version)
	}
	page, err := speed.RealTime.Query(t.Context(), "by_k", 0, 1, "")
	if err != nil || len(page.Items) > 0 {
		t.Errorf("%d items are left (%v)", len(page.Items), err)
	}
	s.wantMetrics(map[string]float64{deployment.PublishedMetric: 1, deployment.RepairedMetric: 4, deployment.MismatchMetric: 0, deployment.BatchFailsMetric: 0})
	view, err := s.glue.GetTable(t.Context(), &glue.GetTableInput{DatabaseName: sdk.String("shop"), Name: sdk.String("by_k")})
	if err != nil || sdk.ToString(view.Table.TableType) != "VIRTUAL_VIEW" {
		t.Errorf("the catalog has %+v (%v) for the merged view", view, err)
	}
	if end, steps = s.execute(h, batch.Progress{Run: "two"}); end.Next != deployment.Done || !end.Report.Unchanged || len(steps) != 1 {
		t.Errorf("a run without anything new ended with %+v after %q", end, steps)
	}

	// The stores of one definition are not for another.
	changed := strings.Replace(pipeline, "every: none", "every: none\n    where: k != 'k1'", 1)
	must(t, os.WriteFile(os.Getenv(deployment.Definition), []byte(changed), 0o600))
	other, err := parts.Open(t.Context(), parts.Logger())
	must(t, err)
	if h, err = versions.New(other); err != nil {
		t.Fatal(err)
	}
	if p, err := h.Handle(context.WithoutCancel(t.Context()), batch.Progress{Run: "three"}); err == nil || !strings.Contains(err.Error(), "generation") {
		t.Errorf("a run of another definition begins with %+v, %v", p, err)
	}
}

// wantMetrics looks for the counts of the one run that did something.
func (s *stack) wantMetrics(want map[string]float64) {
	s.t.Helper()
	line, _, _ := strings.Cut(s.log.String(), "\n")
	got := map[string]any{}
	must(s.t, json.Unmarshal([]byte(line), &got))
	for name, n := range want {
		if got[name] != n {
			s.t.Errorf("the metric %s is %v, want %v", name, got[name], n)
		}
	}
}
