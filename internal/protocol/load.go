package protocol

import (
	"context"
	"io"
	"strconv"
	"strings"
)

// LoadPrefix begins the names of pseudo-shards; no shard of a stream has it.
const LoadPrefix = "load-"

// LoadShard names the pseudo-shard of a load by the SHA-256 of its content in
// hexadecimal digits: half of them, which is enough for no two to meet.
func LoadShard(content string) string { return LoadPrefix + content[:32] }

// IsLoad reports whether a shard is the pseudo-shard of a load. The stream does
// not list it, nothing follows its last event, and it has no real-time items: it
// is part of an answer if the answer's version holds it.
func IsLoad(shard string) bool { return strings.HasPrefix(shard, LoadPrefix) }

// LoadPosition is where the event on a line of a load lies, counted from 1.
func LoadPosition(line int64) Position { return Position{Seq: strconv.FormatInt(line, 10)} }

// Load is one load of history: events from outside of the stream that become
// rows of the master dataset under a pseudo-shard. It is stored when all of its
// events are durable, and never changes but for Loaded.
type Load struct {
	Content string `json:"content"`          // SHA-256 of the content, 64 hexadecimal digits
	Name    string `json:"name"`             // of the file it came from, for people
	Before  *int64 `json:"before,omitempty"` // only events older than this belong to it, microseconds since 1970-01-01 UTC; nil: all
	Arrival int64  `json:"arrival"`          // of every event of it: when it was accepted first, milliseconds since 1970-01-01 UTC
	Events  int64  `json:"events"`           // at least 1
	Newer   int64  `json:"newer"`            // events of the content that Before left out
	Last    int64  `json:"last"`             // line of the last event
	Spool   string `json:"spool"`            // where the events are until Loaded
	Check   uint64 `json:"check"`            // checksum of the spool's bytes
	Loaded  int64  `json:"loaded"`           // since when the ledger has its row, milliseconds since 1970-01-01 UTC; 0: not yet
}

// Shard names the load's pseudo-shard.
func (l *Load) Shard() string { return LoadShard(l.Content) }

// Loads remembers every load that was accepted, for ever, and keeps the events of
// those that are not in the master dataset yet. Loads belong to no generation.
type Loads interface {
	// Spool stores what write writes, durably and under a new name; nothing if it fails.
	Spool(ctx context.Context, write func(io.Writer) error) (name string, err error)
	// OpenSpool reads a spool from its beginning.
	OpenSpool(ctx context.Context, name string) (io.ReadCloser, error)
	// DeleteSpool deletes a spool; a missing one is no error.
	DeleteSpool(ctx context.Context, name string) error

	// PutLoad stores a load if there is none of its pseudo-shard, and gives the one
	// that is stored.
	PutLoad(ctx context.Context, load Load) (Load, error)
	// FinishLoad sets Loaded of the load of a pseudo-shard, in milliseconds since
	// 1970-01-01 UTC.
	FinishLoad(ctx context.Context, shard string, loaded int64) error
	// Load reads the load of a pseudo-shard; false if there is none.
	Load(ctx context.Context, shard string) (Load, bool, error)
	// Loads lists all loads, in the order of their arrival.
	Loads(ctx context.Context) ([]Load, error)
}
