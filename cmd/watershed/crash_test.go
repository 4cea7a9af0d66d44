package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

const crashDefinition = `
pipeline: crash
events:
  format: json
  columns:
    n:  {type: int}
    k:  {type: string}
    at: {type: timestamp}
  time: at
views:
  by_key:
    by: [k]
    every: 1m
    measures: {events: count, total: sum(n), least: min(n), most: max(n), mean: avg(n)}
  total:
    by: []
    every: none
    measures: {events: count, total: sum(n)}
batch: continuous
`

func streamClient(url string) *kinesis.Client {
	return kinesis.New(kinesis.Options{
		Region: "us-east-1", BaseEndpoint: &url, RetryMaxAttempts: 1, HTTPClient: wholeRequests{awshttp.NewBuildableClient()},
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
}

// producer puts numbered events and remembers what became of each.
type producer struct {
	mu    sync.Mutex
	next  int
	acked map[int]string // number -> sequence number
	tried map[int]bool   // put, with no answer: may be in the log, once

	shards int // of the whole lineage, at the end
}

// put puts one call's worth of new events.
func (p *producer) put(ctx context.Context, c *kinesis.Client) {
	p.mu.Lock()
	first, n := p.next, 1+rand.IntN(60)
	p.next += n
	p.mu.Unlock()
	records := make([]types.PutRecordsRequestEntry, n)
	for i := range records {
		number := first + i
		records[i] = types.PutRecordsRequestEntry{
			PartitionKey: aws.String(fmt.Sprint("p", number%17)),
			Data:         fmt.Appendf(nil, `{"n":%d,"k":"k%d","at":%d}`, number, number%5, 1_400_000_000+number%300),
		}
	}
	out, err := c.PutRecords(ctx, &kinesis.PutRecordsInput{StreamName: aws.String("crash"), Records: records})
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range records {
		if err != nil || out.Records[i].ErrorCode != nil {
			p.tried[first+i] = true
		} else {
			p.acked[first+i] = *out.Records[i].SequenceNumber
		}
	}
}

func (p *producer) acknowledged() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.acked)
}

// The promise under the worst a laptop can do: the process is killed at random
// moments while events flow, shards split and merge, versions are published and
// queries run. Nothing
// acknowledged is lost, nothing is doubled, and every cell is what a recompute
// from the raw bytes gives.
func TestKillingThePipelineLosesNothingAndDoublesNothing(t *testing.T) {
	t.Parallel()
	kills := tortureKills(t)
	definition, data := write(t, "pipeline.yaml", crashDefinition), filepath.Join(t.TempDir(), "data")
	p := &producer{acked: map[int]string{}, tried: map[int]bool{}}
	for range kills {
		process := startPipeline(t, definition, data)
		putUntilKilled(t, process, p, p.acknowledged()+rand.IntN(1500))
	}
	process := startPipeline(t, definition, data)
	checkLog(t, process.url, p)
	waitForTip(t, process)
	if r := process.told(t, "verify"); r.code != 0 {
		t.Fatalf("verify: %s%s", r.out, r.err)
	}
	if r := process.told(t, "batch"); r.code != 0 {
		t.Fatalf("batch: %s%s", r.out, r.err)
	}
	if r := process.told(t, "verify"); r.code != 0 {
		t.Fatalf("verify after a batch run: %s%s", r.out, r.err)
	}
	process.stop(t)
	t.Logf("%d kills, %d events acknowledged, %d without an answer, %d shards", kills, len(p.acked), len(p.tried), p.shards)
}

// killsVariable asks for more kills than the test makes by itself.
const killsVariable = "WATERSHED_TEST_KILLS"

func tortureKills(t *testing.T) int {
	t.Helper()
	text := os.Getenv(killsVariable)
	if text == "" {
		return 20
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%s is no number of kills", killsVariable, text)
	}
	return n
}

