package kinesis

import (
	"context"
	"crypto/md5"
	"fmt"
	"math/big"
	"sync"
	"time"

	"github.com/watershed-data/watershed/internal/protocol"
)

// What Kinesis allows each shard, per second.
const (
	shardPuts      = 1_000   // records
	shardPutBytes  = 1 << 20 // data and partition keys
	shardReads     = 5       // calls of GetRecords
	shardReadBytes = 2 << 20
)

// throttle holds a stream to Kinesis's rates.
type throttle struct {
	log Log
	now func() time.Time

	mu     sync.Mutex
	shards map[string]*shardRates
}

type shardRates struct{ puts, putBytes, reads, readBytes bucket }

// bucket allows a rate per second, and a second's worth at once.
type bucket struct {
	rate, level float64
	at          time.Time
}

func (b *bucket) fill(now time.Time) {
	b.level = min(b.rate, b.level+b.rate*max(0, now.Sub(b.at).Seconds()))
	b.at = now
}

func newThrottle(log Log, now func() time.Time) *throttle {
	return &throttle{log: log, now: now, shards: map[string]*shardRates{}}
}

// rates gives a shard's rates, filled up to now. mu is held.
func (t *throttle) rates(shard string) *shardRates {
	now := t.now()
	r := t.shards[shard]
	if r == nil {
		full := func(rate float64) bucket { return bucket{rate, rate, now} }
		r = &shardRates{full(shardPuts), full(shardPutBytes), full(shardReads), full(shardReadBytes)}
		t.shards[shard] = r
	}
	for _, b := range []*bucket{&r.puts, &r.putBytes, &r.reads, &r.readBytes} {
		b.fill(now)
	}
	return r
}

// put takes records from their shards' rates. For each it gives "" or the shard
// that has no room for it now.
func (t *throttle) put(ctx context.Context, records []protocol.Record) (refused []string, err error) {
	shards, err := t.log.Shards(ctx)
	if err != nil {
		return nil, err
	}
	ranges, err := openRanges(shards)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	refused = make([]string, len(records))
	for i, r := range records {
		shard := ranges.find(r)
		rates, size := t.rates(shard), float64(len(r.Data)+len(r.PartitionKey))
		if rates.puts.level < 1 || rates.putBytes.level < size {
			refused[i] = shard
			continue
		}
		rates.puts.level--
		rates.putBytes.level -= size
	}
	return refused, nil
}

// read takes a call of GetRecords from a shard's rate, if there is room. A page
// may be larger than a second's worth: then the next calls wait for it.
func (t *throttle) read(shard string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.rates(shard)
	if r.reads.level < 1 || r.readBytes.level <= 0 {
		return false
	}
	r.reads.level--
	return true
}

// given takes what was read from a shard's rate.
func (t *throttle) given(shard string, records []protocol.Event) {
	size := 0
	for _, r := range records {
		size += len(r.Data) + len(r.PartitionKey)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rates(shard).readBytes.level -= float64(size)
}

func (h *Handler) rateExceeded(shard string) string {
	return fmt.Sprintf("Rate exceeded for shard %s in stream %s under account %s.", shard, h.stream, account)
}

// ranges are the open shards with the last hash of their ranges.
type ranges []struct {
	shard    string
	from, to *big.Int
}

func openRanges(shards []protocol.Shard) (ranges, error) {
	var open ranges
	for _, s := range shards {
		if s.Closed() {
			continue
		}
		from, okFrom := new(big.Int).SetString(s.HashFrom, 10)
		to, okTo := new(big.Int).SetString(s.HashTo, 10)
		if !okFrom || !okTo {
			return nil, fmt.Errorf("shard %s has no hash range", s.ID)
		}
		open = append(open, struct {
			shard    string
			from, to *big.Int
		}{s.ID, from, to})
	}
	return open, nil
}

// find gives the shard that a record goes to.
func (r ranges) find(record protocol.Record) string {
	hash := new(big.Int)
	if record.ExplicitHashKey != "" {
		hash.SetString(record.ExplicitHashKey, 10)
	} else {
		sum := md5.Sum([]byte(record.PartitionKey))
		hash.SetBytes(sum[:])
	}
	for _, s := range r {
		if s.from.Cmp(hash) <= 0 && hash.Cmp(s.to) <= 0 {
			return s.shard
		}
	}
	return ""
}
