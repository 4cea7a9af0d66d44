package kinesis

import (
	"context"
	"slices"
	"time"

	"github.com/watershed-data/watershed/internal/protocol"
)

// What one GetRecords gives at most, data and partition keys.
const (
	maxPageRecords = 10_000
	maxPageBytes   = 10 << 20
)

func (h *Handler) getShardIterator(ctx context.Context, in *getShardIteratorIn) (*getShardIteratorOut, error) {
	if err := h.check(in.target); err != nil {
		return nil, err
	}
	if in.ShardId == nil {
		return nil, violation("shardId", nil, "not be null")
	}
	if in.ShardIteratorType == nil {
		return nil, violation("shardIteratorType", nil, "not be null")
	}
	shards, err := h.log.Shards(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(shards, func(s protocol.Shard) bool { return s.ID == *in.ShardId })
	if i < 0 {
		return nil, h.noShard(*in.ShardId)
	}
	it, err := h.place(ctx, shards[i], in)
	if err != nil {
		return nil, err
	}
	it.shard, it.issued = shards[i].ID, h.now().UnixMilli()
	return &getShardIteratorOut{ShardIterator: it.encode(h.stream)}, nil
}

// place finds where in a shard an iterator begins.
func (h *Handler) place(ctx context.Context, s protocol.Shard, in *getShardIteratorIn) (iterator, error) {
	tip, err := h.log.Tip(ctx)
	if err != nil {
		return iterator{}, err
	}
	switch kind := *in.ShardIteratorType; kind {
	case "TRIM_HORIZON":
		return iterator{}, nil
	case "LATEST":
		return iterator{seq: tip}, nil
	case "AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER":
		if in.StartingSequenceNumber == nil {
			return iterator{}, invalidArgument("Must either specify timestamp or sequence number for iterator type %s: StartingSequenceNumber is missing.", kind)
		}
		seq := *in.StartingSequenceNumber
		if !sequenceForm.MatchString(seq) {
			return iterator{}, violation("startingSequenceNumber", seq, "satisfy regular expression pattern: 0|([1-9]\\d{0,128})")
		}
		if s.Closed() {
			tip = s.LastSeq
		}
		at := protocol.Position{Seq: seq}
		if at.Compare(protocol.Position{Seq: s.FirstSeq}) < 0 || at.After(protocol.Position{Seq: tip}) {
			return iterator{}, invalidArgument("StartingSequenceNumber %s used in GetShardIterator on shard %s in stream %s under account %s is invalid because it did not come from this stream.", seq, s.ID, h.stream, account)
		}
		return iterator{seq: seq, at: kind == "AT_SEQUENCE_NUMBER"}, nil
	case "AT_TIMESTAMP":
		return h.placeAtTime(ctx, s, in.Timestamp, tip)
	default:
		return iterator{}, violation("shardIteratorType", kind, "satisfy enum value set: [AFTER_SEQUENCE_NUMBER, LATEST, AT_TIMESTAMP, AT_SEQUENCE_NUMBER, TRIM_HORIZON]")
	}
}

// placeAtTime finds the first record that arrived at or after a time. tip was
// read before: a record that arrives meanwhile comes after it.
func (h *Handler) placeAtTime(ctx context.Context, s protocol.Shard, at *timestamp, tip string) (iterator, error) {
	if at == nil {
		return iterator{}, invalidArgument("Must specify timestamp parameter when the iterator type is AT_TIMESTAMP.")
	}
	if now := h.now().UnixMilli(); int64(*at) > now {
		return iterator{}, invalidArgument("The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. timestampInMillis: %d, currentTimestampInMillis: %d", int64(*at), now)
	}
	seq, ok, err := h.log.Since(ctx, s.ID, int64(*at))
	if err != nil {
		return iterator{}, err
	}
	if !ok {
		return iterator{seq: tip}, nil
	}
	return iterator{seq: seq, at: true}, nil
}

func (h *Handler) getRecords(ctx context.Context, in *getRecordsIn) (*getRecordsOut, error) {
	if in.StreamName != nil || in.StreamId != nil || in.DryRun != nil {
		if err := h.check(in.target); err != nil {
			return nil, err
		}
	}
	if err := h.checkARN(in.target); err != nil {
		return nil, err
	}
	if err := checkLimit("limit", in.Limit); err != nil {
		return nil, err
	}
	it, err := h.iterator(in.ShardIterator)
	if err != nil {
		return nil, err
	}
	limit := maxPageRecords
	if in.Limit != nil {
		limit = *in.Limit
	}
	if h.throttle != nil && !h.throttle.read(it.shard) {
		return nil, fault("ProvisionedThroughputExceededException", "%s", h.rateExceeded(it.shard))
	}
	page, err := h.log.ReadRecords(ctx, it.shard, it.seq, it.at, limit, maxPageBytes)
	if err != nil {
		return nil, err
	}
	if h.throttle != nil {
		h.throttle.given(it.shard, page.Events)
	}
	return h.pageOut(ctx, it, page)
}

// iterator checks the iterator of a request.
func (h *Handler) iterator(text *string) (iterator, error) {
	if text == nil {
		return iterator{}, violation("shardIterator", nil, "not be null")
	}
	it, ok := decodeIterator(h.stream, *text)
	if !ok {
		return iterator{}, invalidArgument("Invalid ShardIterator.")
	}
	if age := h.now().Sub(time.UnixMilli(it.issued)); age > iteratorLife {
		return iterator{}, fault("ExpiredIteratorException", "Iterator expired. The iterator was created %d ms ago; an iterator lives %d ms.", age.Milliseconds(), iteratorLife.Milliseconds())
	}
	return it, nil
}

// pageOut gives a page in the API's form, with the iterator of the next one.
func (h *Handler) pageOut(ctx context.Context, it iterator, page protocol.Page) (*getRecordsOut, error) {
	out := &getRecordsOut{Records: make([]record, len(page.Events))}
	for i, e := range page.Events {
		out.Records[i] = record{
			SequenceNumber:              e.Position.Seq,
			ApproximateArrivalTimestamp: timestamp(e.Arrival),
			Data:                        e.Data,
			PartitionKey:                e.PartitionKey,
			EncryptionType:              "NONE",
		}
	}
	now := h.now().UnixMilli()
	if n := len(page.Events); n > 0 {
		it.seq, it.at = page.Events[n-1].Position.Seq, false
		if !page.AtTip {
			out.MillisBehindLatest = max(1, now-page.Events[n-1].Arrival)
		}
	}
	if !page.Ended {
		it.issued = now
		out.NextShardIterator = it.encode(h.stream)
		return out, nil
	}
	shards, err := h.log.Shards(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range shards {
		if slices.Contains(s.Parents, it.shard) {
			out.ChildShards = append(out.ChildShards, childShard{s.ID, s.Parents, hashKeyRange{s.HashFrom, s.HashTo}})
		}
	}
	return out, nil
}
