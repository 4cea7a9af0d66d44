// Package stream is a stream of Kinesis as the pipeline sees it: the log of the
// protocol, its shards, and single records.
//
// Kinesis lets go of records by their age and says nothing of it: whoever asks for
// what comes after a record that is gone gets what is left. Log never takes that for
// an answer. What lies directly behind a position is known if the position's record
// is still there, or by a Note that nothing came after it until lately; otherwise
// the position has expired. evidence.go holds the rules.
//
// The package knows the protocol's types and no layer.
package stream

import (
	"context"
	"errors"
	"fmt"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/watershed-data/watershed/internal/aws/tries"
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
	// A shard gives five pages a second to all of its readers together, so being
	// throttled is normal.
	config.Retryer = tries.Retryer
	return &Stream{client: kinesis.NewFromConfig(config), name: &name}, nil
}

// Shards lists all shards that still hold records or are open, parents before
// children. Kinesis does not say when a shard was made.
func (s *Stream) Shards(ctx context.Context) ([]protocol.Shard, error) {
	return s.list(ctx, nil)
}

func (s *Stream) list(ctx context.Context, filter *types.ShardFilter) ([]protocol.Shard, error) {
	var out []protocol.Shard
	in := &kinesis.ListShardsInput{StreamName: s.name, ShardFilter: filter}
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
// does not hold it any more, or never did. A shard that the stream does not have is
// protocol.ErrNoShard.
func (s *Stream) Record(ctx context.Context, shard, seq string) (out protocol.Record, ok bool, err error) {
	first, ok, err := s.at(ctx, shard, seq)
	if err != nil {
		return out, false, fmt.Errorf("reading %s at %s: %w", shard, seq, err)
	}
	if !ok {
		return out, false, nil
	}
	return protocol.Record{PartitionKey: first.PartitionKey, Data: first.Data}, true, nil
}

// at gives the record with a sequence number; false if the shard does not hold it.
func (s *Stream) at(ctx context.Context, shard, seq string) (out protocol.Stored, ok bool, err error) {
	err = s.again(ctx, func() error {
		iterator, err := s.iterator(ctx, shard, start{seq: seq})
		if errors.Is(err, errGone) {
			return nil
		}
		if err != nil {
			return err
		}
		for iterator != nil { // empty pages are normal
			page, err := s.page(ctx, iterator, 1)
			if err != nil {
				return err
			}
			if len(page.records) > 0 {
				out = page.records[0] // the first one that is left
				ok = out.Seq == seq
				return nil
			}
			if page.tip {
				return nil
			}
			iterator = page.next
		}
		return nil
	})
	return out, ok, err
}
