//go:build clients

package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	store "github.com/watershed-data/watershed/internal/aws"
	"github.com/watershed-data/watershed/internal/aws/awstest"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/deployment"
	"github.com/watershed-data/watershed/internal/kpl"
	"github.com/watershed-data/watershed/internal/kpl/kpltest"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/standin"
)

const pipeline = `
pipeline: shop
events:
  format: json
  columns:
    k: {type: string}
views:
  by_k: {by: [k], every: none, measures: {events: count}}
`

// stack is a stream and two tables, and the function's environment that names them.
type stack struct {
	t      *testing.T
	stream string
	client *kinesis.Client
	stores store.Options
	dynamo sdk.Config
	def    *definition.Definition
}

func newStack(t *testing.T) *stack {
	t.Helper()
	start := func(start func() (string, func(), error)) string {
		url, stop, err := start()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(stop)
		return url
	}
	kinesisURL, dynamoURL := start(standin.Kinesis), start(standin.DynamoDB)
	s := &stack{
		t: t, stream: "shop-" + rand.Text(), client: kinesis.NewFromConfig(standin.Config(kinesisURL)), dynamo: standin.Config(dynamoURL),
		stores: store.Options{Items: "items", Ledger: "ledger", Master: "none", Views: "none"},
	}
	s.define(pipeline)
	for name, value := range map[string]string{
		"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing",
		"AWS_ENDPOINT_URL_KINESIS": kinesisURL, "AWS_ENDPOINT_URL_DYNAMODB": dynamoURL,
		deployment.Stream: s.stream, deployment.Items: "items", deployment.Ledger: "ledger",
	} {
		t.Setenv(name, value)
	}
	awstest.MakeTables(t, s.dynamo, "items", "ledger")
	s.must(s.client.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: &s.stream, ShardCount: sdk.Int32(1)}))
	s.active()
	return s
}

func (s *stack) must(_ any, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// define puts a definition where the function finds it.
func (s *stack) define(text string) {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), deployment.DefinitionFile)
	s.must(nil, os.WriteFile(path, []byte(text), 0o600))
	def, err := definition.Load(path)
	s.must(nil, err)
	s.def = def
	s.t.Setenv(deployment.Definition, path)
}

func (s *stack) active() {
	s.t.Helper()
	s.must(nil, kinesis.NewStreamExistsWaiter(s.client, func(o *kinesis.StreamExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = 5*time.Millisecond, 50*time.Millisecond
	}).
		Wait(s.t.Context(), &kinesis.DescribeStreamInput{StreamName: &s.stream}, time.Minute))
}

func (s *stack) put(key string, data []byte) {
	s.t.Helper()
	s.must(s.client.PutRecord(s.t.Context(), &kinesis.PutRecordInput{StreamName: &s.stream, PartitionKey: &key, Data: data}))
}

// payload gives a shard's records as the event source hands them over.
func (s *stack) payload(shard string) []byte {
	s.t.Helper()
	at, err := s.client.GetShardIterator(s.t.Context(), &kinesis.GetShardIteratorInput{StreamName: &s.stream, ShardId: &shard, ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	s.must(at, err)
	page, err := s.client.GetRecords(s.t.Context(), &kinesis.GetRecordsInput{ShardIterator: at.ShardIterator})
	s.must(page, err)
	var records []any
	for _, r := range page.Records {
		records = append(records, map[string]any{
			"eventSource": "aws:kinesis", "eventID": shard + ":" + *r.SequenceNumber,
			"kinesis": map[string]any{
				"partitionKey": *r.PartitionKey, "sequenceNumber": *r.SequenceNumber, "data": base64.StdEncoding.EncodeToString(r.Data),
				"approximateArrivalTimestamp": json.Number(seconds(*r.ApproximateArrivalTimestamp)),
			},
		})
	}
	text, err := json.Marshal(map[string]any{"Records": records})
	s.must(text, err)
	return text
}

// seconds writes a time as Lambda does.
func seconds(t time.Time) string { return fmt.Sprintf("%d.%03d", t.Unix(), t.Nanosecond()/1e6) }

// invoke is one invocation of a process that has just started.
func (s *stack) invoke(payload []byte) error {
	s.t.Helper()
	handler, err := wire(s.t.Context(), slog.New(slog.DiscardHandler))
	s.must(handler, err)
	_, err = handler.Invoke(s.t.Context(), payload)
	return err
}

func (s *stack) ledger(shard string) (protocol.Row, bool) {
	s.t.Helper()
	of, err := store.Open(s.dynamo, s.stores)
	s.must(of, err)
	row, ok, err := of.Ledger(s.def.Generation).Row(context.Background(), shard)
	s.must(row, err)
	return row, ok
}

// The function commits what the event source hands over, however often it does, a
// child after its parents, and of no other definition than the first.
func TestTheFunction(t *testing.T) {
	s := newStack(t)
	const parent, child = "shardId-000000000000", "shardId-000000000001"
	s.put("a", []byte(`{"k":"x"}`))
	s.put("b", kpltest.Join(kpl.Record{PartitionKey: "c", Data: []byte(`{"k":"y"}`)}, kpl.Record{PartitionKey: "d", Data: []byte(`{"k":`)}))
	for range 2 {
		s.must(nil, s.invoke(s.payload(parent)))
	}
	if row, ok := s.ledger(parent); !ok || row.Count != 3 || row.Pending != nil {
		t.Fatalf("the ledger says %+v", row)
	}
	s.put("e", []byte(`{"k":"x"}`))
	s.must(s.client.SplitShard(t.Context(), &kinesis.SplitShardInput{StreamName: &s.stream, ShardToSplit: sdk.String(parent), NewStartingHashKey: sdk.String("170141183460469231731687303715884105728")}))
	s.active()
	s.put("a", []byte(`{"k":"x"}`)) // hashes into the lower half
	late := s.payload(child)
	if err := s.invoke(late); !errors.Is(err, protocol.ErrNotYet) {
		t.Fatalf("a child before its parent's end: %v", err)
	}
	s.must(nil, s.invoke(s.payload(parent)))
	s.must(nil, s.invoke(late))
	for shard, want := range map[string]int64{parent: 4, child: 1} {
		if row, _ := s.ledger(shard); row.Count != want {
			t.Errorf("%s has %+v, want %d events", shard, row, want)
		}
	}
	s.define(strings.Replace(pipeline, "by: [k]", "by: []", 1))
	if err := s.invoke(late); err == nil || !strings.Contains(err.Error(), s.def.Generation) {
		t.Errorf("another definition's function: %v", err)
	}
}
