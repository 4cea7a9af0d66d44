package memory

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/watershed-data/watershed/internal/protocol"
)

// Log is a stream in memory.
type Log struct {
	mu     sync.Mutex
	shards []protocol.Shard
	events map[string][]protocol.Event
	seq    int64
}

// NewLog makes a stream of n open shards.
func NewLog(n int) *Log {
	l := &Log{events: map[string][]protocol.Event{}}
	for i := range n {
		l.shards = append(l.shards, protocol.Shard{ID: ShardID(i)})
	}
	return l
}

// ShardID gives the name of the i-th shard.
func ShardID(i int) string { return fmt.Sprintf("shardId-%012d", i) }

// Append appends one record that holds the given events' data, and gives its
// sequence number. Several events are one KPL aggregate.
func (l *Log) Append(shard, partitionKey string, arrival int64, data ...[]byte) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seq++
	seq := strconv.FormatInt(1000+l.seq*7, 10)
	for i, d := range data {
		l.events[shard] = append(l.events[shard], protocol.Event{
			Position: protocol.Position{Seq: seq, Sub: int64(i)}, PartitionKey: partitionKey,
			Arrival: arrival, Data: d, Last: i == len(data)-1,
		})
	}
	return seq
}

// Reshard closes the parents and opens children with the next free ids.
func (l *Log) Reshard(parents []string, children int) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seq++
	for i, s := range l.shards {
		if slices.Contains(parents, s.ID) {
			l.shards[i].LastSeq = strconv.FormatInt(1000+l.seq*7, 10)
		}
	}
	var out []string
	for range children {
		id := ShardID(len(l.shards))
		l.shards = append(l.shards, protocol.Shard{ID: id, Parents: slices.Clone(parents)})
		out = append(out, id)
	}
	return out
}

// Shards implements protocol.Log.
func (l *Log) Shards(context.Context) ([]protocol.Shard, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.shards), nil
}

// Read implements protocol.Log.
func (l *Log) Read(_ context.Context, shard string, after protocol.Position, limit int) (protocol.Page, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.shards, func(s protocol.Shard) bool { return s.ID == shard })
	if i < 0 {
		return protocol.Page{}, fmt.Errorf("reading shard %s: there is no such shard", shard)
	}
	all := l.events[shard]
	from := 0
	for from < len(all) && !all[from].Position.After(after) {
		from++
	}
	to := min(from+max(limit, 1), len(all))
	for to < len(all) && to > from && !all[to-1].Last {
		to++
	}
	tip := to == len(all)
	return protocol.Page{Events: slices.Clone(all[from:to]), AtTip: tip, Ended: tip && l.shards[i].Closed()}, nil
}
