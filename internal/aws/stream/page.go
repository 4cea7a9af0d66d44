package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/watershed-data/watershed/internal/aws/tries"
	"github.com/watershed-data/watershed/internal/protocol"
)

// start is where reading a shard begins: at the record with the sequence number, or
// else at the first record that arrived at or after a time, or else at the first
// record that is left.
type start struct {
	seq   string
	since time.Time
}

// errGone: the stream does not know the record where reading was to begin.
var errGone = errors.New("the record is not there any more")

// iterator gives an iterator. It is protocol.ErrNoShard if there is no such shard.
//
// A record that is gone is errGone, or an iterator at the first one that is left:
// Kinesis has been seen to do both (harlow/kinesis-consumer#175,
// influxdata/telegraf#19505). It is errGone, too, if the sequence number is another
// shard's (awslabs/amazon-kinesis-client#391).
func (s *Stream) iterator(ctx context.Context, shard string, from start) (*string, error) {
	in := &kinesis.GetShardIteratorInput{StreamName: s.name, ShardId: &shard, ShardIteratorType: types.ShardIteratorTypeTrimHorizon}
	switch {
	case from.seq != "":
		in.ShardIteratorType, in.StartingSequenceNumber = types.ShardIteratorTypeAtSequenceNumber, &from.seq
	case !from.since.IsZero(): // one before the first record that is left counts as that one
		in.ShardIteratorType, in.Timestamp = types.ShardIteratorTypeAtTimestamp, &from.since
	}
	out, err := s.client.GetShardIterator(ctx, in)
	if noShard := new(types.ResourceNotFoundException); errors.As(err, &noShard) {
		return nil, fmt.Errorf("%w: %w", protocol.ErrNoShard, err)
	}
	if gone := new(types.InvalidArgumentException); errors.As(err, &gone) && from.seq != "" {
		return nil, fmt.Errorf("%w: %w", errGone, err)
	}
	if err != nil {
		return nil, err
	}
	return out.ShardIterator, nil
}

// mostRecords is how many records GetRecords gives at most.
const mostRecords = 10_000

// page is what one GetRecords gives: at most 10 MiB.
type page struct {
	records []protocol.Stored
	next    *string // nil: the shard is closed, and this is its end
	tip     bool    // nothing lies behind it now
}

func (s *Stream) page(ctx context.Context, iterator *string, limit int) (page, error) {
	limit = min(limit, mostRecords)
	out, err := s.client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: iterator, Limit: sdk.Int32(int32(limit))})
	if err != nil {
		return page{}, err
	}
	// A page that is full may have been cut between two records of one millisecond.
	atTip := sdk.ToInt64(out.MillisBehindLatest) == 0 && len(out.Records) < limit
	p := page{next: out.NextShardIterator, tip: atTip || out.NextShardIterator == nil}
	for i := range out.Records {
		r := &out.Records[i]
		if r.SequenceNumber == nil || r.PartitionKey == nil || r.ApproximateArrivalTimestamp == nil {
			return page{}, fmt.Errorf("record %d of the page has no sequence number, partition key or arrival", i+1)
		}
		p.records = append(p.records, protocol.Stored{
			Seq: *r.SequenceNumber, PartitionKey: *r.PartitionKey, Arrival: millis(*r.ApproximateArrivalTimestamp), Data: r.Data,
		})
	}
	return p, nil
}

// millis gives an arrival in milliseconds since 1970-01-01 UTC.
//
// Kinesis sends whole milliseconds as a floating-point number of seconds, which the
// SDK multiplies by 1000, rounds to 53 bits and cuts off behind the millisecond. From
// 2005 to 2037 that is exactly the millisecond that was sent, and what Lambda and
// Firehose say: the number of seconds is off by 2^-23 at most, so the product by
// 0.00012, which is less than half of the 2^-12 between two numbers of its size, and
// a whole number is one of these.
func millis(t time.Time) int64 { return t.UnixMilli() }

// again does what reads with one iterator, from its beginning if the iterator has
// expired.
func (s *Stream) again(ctx context.Context, read func() error) error {
	for try := 1; ; try++ {
		err := read()
		expired := new(types.ExpiredIteratorException)
		if !errors.As(err, &expired) || try == tries.Most {
			return err
		}
		if err := tries.Pause(ctx, try); err != nil {
			return err
		}
	}
}
