package aws

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"
)

// Discard implements protocol.RealTime. It reads all items of the shard, most of
// which go: those of later epochs came after the cut that the version covers.
func (r *RealTime) Discard(ctx context.Context, shard string, until int64) (int64, error) {
	n, err := r.buckets(ctx, shard)
	if err != nil {
		return 0, fmt.Errorf("discarding real-time items of %s: %w", shard, err)
	}
	var deleted atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallelReads)
	for bucket := range n {
		g.Go(func() error { return r.discardBucket(ctx, bucketKey(r.generation, shard, bucket), until, &deleted) })
	}
	if err := g.Wait(); err != nil {
		return deleted.Load(), fmt.Errorf("discarding real-time items of %s: %w", shard, err)
	}
	return deleted.Load(), nil
}

func (r *RealTime) discardBucket(ctx context.Context, pk string, until int64, deleted *atomic.Int64) error {
	var doomed []types.WriteRequest
	flush := func() error {
		if len(doomed) == 0 {
			return nil
		}
		if err := r.write(ctx, doomed); err != nil {
			return err
		}
		deleted.Add(int64(len(doomed)))
		doomed = nil
		return nil
	}
	err := r.table.query(ctx, &dynamodb.QueryInput{
		KeyConditionExpression:    str("pk = :pk"),
		FilterExpression:          str("e <= :until"),
		ProjectionExpression:      str("pk, sk"),
		ExpressionAttributeValues: record{":pk": text(pk), ":until": number(until)},
	}, func(found record) error {
		doomed = append(doomed, types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: found}})
		if len(doomed) < mostWritten {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}

// write sends requests until the table has processed all of them.
func (r *RealTime) write(ctx context.Context, requests []types.WriteRequest) error {
	for try := 1; ; try++ {
		out, err := r.table.client.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{
			RequestItems: map[string][]types.WriteRequest{r.table.name: requests},
		})
		if err != nil {
			return err
		}
		left := out.UnprocessedItems[r.table.name]
		if len(left) == 0 {
			return nil
		}
		if len(left) < len(requests) {
			try = 1
		}
		requests = left
		if err := again(ctx, try, len(requests)); err != nil {
			return err
		}
	}
}