// reshard splits an open shard, or merges two neighbours, again and again. What
// fails because the process died, or because a neighbour has just been closed,
// is no failure.
func reshard(ctx context.Context, c *kinesis.Client) {
	stream := aws.String("crash")
	for ctx.Err() == nil {
		summary, err := c.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: stream})
		if err != nil {
			continue
		}
		open := *summary.StreamDescriptionSummary.OpenShardCount
		target := open + 1
		if open > 3 {
			target = open - 1
		}
		_, _ = c.UpdateShardCount(ctx, &kinesis.UpdateShardCountInput{StreamName: stream, TargetShardCount: &target, ScalingType: types.ScalingTypeUniformScaling})
		select { // a stream is not resharded all the time
		case <-ctx.Done():
		case <-time.After(time.Duration(300+rand.IntN(900)) * time.Millisecond):
		}
	}
}

// putUntilKilled puts events and asks for answers and versions until so many events are
// acknowledged; then it kills the process in the middle of all that.
func putUntilKilled(t *testing.T, process *pipelineProcess, p *producer, until int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	client := streamClient(process.url)
	reached := make(chan struct{})
	var once sync.Once
	for range 3 {
		wg.Go(func() {
			for ctx.Err() == nil {
				p.put(ctx, client)
				if p.acknowledged() >= until {
					once.Do(func() { close(reached) })
				}
			}
		})
	}
	wg.Go(func() { reshard(ctx, client) })
	for _, args := range [][]string{{"query", "by_key", "--format", "json"}, {"batch"}} {
		wg.Go(func() {
			for ctx.Err() == nil {
				process.told(t, args...) // it fails when the process dies
			}
		})
	}
	select {
	case <-reached:
	case <-process.ended:
		t.Errorf("the process ended by itself: %s", process.errOut)
	}
	process.kill(t)
	cancel()
	wg.Wait()
}

// checkLog reads the whole stream back: each acknowledged event lies where the
// acknowledgement said, once, and nothing lies there that was never put.
func checkLog(t *testing.T, url string, p *producer) {
	t.Helper()
	ctx, c := t.Context(), streamClient(url)
	found := map[int]string{}
	var shards []types.Shard
	for in := (&kinesis.ListShardsInput{StreamName: aws.String("crash")}); in != nil; {
		page, err := c.ListShards(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		shards, in = append(shards, page.Shards...), nil
		if page.NextToken != nil {
			in = &kinesis.ListShardsInput{NextToken: page.NextToken}
		}
	}
	p.shards = len(shards)
	for _, shard := range shards {
		it, err := c.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{StreamName: aws.String("crash"), ShardId: shard.ShardId, ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
		if err != nil {
			t.Fatal(err)
		}
		for next, behind := it.ShardIterator, int64(1); behind > 0 && next != nil; {
			page, err := c.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: next})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range page.Records {
				var e struct{ N int }
				if err := json.Unmarshal(r.Data, &e); err != nil {
					t.Fatal(err)
				}
				if _, twice := found[e.N]; twice {
					t.Fatalf("event %d is in the log twice", e.N)
				}
				found[e.N] = *r.SequenceNumber
			}
			next, behind = page.NextShardIterator, *page.MillisBehindLatest
		}
	}
	for n, seq := range p.acked {
		if found[n] != seq {
			t.Fatalf("event %d was acknowledged at %s and lies at %q", n, seq, found[n])
		}
	}
	for n := range found {
		if _, ok := p.acked[n]; !ok && !p.tried[n] {
			t.Fatalf("event %d was never put", n)
		}
	}
}

// waitForTip returns when the speed layer has committed everything in the log.
func waitForTip(t *testing.T, process *pipelineProcess) {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		r := process.told(t, "status", "--format", "json")
		if r.code != 0 {
			t.Fatal(r.err)
		}
		var status struct {
			Shards []struct {
				Behind bool `json:"behind"`
			} `json:"shards"`
		}
		if err := json.Unmarshal([]byte(r.out), &status); err != nil {
			t.Fatal(err)
		}
		lag := false
		for _, s := range status.Shards {
			lag = lag || s.Behind
		}
		if !lag && len(status.Shards) > 0 {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("the speed layer did not catch up: %s", r.out)
		case <-process.ended:
			t.Fatalf("the process ended: %s", process.errOut)
		default:
		}
	}
}
