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
	Trimmed uint64 // records up to this number are gone; 0: none

	number   uint32
	from, to hash
}

func shardKey(number uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{keyShard, 's'}, number)
}

func shardID(number uint32) string { return fmt.Sprintf("shardId-%012d", number) }

// createLog stores the first shards of a new stream. They split the hash range
// evenly, and each takes a number of the stream, which no record gets, as the
// beginning of its sequence number range.
func createLog(db *pebble.DB, shards int, created time.Time) error {
	batch := db.NewBatch()
	defer batch.Close()
	l := Log{base: newBase(created.UnixMilli())}
	width := new(big.Int).Lsh(big.NewInt(1), 128)
	end := new(big.Int).Set(width)
	width.Quo(width, big.NewInt(int64(shards)))
	for i := range shards {
		from := new(big.Int).Mul(width, big.NewInt(int64(i)))
		to := new(big.Int).Add(from, width)
		if i == shards-1 {
			to = end
		}
		text, err := json.Marshal(shard{Shard: protocol.Shard{
			ID:        shardID(uint32(i)),
			HashFrom:  from.String(),
			HashTo:    to.Sub(to, big.NewInt(1)).String(),
			FirstSeq:  l.sequence(uint64(i) + 1),
			CreatedAt: created.UnixMilli(),
		}})
		if err != nil {
			return err
		}
		if err := batch.Set(shardKey(uint32(i)), text, nil); err != nil {
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
	slices.SortFunc(v.open, func(a, b *shard) int { return a.from.compare(b.from) })
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
		s := &shard{number: uint32(len(shards))}
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
	sum := md5.Sum([]byte(r.PartitionKey))
	return hash{binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:])}, nil
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
