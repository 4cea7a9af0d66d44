package stream

import (
	"context"
	"errors"
	"fmt"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// mostKiB is the largest record that the pipeline takes, in KiB: Kinesis's limit
// unless a stream raises it.
const mostKiB = 1024

// Check gives an error that names every setting of the stream with which answers
// would be wrong, and what to set.
func (s *Stream) Check(ctx context.Context) error {
	d, err := s.describe(ctx)
	if err != nil {
		return err
	}
	var wrong []error
	// Streams of provisioned capacity do not say how they distribute records: only on
	// demand there is a choice.
	if how := d.RecordDistributionStrategy; how != "" && how != types.RecordDistributionStrategyUserPartitionKey {
		wrong = append(wrong, fmt.Errorf("it distributes records by %s and ignores partition keys, so that a key's events would have no order, and their shard would look wrong; set its record distribution strategy to %s", how, types.RecordDistributionStrategyUserPartitionKey))
	}
	if most := d.MaxRecordSizeInKiB; most != nil && *most > mostKiB {
		wrong = append(wrong, fmt.Errorf("it takes records of up to %d KiB, which do not pass through Lambda and Firehose; set its maximum record size to %d KiB", *most, mostKiB))
	}
	if hours := sdk.ToInt32(d.RetentionPeriodHours); hours < int32(leastKept.Hours()) {
		wrong = append(wrong, fmt.Errorf("it keeps records for %d hours; set its retention period to %.0f hours or more", hours, leastKept.Hours()))
	}
	if err := errors.Join(wrong...); err != nil {
		return fmt.Errorf("checking the stream %s: %w", *s.name, err)
	}
	return nil
}
