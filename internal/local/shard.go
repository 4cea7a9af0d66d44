package local

import (
	"cmp"
	"crypto/md5"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sort"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/watershed-data/watershed/internal/protocol"
)

// The stream's keys besides its shards'.
var (
	baseKey = []byte{keyShard, 'b'}
	nextKey = []byte{keyShard, 'n'} // number that the next record gets
)

// shard is a shard as it is stored, and its place in memory.
type shard struct {
	protocol.Shard
	Trimmed    uint64 // records up to this number are gone; 0: none
	TrimmedSub int64  // sub-sequence number of the last event of that record

	number   uint32
	from, to hash
	// tip is the last event of what was the last record when it was read. It spares
	// those who wait there from taking that record apart again.
	tip *atomic.Pointer[spot]
}

// spot is where an event lies in a shard's log: the number of its record in the
// stream, and its place in the record.
type spot struct {
	number uint64
	sub    int64
}

// drained reports whether nothing lies after a spot, as far as that is known.
// last is the number of the shard's last record; 0: there is none.
func (s *shard) drained(last uint64, at spot) bool {
	tip := s.tip.Load()
	return last == 0 || at.number > last || at.number == last && tip != nil && tip.number == last && at.sub >= tip.sub
}

func shardKey(number uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{keyShard, 's'}, number)
}

func shardID(number uint32) string { return fmt.Sprintf("shardId-%012d", number) }

// newShard makes an open shard.
func newShard(number uint32, parents []string, r hashRange, first string, created int64) *shard {
	return &shard{
		Shard: protocol.Shard{
			ID: shardID(number), Parents: parents,
			HashFrom: r.from.String(), HashTo: r.to.String(),
			FirstSeq: first, CreatedAt: created,
		},
		number: number, from: r.from, to: r.to, tip: new(atomic.Pointer[spot]),
	}
}

// setShard adds a shard to a batch.
func setShard(batch *pebble.Batch, s *shard) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return batch.Set(shardKey(s.number), text, nil)
}

// createLog stores the first shards of a new stream. They split the hash range
// evenly, and each takes a number of the stream, which no record gets, as the
// beginning of its sequence number range.
func createLog(db *pebble.DB, shards int, created time.Time) error {
	batch := db.NewBatch()
	defer batch.Close()
	l := Log{base: newBase(created.UnixMilli())}
	for i, r := range evenRanges(shards) {
		s := newShard(uint32(i), nil, r, l.sequence(uint64(i)+1), created.UnixMilli())
		if err := setShard(batch, s); err != nil {
			return err
		}
	}
	if err := batch.Set(baseKey, []byte(l.base), nil); err != nil {
		return err
	}
	if err := batch.Set(nextKey, numberBytes(uint64(shards)+1), nil); err != nil {
		return err
	}
	return batch.Commit(pebble.Sync)
}

// load reads what the log had committed.
func (l *Log) load() (*view, error) {
	v := &view{byID: map[string]*shard{}, changed: make(chan struct{})}
	base, err := l.value(baseKey)
	if err != nil {
		return nil, err
	}
	next, err := l.value(nextKey)
	if err != nil {
		return nil, err
	}
	if len(base) != baseDigits || len(next) != 8 {
		return nil, errors.New("its counters are damaged")
	}
	l.base, v.next = string(base), binary.BigEndian.Uint64(next)
	if v.shards, err = l.loadShards(); err != nil {
		return nil, err
	}
	for _, s := range v.shards {
		v.byID[s.ID] = s
		if !s.Closed() {
			v.open = append(v.open, s)
		}
	}
	slices.SortFunc(v.open, byRange)
	if err := checkCover(v.open); err != nil {
		return nil, err
	}
	return v, l.loadTips(v)
}

func (l *Log) loadShards() ([]*shard, error) {
	it, err := l.store.db.NewIter(&pebble.IterOptions{LowerBound: shardKey(0), UpperBound: []byte{keyShard, 's' + 1}})
	if err != nil {
		return nil, err
	}
	defer it.Close()
	var shards []*shard
	for ok := it.First(); ok; ok = it.Next() {
		s := &shard{number: uint32(len(shards)), tip: new(atomic.Pointer[spot])}
		if err := json.Unmarshal(it.Value(), s); err != nil || s.ID != shardID(s.number) {
			return nil, fmt.Errorf("shard %d is damaged", s.number)
		}
		from, okFrom := parseHash(s.HashFrom)
		to, okTo := parseHash(s.HashTo)
		if !okFrom || !okTo {
			return nil, fmt.Errorf("the hash range of %s is damaged", s.ID)
		}
		s.from, s.to = from, to
		shards = append(shards, s)
	}
	return shards, it.Error()
}

