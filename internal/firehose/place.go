package firehose

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/watershed-data/watershed/internal/kpl"
	"github.com/watershed-data/watershed/internal/protocol"
)

// placed is a record of an invocation on its way to rows.
type placed struct {
	id     json.RawMessage // as the invocation writes it
	name   string          // the same, for people
	shard  string
	event  protocol.Event // Last is not set; row logic does not ask for it
	failed error          // why it becomes no row
	json   []byte         // its rows, one after the other
}

// place names a record of the stream.
type place struct{ shard, seq string }

// events gives the events of each record that has not failed: one, but for
// aggregates that were not taken apart.
func (h *Handler) events(ctx context.Context, records []placed) ([][]protocol.Event, error) {
	apart := map[place]bool{} // records of which an event shows that Firehose took them apart
	for i := range records {
		if r := &records[i]; r.failed == nil && r.event.Position.Sub > 0 {
			apart[place{r.shard, r.event.Position.Seq}] = true
		}
	}
	out := make([][]protocol.Event, len(records))
	for i := range records {
		r := &records[i]
		if r.failed != nil {
			continue
		}
		var err error
		if out[i], err = h.eventsOf(ctx, r, apart[place{r.shard, r.event.Position.Seq}]); err != nil {
			if !lasting(err) {
				return nil, err
			}
			r.failed = err
		}
	}
	return out, nil
}

func (h *Handler) eventsOf(ctx context.Context, r *placed, apart bool) ([]protocol.Event, error) {
	own, err := h.ranges.Of(ctx, r.shard)
	if err != nil {
		return nil, err
	}
	e := r.event
	e.Stray, e.Aggregated = !own.Holds(e.PartitionKey), apart || e.Position.Sub > 0
	if !e.Aggregated {
		if _, whole := kpl.Split(e.Data); whole || e.Stray {
			return h.ask(ctx, r, own)
		}
	}
	return []protocol.Event{e}, nil
}

var (
	errGone  = errors.New("the stream does not hold the record any more, so nothing says whether it came in an aggregate")
	errOther = errors.New("the stream holds other bytes at its position")
)

// lasting reports whether trying again will not help.
func lasting(err error) bool {
	return errors.Is(err, protocol.ErrNoShard) || errors.Is(err, errGone) || errors.Is(err, errOther)
}

// ask gives the events of a record of which its metadata does not say enough: a
// plain one, the first event of an aggregate, or all events of the aggregate that
// the record is.
func (h *Handler) ask(ctx context.Context, r *placed, own protocol.HashRange) ([]protocol.Event, error) {
	stored, ok, err := h.stream.Record(ctx, r.shard, r.event.Position.Seq)
	if err != nil {
		return nil, fmt.Errorf("reading record %s of %s: %w", r.event.Position.Seq, r.shard, err)
	}
	if !ok {
		return nil, errGone
	}
	e := r.event
	parts, aggregated := kpl.Split(stored.Data)
	switch {
	case aggregated && bytes.Equal(parts[0].Data, e.Data) && parts[0].PartitionKey == e.PartitionKey:
		parts = parts[:1] // Firehose took it apart
	case !bytes.Equal(stored.Data, e.Data):
		return nil, errOther
	case !aggregated:
		parts = []kpl.Record{{PartitionKey: e.PartitionKey, Data: e.Data}}
	}
	events := make([]protocol.Event, len(parts))
	for i, part := range parts {
		e.Position.Sub, e.PartitionKey, e.Data = int64(i), part.PartitionKey, part.Data
		e.Aggregated, e.Stray = aggregated, !own.Holds(part.PartitionKey)
		events[i] = e
	}
	return events, nil
}
