package protocol

import (
	"bytes"
	"context"
	"crypto/md5"
	"fmt"
	"math/big"
	"sync"
)

// HashRange is a shard's range of hash keys, both ends included. It never changes.
type HashRange struct{ from, to [md5.Size]byte }

// HashRange reads the shard's range of hash keys.
func (s Shard) HashRange() (r HashRange, err error) {
	for _, end := range []struct {
		text string
		to   *[md5.Size]byte
	}{{s.HashFrom, &r.from}, {s.HashTo, &r.to}} {
		n, ok := new(big.Int).SetString(end.text, 10)
		if !ok || n.Sign() < 0 || n.BitLen() > 8*md5.Size {
			return r, fmt.Errorf("reading the range of hash keys of %s: %q is not a number from 0 to 2^128-1", s.ID, end.text)
		}
		n.FillBytes(end.to[:])
	}
	return r, nil
}

// Holds reports whether a partition key's hash lies in the range. An event whose
// does not is a stray; see Event.
func (r HashRange) Holds(partitionKey string) bool {
	h := md5.Sum([]byte(partitionKey))
	return bytes.Compare(h[:], r.from[:]) >= 0 && bytes.Compare(h[:], r.to[:]) <= 0
}

// Lister lists a stream's shards. A Log does.
type Lister interface {
	Shards(ctx context.Context) ([]Shard, error)
}

// HashRanges remembers the ranges of a stream's shards, for those who get events
// without them. It asks for them when it meets a shard for the first time, and may
// be used by several goroutines at once.
type HashRanges struct {
	Log Lister

	mu    sync.Mutex
	known map[string]HashRange
}

// Of gives a shard's range. A shard that the stream does not list is ErrNoShard.
func (r *HashRanges) Of(ctx context.Context, shard string) (HashRange, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if of, ok := r.known[shard]; ok {
		return of, nil
	}
	shards, err := r.Log.Shards(ctx)
	if err != nil {
		return HashRange{}, fmt.Errorf("listing shards: %w", err)
	}
	if r.known == nil {
		r.known = make(map[string]HashRange, len(shards))
	}
	for _, s := range shards { // those that are no longer listed stay known: late readers ask for them
		if r.known[s.ID], err = s.HashRange(); err != nil {
			return HashRange{}, err
		}
	}
	of, ok := r.known[shard]
	if !ok {
		return HashRange{}, fmt.Errorf("finding the range of hash keys of %s: %w", shard, ErrNoShard)
	}
	return of, nil
}