// loadTips finds each shard's last record and latest arrival.
func (l *Log) loadTips(v *view) error {
	v.last = make([]uint64, len(v.shards))
	l.arrivals = make([]int64, len(v.shards))
	for i := range v.shards {
		n := uint32(i)
		record, err := l.lastKey(recordKey(n, 0), recordKey(n+1, 0))
		if err != nil {
			return err
		}
		if record != nil {
			v.last[i] = binary.BigEndian.Uint64(record[5:])
		}
		if v.last[i] >= v.next {
			return errors.New("its counters are damaged")
		}
		arrival, err := l.lastKey(arrivalKey(n, 0), arrivalKey(n+1, 0))
		if err != nil {
			return err
		}
		l.arrivals[i] = -1
		if arrival != nil {
			l.arrivals[i] = int64(binary.BigEndian.Uint64(arrival[5:]))
		}
	}
	return nil
}

// lastKey gives the last key in [from, to); nil if there is none.
func (l *Log) lastKey(from, to []byte) ([]byte, error) {
	it, err := l.store.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return nil, err
	}
	defer it.Close()
	if !it.Last() {
		return nil, it.Error()
	}
	return slices.Clone(it.Key()), nil
}

func (l *Log) value(key []byte) ([]byte, error) {
	value, closer, err := l.store.db.Get(key)
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	return slices.Clone(value), nil
}

// checkCover makes sure that every hash has exactly one open shard.
func checkCover(open []*shard) error {
	next, full := hash{}, false
	for _, s := range open {
		if full || s.from != next || s.to.compare(s.from) < 0 {
			return errors.New("the hash ranges of its shards are damaged")
		}
		next, full = s.to.successor()
	}
	if !full {
		return errors.New("the hash ranges of its shards are damaged")
	}
	return nil
}

// hash is a partition key's place in the hash range: a 128-bit number.
type hash struct{ hi, lo uint64 }

func (h hash) compare(g hash) int {
	return cmp.Or(cmp.Compare(h.hi, g.hi), cmp.Compare(h.lo, g.lo))
}

// successor gives the next number; true if there is none.
func (h hash) successor() (next hash, over bool) {
	h.lo++
	if h.lo == 0 {
		h.hi++
	}
	return h, h == hash{}
}

// predecessor gives the number before; it is not asked of 0.
func (h hash) predecessor() hash {
	if h.lo == 0 {
		h.hi--
	}
	h.lo--
	return h
}

// String gives the number in decimal.
func (h hash) String() string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], h.hi)
	binary.BigEndian.PutUint64(b[8:], h.lo)
	return new(big.Int).SetBytes(b[:]).String()
}

// hashRange is inclusive.
type hashRange struct{ from, to hash }

// evenRanges cuts all hashes into n ranges of one width, give or take one hash.
// The cuts of n are among those of 2n, so that doubling is one split for each.
func evenRanges(n int) []hashRange {
	hashes := new(big.Int).Lsh(big.NewInt(1), 128)
	out := make([]hashRange, n)
	for i := range out {
		out[i].to = hash{^uint64(0), ^uint64(0)}
		if i > 0 {
			from := new(big.Int).Mul(hashes, big.NewInt(int64(i)))
			var b [16]byte
			from.Quo(from, big.NewInt(int64(n))).FillBytes(b[:])
			out[i].from = hash{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
			out[i-1].to = out[i].from.predecessor()
		}
	}
	return out
}

// hashOf gives a record's place: its explicit hash key, else the MD5 of its
// partition key.
func hashOf(r *protocol.Record) (hash, error) {
	if r.ExplicitHashKey != "" {
		h, ok := parseHash(r.ExplicitHashKey)
		if !ok {
			return hash{}, fmt.Errorf("the explicit hash key %q is not a number from 0 to 2^128-1", r.ExplicitHashKey)
		}
		return h, nil
	}
	return hashOfKey(r.PartitionKey), nil
}

// hashOfKey gives the MD5 of a partition key.
func hashOfKey(key string) hash {
	sum := md5.Sum([]byte(key))
	return hash{binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:])}
}

// stray reports whether a partition key hashes outside the shard's range.
func (s *shard) stray(key string) bool {
	h := hashOfKey(key)
	return h.compare(s.from) < 0 || h.compare(s.to) > 0
}

// parseHash reads a decimal 128-bit number.
func parseHash(text string) (hash, bool) {
	if len(text) > 39 {
		return hash{}, false
	}
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return hash{}, false
		}
	}
	n, ok := new(big.Int).SetString(text, 10)
	if !ok || n.BitLen() > 128 {
		return hash{}, false
	}
	var b [16]byte
	n.FillBytes(b[:])
	return hash{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}, true
}

// route finds the open shard of a hash. The open shards cover every hash.
func route(open []*shard, h hash) *shard {
	return open[sort.Search(len(open)-1, func(i int) bool { return h.compare(open[i].to) <= 0 })]
}
