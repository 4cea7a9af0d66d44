package kinesis_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"

	"github.com/watershed-data/watershed/internal/protocol"
)

// readAll reads a shard from an iterator to its tip.
func readAll(t *testing.T, c *sdk.Client, it *string) []types.Record {
	t.Helper()
	var records []types.Record
	for {
		out, err := c.GetRecords(t.Context(), &sdk.GetRecordsInput{ShardIterator: it, Limit: aws.Int32(7)})
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, out.Records...)
		if *out.MillisBehindLatest == 0 {
			return records
		}
		it = out.NextShardIterator
	}
}

func iteratorOf(t *testing.T, c *sdk.Client, in *sdk.GetShardIteratorInput) *string {
	t.Helper()
	in.StreamName = aws.String(stream)
	out, err := c.GetShardIterator(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out.ShardIterator
}

func TestSDKWritesAndReadsBack(t *testing.T) {
	t.Parallel()
	e := serve(t, options{shards: 3})
	c := e.client("any")
	ctx := t.Context()

	var entries []types.PutRecordsRequestEntry
	sent := map[string]string{}
	for i := range 100 {
		key, data := fmt.Sprintf("key-%d-é", i), fmt.Sprintf("event %d \x00\xff", i)
		sent[key] = data
		entries = append(entries, types.PutRecordsRequestEntry{Data: []byte(data), PartitionKey: &key})
	}
	before := time.Now().Add(-time.Second)
	put, err := c.PutRecords(ctx, &sdk.PutRecordsInput{StreamName: aws.String(stream), Records: entries})
	if err != nil {
		t.Fatal(err)
	}
	if *put.FailedRecordCount != 0 || len(put.Records) != 100 {
		t.Fatalf("%d failed of %d", *put.FailedRecordCount, len(put.Records))
	}
	one, err := c.PutRecord(ctx, &sdk.PutRecordInput{StreamARN: aws.String("arn:aws:kinesis:us-east-1:000000000000:stream/sales"),
		Data: []byte{}, PartitionKey: aws.String("empty"), ExplicitHashKey: aws.String("340282366920938463463374607431768211455")})
	if err != nil {
		t.Fatal(err)
	}
	if *one.ShardId != "shardId-000000000002" {
		t.Errorf("the largest hash went to %s, want the last shard", *one.ShardId)
	}
	sent["empty"] = ""

	shards, err := c.ListShards(ctx, &sdk.ListShardsInput{StreamName: aws.String(stream)})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, s := range shards.Shards {
		last := *s.SequenceNumberRange.StartingSequenceNumber
		for _, r := range readAll(t, c, iteratorOf(t, c, &sdk.GetShardIteratorInput{ShardId: s.ShardId, ShardIteratorType: types.ShardIteratorTypeTrimHorizon})) {
			if len(*r.SequenceNumber) != 56 || *r.SequenceNumber <= last {
				t.Errorf("sequence number %s after %s", *r.SequenceNumber, last)
			}
			if at := *r.ApproximateArrivalTimestamp; at.Before(before) || at.After(time.Now().Add(time.Second)) {
				t.Errorf("arrived at %s", at)
			}
			last = *r.SequenceNumber
			got[*r.PartitionKey] = string(r.Data)
		}
	}
	if len(got) != len(sent) {
		t.Fatalf("read %d records, sent %d", len(got), len(sent))
	}
	for key, data := range sent {
		if got[key] != data {
			t.Errorf("record %s came back as %q, want %q", key, got[key], data)
		}
	}
}

func TestSDKIterators(t *testing.T) {
	t.Parallel()
	clock := newClock()
	e := serve(t, options{shards: 1, clock: clock})
	c := e.client("any")
	shard := aws.String("shardId-000000000000")
	var seqs []string
	for i := range 5 {
		out, err := c.PutRecord(t.Context(), &sdk.PutRecordInput{StreamName: aws.String(stream), Data: fmt.Append(nil, i), PartitionKey: aws.String("k")})
		if err != nil {
			t.Fatal(err)
		}
		seqs = append(seqs, *out.SequenceNumber)
		clock.forward(time.Second)
	}
	start := newClock().now()
	for _, tt := range []struct {
		name string
		in   sdk.GetShardIteratorInput
		want string
	}{
		{"from the first", sdk.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeTrimHorizon}, "01234"},
		{"from a record", sdk.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAtSequenceNumber, StartingSequenceNumber: &seqs[2]}, "234"},
		{"after a record", sdk.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAfterSequenceNumber, StartingSequenceNumber: &seqs[2]}, "34"},
		{"after the last record", sdk.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAfterSequenceNumber, StartingSequenceNumber: &seqs[4]}, ""},
		{"from a time", sdk.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAtTimestamp, Timestamp: aws.Time(start.Add(3 * time.Second))}, "34"},
		{"between two times", sdk.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAtTimestamp, Timestamp: aws.Time(start.Add(2*time.Second + time.Millisecond))}, "34"},
		{"from before the first", sdk.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAtTimestamp, Timestamp: aws.Time(start.Add(-time.Hour))}, "01234"},
		{"from after the last", sdk.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAtTimestamp, Timestamp: aws.Time(start.Add(5 * time.Second))}, ""},
		{"from now on", sdk.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeLatest}, ""},
	} {
		tt.in.ShardId = shard
		var got []byte
		for _, r := range readAll(t, c, iteratorOf(t, c, &tt.in)) {
			got = append(got, r.Data...)
		}
		if string(got) != tt.want {
			t.Errorf("%s: read %q, want %q", tt.name, got, tt.want)
		}
	}

	latest := iteratorOf(t, c, &sdk.GetShardIteratorInput{ShardId: shard, ShardIteratorType: types.ShardIteratorTypeLatest})
	if _, err := c.PutRecord(t.Context(), &sdk.PutRecordInput{StreamName: aws.String(stream), Data: []byte("new"), PartitionKey: aws.String("k")}); err != nil {
		t.Fatal(err)
	}
	if records := readAll(t, c, latest); len(records) != 1 || string(records[0].Data) != "new" {
		t.Errorf("LATEST missed the record that came after it: %v", records)
	}
	out, err := c.GetRecords(t.Context(), &sdk.GetRecordsInput{ShardIterator: iteratorOf(t, c, &sdk.GetShardIteratorInput{ShardId: shard, ShardIteratorType: types.ShardIteratorTypeTrimHorizon}), Limit: aws.Int32(1)})
	if err != nil {
		t.Fatal(err)
	}
	if *out.MillisBehindLatest != 5000 {
		t.Errorf("%d ms behind after the first of records over five seconds, want 5000", *out.MillisBehindLatest)
	}

	clock.forward(5*time.Minute + time.Millisecond)
	_, err = c.GetRecords(t.Context(), &sdk.GetRecordsInput{ShardIterator: latest})
	if want := new(types.ExpiredIteratorException); !errors.As(err, &want) {
		t.Errorf("an iterator older than five minutes: got %v, want ExpiredIteratorException", err)
	}
}

