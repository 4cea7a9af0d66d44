package kinesis

import (
	"bytes"
	"encoding/json"
)

// The requests and responses of the API, with its names. A pointer or nil slice
// tells a missing member from an empty one.

// target names the stream that a request is about.
type target struct {
	StreamName *string
	StreamARN  *string
	StreamId   *string
	DryRun     *bool
}

type entry struct {
	Data            []byte
	PartitionKey    *string
	ExplicitHashKey *string
}

type putRecordIn struct {
	target
	entry
	SequenceNumberForOrdering *string
}

type putRecordOut struct {
	ShardId        string
	SequenceNumber string
	EncryptionType string
}

type putRecordsIn struct {
	target
	Records entries
}

// entries decodes no more than one entry over the limit, whatever it is given.
type entries []entry

func (e *entries) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if _, err := d.Token(); err != nil {
		return err
	}
	if text[0] != '[' {
		return &json.UnmarshalTypeError{Value: "value", Field: "Records"}
	}
	*e = make(entries, 0, 16)
	for d.More() && len(*e) <= maxEntries {
		var next entry
		if err := d.Decode(&next); err != nil {
			return err
		}
		*e = append(*e, next)
	}
	return nil
}

type putRecordsOut struct {
	FailedRecordCount int
	Records           []placedEntry
	EncryptionType    string
}

type placedEntry struct {
	SequenceNumber string `json:",omitempty"`
	ShardId        string `json:",omitempty"`
	ErrorCode      string `json:",omitempty"`
	ErrorMessage   string `json:",omitempty"`
}

type listStreamsIn struct {
	Limit                    *int
	ExclusiveStartStreamName *string
	NextToken                *string
}

type listStreamsOut struct {
	StreamNames     []string
	HasMoreStreams  bool
	StreamSummaries []streamSummary
}

type streamMode struct{ StreamMode string }

type streamSummary struct {
	StreamName              string
	StreamARN               string
	StreamStatus            string
	StreamModeDetails       streamMode
	StreamCreationTimestamp timestamp
}

type metrics struct{ ShardLevelMetrics []string }

// description is what both kinds of describing a stream tell.
type description struct {
	streamSummary
	RetentionPeriodHours int
	EnhancedMonitoring   []metrics
	EncryptionType       string
}

type describeStreamSummaryIn struct{ target }

type describeStreamSummaryOut struct {
	StreamDescriptionSummary struct {
		description
		OpenShardCount             int
		ConsumerCount              int
		MaxRecordSizeInKiB         int
		RecordDistributionStrategy string
	}
}

type describeStreamIn struct {
	target
	Limit                 *int
	ExclusiveStartShardId *string
}

type describeStreamOut struct {
	StreamDescription struct {
		description
		Shards        []shard
		HasMoreShards bool
	}
}

type shard struct {
	ShardId               string
	ParentShardId         string `json:",omitempty"`
	AdjacentParentShardId string `json:",omitempty"`
	HashKeyRange          hashKeyRange
	SequenceNumberRange   sequenceNumberRange
}

type hashKeyRange struct{ StartingHashKey, EndingHashKey string }

type sequenceNumberRange struct {
	StartingSequenceNumber string
	EndingSequenceNumber   string `json:",omitempty"`
}

type listShardsIn struct {
	target
	NextToken               *string
	ExclusiveStartShardId   *string
	MaxResults              *int
	StreamCreationTimestamp *timestamp
	ShardFilter             *shardFilter
}

type shardFilter struct {
	Type      string
	ShardId   *string
	Timestamp *timestamp
}

type listShardsOut struct {
	Shards    []shard
	NextToken string `json:",omitempty"`
}

type getShardIteratorIn struct {
	target
	ShardId                *string
	ShardIteratorType      *string
	StartingSequenceNumber *string
	Timestamp              *timestamp
}

type getShardIteratorOut struct{ ShardIterator string }

type getRecordsIn struct {
	target
	ShardIterator *string
	Limit         *int
}

type getRecordsOut struct {
	Records            []record
	NextShardIterator  string `json:",omitempty"`
	MillisBehindLatest int64
	ChildShards        []childShard `json:",omitempty"`
}

type record struct {
	SequenceNumber              string
	ApproximateArrivalTimestamp timestamp
	Data                        []byte
	PartitionKey                string
	EncryptionType              string
}

type childShard struct {
	ShardId      string
	ParentShards []string
	HashKeyRange hashKeyRange
}

type listTagsIn struct{ target }

type listTagsOut struct {
	Tags        []struct{}
	HasMoreTags bool
}

type describeLimitsIn struct{}

type describeLimitsOut struct {
	ShardLimit               int
	OpenShardCount           int
	OnDemandStreamCount      int
	OnDemandStreamCountLimit int
}

type createStreamIn struct{ target }

type createStreamOut struct{}

type splitShardIn struct {
	target
	ShardToSplit       *string
	NewStartingHashKey *string
}

type splitShardOut struct{}

type mergeShardsIn struct {
	target
	ShardToMerge         *string
	AdjacentShardToMerge *string
}

type mergeShardsOut struct{}

type updateShardCountIn struct {
	target
	TargetShardCount *int
	ScalingType      *string
}

type updateShardCountOut struct {
	StreamName        string
	StreamARN         string
	CurrentShardCount int
	TargetShardCount  int
}

type errorOut struct {
	Type    string `json:"__type"`
	Message string `json:"message"`
}
