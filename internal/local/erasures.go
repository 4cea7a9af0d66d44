package local

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/watershed-data/watershed/internal/protocol"
)

// Erasures remembers the positions of events that were erased and are still in the
// log. They go with the log's records: see Log.erase.
type Erasures struct{ store *Store }

// Erasures gives what was erased of the stream.
func (s *Store) Erasures() *Erasures { return &Erasures{s} }

const erasedBytes = 24 // hash and identity

func erasedKey(shard, position string) []byte {
	return fmt.Appendf(nil, "%c%s\x00%s", keyErased, shard, position)
}

// erasedUpTo is behind the keys of positions up to one.
func erasedUpTo(shard string, p protocol.Position) []byte {
	return append(erasedKey(shard, p.Key()), 0)
}

// Add remembers erased events of a shard. Those that the log does not hold any more
// are let go.
func (e *Erasures) Add(ctx context.Context, shard string, erased map[protocol.Position]protocol.Erased) error {
	if err := e.store.enter(); err != nil {
		return err
	}
	defer e.store.leave()
	horizon, err := e.store.log.Horizon(ctx, shard)
	if err != nil {
		return err
	}
	batch := e.store.db.NewBatch()
	defer batch.Close()
	for p, left := range erased {
		if !p.After(horizon) {
			continue
		}
		value := make([]byte, 0, erasedBytes)
		for _, n := range [...]uint64{left.Hash, left.IDHigh, left.IDLow} {
			value = binary.BigEndian.AppendUint64(value, n)
		}
		if err := batch.Set(erasedKey(shard, p.Key()), value, nil); err != nil {
			return err
		}
	}
	return batch.Commit(pebble.Sync)
}

// In gives the erased events of a shard between two positions, both included.
func (e *Erasures) In(_ context.Context, shard string, first, last protocol.Position) (_ map[protocol.Position]protocol.Erased, err error) {
	if err := e.store.enter(); err != nil {
		return nil, err
	}
	defer e.store.leave()
	it, err := e.store.db.NewIter(&pebble.IterOptions{LowerBound: erasedKey(shard, first.Key()), UpperBound: erasedUpTo(shard, last)})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	out := map[protocol.Position]protocol.Erased{}
	for ok := it.First(); ok; ok = it.Next() {
		p, err := protocol.ParseKey(string(it.Key()[len(erasedKey(shard, "")):]))
		if err != nil {
			return nil, err
		}
		value := it.Value()
		if len(value) != erasedBytes {
			return nil, fmt.Errorf("what is known of the erased event %s of %s is damaged", p, shard)
		}
		out[p] = protocol.Erased{
			Hash:   binary.BigEndian.Uint64(value),
			IDHigh: binary.BigEndian.Uint64(value[8:]),
			IDLow:  binary.BigEndian.Uint64(value[16:]),
		}
	}
	return out, it.Error()
}
