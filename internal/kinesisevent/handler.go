package kinesisevent

import (
	"context"
	"errors"

	"github.com/watershed-data/watershed/internal/protocol"
)

// Speed commits batches of events; *protocol.Speed does.
type Speed interface {
	// Apply returns once every event of the batch is committed.
	Apply(ctx context.Context, b protocol.Batch) error
}

// Handler applies the batches of an event source to the real-time views. It may
// be invoked several times at once, and again for the same records.
type Handler struct {
	Speed  Speed
	Ranges *protocol.HashRanges // of the stream's shards
	// Attend is told up to where a shard is committed now, at the least; nil: nobody is.
	// It cannot fail what is committed.
	Attend func(ctx context.Context, shard string, committed protocol.Position)
	// Ready says why nothing can be applied; it is asked before each payload. nil:
	// nothing stands in the way.
	Ready func(ctx context.Context) error
}

// Invoke implements the Lambda runtime's handler. Success means that every event
// of the payload is committed. With any error the event source hands the payload
// over again, also with protocol.ErrNotYet: the shard's ancestors come first.
func (h *Handler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	if h.Ready != nil {
		if err := h.Ready(ctx); err != nil {
			return nil, err
		}
	}
	records, err := Decode(payload)
	if err != nil {
		return nil, err
	}
	batches, err := Batches(ctx, records, h.Ranges)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, b := range batches { // one shard that has to wait holds up no other
		err := h.Speed.Apply(ctx, b)
		if err == nil && h.Attend != nil {
			h.Attend(ctx, b.Shard, b.Events[len(b.Events)-1].Position)
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return []byte("null"), nil
}
