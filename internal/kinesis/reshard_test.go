package kinesis_test

import (
	"context"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// shardName gives the name of the i-th shard.
func shardName(i int) string { return fmt.Sprintf("shardId-%012d", i) }

// listShards lists shards in small pages.
func listShards(t *testing.T, c *sdk.Client, filter *types.ShardFilter) (out []types.Shard) {
	t.Helper()
	in := &sdk.ListShardsInput{StreamName: aws.String(stream), MaxResults: aws.Int32(2), ShardFilter: filter}
	for {
		page, err := c.ListShards(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, page.Shards...)
		if page.NextToken == nil {
			return out
		}
		in = &sdk.ListShardsInput{NextToken: page.NextToken, MaxResults: aws.Int32(2)}
	}
}

// follow reads the stream as a consumer does that follows the lineage: all shards
// that were open at the trim horizon, and each one's children at its end, once all
// their parents have ended.
func follow(t *testing.T, c *sdk.Client) (records []types.Record, shards int) {
	t.Helper()
	var todo []string
	for _, s := range listShards(t, c, &types.ShardFilter{Type: types.ShardFilterTypeAtTrimHorizon}) {
		todo = append(todo, *s.ShardId)
	}
	ended := map[string]bool{}
	for ; len(todo) > 0; shards++ {
		shard := todo[0]
		todo = todo[1:]
		for it := iteratorOf(t, c, &sdk.GetShardIteratorInput{ShardId: &shard, ShardIteratorType: types.ShardIteratorTypeTrimHorizon}); it != nil; {
			page, err := c.GetRecords(t.Context(), &sdk.GetRecordsInput{ShardIterator: it, Limit: aws.Int32(50)})
			if err != nil {
				t.Fatal(err)
			}
			records = append(records, page.Records...)
			if it = page.NextShardIterator; it != nil && len(page.Records) == 0 {
				if *page.MillisBehindLatest != 0 || len(page.ChildShards) > 0 {
					t.Errorf("the tip of open shard %s: %d ms behind, children %v", shard, *page.MillisBehindLatest, page.ChildShards)
				}
				break
			}
			if it == nil {
				ended[shard] = true
				if len(page.ChildShards) == 0 {
					t.Errorf("shard %s ends without children", shard)
				}
				for _, child := range page.ChildShards {
					if !slices.ContainsFunc(child.ParentShards, func(p string) bool { return !ended[p] }) {
						todo = append(todo, *child.ShardId)
					}
				}
			}
		}
	}
	return records, shards
}

func TestSDKReshards(t *testing.T) {
	t.Parallel()
	clock := newClock()
	e := serve(t, options{shards: 2, clock: clock})
	c, ctx, name := e.client("any"), t.Context(), aws.String(stream)
	put := func(from, to int) {
		t.Helper()
		var entries []types.PutRecordsRequestEntry
		for i := from; i < to; i++ {
			entries = append(entries, types.PutRecordsRequestEntry{Data: fmt.Append(nil, i), PartitionKey: aws.String(fmt.Sprint("key", i%7))})
		}
		if _, err := c.PutRecords(ctx, &sdk.PutRecordsInput{StreamName: name, Records: entries}); err != nil {
			t.Fatal(err)
		}
	}
	put(0, 100)
	clock.forward(time.Second)
	if _, err := c.SplitShard(ctx, &sdk.SplitShardInput{StreamName: name, ShardToSplit: aws.String(shardName(0)), NewStartingHashKey: aws.String("1000")}); err != nil { // 2 and 3
		t.Fatal(err)
	}
	put(100, 200)
	split := clock.now()
	clock.forward(time.Second)
	if _, err := c.MergeShards(ctx, &sdk.MergeShardsInput{StreamARN: aws.String("arn:aws:kinesis:us-east-1:000000000000:stream/sales"), ShardToMerge: aws.String(shardName(1)), AdjacentShardToMerge: aws.String(shardName(3))}); err != nil { // 4
		t.Fatal(err)
	}
	put(200, 300)
	clock.forward(time.Second)
	scaled, err := c.UpdateShardCount(ctx, &sdk.UpdateShardCountInput{StreamName: name, TargetShardCount: aws.Int32(4), ScalingType: types.ScalingTypeUniformScaling})
	if err != nil {
		t.Fatal(err)
	}
	if *scaled.CurrentShardCount != 2 || *scaled.TargetShardCount != 4 || *scaled.StreamName != stream || *scaled.StreamARN != "arn:aws:kinesis:us-east-1:000000000000:stream/sales" {
		t.Errorf("UpdateShardCount gave %+v", scaled)
	}
	put(300, 400)

	all := listShards(t, c, nil)
	closed, first := all[1], all[2]
	if *closed.SequenceNumberRange.EndingSequenceNumber <= *closed.SequenceNumberRange.StartingSequenceNumber || *first.ParentShardId != shardName(0) || first.AdjacentParentShardId != nil ||
		*first.HashKeyRange.StartingHashKey != "0" || *first.HashKeyRange.EndingHashKey != "999" || *first.SequenceNumberRange.StartingSequenceNumber <= *all[0].SequenceNumberRange.EndingSequenceNumber {
		t.Errorf("after the split: %+v, %+v", closed, first)
	}
	if merged := all[4]; *merged.ParentShardId != shardName(1) || *merged.AdjacentParentShardId != shardName(3) || *merged.HashKeyRange.StartingHashKey != "1000" {
		t.Errorf("after the merge: %+v", merged)
	}
	summary, err := c.DescribeStreamSummary(ctx, &sdk.DescribeStreamSummaryInput{StreamName: name})
	if err != nil {
		t.Fatal(err)
	}
	if s := summary.StreamDescriptionSummary; *s.OpenShardCount != 4 || s.StreamStatus != types.StreamStatusActive {
		t.Errorf("the summary says %d open shards, %s", *s.OpenShardCount, s.StreamStatus)
	}
	described, err := c.DescribeStream(ctx, &sdk.DescribeStreamInput{StreamName: name})
	if err != nil || len(described.StreamDescription.Shards) != len(all) {
		t.Errorf("DescribeStream lists %d shards, ListShards %d: %v", len(described.StreamDescription.Shards), len(all), err)
	}
	for kind, want := range map[types.ShardFilterType]string{
		types.ShardFilterTypeAtTrimHorizon: "0 1", types.ShardFilterTypeAtTimestamp: "1 2 3", types.ShardFilterTypeAfterShardId: numbers(all[3:]), types.ShardFilterTypeFromTrimHorizon: numbers(all),
		types.ShardFilterTypeFromTimestamp: numbers(all[1:]),
	} {
		filter := &types.ShardFilter{Type: kind}
		switch kind {
		case types.ShardFilterTypeAtTimestamp, types.ShardFilterTypeFromTimestamp:
			filter.Timestamp = &split
		case types.ShardFilterTypeAfterShardId:
			filter.ShardId = aws.String(shardName(2))
		}
		if got := numbers(listShards(t, c, filter)); got != want {
			t.Errorf("filter %s lists %s, want %s", kind, got, want)
		}
	}
	quarter := new(big.Int).Lsh(big.NewInt(1), 126)
	for i, s := range listShards(t, c, &types.ShardFilter{Type: types.ShardFilterTypeAtLatest}) {
		from, _ := new(big.Int).SetString(*s.HashKeyRange.StartingHashKey, 10)
		if from.Mod(from, quarter).Sign() != 0 || i > 3 {
			t.Errorf("open shard %d after uniform scaling is %+v", i, s.HashKeyRange)
		}
	}

	records, read := follow(t, c)
	if len(records) != 400 || read != len(all) {
		t.Errorf("a consumer that follows the children read %d records in %d shards, want 400 in %d", len(records), read, len(all))
	}
	checkOrder(t, records)
}

// numbers gives the numbers of shards.
func numbers(shards []types.Shard) string {
	var out []string
	for _, s := range shards {
		var n int
		_, _ = fmt.Sscanf(*s.ShardId, "shardId-%d", &n)
		out = append(out, fmt.Sprint(n))
	}
	return strings.Join(out, " ")
}

// checkOrder makes sure that the records of each partition key come in the order
// of their sequence numbers and were read once.
func checkOrder(t *testing.T, records []types.Record) {
	t.Helper()
	last, seen := map[string]string{}, map[string]bool{}
	for _, r := range records {
		if *r.SequenceNumber <= last[*r.PartitionKey] {
			t.Errorf("a record of key %s at %s was read after %s", *r.PartitionKey, *r.SequenceNumber, last[*r.PartitionKey])
		}
		last[*r.PartitionKey] = *r.SequenceNumber
		if seen[string(r.Data)] {
			t.Errorf("record %s was read twice", r.Data)
		}
		seen[string(r.Data)] = true
	}
}

func TestSDKReshardErrors(t *testing.T) {
	t.Parallel()
	e := serve(t, options{shards: 3})
	c, ctx, name := e.client("any"), t.Context(), aws.String(stream)
	splitAt := func(shard, key string) error {
		_, err := c.SplitShard(ctx, &sdk.SplitShardInput{StreamName: name, ShardToSplit: &shard, NewStartingHashKey: &key})
		return err
	}
	merge := func(shard, adjacent int) error {
		_, err := c.MergeShards(ctx, &sdk.MergeShardsInput{StreamName: name, ShardToMerge: aws.String(shardName(shard)), AdjacentShardToMerge: aws.String(shardName(adjacent))})
		return err
	}
	scale := func(count int32, kind types.ScalingType) error {
		_, err := c.UpdateShardCount(ctx, &sdk.UpdateShardCountInput{StreamName: name, TargetShardCount: &count, ScalingType: kind})
		return err
	}
	if err := splitAt(shardName(0), "2"); err != nil { // 3 and 4
		t.Fatal(err)
	}
	end := "113427455640312821154458202477256070484"
	validation, argument, missing := is[*types.ValidationException], is[*types.InvalidArgumentException], is[*types.ResourceNotFoundException]
	for _, tt := range []struct {
		name string
		err  error
		want func(error) bool
		says string
	}{
		{"another stream", second(c.SplitShard(ctx, &sdk.SplitShardInput{StreamName: aws.String("other"), ShardToSplit: aws.String(shardName(1)), NewStartingHashKey: aws.String("5")})), missing, "other"},
		{"splitting no shard", splitAt(shardName(9), "5"), missing, "Could not find shard shardId-000000000009"},
		{"splitting what is no shard", splitAt("x", "5"), missing, "Could not find shard x"},
		{"splitting a closed shard", splitAt(shardName(0), "5"), argument, "has already been merged or split"},
		{"splitting at the start", splitAt(shardName(4), "2"), argument, "not both greater than one plus the shard's StartingHashKey 2 and less than the shard's EndingHashKey " + end},
		{"leaving one hash key below", splitAt(shardName(4), "3"), argument, "not both greater"},
		{"leaving one hash key above", splitAt(shardName(4), end), argument, "not both greater"},
		{"splitting outside", splitAt(shardName(4), "1"), argument, "not both greater"},
		{"splitting at no number", splitAt(shardName(4), "0x7"), validation, "newStartingHashKey"},
		{"splitting two hash keys", splitAt(shardName(3), "1"), argument, "not both greater"},
		{"merging no shard", merge(1, 9), missing, "Could not find shard shardId-000000000009"},
		{"merging a closed shard", merge(1, 0), argument, "shardId-000000000000 in stream sales under account 000000000000 has already been merged or split"},
		{"merging what does not meet", merge(3, 1), argument, "are not an adjacent pair"},
		{"merging a shard with itself", merge(1, 1), argument, "are not an adjacent pair"},
		{"more than double", scale(9, types.ScalingTypeUniformScaling), argument, "more than double the current shard count 4"},
		{"less than half", scale(1, types.ScalingTypeUniformScaling), argument, "less than half the current shard count 4"},
		{"no shards", scale(0, types.ScalingTypeUniformScaling), validation, "targetShardCount"},
		{"another kind of scaling", scale(4, "RANDOM_SCALING"), validation, "UNIFORM_SCALING"},
	} {
		if tt.err == nil || !tt.want(tt.err) || !strings.Contains(tt.err.Error(), tt.says) {
			t.Errorf("%s: got %v, want it to say %q", tt.name, tt.err, tt.says)
		}
	}
	if open := listShards(t, c, nil); len(open) != 5 {
		t.Errorf("refused calls left %d shards, want 5", len(open))
	}
	if logged := e.logs.String(); logged != "" {
		t.Errorf("clients' mistakes fill the log: %s", logged)
	}

	for count := int32(8); count <= 1024; count *= 2 {
		if err := scale(count, types.ScalingTypeUniformScaling); err != nil {
			t.Fatal(err)
		}
	}
	open := listShardsAtOnce(t, c)
	limit := is[*types.LimitExceededException]
	if err := splitAt(*open[0].ShardId, "5"); !limit(err) || !strings.Contains(err.Error(), "Limit: 1024") {
		t.Errorf("a split over the limit: %v", err)
	}
	if err := scale(1025, types.ScalingTypeUniformScaling); !limit(err) {
		t.Errorf("scaling over the limit: %v", err)
	}
}

func listShardsAtOnce(t *testing.T, c *sdk.Client) []types.Shard {
	t.Helper()
	out, err := c.ListShards(t.Context(), &sdk.ListShardsInput{StreamName: aws.String(stream), MaxResults: aws.Int32(10_000), ShardFilter: &types.ShardFilter{Type: types.ShardFilterTypeAtLatest}})
	if err != nil {
		t.Fatal(err)
	}
	return out.Shards
}

// Of many who split one shard at once, one succeeds; nobody breaks the log.
func TestReshardsAtOnce(t *testing.T) {
	t.Parallel()
	e := serve(t, options{shards: 1})
	c := e.client("any")
	var wg sync.WaitGroup
	var won atomic.Int64
	for i := range 8 {
		wg.Go(func() {
			_, err := c.SplitShard(t.Context(), &sdk.SplitShardInput{StreamName: aws.String(stream), ShardToSplit: aws.String(shardName(0)), NewStartingHashKey: aws.String(fmt.Sprint(1000 + i))})
			if err == nil {
				won.Add(1)
			} else if !is[*types.InvalidArgumentException](err) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || len(listShards(t, c, nil)) != 3 {
		t.Errorf("%d splits of one shard succeeded: %s", won.Load(), numbers(listShards(t, c, nil)))
	}
}

// Producers put while shards split, merge and scale; a consumer that follows the
// lineage afterwards reads what was acknowledged, once and in order.
func TestSDKPutsWhileResharding(t *testing.T) {
	t.Parallel()
	e := serve(t, options{shards: 2})
	const producers, calls = 3, 25
	var wg sync.WaitGroup
	var mu sync.Mutex
	acked := map[string]string{}
	putting, done := context.WithCancel(t.Context())
	for p := range producers {
		wg.Go(func() {
			c := e.client("any")
			for call := range calls {
				var entries []types.PutRecordsRequestEntry
				for i := range 20 {
					entries = append(entries, types.PutRecordsRequestEntry{PartitionKey: aws.String(fmt.Sprint(p, "-", i)), Data: fmt.Appendf(nil, "%d-%d-%d", p, call, i)})
				}
				out, err := c.PutRecords(t.Context(), &sdk.PutRecordsInput{StreamName: aws.String(stream), Records: entries})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for i, r := range out.Records {
					acked[string(entries[i].Data)] = *r.ShardId + *r.SequenceNumber
				}
				mu.Unlock()
			}
		})
	}
	go func() { wg.Wait(); done() }()
	c, random := e.client("any"), rand.New(rand.NewPCG(5, 6))
	for putting.Err() == nil {
		open := listShardsAtOnce(t, c)
		target := int32(max(1, min(12, len(open)/2+random.IntN(2*len(open)))))
		if target > int32(2*len(open)) || 2*target < int32(len(open)) {
			continue
		}
		if _, err := c.UpdateShardCount(t.Context(), &sdk.UpdateShardCountInput{StreamName: aws.String(stream), TargetShardCount: &target, ScalingType: types.ScalingTypeUniformScaling}); err != nil {
			t.Error(err)
			break
		}
	}
	wg.Wait()
	records, _ := follow(t, c)
	checkOrder(t, records)
	if len(records) != len(acked) || len(acked) != producers*calls*20 {
		t.Errorf("%d records were acknowledged and %d read", len(acked), len(records))
	}
	for _, r := range records {
		if !strings.HasSuffix(acked[string(r.Data)], *r.SequenceNumber) {
			t.Errorf("record %s was acknowledged at %s and read at %s", r.Data, acked[string(r.Data)], *r.SequenceNumber)
		}
	}
}