// A consumer that comes too late goes on with what is left, as with Kinesis: it
// must neither fail for ever nor see what retention has let go of.
func TestSDKIteratorsBehindTheHorizon(t *testing.T) {
	t.Parallel()
	e := serve(t, options{shards: 1})
	c, shard := e.client(token), aws.String("shardId-000000000000")
	var seqs []*string
	for i := range 4 {
		out, err := c.PutRecord(t.Context(), &sdk.PutRecordInput{StreamName: aws.String(stream), Data: fmt.Append(nil, i), PartitionKey: aws.String("k")})
		if err != nil {
			t.Fatal(err)
		}
		seqs = append(seqs, out.SequenceNumber)
	}
	at := iteratorOf(t, c, &sdk.GetShardIteratorInput{ShardId: shard, ShardIteratorType: types.ShardIteratorTypeAtSequenceNumber, StartingSequenceNumber: seqs[0]})
	after := iteratorOf(t, c, &sdk.GetShardIteratorInput{ShardId: shard, ShardIteratorType: types.ShardIteratorTypeAfterSequenceNumber, StartingSequenceNumber: seqs[0]})
	if err := e.log.Trim(t.Context(), *shard, protocol.Position{Seq: *seqs[1]}); err != nil {
		t.Fatal(err)
	}
	for _, it := range []*string{at, after} {
		if records := readAll(t, c, it); len(records) != 2 || *records[0].SequenceNumber != *seqs[2] {
			t.Errorf("%d records are read behind the horizon, want the two that are left", len(records))
		}
	}
}

