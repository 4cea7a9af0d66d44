package kinesis_test

import (
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

func TestThrottle(t *testing.T) {
	t.Parallel()
	clock := newClock()
	e := serve(t, options{shards: 2, throttle: true, clock: clock})
	c := e.client("any")
	put := func(n, size int, hash string) (failed int) {
		t.Helper()
		out, err := c.PutRecords(t.Context(), &sdk.PutRecordsInput{StreamName: aws.String(stream), Records: slices.Repeat(
			[]types.PutRecordsRequestEntry{{Data: make([]byte, size-1), PartitionKey: aws.String("k"), ExplicitHashKey: &hash}}, n)})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range out.Records {
			if r.ErrorCode != nil {
				failed++
				if *r.ErrorCode != "ProvisionedThroughputExceededException" || *r.ErrorMessage == "" || r.SequenceNumber != nil {
					t.Errorf("failed as %v", r)
				}
			}
		}
		if failed != int(*out.FailedRecordCount) {
			t.Errorf("%d records failed, the count says %d", failed, *out.FailedRecordCount)
		}
		return failed
	}
	const first, second = "0", "340282366920938463463374607431768211455"
	for _, tt := range []struct {
		name    string
		wait    time.Duration
		n, size int
		hash    string
		failed  int
	}{
		{"half a second's records", 0, 500, 2, first, 0},
		{"a second's records", 0, 500, 2, first, 0},
		{"one too many", 0, 1, 2, first, 1},
		{"in another shard", 0, 1, 2, second, 0},
		{"some fit again", 100 * time.Millisecond, 150, 2, first, 50},
		{"a second's bytes", 2 * time.Second, 4, 256 << 10, first, 0},
		{"one byte too many", 0, 1, 2, first, 1},
	} {
		clock.forward(tt.wait)
		if failed := put(tt.n, tt.size, tt.hash); failed != tt.failed {
			t.Errorf("%s: %d of %d failed, want %d", tt.name, failed, tt.n, tt.failed)
		}
	}

	_, err := c.PutRecord(t.Context(), &sdk.PutRecordInput{StreamName: aws.String(stream), Data: []byte("x"), PartitionKey: aws.String("k"), ExplicitHashKey: aws.String(first)})
	if !is[*types.ProvisionedThroughputExceededException](err) {
		t.Errorf("got %v, want ProvisionedThroughputExceededException", err)
	}

	it := iteratorOf(t, c, &sdk.GetShardIteratorInput{ShardId: aws.String("shardId-000000000000"), ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	get := func() error {
		_, err := c.GetRecords(t.Context(), &sdk.GetRecordsInput{ShardIterator: it, Limit: aws.Int32(1)})
		return err
	}
	for range 5 {
		if err := get(); err != nil {
			t.Fatal(err)
		}
	}
	if err := get(); !is[*types.ProvisionedThroughputExceededException](err) {
		t.Errorf("the sixth read of a second: got %v, want ProvisionedThroughputExceededException", err)
	}
	clock.forward(200 * time.Millisecond)
	if err := get(); err != nil {
		t.Errorf("a fifth of a second later: %v", err)
	}
}
