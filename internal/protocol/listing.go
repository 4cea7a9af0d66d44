package protocol

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Listing remembers a stream's lineage, where listing the shards for every answer
// costs too much. It may be used by several goroutines at once.
//
// What it remembers never makes an answer wrong: a shard of which an answer holds
// events has a row, and a row that is not listed has the shards listed again. A shard
// without a row is missing in the lineage for as long as For, and with it the reason
// that the answer is not complete.
type Listing struct {
	Shards func(ctx context.Context) ([]Shard, error)
	For    time.Duration
	Now    func() time.Time

	mu      sync.Mutex
	at      time.Time
	lineage *Lineage        // nil: nothing is remembered
	gone    map[string]bool // shards with a row that were not listed any more
}

// Lineage gives the lineage of a stream whose ledger has the rows, as a Reader asks
// for it.
func (l *Listing) Lineage(ctx context.Context, rows map[string]Row) (*Lineage, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lineage != nil && l.Now().Sub(l.at) < l.For && l.knows(rows) {
		return l.lineage, nil
	}
	at := l.Now()
	shards, err := l.Shards(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing shards: %w", err)
	}
	l.at, l.lineage, l.gone = at, NewLineage(shards), map[string]bool{}
	for id := range rows {
		if _, listed := l.lineage.Shard(id); !listed {
			l.gone[id] = true
		}
	}
	return l.lineage, nil
}

// knows reports whether every row is of a shard that was listed, or that was gone by
// then.
func (l *Listing) knows(rows map[string]Row) bool {
	for id := range rows {
		if _, listed := l.lineage.Shard(id); !listed && !l.gone[id] && !IsLoad(id) {
			return false
		}
	}
	return true
}
