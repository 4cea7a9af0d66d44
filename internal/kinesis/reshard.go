package kinesis

import (
	"context"
	"errors"
	"math/big"
	"slices"

	"github.com/watershed-data/watershed/internal/protocol"
)

// Resharding is over when the call returns. So the stream is always ACTIVE, and
// the ResourceInUseException that Kinesis gives while it reshards never comes.

func (h *Handler) splitShard(ctx context.Context, in *splitShardIn) (*splitShardOut, error) {
	if err := h.check(in.target); err != nil {
		return nil, err
	}
	if in.ShardToSplit == nil {
		return nil, violation("shardToSplit", nil, "not be null")
	}
	if in.NewStartingHashKey == nil {
		return nil, violation("newStartingHashKey", nil, "not be null")
	}
	shard, at := *in.ShardToSplit, *in.NewStartingHashKey
	if !hashKeyForm.MatchString(at) {
		return nil, violation("newStartingHashKey", at, "satisfy regular expression pattern: 0|([1-9]\\d{0,38})")
	}
	shards, err := h.log.Shards(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(shards, func(s protocol.Shard) bool { return s.ID == shard })
	if i < 0 {
		return nil, h.couldNotFind(shard)
	}
	if s := shards[i]; !insideRange(s, at) {
		return nil, invalidArgument("NewStartingHashKey %s used in SplitShard() on shard %s in stream %s under account %s is not both greater than one plus the shard's StartingHashKey %s and less than the shard's EndingHashKey %s.",
			at, shard, h.stream, account, s.HashFrom, s.HashTo)
	}
	if err := h.log.Split(ctx, shard, at); err != nil {
		return nil, h.refusal(ctx, err, shard)
	}
	return &splitShardOut{}, nil
}

// insideRange reports whether Kinesis would split a shard at a hash key: no child
// has a single one.
func insideRange(s protocol.Shard, at string) bool {
	key, okKey := new(big.Int).SetString(at, 10)
	from, okFrom := new(big.Int).SetString(s.HashFrom, 10)
	to, okTo := new(big.Int).SetString(s.HashTo, 10)
	return okKey && okFrom && okTo && key.Cmp(from.Add(from, big.NewInt(1))) > 0 && key.Cmp(to) < 0
}

func (h *Handler) mergeShards(ctx context.Context, in *mergeShardsIn) (*mergeShardsOut, error) {
	if err := h.check(in.target); err != nil {
		return nil, err
	}
	if in.ShardToMerge == nil {
		return nil, violation("shardToMerge", nil, "not be null")
	}
	if in.AdjacentShardToMerge == nil {
		return nil, violation("adjacentShardToMerge", nil, "not be null")
	}
	if err := h.log.Merge(ctx, *in.ShardToMerge, *in.AdjacentShardToMerge); err != nil {
		return nil, h.refusal(ctx, err, *in.ShardToMerge, *in.AdjacentShardToMerge)
	}
	return &mergeShardsOut{}, nil
}

const uniformScaling = "UNIFORM_SCALING"

func (h *Handler) updateShardCount(ctx context.Context, in *updateShardCountIn) (*updateShardCountOut, error) {
	if err := h.check(in.target); err != nil {
		return nil, err
	}
	switch {
	case in.TargetShardCount == nil:
		return nil, violation("targetShardCount", nil, "not be null")
	case *in.TargetShardCount < 1:
		return nil, violation("targetShardCount", *in.TargetShardCount, "have value greater than or equal to 1")
	case in.ScalingType == nil:
		return nil, violation("scalingType", nil, "not be null")
	case *in.ScalingType != uniformScaling:
		return nil, violation("scalingType", *in.ScalingType, "satisfy enum value set: [%s]", uniformScaling)
	}
	shards, err := h.log.Shards(ctx)
	if err != nil {
		return nil, err
	}
	wanted, open := *in.TargetShardCount, countOpen(shards)
	switch {
	case wanted > 2*open:
		return nil, invalidArgument("TargetShardCount %d is more than double the current shard count %d: scale in several steps.", wanted, open)
	case 2*wanted < open:
		return nil, invalidArgument("TargetShardCount %d is less than half the current shard count %d: scale in several steps.", wanted, open)
	case wanted > shardLimit:
		return nil, overLimit(open, wanted-open)
	}
	if err := h.log.Scale(ctx, wanted); err != nil {
		return nil, h.refusal(ctx, err)
	}
	return &updateShardCountOut{StreamName: h.stream, StreamARN: arn(h.stream), CurrentShardCount: open, TargetShardCount: wanted}, nil
}

// refusal names the error of a reshard of the given shards.
func (h *Handler) refusal(ctx context.Context, err error, ids ...string) error {
	shards, listErr := h.log.Shards(ctx)
	if listErr != nil {
		return errors.Join(err, listErr)
	}
	find := func(id string) (protocol.Shard, bool) {
		i := slices.IndexFunc(shards, func(s protocol.Shard) bool { return s.ID == id })
		if i < 0 {
			return protocol.Shard{}, false
		}
		return shards[i], true
	}
	switch {
	case errors.Is(err, protocol.ErrShardLimit):
		return overLimit(countOpen(shards), 1)
	case errors.Is(err, protocol.ErrNotAdjacent):
		return invalidArgument("Shards %s and %s in stream %s under account %s are not an adjacent pair of shards eligible for merging.", ids[0], ids[1], h.stream, account)
	case errors.Is(err, protocol.ErrNoShard):
		for _, id := range ids {
			if _, ok := find(id); !ok {
				return h.couldNotFind(id)
			}
		}
	case errors.Is(err, protocol.ErrShardClosed):
		for _, id := range ids {
			if s, ok := find(id); ok && s.Closed() {
				return invalidArgument("Shard %s in stream %s under account %s has already been merged or split, and thus is not eligible for merging or splitting.", id, h.stream, account)
			}
		}
	}
	return err
}

func (h *Handler) couldNotFind(shard string) error {
	return fault("ResourceNotFoundException", "Could not find shard %.128s in stream %s under account %s.", shard, h.stream, account)
}

func overLimit(open, more int) error {
	return fault("LimitExceededException", "This request would exceed the shard limit for the account %s in %s. Current shard count for the account: %d. Limit: %d. Number of additional shards that would have resulted from this request: %d.",
		account, region, open, shardLimit, more)
}
