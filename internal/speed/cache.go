package speed

import (
	"sync"

	"github.com/watershed-data/watershed/internal/protocol"
)

// maxSets is how many shards' dedup sets are kept in memory at a time.
const maxSets = 1024

// cache keeps shards' dedup sets. A set is taken out while it is used, so that
// two invocations never share one; the second loads its own.
type cache struct {
	mu   sync.Mutex
	sets map[string]*kept
	tick int64
}

type kept struct {
	*seen
	used int64
}

// take gives the shard's set at a position, nil if there is none.
func (c *cache) take(shard string, through protocol.Position) *seen {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.sets[shard]
	if k == nil || !k.at(through) {
		return nil
	}
	delete(c.sets, shard)
	return k.seen
}

// put keeps a set, unless one is there that is further on: a late invocation
// must not take the place of a live one. Sets go that were not used for longest,
// and those of shards in which nothing has happened for as long as identities
// are kept: they have split or merged, or are loaded again when they wake up.
func (c *cache) put(s *seen, keep int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.sets[s.shard]; k != nil && k.through.After(s.through) {
		return
	}
	if c.sets == nil {
		c.sets = map[string]*kept{}
	}
	c.tick++
	c.sets[s.shard] = &kept{seen: s, used: c.tick}
	oldest := ""
	for shard, k := range c.sets {
		if k.latest < s.latest-keep {
			delete(c.sets, shard)
		} else if oldest == "" || k.used < c.sets[oldest].used {
			oldest = shard
		}
	}
	if len(c.sets) > maxSets {
		delete(c.sets, oldest)
	}
}
