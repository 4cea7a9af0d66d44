// Package stream answers what a function asks of a stream of Kinesis beside the
// events that it is given: its shards, and single records. It knows the protocol's
// types and no layer.
package stream

import (
	"context"
	"errors"
	"fmt"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/watershed-data/watershed/internal/protocol"
)

// Stream is a stream of Kinesis.
type Stream struct {
	client *kinesis.Client
	name   *string
}

// New gives a stream by its name. It asks nothing of it yet.
func New(config sdk.Config, name string) (*Stream, error) {
	if name == "" {
		return nil, errors.New("finding the stream: it has no name")
	}
	return &Stream{client: kinesis.NewFromConfig(config), name: &name}, nil
}

// Shards lists all shards that still hold records or are open, parents before
// children. Kinesis does not say when a shard was made.
func (s *Stream) Shards(ctx context.Context) ([]protocol.Shard, error) {
	var out []protocol.Shard
	in := &kinesis.ListShardsInput{StreamName: s.name}
	for {
		page, err := s.client.ListShards(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("listing the shards of %s: %w", *s.name, err)
		}
		for _, shard := range page.Shards {
			out = append(out, shardOf(shard))
		}
		if page.NextToken == nil {
			return protocol.NewLineage(out).Shards, nil
		}
		in = &kinesis.ListShardsInput{NextToken: page.NextToken} // which stands for the stream
	}
}

func shardOf(in types.Shard) protocol.Shard {
	out := protocol.Shard{ID: sdk.ToString(in.ShardId)}
	for _, parent := range []*string{in.ParentShardId, in.AdjacentParentShardId} {
		if parent != nil {
			out.Parents = append(out.Parents, *parent)
		}
	}
	if r := in.HashKeyRange; r != nil {
		out.HashFrom, out.HashTo = sdk.ToString(r.StartingHashKey), sdk.ToString(r.EndingHashKey)
	}
	if r := in.SequenceNumberRange; r != nil {
		out.FirstSeq, out.LastSeq = sdk.ToString(r.StartingSequenceNumber), sdk.ToString(r.EndingSequenceNumber)
	}
	return out
}

// Record gives the record with a sequence number as it was put; false if the shard
// does not hold it any more. A shard that the stream does not have is
// protocol.ErrNoShard.
func (s *Stream) Record(ctx context.Context, shard, seq string) (out protocol.Record, ok bool, err error) {
	at, err := s.client.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{
		StreamName: s.name, ShardId: &shard, ShardIteratorType: types.ShardIteratorTypeAtSequenceNumber, StartingSequenceNumber: &seq,
	})
	if noShard := new(types.ResourceNotFoundException); errors.As(err, &noShard) {
		return out, false, fmt.Errorf("reading %s: %w: %w", shard, protocol.ErrNoShard, err)
	}
	if err != nil {
		return out, false, fmt.Errorf("reading %s at %s: %w", shard, seq, err)
	}
	for next := at.ShardIterator; next != nil; { // empty pages are normal
		page, err := s.client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: next, Limit: sdk.Int32(1)})
		if err != nil {
			return out, false, fmt.Errorf("reading %s at %s: %w", shard, seq, err)
		}
		if len(page.Records) > 0 {
			r := page.Records[0] // the first one that is left
			if sdk.ToString(r.SequenceNumber) != seq {
				return out, false, nil
			}
			return protocol.Record{PartitionKey: sdk.ToString(r.PartitionKey), Data: r.Data}, true, nil
		}
		if sdk.ToInt64(page.MillisBehindLatest) == 0 {
			return out, false, nil
		}
		next = page.NextShardIterator
	}
	return out, false, nil
}
