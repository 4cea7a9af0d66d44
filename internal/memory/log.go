package memory

import (
	"bytes"
	"context"
	"crypto/md5"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"sync"

	"github.com/watershed-data/watershed/internal/protocol"
)

// Log is a stream in memory.
type Log struct {
	mu     sync.Mutex
	shards []*shard // parents before children
	seq    int64
}

// shard is a shard and its events.
type shard struct {
	protocol.Shard
	from, to [md5.Size]byte
	events   []protocol.Event
	trimmed  protocol.Position // events up to here are gone
}

// NewLog makes a stream of n open shards that split the hash range evenly.
func NewLog(n int) *Log {
	l := &Log{}
	l.open(nil, n, new(big.Int), new(big.Int).Sub(hashes, big.NewInt(1)))
	return l
}

// ShardID gives the name of the i-th shard.
func ShardID(i int) string { return fmt.Sprintf("shardId-%012d", i) }

// hashes is how many hashes there are.
var hashes = new(big.Int).Lsh(big.NewInt(1), 8*md5.Size)

// open opens n shards that split the hashes in [from, to] evenly. mu is held, or
// nobody else has the log yet.
func (l *Log) open(parents []string, n int, from, to *big.Int) (ids []string) {
	one := big.NewInt(1)
	width := new(big.Int).Sub(to, from)
	width.Quo(width.Add(width, one), big.NewInt(int64(n)))
	for i := range n {
		last := new(big.Int).Sub(new(big.Int).Add(from, width), one)
		if i == n-1 {
			last.Set(to)
		}
		s := &shard{Shard: protocol.Shard{
			ID: ShardID(len(l.shards)), Parents: slices.Clone(parents),
			HashFrom: from.String(), HashTo: last.String(), FirstSeq: l.sequence(),
		}}
		from.FillBytes(s.from[:])
		last.FillBytes(s.to[:])
		l.shards = append(l.shards, s)
		ids = append(ids, s.ID)
		from = new(big.Int).Add(last, one)
	}
	return ids
}

// sequence gives the sequence number that was given out last.
func (l *Log) sequence() string { return strconv.FormatInt(1000+l.seq*7, 10) }

// Append appends one record that holds the given events' data under one partition
// key, and gives its sequence number. Several events are one KPL aggregate. It
// panics if the stream has no such shard or the shard is closed.
func (l *Log) Append(shard, partitionKey string, arrival int64, data ...[]byte) string {
	records := make([]protocol.Record, len(data))
	for i, d := range data {
		records[i] = protocol.Record{PartitionKey: partitionKey, Data: d}
	}
	return l.Put(shard, arrival, len(data) > 1, records...)
}

// Put appends one record to a shard, whatever the hash of its partition key, and
// gives its sequence number. The record is a plain one of one event, or a KPL
// aggregate of one or more. It panics like Append.
func (l *Log) Put(shard string, arrival int64, aggregated bool, events ...protocol.Record) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.find(shard)
	if s == nil || s.Closed() || len(events) == 0 || len(events) > 1 && !aggregated {
		panic(fmt.Sprintf("putting %d events into %s: a test does what no stream does", len(events), shard))
	}
	l.seq++
	seq := l.sequence()
	for i, r := range events {
		s.events = append(s.events, protocol.Event{
			Position: protocol.Position{Seq: seq, Sub: int64(i)}, PartitionKey: r.PartitionKey,
			Arrival: arrival, Data: r.Data, Last: i == len(events)-1,
			Aggregated: aggregated, Stray: s.stray(r.PartitionKey),
		})
	}
	return seq
}

// stray reports whether a partition key hashes outside the shard's range.
func (s *shard) stray(key string) bool {
	h := md5.Sum([]byte(key))
	return bytes.Compare(h[:], s.from[:]) < 0 || bytes.Compare(h[:], s.to[:]) > 0
}

// find gives a shard; nil if there is none. mu is held.
func (l *Log) find(id string) *shard {
	for _, s := range l.shards {
		if s.ID == id {
			return s
		}
	}
	return nil
}

// Reshard closes the parents and opens children with the next free ids, which
// split the parents' hashes evenly. It panics if a parent is not open.
func (l *Log) Reshard(parents []string, children int) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seq++
	var from, to [md5.Size]byte
	for i, id := range parents {
		p := l.find(id)
		if p == nil || p.Closed() {
			panic(fmt.Sprintf("resharding %s: a test does what no stream does", id))
		}
		p.LastSeq = l.sequence()
		if i == 0 || bytes.Compare(p.from[:], from[:]) < 0 {
			from = p.from
		}
		if i == 0 || bytes.Compare(p.to[:], to[:]) > 0 {
			to = p.to
		}
	}
	l.seq++
	return l.open(parents, children, new(big.Int).SetBytes(from[:]), new(big.Int).SetBytes(to[:]))
}

// Trim lets go of a shard's events up to a position, as far as their records are
// whole. Reading from before what is left is then protocol.ErrExpired.
func (l *Log) Trim(shard string, through protocol.Position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.find(shard)
	for i := range s.events {
		e := &s.events[i]
		if e.Position.After(through) {
			break
		}
		if e.Last {
			s.trimmed = e.Position
		}
	}
}

// Shards implements protocol.Log.
func (l *Log) Shards(context.Context) ([]protocol.Shard, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]protocol.Shard, len(l.shards))
	for i, s := range l.shards {
		out[i] = s.Shard
	}
	return out, nil
}

// Read implements protocol.Log.
func (l *Log) Read(_ context.Context, shard string, after protocol.Position, limit int) (protocol.Page, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.find(shard)
	if s == nil {
		return protocol.Page{}, fmt.Errorf("reading %s: %w", shard, protocol.ErrNoShard)
	}
	if s.trimmed.After(after) {
		return protocol.Page{}, fmt.Errorf("reading %s after %q: %w", shard, after, protocol.ErrExpired)
	}
	all := s.events
	from := 0
	for from < len(all) && !all[from].Position.After(after) {
		from++
	}
	to := min(from+max(limit, 1), len(all))
	for to < len(all) && to > from && !all[to-1].Last {
		to++
	}
	tip := to == len(all)
	return protocol.Page{Events: slices.Clone(all[from:to]), AtTip: tip, Ended: tip && s.Closed()}, nil
}