func TestSDKDescribes(t *testing.T) {
	t.Parallel()
	clock := newClock()
	e := serve(t, options{shards: 3, clock: clock})
	c := e.client("any")
	ctx := t.Context()
	name := aws.String(stream)

	list, err := c.ListStreams(ctx, &sdk.ListStreamsInput{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(list.StreamNames, []string{stream}) || *list.HasMoreStreams || list.StreamSummaries[0].StreamStatus != types.StreamStatusActive {
		t.Errorf("streams are %v", list.StreamNames)
	}
	sum, err := c.DescribeStreamSummary(ctx, &sdk.DescribeStreamSummaryInput{StreamName: name})
	if err != nil {
		t.Fatal(err)
	}
	s := sum.StreamDescriptionSummary
	if *s.StreamARN != "arn:aws:kinesis:us-east-1:000000000000:stream/sales" || *s.OpenShardCount != 3 || s.EncryptionType != types.EncryptionTypeNone ||
		*s.MaxRecordSizeInKiB != 1024 || s.RecordDistributionStrategy != types.RecordDistributionStrategyUserPartitionKey || !s.StreamCreationTimestamp.Equal(clock.now()) {
		t.Errorf("summary is %+v", s)
	}
	waiter := sdk.NewStreamExistsWaiter(c)
	if err := waiter.Wait(ctx, &sdk.DescribeStreamInput{StreamName: name}, time.Minute); err != nil {
		t.Errorf("waiting for the stream to exist: %v", err)
	}
	desc, err := c.DescribeStream(ctx, &sdk.DescribeStreamInput{StreamName: name, Limit: aws.Int32(2)})
	if err != nil {
		t.Fatal(err)
	}
	if d := desc.StreamDescription; len(d.Shards) != 2 || !*d.HasMoreShards {
		t.Errorf("a page of two shards has %d, more: %v", len(d.Shards), *d.HasMoreShards)
	}
	desc, err = c.DescribeStream(ctx, &sdk.DescribeStreamInput{StreamName: name, ExclusiveStartShardId: desc.StreamDescription.Shards[1].ShardId})
	if err != nil {
		t.Fatal(err)
	}
	if d := desc.StreamDescription; len(d.Shards) != 1 || *d.HasMoreShards || *d.Shards[0].ShardId != "shardId-000000000002" ||
		*d.Shards[0].HashKeyRange.StartingHashKey != "226854911280625642308916404954512140970" {
		t.Errorf("the second page is %+v", d.Shards)
	}

	var ids []string
	in := &sdk.ListShardsInput{StreamName: name, MaxResults: aws.Int32(2), ShardFilter: &types.ShardFilter{Type: types.ShardFilterTypeAtLatest}}
	for in != nil {
		page, err := c.ListShards(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range page.Shards {
			ids = append(ids, *s.ShardId)
		}
		if in = nil; page.NextToken != nil {
			in = &sdk.ListShardsInput{NextToken: page.NextToken, MaxResults: aws.Int32(2)}
		}
	}
	if want := []string{"shardId-000000000000", "shardId-000000000001", "shardId-000000000002"}; !slices.Equal(ids, want) {
		t.Errorf("shards are %v, want %v", ids, want)
	}
	for kind, want := range map[types.ShardFilterType]int{types.ShardFilterTypeAtTrimHorizon: 3, types.ShardFilterTypeFromTrimHorizon: 3, types.ShardFilterTypeAtTimestamp: 0, types.ShardFilterTypeFromTimestamp: 3, types.ShardFilterTypeAfterShardId: 1} {
		out, err := c.ListShards(ctx, &sdk.ListShardsInput{StreamName: name, ShardFilter: &types.ShardFilter{Type: kind, ShardId: aws.String("shardId-000000000001"), Timestamp: aws.Time(clock.now().Add(-time.Hour))}})
		if err != nil || len(out.Shards) != want {
			t.Errorf("filter %s: %v, want %d shards", kind, err, want)
		}
	}
	if limits, err := c.DescribeLimits(ctx, &sdk.DescribeLimitsInput{}); err != nil || *limits.OpenShardCount != 3 {
		t.Errorf("limits: %v", err)
	}
	if tags, err := c.ListTagsForStream(ctx, &sdk.ListTagsForStreamInput{StreamName: name}); err != nil || len(tags.Tags) != 0 || *tags.HasMoreTags {
		t.Errorf("tags: %v", err)
	}
}

// is reports whether an error is of a type of the SDK's.
func is[E error](err error) bool {
	var want E
	return errors.As(err, &want)
}

// code reports whether an error has a code that the SDK has no type for.
func code(want string) func(error) bool {
	return func(err error) bool {
		var e smithy.APIError
		return errors.As(err, &e) && e.ErrorCode() == want
	}
}

func TestSDKErrors(t *testing.T) {
	t.Parallel()
	e := serve(t, options{})
	c := e.client("any")
	ctx := t.Context()
	name, key, shard := aws.String(stream), aws.String("k"), aws.String("shardId-000000000000")
	entry := types.PutRecordsRequestEntry{Data: []byte("x"), PartitionKey: key}
	put := func(entries ...types.PutRecordsRequestEntry) error {
		_, err := c.PutRecords(ctx, &sdk.PutRecordsInput{StreamName: name, Records: entries})
		return err
	}
	iterator := func(in sdk.GetShardIteratorInput) error {
		in.StreamName = name
		if in.ShardId == nil {
			in.ShardId = shard
		}
		_, err := c.GetShardIterator(ctx, &in)
		return err
	}
	validation := is[*types.ValidationException]
	argument := is[*types.InvalidArgumentException]
	missing := is[*types.ResourceNotFoundException]
	for _, tt := range []struct {
		name string
		err  error
		want func(error) bool
		says string
	}{
		{"another stream", second(c.DescribeStreamSummary(ctx, &sdk.DescribeStreamSummaryInput{StreamName: aws.String("other")})), missing, "sales"},
		{"another ARN", second(c.ListShards(ctx, &sdk.ListShardsInput{StreamARN: aws.String("arn:aws:kinesis:us-east-1:000000000000:stream/other")})), missing, "other"},
		{"no stream", second(c.PutRecords(ctx, &sdk.PutRecordsInput{Records: []types.PutRecordsRequestEntry{entry}})), argument, "StreamName"},
		{"create another", second(c.CreateStream(ctx, &sdk.CreateStreamInput{StreamName: aws.String("other")})), is[*types.LimitExceededException], "sales"},
		{"create the same", second(c.CreateStream(ctx, &sdk.CreateStreamInput{StreamName: name})), is[*types.ResourceInUseException], "exists"},
		{"501 records", put(slices.Repeat([]types.PutRecordsRequestEntry{entry}, 501)...), validation, "500"},
		{"no records", put([]types.PutRecordsRequestEntry{}...), validation, "length greater than or equal to 1"},
		{"a record too large", put(types.PutRecordsRequestEntry{Data: make([]byte, 1<<20), PartitionKey: key}), validation, "records.1.member.data"},
		{"a call too large", put(slices.Repeat([]types.PutRecordsRequestEntry{{Data: make([]byte, 1<<20-1), PartitionKey: key}}, 11)...), argument, "10 MB"},
		{"an empty key", put(types.PutRecordsRequestEntry{Data: []byte("x"), PartitionKey: aws.String("")}), validation, "partitionKey"},
		{"a long key", put(types.PutRecordsRequestEntry{Data: []byte("x"), PartitionKey: aws.String(strings.Repeat("é", 257))}), validation, "256"},
		{"a hash key too large", put(types.PutRecordsRequestEntry{Data: []byte("x"), PartitionKey: key, ExplicitHashKey: aws.String("340282366920938463463374607431768211456")}), argument, "2^128-1"},
		{"a hash key that is none", put(types.PutRecordsRequestEntry{Data: []byte("x"), PartitionKey: key, ExplicitHashKey: aws.String("-1")}), validation, "explicitHashKey"},
		{"another shard", iterator(sdk.GetShardIteratorInput{ShardId: aws.String("shardId-000000000009"), ShardIteratorType: types.ShardIteratorTypeLatest}), missing, "shardId-000000000009"},
		{"another kind of iterator", iterator(sdk.GetShardIteratorInput{ShardIteratorType: "SOMEWHERE"}), validation, "TRIM_HORIZON"},
		{"a sequence number of another stream", iterator(sdk.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAtSequenceNumber, StartingSequenceNumber: aws.String("12345")}), argument, "did not come from this stream"},
		{"no sequence number", iterator(sdk.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAtSequenceNumber}), argument, "StartingSequenceNumber"},
		{"a time to come", iterator(sdk.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAtTimestamp, Timestamp: aws.Time(time.Now().Add(time.Hour))}), argument, "currentTimestampInMillis"},
		{"an iterator that is none", second(c.GetRecords(ctx, &sdk.GetRecordsInput{ShardIterator: aws.String("AAAA")})), argument, "ShardIterator"},
		{"too many records wanted", second(c.GetRecords(ctx, &sdk.GetRecordsInput{ShardIterator: aws.String("AAAA"), Limit: aws.Int32(10_001)})), validation, "10000"},
		{"a dry run", second(c.PutRecord(ctx, &sdk.PutRecordInput{StreamName: name, Data: []byte("x"), PartitionKey: key, DryRun: aws.Bool(true)})), code("UnsupportedOperationException"), "DryRun"},
		{"enhanced fan-out", second(c.RegisterStreamConsumer(ctx, &sdk.RegisterStreamConsumerInput{StreamARN: aws.String("arn:aws:kinesis:us-east-1:000000000000:stream/sales"), ConsumerName: name})), code("UnsupportedOperationException"), "GetRecords"},
	} {
		if tt.err == nil || !tt.want(tt.err) || !strings.Contains(tt.err.Error(), tt.says) {
			t.Errorf("%s: got %v, want it to say %q", tt.name, tt.err, tt.says)
		}
	}
	if tip, _ := e.log.Tip(ctx); !strings.HasSuffix(tip, "02") {
		t.Errorf("a refused call left records behind: the log goes up to %s", tip)
	}
}

