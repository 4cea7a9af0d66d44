package local

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/watershed-data/watershed/internal/kpl"
	"github.com/watershed-data/watershed/internal/protocol"
)

// Trim lets go of a shard's records up to a position, as far as they are whole.
// Reading from before what is left is then ErrExpired.
func (l *Log) Trim(ctx context.Context, shard string, through protocol.Position) error {
	err := l.do(ctx, &request{reshard: func(c *commit) error { return c.trim(shard, through) }})
	if err != nil {
		return fmt.Errorf("trimming %s up to %q: %w", shard, through, err)
	}
	return nil
}

// Horizon gives the position behind which the log holds a shard's events: where
// it was trimmed, or the zero Position if it never was.
func (l *Log) Horizon(_ context.Context, shard string) (protocol.Position, error) {
	s, err := l.seen.Load().shard(shard)
	if err != nil || s.Trimmed == 0 {
		return protocol.Position{}, err
	}
	return protocol.Position{Seq: l.sequence(s.Trimmed), Sub: s.TrimmedSub}, nil
}

// trim moves the shard's horizon. The records go when readers can see it.
func (c *commit) trim(shard string, through protocol.Position) error {
	s, number, err := c.log.locate(&c.view, shard, through.Seq)
	if err != nil {
		return &refusedError{err}
	}
	last, err := c.log.lastRecord(s, spot{number, through.Sub})
	if err != nil || last.number <= s.Trimmed {
		return err
	}
	c.own()
	trimmed := *s
	trimmed.Trimmed, trimmed.TrimmedSub = last.number, last.sub
	for i, open := range c.open {
		if open == s {
			c.open[i] = &trimmed
		}
	}
	c.trimmed = append(c.trimmed, &trimmed)
	return c.put(&trimmed)
}

// untrimmed reads, and again if the shard's horizon moved meanwhile: records may
// have gone between the look at the horizon and the look at the records, and what
// was read may have a gap.
func (l *Log) untrimmed(shard string, read func(*view) (protocol.Page, error)) (protocol.Page, error) {
	for {
		v := l.seen.Load()
		page, err := read(v)
		if s := v.byID[shard]; err != nil || s == nil || s.Trimmed == l.seen.Load().byID[shard].Trimmed {
			return page, err
		}
	}
}

// erase removes a shard's records up to its horizon, and all entries of the index
// of arrivals that only lead to them but for the last: the latest arrival is
// known by it. What is known of erased ones goes as well.
func (l *Log) erase(s *shard) error {
	batch := l.store.db.NewBatch()
	defer batch.Close()
	if err := batch.DeleteRange(recordKey(s.number, 0), recordKey(s.number, s.Trimmed+1), nil); err != nil {
		return err
	}
	horizon := protocol.Position{Seq: l.sequence(s.Trimmed), Sub: s.TrimmedSub}
	if err := batch.DeleteRange(erasedKey(s.ID, ""), erasedUpTo(s.ID, horizon), nil); err != nil {
		return err
	}
	first := arrivalKey(s.number, 0)
	it, err := l.store.db.NewIter(&pebble.IterOptions{LowerBound: first, UpperBound: arrivalKey(s.number+1, 0)})
	if err != nil {
		return err
	}
	defer it.Close()
	last := first
	for ok := it.First(); ok && binary.BigEndian.Uint64(it.Value()) <= s.Trimmed; ok = it.Next() {
		last = append(last[:0:0], it.Key()...)
	}
	if err := it.Error(); err != nil {
		return err
	}
	if err := batch.DeleteRange(first, last, nil); err != nil {
		return err
	}
	// The horizon is on the disk, before this in the database's log.
	return batch.Commit(pebble.NoSync)
}

// eraseLeftovers removes what a crash left between a horizon and its records.
func (l *Log) eraseLeftovers(v *view) error {
	for _, s := range v.shards {
		if s.Trimmed == 0 {
			continue
		}
		left, err := l.lastKey(recordKey(s.number, 0), recordKey(s.number, s.Trimmed+1))
		if err == nil && left != nil {
			err = l.erase(s)
		}
		if err != nil {
			return fmt.Errorf("erasing trimmed records of %s: %w", s.ID, err)
		}
	}
	return nil
}

// lastRecord finds the last event of the last record on the disk that ends at a
// spot or before; the zero spot if there is none.
func (l *Log) lastRecord(s *shard, at spot) (spot, error) {
	it, err := l.store.db.NewIter(&pebble.IterOptions{LowerBound: recordKey(s.number, 0), UpperBound: recordKey(s.number, at.number+1)})
	if err != nil {
		return spot{}, err
	}
	defer it.Close()
	for ok := it.Last(); ok; ok = it.Prev() {
		n := binary.BigEndian.Uint64(it.Key()[5:])
		r, whole := parseRecord(it.Value())
		if !whole {
			return spot{}, fmt.Errorf("record %d is damaged", n)
		}
		parts, _ := kpl.Split(r.data)
		if sub := max(int64(len(parts)), 1) - 1; n < at.number || sub <= at.sub {
			return spot{n, sub}, nil
		}
	}
	return spot{}, it.Error()
}
