package protocol

import (
	"context"
	"errors"
	"fmt"
)

// Tip is what is known of a shard's log behind the position that is committed.
type Tip struct {
	// At is when the log was looked at, milliseconds since 1970-01-01 UTC, or a moment
	// before; 0: nobody has since the position was committed, and nothing is known.
	At      int64
	Ended   bool  // nothing lay behind the position, and nothing ever comes there: the shard was closed
	Behind  bool  // events lay behind the position
	Expired bool  // and the log no longer held them all
	Oldest  int64 // arrival of the first event behind, if the log held it; 0: it did not
}

// Tips says how far logs reach beyond what a snapshot holds of them. It decides how
// fresh an answer is said to be, and nothing about the answer.
type Tips interface {
	// Tips gives what is known of the listed shards; one that is missing is not known.
	Tips(ctx context.Context, s *Snapshot) (map[string]Tip, error)
}

// LogTips asks the log about every shard: for logs where that costs little.
type LogTips struct {
	Log Log
	Now func() int64 // milliseconds since 1970-01-01 UTC
}

// Tips implements Tips.
func (t *LogTips) Tips(ctx context.Context, s *Snapshot) (map[string]Tip, error) {
	out := make(map[string]Tip, len(s.Lineage.Shards))
	for _, shard := range s.Lineage.Shards {
		tip := Tip{At: t.Now()}
		through := s.Committed(shard.ID)
		page, err := t.Log.Read(ctx, shard.ID, through, 1)
		tip.Expired = errors.Is(err, ErrExpired)
		if err != nil && !tip.Expired {
			return nil, fmt.Errorf("reading the log of %s after %q: %w", shard.ID, through, err)
		}
		tip.Behind = tip.Expired || len(page.Events) > 0
		tip.Ended = !tip.Behind && page.Ended
		if len(page.Events) > 0 {
			tip.Oldest = page.Events[0].Arrival
		}
		out[shard.ID] = tip
	}
	return out, nil
}
