package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/watershed-data/watershed/internal/protocol"
)

// Source hands the events of every shard to a handler, in order and at least
// once: what an event source mapping does for a function. A batch that fails is
// handed over again until it succeeds; nothing is ever skipped.
type Source struct {
	Log *Log
	// Start gives the position from which on a shard is handed over.
	Start func(ctx context.Context, shard string) (protocol.Position, error)
	// Handle takes a batch. It is called for one batch of a shard at a time, and
	// first of all with one without events.
	Handle func(ctx context.Context, b protocol.Batch) error
	Limit  int // events per batch, about
	Logger *slog.Logger
}

// Run hands over events until ctx ends, or until stop is closed and every shard
// was handed over to its end. Before stop is closed the log must have taken its
// last event and reshard.
func (s *Source) Run(ctx context.Context, stop <-chan struct{}) {
	var wg sync.WaitGroup
	defer wg.Wait()
	ends := map[string]chan struct{}{} // closed when a shard's follower has ended
	for stopping := false; ; {
		changed := s.Log.Changed() // before the look, so that no change is missed
		shards, err := s.Log.Shards(ctx)
		if err != nil {
			s.Logger.Error("listing shards failed", "error", err)
		}
		for _, shard := range shards { // parents before children
			if ends[shard.ID] != nil {
				continue
			}
			end := make(chan struct{})
			ends[shard.ID] = end
			var parents []chan struct{}
			for _, p := range shard.Parents {
				if parent := ends[p]; parent != nil { // else the log no longer has it
					parents = append(parents, parent)
				}
			}
			wg.Go(func() {
				defer close(end)
				s.follow(ctx, stop, shard.ID, parents)
			})
		}
		if stopping {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-stop:
			stopping = true // and look once more: shards may have opened since
		case <-changed:
		}
	}
}

// The bounds of the wait before a failed batch is handed over again.
const (
	firstWait = 10 * time.Millisecond
	lastWait  = 5 * time.Second
)

// follow hands over one shard until it ends. It begins when the parents' followers
// have ended: before, the handler could only refuse its events. They end at the
// parents' end; if one ever ended earlier, the refusals would hold the shard up.
func (s *Source) follow(ctx context.Context, stop <-chan struct{}, shard string, parents []chan struct{}) {
	for _, parent := range parents {
		select {
		case <-ctx.Done():
			return
		case <-parent:
		}
	}
	wait := firstWait
	for ctx.Err() == nil {
		ended, err := s.run(ctx, stop, shard, func() { wait = firstWait })
		if ended || ctx.Err() != nil || errors.Is(err, ErrClosed) {
			return
		}
		if errors.Is(err, protocol.ErrNotYet) {
			s.Logger.Debug("waiting for ancestors", "shard", shard)
		} else {
			s.Logger.Error("a batch failed and will be tried again", "shard", shard, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait/2 + rand.N(wait/2)):
		}
		wait = min(2*wait, lastWait)
	}
}

// run hands over batches until one fails. It gives true at the end of a closed
// shard, and at the tip of an open one once stop is closed.
func (s *Source) run(ctx context.Context, stop <-chan struct{}, shard string, succeeded func()) (ended bool, err error) {
	if err := s.Handle(ctx, protocol.Batch{Shard: shard}); err != nil {
		return false, err
	}
	after, err := s.Start(ctx, shard)
	if err != nil {
		return false, fmt.Errorf("finding where to begin with %s: %w", shard, err)
	}
	for stopping := false; ; {
		changed := s.Log.Changed()
		page, err := s.Log.Read(ctx, shard, after, s.Limit)
		if err != nil {
			return false, err
		}
		if len(page.Events) > 0 {
			if err := s.Handle(ctx, protocol.Batch{Shard: shard, After: after, Events: page.Events}); err != nil {
				return false, err
			}
			after = page.Events[len(page.Events)-1].Position
			succeeded()
			continue
		}
		if page.Ended || stopping {
			return true, nil
		}
		select {
		case <-ctx.Done():
			return true, nil
		case <-stop:
			stopping = true // and look once more: events may have come since
		case <-changed:
		}
	}
}
