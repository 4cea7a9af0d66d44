package archive

import (
	"context"
	"fmt"

	"github.com/watershed-data/watershed/internal/protocol"
)

// pageEvents is how many events are asked of the log at a time; the log bounds
// their bytes.
const pageEvents = 4 << 10

// pager reads a shard's log, at least up to a position or else to its tip.
type pager struct {
	log   protocol.Log
	shard string
	last  protocol.Position  // of the events given; at first, where to begin
	until *protocol.Position // nil: the tip
	end   bool               // nothing more is wanted or, for now, there
}

func (r *pager) next(ctx context.Context) ([]protocol.Event, error) {
	for !r.end {
		page, err := readPage(ctx, r.log, r.shard, r.last)
		if err != nil {
			return nil, err
		}
		r.end = page.AtTip || page.Ended
		if len(page.Events) == 0 {
			continue
		}
		r.last = page.Events[len(page.Events)-1].Position
		if r.until != nil && !r.until.After(r.last) {
			r.end = true
		}
		return page.Events, nil
	}
	return nil, nil
}

// repairer reads spans of a shard's log, in log order. Spans that lie close
// together come from one page.
type repairer struct {
	log   protocol.Log
	shard string
	spans []protocol.Span   // those that are not read to their end
	last  protocol.Position // up to which the log was read
}

func (r *repairer) next(ctx context.Context) ([]protocol.Event, error) {
	for len(r.spans) > 0 {
		if r.spans[0].After.After(r.last) {
			r.last = r.spans[0].After
		}
		page, err := readPage(ctx, r.log, r.shard, r.last)
		if err != nil {
			return nil, err
		}
		events := r.wanted(page.Events)
		if len(r.spans) > 0 && (page.AtTip || page.Ended) {
			return nil, fmt.Errorf("the log ends at %q, before %q", r.last, r.spans[len(r.spans)-1].Through)
		}
		if len(events) > 0 {
			return events, nil
		}
	}
	return nil, nil
}

// wanted gives the events that lie in spans, and strikes the spans off that they
// end.
func (r *repairer) wanted(events []protocol.Event) []protocol.Event {
	var out []protocol.Event
	for _, e := range events {
		r.last = e.Position
		for len(r.spans) > 0 && e.Position.After(r.spans[0].Through) {
			r.spans = r.spans[1:]
		}
		if len(r.spans) == 0 {
			break
		}
		if e.Position.After(r.spans[0].After) {
			out = append(out, e)
		}
		if e.Position == r.spans[0].Through {
			r.spans = r.spans[1:]
		}
	}
	return out
}

func readPage(ctx context.Context, log protocol.Log, shard string, after protocol.Position) (protocol.Page, error) {
	if err := ctx.Err(); err != nil {
		return protocol.Page{}, err
	}
	page, err := log.Read(ctx, shard, after, pageEvents)
	if err != nil {
		return page, fmt.Errorf("reading the log after %q: %w", after, err)
	}
	return page, nil
}
