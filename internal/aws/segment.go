package aws

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/watershed-data/watershed/internal/protocol"
)

// arrival and data are the attributes of a segment.
const (
	arrival = "m"
	data    = "x"
)

// PutSegment implements protocol.RealTime.
func (r *RealTime) PutSegment(ctx context.Context, s protocol.Segment) error {
	if err := s.Fits(); err != nil {
		return err
	}
	stored := key(segmentsKey(r.generation, s.Shard), segmentKey(s.SegmentID))
	stored[arrival], stored[data] = number(s.MaxArrival), blob(s.Data)
	if _, err := r.table.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &r.table.name, Item: stored}); err != nil {
		return fmt.Errorf("storing a dedup segment of %s: %w", s.Shard, err)
	}
	return nil
}

// Segments implements protocol.RealTime.
func (r *RealTime) Segments(ctx context.Context, shard string) (out []protocol.Segment, err error) {
	err = r.table.query(ctx, &dynamodb.QueryInput{
		KeyConditionExpression:    str("pk = :pk"),
		ExpressionAttributeValues: record{":pk": text(segmentsKey(r.generation, shard))},
	}, func(found record) error {
		var s protocol.Segment
		if s.SegmentID, err = parseSegmentKey(shard, textOf(found, sorting)); err != nil {
			return err
		}
		if s.MaxArrival, err = numberOf(found, arrival); err != nil {
			return err
		}
		var ok bool
		if s.Data, ok = bytesOf(found, data); !ok {
			return fmt.Errorf("%w: a segment has no data", errDamaged)
		}
		out = append(out, s)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading dedup segments of %s: %w", shard, err)
	}
	return out, nil
}

// DeleteSegment implements protocol.RealTime.
func (r *RealTime) DeleteSegment(ctx context.Context, id protocol.SegmentID) error {
	if err := r.table.delete(ctx, segmentsKey(r.generation, id.Shard), segmentKey(id)); err != nil {
		return fmt.Errorf("deleting a dedup segment of %s: %w", id.Shard, err)
	}
	return nil
}
