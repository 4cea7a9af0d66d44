package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/watershed-data/watershed/internal/kpl"
	"github.com/watershed-data/watershed/internal/kpl/kpltest"
)

// Shards split and merge while producers put plain events and KPL aggregates,
// versions are published, and the process is killed once: every cell stays what a
// recompute gives, nothing that was acknowledged is missing, and the status shows
// the closed shards.
func TestReshardingWhileEventsFlow(t *testing.T) {
	t.Parallel()
	definition, data := write(t, "pipeline.yaml", strings.Replace(crashDefinition, "batch: continuous\n", "", 1)), filepath.Join(t.TempDir(), "data")
	process := startPipeline(t, definition, data, "--shards", "3")
	acked := 0
	for round, targets := range [][]int32{{5, 3, 6}, {3, 2, 4}} {
		acked += putAndReshard(t, process, round, targets)
		for _, args := range [][]string{{"verify"}, {"batch"}, {"verify"}} {
			if r := process.told(t, args...); r.code != 0 {
				t.Fatalf("%s after resharding: %s%s", args[0], r.out, r.err)
			}
		}
		process.kill(t)
		process = startPipeline(t, definition, data)
	}
	waitForTip(t, process)
	r := process.told(t, "query", "total", "--format", "json")
	var total struct{ Rows []struct{ Events int } }
	if err := json.Unmarshal([]byte(r.out), &total); err != nil {
		t.Fatal(err, r.err)
	}
	if len(total.Rows) != 1 || total.Rows[0].Events != acked {
		t.Errorf("%d events were acknowledged, the total says %+v", acked, total.Rows)
	}
	status := process.told(t, "status")
	if !strings.Contains(status.out, " shards             drained") || strings.Count(status.out, "  open ") != 4 {
		t.Errorf("the status does not show 4 open shards and one line for the drained ones:\n%s", status.out)
	}
	if r := process.told(t, "verify"); r.code != 0 {
		t.Errorf("verify after a restart: %s%s", r.out, r.err)
	}
	process.stop(t)
}

// putAndReshard puts events until all reshards are done, and gives how many were
// acknowledged.
func putAndReshard(t *testing.T, process *pipelineProcess, round int, targets []int32) (events int) {
	t.Helper()
	ctx, name := t.Context(), aws.String("crash")
	flowing, done := context.WithCancel(ctx)
	var wg sync.WaitGroup
	var mu sync.Mutex
	for producer := range 2 {
		wg.Go(func() {
			c := streamClient(process.url)
			for n := 0; flowing.Err() == nil; n++ {
				plain, aggregate := round*2+producer, kpltest.Join(users(n)...)
				entries := []types.PutRecordsRequestEntry{{PartitionKey: aws.String(users(n)[0].PartitionKey), Data: aggregate}}
				for i := range 20 {
					entries = append(entries, types.PutRecordsRequestEntry{PartitionKey: aws.String(fmt.Sprint("p", i%7)), Data: fmt.Appendf(nil, `{"n":%d,"k":"plain%d","at":%d}`, i, plain, 1_400_000_000+n)})
				}
				out, err := c.PutRecords(ctx, &kinesis.PutRecordsInput{StreamName: name, Records: entries})
				if err != nil || *out.FailedRecordCount > 0 {
					t.Errorf("putting: %v", err)
					return
				}
				mu.Lock()
				events += 20 + len(users(n))
				mu.Unlock()
			}
		})
	}
	c := streamClient(process.url)
	for _, target := range targets {
		if _, err := c.UpdateShardCount(ctx, &kinesis.UpdateShardCountInput{StreamName: name, TargetShardCount: &target, ScalingType: types.ScalingTypeUniformScaling}); err != nil {
			t.Error(err)
		}
		if r := process.told(t, "query", "by_key", "--limit", "1"); r.code != 0 {
			t.Errorf("a query while resharding: %s", r.err)
		}
		splitAndMerge(t, c, name)
	}
	done()
	wg.Wait()
	return events
}

// users are the events of an aggregate, all of one partition key, so that none is
// a stray.
func users(n int) (out []kpl.Record) {
	for i := range 1 + n%5 {
		out = append(out, kpl.Record{PartitionKey: fmt.Sprint("p", n%13), Data: fmt.Appendf(nil, `{"n":%d,"k":"aggregated","at":%d}`, i, 1_400_000_000+n)})
	}
	return out
}

// splitAndMerge splits an open shard and merges the halves again.
func splitAndMerge(t *testing.T, c *kinesis.Client, name *string) {
	t.Helper()
	open, err := c.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: name, ShardFilter: &types.ShardFilter{Type: types.ShardFilterTypeAtLatest}})
	if err != nil {
		t.Fatal(err)
	}
	from, _ := new(big.Int).SetString(*open.Shards[0].HashKeyRange.StartingHashKey, 10)
	to, _ := new(big.Int).SetString(*open.Shards[0].HashKeyRange.EndingHashKey, 10)
	at := from.Rsh(from.Add(from, to), 1).String()
	if _, err := c.SplitShard(t.Context(), &kinesis.SplitShardInput{StreamName: name, ShardToSplit: open.Shards[0].ShardId, NewStartingHashKey: &at}); err != nil {
		t.Fatal(err)
	}
	halves, err := c.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: name, ShardFilter: &types.ShardFilter{Type: types.ShardFilterTypeAtLatest}})
	if err != nil {
		t.Fatal(err)
	}
	n := len(halves.Shards)
	if _, err := c.MergeShards(t.Context(), &kinesis.MergeShardsInput{StreamName: name, ShardToMerge: halves.Shards[n-1].ShardId, AdjacentShardToMerge: halves.Shards[n-2].ShardId}); err != nil {
		t.Fatal(err)
	}
}
