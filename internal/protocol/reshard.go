package protocol

import "errors"

// Errors of splitting and merging shards, which callers tell apart.
var (
	// ErrNoShard: the stream has no shard of that name.
	ErrNoShard = errors.New("the stream has no such shard")
	// ErrShardClosed: the shard was split or merged before.
	ErrShardClosed = errors.New("the shard is closed")
	// ErrNotAdjacent: two shards cannot be merged, since their ranges do not meet.
	ErrNotAdjacent = errors.New("the shards' ranges of hash keys are not next to each other")
	// ErrHashKey: a shard cannot be split at a hash key outside its range or at its start.
	ErrHashKey = errors.New("the hash key does not lie inside the shard's range")
	// ErrShardLimit: the stream would have more open shards than it may.
	ErrShardLimit = errors.New("the stream would have too many open shards")
)
