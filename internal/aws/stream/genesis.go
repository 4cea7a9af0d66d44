package stream

import (
	"context"
	"fmt"

	"github.com/watershed-data/watershed/internal/protocol"
)

// Genesis implements protocol.Genesis: a shard begins directly before the first
// event that its log has, so that the first record itself proves later on that
// nothing is missing. Events before it, of a stream that is older than the pipeline,
// are passed over.
func (l *Log) Genesis(ctx context.Context, shard string, events []protocol.Event) (from protocol.Position, begun bool, err error) {
	page, err := l.Read(ctx, shard, protocol.Position{}, 1)
	if err != nil {
		return protocol.Position{}, false, fmt.Errorf("finding where %s begins: %w", shard, err)
	}
	if len(page.Events) > 0 {
		return protocol.Before(page.Events[0].Position.Seq), true, nil
	}
	beginning, err := l.beginning(ctx)
	if err != nil {
		return protocol.Position{}, false, fmt.Errorf("finding where %s begins: %w", shard, err)
	}
	for i := range events {
		if e := &events[i]; e.Arrival >= beginning.UnixMilli() {
			return protocol.Position{}, false, fmt.Errorf("finding where %s begins: %s arrived since then, but the stream does not show it: %w", shard, e.Position, protocol.ErrBusy)
		}
	}
	return protocol.Position{}, false, nil
}
