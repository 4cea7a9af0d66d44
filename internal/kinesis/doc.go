// Package kinesis is the endpoint that producers and consumers of Kinesis Data
// Streams talk to: its API, in AWS JSON 1.1 and CBOR 1.1, over one stream.
//
// It knows the API and its limits, and the log through an interface of its own.
// It knows nothing of what the log is made of, of definitions or of layers.
package kinesis

import (
	"context"

	"github.com/watershed-data/watershed/internal/protocol"
)

// Log is the stream behind the endpoint.
type Log interface {
	// Shards lists all shards, parents before children.
	Shards(ctx context.Context) ([]protocol.Shard, error)
	// Append puts records into the stream, all or none, and says in their order
	// where each lies. It returns when they are durable.
	Append(ctx context.Context, records []protocol.Record) ([]protocol.Placed, error)
	// ReadRecords gives a shard's records, one Event each and not de-aggregated,
	// after the record with the sequence number, or from it on if at is true; "" is
	// before the first one that is left. Records that are gone are passed over, as
	// Kinesis does. At most limit records and maxBytes of data
	// and partition keys, but at least one record if there is one.
	ReadRecords(ctx context.Context, shard, seq string, at bool, limit, maxBytes int) (protocol.Page, error)
	// Since gives the sequence number of the shard's first record that arrived at
	// or after the time, in milliseconds since 1970-01-01 UTC; false if there is none.
	Since(ctx context.Context, shard string, arrival int64) (seq string, ok bool, err error)
	// Split closes an open shard and opens one for its hash keys below at, and one
	// for those from at on. The error is protocol's ErrNoShard, ErrShardClosed,
	// ErrHashKey or ErrShardLimit, or one of the log's own.
	Split(ctx context.Context, shard, at string) error
	// Merge closes two open shards next to each other and opens one for both. The
	// error is protocol's ErrNoShard, ErrShardClosed or ErrNotAdjacent, or one of
	// the log's own.
	Merge(ctx context.Context, shard, adjacent string) error
	// Scale splits and merges until so many open shards have ranges of one width.
	// The error is protocol's ErrShardLimit or one of the log's own.
	Scale(ctx context.Context, count int) error
	// Tip gives the highest sequence number given out so far, over all shards.
	Tip(ctx context.Context) (string, error)
}
