package kinesis

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"github.com/watershed-data/watershed/internal/protocol"
)

const (
	account = "000000000000"
	region  = "us-east-1"

	shardLimit = 1024
	maxListed  = 10_000
)

// arn gives the name that AWS would know the stream by.
func arn(stream string) string {
	return "arn:aws:kinesis:" + region + ":" + account + ":stream/" + stream
}

// check makes sure that a request is about this stream, and asks for nothing
// that would be ignored.
func (h *Handler) check(t target) error {
	switch {
	case t.StreamId != nil:
		return unsupported("the member StreamId; name the stream by StreamName or StreamARN")
	case t.DryRun != nil && *t.DryRun:
		return unsupported("the member DryRun")
	case t.StreamName == nil && t.StreamARN == nil:
		return invalidArgument("Either StreamName or StreamARN must be provided: the stream is %s", h.stream)
	case t.StreamName != nil && *t.StreamName != h.stream:
		return h.noStream(*t.StreamName)
	}
	return h.checkARN(t)
}

// checkARN is check for requests that name the stream by other means.
func (h *Handler) checkARN(t target) error {
	if t.StreamARN == nil {
		return nil
	}
	parts := strings.SplitN(*t.StreamARN, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != "kinesis" || !strings.HasPrefix(parts[5], "stream/") {
		return violation("streamARN", *t.StreamARN, "satisfy regular expression pattern: arn:aws.*:kinesis:.*:\\d{12}:stream/\\S+")
	}
	if *t.StreamARN != arn(h.stream) {
		return h.noStream(strings.TrimPrefix(parts[5], "stream/"))
	}
	return nil
}

func (h *Handler) noStream(name string) error {
	return fault("ResourceNotFoundException", "Stream %.128s under account %s not found. This endpoint has one stream, %s (%s).", name, account, h.stream, arn(h.stream))
}

// noShard is what reading from a shard that does not exist gives.
func (h *Handler) noShard(id string) error {
	return fault("ResourceNotFoundException", "Shard %.128s in stream %s under account %s does not exist", id, h.stream, account)
}

func unsupported(what string) error {
	return fault("UnsupportedOperationException", "This endpoint does not support %s.", what)
}

func (h *Handler) createStream(_ context.Context, in *createStreamIn) (*createStreamOut, error) {
	switch {
	case in.StreamName == nil:
		return nil, violation("streamName", nil, "not be null")
	case *in.StreamName == h.stream:
		return nil, fault("ResourceInUseException", "Stream %s under account %s already exists.", h.stream, account)
	}
	return nil, fault("LimitExceededException", "This endpoint has exactly one stream, %s: it is named after the pipeline, and no other can be created.", h.stream)
}

func (h *Handler) listStreams(ctx context.Context, in *listStreamsIn) (*listStreamsOut, error) {
	if err := checkLimit("limit", in.Limit); err != nil {
		return nil, err
	}
	out := &listStreamsOut{StreamNames: []string{}, StreamSummaries: []streamSummary{}}
	if in.ExclusiveStartStreamName != nil && *in.ExclusiveStartStreamName >= h.stream || in.NextToken != nil {
		return out, nil
	}
	shards, err := h.log.Shards(ctx)
	if err != nil {
		return nil, err
	}
	out.StreamNames = append(out.StreamNames, h.stream)
	out.StreamSummaries = append(out.StreamSummaries, h.summary(shards))
	return out, nil
}

func (h *Handler) summary(shards []protocol.Shard) streamSummary {
	s := streamSummary{
		StreamName:        h.stream,
		StreamARN:         arn(h.stream),
		StreamStatus:      "ACTIVE",
		StreamModeDetails: streamMode{"PROVISIONED"},
	}
	for _, shard := range shards { // parents before children: the first is the oldest
		s.StreamCreationTimestamp = timestamp(shard.CreatedAt)
		break
	}
	return s
}

func (h *Handler) describe(shards []protocol.Shard) description {
	return description{
		streamSummary:        h.summary(shards),
		RetentionPeriodHours: int(h.retention / time.Hour),
		EnhancedMonitoring:   []metrics{{ShardLevelMetrics: []string{}}},
		EncryptionType:       "NONE",
	}
}

func (h *Handler) describeStreamSummary(ctx context.Context, in *describeStreamSummaryIn) (*describeStreamSummaryOut, error) {
	if err := h.check(in.target); err != nil {
		return nil, err
	}
	shards, err := h.log.Shards(ctx)
	if err != nil {
		return nil, err
	}
	out := &describeStreamSummaryOut{}
	d := &out.StreamDescriptionSummary
	d.description = h.describe(shards)
	d.OpenShardCount = countOpen(shards)
	d.MaxRecordSizeInKiB = maxRecordBytes >> 10
	d.RecordDistributionStrategy = "USER_PARTITION_KEY"
	return out, nil
}

func (h *Handler) describeStream(ctx context.Context, in *describeStreamIn) (*describeStreamOut, error) {
	if err := h.check(in.target); err != nil {
		return nil, err
	}
	if err := checkLimit("limit", in.Limit); err != nil {
		return nil, err
	}
	shards, err := h.log.Shards(ctx)
	if err != nil {
		return nil, err
	}
	out := &describeStreamOut{}
	d := &out.StreamDescription
	d.description = h.describe(shards)
	d.Shards, d.HasMoreShards = listFrom(shards, in.ExclusiveStartShardId, in.Limit, 100)
	return out, nil
}

func (h *Handler) describeLimits(ctx context.Context, _ *describeLimitsIn) (*describeLimitsOut, error) {
	shards, err := h.log.Shards(ctx)
	if err != nil {
		return nil, err
	}
	return &describeLimitsOut{ShardLimit: shardLimit, OpenShardCount: countOpen(shards)}, nil
}

func (h *Handler) listTagsForStream(_ context.Context, in *listTagsIn) (*listTagsOut, error) {
	if err := h.check(in.target); err != nil {
		return nil, err
	}
	return &listTagsOut{Tags: []struct{}{}}, nil
}

// listShards lists shards in pages. A token says after which shard the next page
// begins, and under which filter.
func (h *Handler) listShards(ctx context.Context, in *listShardsIn) (*listShardsOut, error) {
	if err := checkLimit("maxResults", in.MaxResults); err != nil {
		return nil, err
	}
	after, filter := in.ExclusiveStartShardId, in.ShardFilter
	if in.NextToken != nil {
		if in.StreamName != nil || in.StreamARN != nil || after != nil || filter != nil || in.StreamCreationTimestamp != nil {
			return nil, invalidArgument("NextToken can be provided only alone or with MaxResults.")
		}
		var ok bool
		if after, filter, ok = h.parseShardsToken(*in.NextToken); !ok {
			return nil, invalidArgument("Invalid NextToken.")
		}
	} else if err := h.check(in.target); err != nil {
		return nil, err
	}
	all, err := h.log.Shards(ctx)
	if err != nil {
		return nil, err
	}
	shards, err := filterShards(all, filter)
	if err != nil {
		return nil, err
	}
	out := &listShardsOut{}
	var more bool
	if out.Shards, more = listFrom(shards, after, in.MaxResults, 1000); more {
		out.NextToken = h.shardsToken(out.Shards[len(out.Shards)-1].ShardId, filter)
	}
	return out, nil
}

// shardsToken writes down where a listing goes on.
func (h *Handler) shardsToken(after string, filter *shardFilter) string {
	text := must(jsonCodec.encode(shardsToken{h.stream, after, filter}))
	return base64.StdEncoding.EncodeToString(text)
}

type shardsToken struct {
	Stream, After string
	Filter        *shardFilter
}

func (h *Handler) parseShardsToken(text string) (after *string, filter *shardFilter, ok bool) {
	b, err := base64.StdEncoding.DecodeString(text)
	var t shardsToken
	if err != nil || jsonCodec.decode(b, &t) != nil || t.Stream != h.stream {
		return nil, nil, false
	}
	return &t.After, t.Filter, true
}

// filterShards gives the shards that a filter names.
func filterShards(shards []protocol.Shard, f *shardFilter) ([]protocol.Shard, error) {
	if f == nil {
		return shards, nil
	}
	var keep func(protocol.Shard) bool
	at := int64(0)
	if f.Timestamp != nil {
		at = int64(*f.Timestamp)
	}
	switch f.Type {
	case "AFTER_SHARD_ID":
		if f.ShardId == nil {
			return nil, invalidArgument("ShardId must be provided with the shard filter AFTER_SHARD_ID.")
		}
		keep = func(s protocol.Shard) bool { return s.ID > *f.ShardId }
	case "FROM_TRIM_HORIZON":
		keep = func(protocol.Shard) bool { return true }
	case "AT_TRIM_HORIZON":
		keep = func(s protocol.Shard) bool { return !listed(shards, s.Parents) }
	case "AT_LATEST":
		keep = func(s protocol.Shard) bool { return !s.Closed() }
	// A shard is closed from the moment on at which its children begin: at any time
	// the shards that are open cover every hash key once.
	case "AT_TIMESTAMP":
		keep = func(s protocol.Shard) bool { return s.CreatedAt <= at && (!s.Closed() || closedAt(shards, s) > at) }
	case "FROM_TIMESTAMP":
		keep = func(s protocol.Shard) bool { return !s.Closed() || closedAt(shards, s) > at }
	default:
		return nil, violation("shardFilter.type", f.Type, "satisfy enum value set: [AFTER_SHARD_ID, AT_TRIM_HORIZON, FROM_TRIM_HORIZON, AT_LATEST, AT_TIMESTAMP, FROM_TIMESTAMP]")
	}
	if strings.HasSuffix(f.Type, "_TIMESTAMP") && f.Timestamp == nil {
		return nil, invalidArgument("Timestamp must be provided with the shard filter %s.", f.Type)
	}
	var kept []protocol.Shard
	for _, s := range shards {
		if keep(s) {
			kept = append(kept, s)
		}
	}
	return kept, nil
}

// listed reports whether any of the shards has one of the ids.
func listed(shards []protocol.Shard, ids []string) bool {
	return slices.ContainsFunc(shards, func(s protocol.Shard) bool { return slices.Contains(ids, s.ID) })
}

// closedAt gives when a closed shard was closed: when its children began.
func closedAt(shards []protocol.Shard, closed protocol.Shard) int64 {
	for _, s := range shards {
		if slices.Contains(s.Parents, closed.ID) {
			return s.CreatedAt
		}
	}
	return closed.CreatedAt
}

// listFrom gives a page of shards in the API's form, and whether more follow.
func listFrom(shards []protocol.Shard, after *string, limit *int, usual int) ([]shard, bool) {
	size := usual
	if limit != nil {
		size = *limit
	}
	page := []shard{}
	for _, s := range shards {
		if after != nil && s.ID <= *after {
			continue
		}
		if len(page) == size {
			return page, true
		}
		page = append(page, shardOut(s))
	}
	return page, false
}

func shardOut(s protocol.Shard) shard {
	out := shard{
		ShardId:             s.ID,
		HashKeyRange:        hashKeyRange{s.HashFrom, s.HashTo},
		SequenceNumberRange: sequenceNumberRange{s.FirstSeq, s.LastSeq},
	}
	if len(s.Parents) > 0 {
		out.ParentShardId = s.Parents[0]
	}
	if len(s.Parents) > 1 {
		out.AdjacentParentShardId = s.Parents[1]
	}
	return out
}

func countOpen(shards []protocol.Shard) (open int) {
	for _, s := range shards {
		if !s.Closed() {
			open++
		}
	}
	return open
}

// checkLimit checks how much a request wants listed.
func checkLimit(member string, limit *int) error {
	switch {
	case limit == nil:
		return nil
	case *limit < 1:
		return violation(member, *limit, "have value greater than or equal to 1")
	case *limit > maxListed:
		return violation(member, *limit, "have value less than or equal to %d", maxListed)
	}
	return nil
}
