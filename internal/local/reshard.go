package local

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/watershed-data/watershed/internal/protocol"
)

// Reshards go through the committer like records: parents close and children
// open at one number of the stream, in one batch on the disk. They are over when
// the call returns.

// Split closes an open shard and opens two: one for its hash keys below at, a
// decimal number, and one for those from at on. The error is ErrNoShard,
// ErrShardClosed, ErrHashKey or ErrShardLimit of protocol, or one of the log's
// own.
func (l *Log) Split(ctx context.Context, shard, at string) error {
	h, ok := parseHash(at)
	if !ok {
		return fmt.Errorf("splitting %s at %.64q: %w", shard, at, protocol.ErrHashKey)
	}
	err := l.do(ctx, &request{reshard: func(c *commit) error {
		s, err := c.openShard(shard)
		if err != nil {
			return err
		}
		if h.compare(s.from) <= 0 || h.compare(s.to) > 0 {
			return &refusedError{protocol.ErrHashKey}
		}
		if len(c.open) == MaxShards {
			return &refusedError{protocol.ErrShardLimit}
		}
		return c.split(s, h)
	}})
	if err != nil {
		return fmt.Errorf("splitting %s at %s: %w", shard, at, err)
	}
	return nil
}

// Merge closes two open shards whose ranges are next to each other, in any order,
// and opens one for both. The error is ErrNoShard, ErrShardClosed or
// ErrNotAdjacent of protocol, or one of the log's own.
func (l *Log) Merge(ctx context.Context, shard, adjacent string) error {
	err := l.do(ctx, &request{reshard: func(c *commit) error {
		a, err := c.openShard(shard)
		if err != nil {
			return err
		}
		b, err := c.openShard(adjacent)
		if err != nil {
			return err
		}
		if !meet(a, b) && !meet(b, a) {
			return &refusedError{protocol.ErrNotAdjacent}
		}
		return c.merge(a, b)
	}})
	if err != nil {
		return fmt.Errorf("merging %s with %s: %w", shard, adjacent, err)
	}
	return nil
}

// meet reports whether b begins where a ends.
func meet(a, b *shard) bool {
	next, over := a.to.successor()
	return !over && next == b.from
}

// Scale splits and merges until count open shards have ranges of one width. On
// the way there, shards are opened and closed that never hold a record. The error
// is ErrShardLimit of protocol for a count outside 1 to MaxShards, or one of the
// log's own.
func (l *Log) Scale(ctx context.Context, count int) error {
	if count < 1 || count > MaxShards {
		return fmt.Errorf("scaling to %d shards: %w", count, protocol.ErrShardLimit)
	}
	if err := l.do(ctx, &request{reshard: func(c *commit) error { return c.scale(evenRanges(count)) }}); err != nil {
		return fmt.Errorf("scaling to %d shards: %w", count, err)
	}
	return nil
}

func (c *commit) scale(wanted []hashRange) error {
	for _, r := range wanted {
		if s := route(c.open, r.from); s.from != r.from {
			if err := c.split(s, r.from); err != nil {
				return err
			}
		}
	}
	// Now every wanted range is one shard or several.
	for _, r := range wanted {
		for s := route(c.open, r.from); s.to != r.to; s = route(c.open, r.from) {
			next, _ := s.to.successor()
			if err := c.merge(s, route(c.open, next)); err != nil {
				return err
			}
		}
	}
	return nil
}

// openShard finds a shard that takes records.
func (c *commit) openShard(id string) (*shard, error) {
	s, err := c.shard(id)
	if err != nil {
		return nil, &refusedError{err}
	}
	if s.Closed() {
		return nil, &refusedError{fmt.Errorf("%w: %s", protocol.ErrShardClosed, id)}
	}
	return s, nil
}

func (c *commit) split(s *shard, at hash) error {
	return c.replace([]*shard{s}, hashRange{s.from, at.predecessor()}, hashRange{at, s.to})
}

func (c *commit) merge(a, b *shard) error {
	r := hashRange{a.from, b.to}
	if !meet(a, b) {
		r = hashRange{b.from, a.to}
	}
	return c.replace([]*shard{a, b}, r)
}

// replace closes the parents and opens children, whose ranges are theirs. Each of
// them takes a number of the stream that no record gets: the parents' is where
// their sequence number range ends, the children's where it begins.
func (c *commit) replace(parents []*shard, children ...hashRange) error {
	c.own()
	var ids []string
	for _, p := range parents {
		closed := *p
		closed.LastSeq = c.takeSequence()
		if err := c.put(&closed); err != nil {
			return err
		}
		ids = append(ids, p.ID)
	}
	c.open = slices.DeleteFunc(c.open, func(s *shard) bool { return slices.Contains(parents, s) })
	for _, r := range children {
		s := newShard(uint32(len(c.shards)), ids, r, c.takeSequence(), c.arrival)
		c.shards = append(c.shards, nil)
		c.last = append(c.last, 0)
		c.log.arrivals = append(c.log.arrivals, -1)
		if err := c.put(s); err != nil {
			return err
		}
		i, _ := slices.BinarySearchFunc(c.open, s, byRange)
		c.open = slices.Insert(c.open, i, s)
	}
	return nil
}

func byRange(a, b *shard) int { return a.from.compare(b.from) }

// own makes the view's shards the commit's own: readers have the old ones.
func (c *commit) own() {
	if !c.owned {
		c.shards, c.open, c.byID = slices.Clone(c.shards), slices.Clone(c.open), maps.Clone(c.byID)
		c.owned = true
	}
}

// put stores a shard in the place of what had its number.
func (c *commit) put(s *shard) error {
	c.shards[s.number], c.byID[s.ID] = s, s
	return setShard(c.batch, s)
}

func (c *commit) takeSequence() string {
	c.next++
	return c.log.sequence(c.next - 1)
}