func second[T any](_ T, err error) error { return err }

func TestLimitsAreInclusive(t *testing.T) {
	t.Parallel()
	e := serve(t, options{shards: 1})
	c := e.client("any")
	key := strings.Repeat("é", 256)
	data := bytes.Repeat([]byte{'x'}, 1<<20-len(key))
	// Ten records of 1 MiB, keys included: as much as a call may carry.
	entries := slices.Repeat([]types.PutRecordsRequestEntry{{Data: data, PartitionKey: &key}}, 10)
	if _, err := c.PutRecords(t.Context(), &sdk.PutRecordsInput{StreamName: aws.String(stream), Records: entries}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.PutRecord(t.Context(), &sdk.PutRecordInput{StreamName: aws.String(stream), Data: data, PartitionKey: &key}); err != nil {
		t.Fatal(err)
	}
	it := iteratorOf(t, c, &sdk.GetShardIteratorInput{ShardId: aws.String("shardId-000000000000"), ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	out, err := c.GetRecords(t.Context(), &sdk.GetRecordsInput{ShardIterator: it})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Records) < 9 || len(out.Records) > 10 || !bytes.Equal(out.Records[8].Data, data) || *out.MillisBehindLatest == 0 {
		t.Errorf("a page of at most 10 MiB has %d records of 1 MiB, %d ms behind", len(out.Records), *out.MillisBehindLatest)
	}
}
