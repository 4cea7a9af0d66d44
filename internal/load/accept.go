package load

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/zeebo/xxh3"

	"github.com/watershed-data/watershed/internal/protocol"
)

// Upload is a content that somebody wants loaded.
type Upload struct {
	Name   string // of the file, for people
	Before *int64 // take only events older than this, microseconds since 1970-01-01 UTC; nil: all
	Events Events
	// Content gives the SHA-256 of the whole content in hexadecimal digits. It is
	// called behind the last event.
	Content func() string
}

// RefusedError is an upload that is not loaded, and why, as the caller's mistake.
type RefusedError struct {
	Field    string // the parameter at fault; "": none
	Message  string
	Conflict bool // with a load that was accepted before
}

func (e *RefusedError) Error() string { return e.Message }

// Accept spools an upload and stores its record. When it returns without an error
// the load is durable and will be in the master dataset, or was accepted before
// and nothing has changed, or has no events to load. Memory is bounded by some
// thousand events.
func (l *Loader) Accept(ctx context.Context, u Upload) (*Report, error) {
	if err := l.check(u.Before); err != nil {
		return nil, err
	}
	load := protocol.Load{Name: u.Name, Before: u.Before}
	var err error
	load.Spool, err = l.loads.Spool(ctx, func(w io.Writer) error { return l.spool(ctx, w, u.Events, &load) })
	if errors.Is(err, errNothing) {
		return outline(&load), nil
	}
	if err != nil {
		return nil, err
	}
	content := u.Content()
	digest, err := hex.DecodeString(content)
	if err != nil || len(digest) != sha256.Size {
		refusal := &RefusedError{Message: fmt.Sprintf("%q is not the SHA-256 of the content in 64 hexadecimal digits", content)}
		return nil, errors.Join(refusal, l.loads.DeleteSpool(ctx, load.Spool))
	}
	load.Content, load.Arrival = hex.EncodeToString(digest), l.now()
	return l.record(ctx, &load)
}

// check refuses a time that means nothing here.
func (l *Loader) check(before *int64) error {
	if before != nil && l.definition.Events.Time == "" {
		return &RefusedError{Field: "before", Message: "the pipeline has no event time, so no event is older than another; name the column with `time` in the definition, or load all events"}
	}
	return nil
}

// record stores an upload's record, or finds that the content was loaded before.
func (l *Loader) record(ctx context.Context, load *protocol.Load) (*Report, error) {
	stored, err := l.loads.PutLoad(ctx, *load)
	if err != nil {
		return nil, err // it may be stored or not: the next start sweeps
	}
	if stored.Spool == load.Spool {
		l.wake()
		return l.report(&stored), nil
	}
	if err := l.loads.DeleteSpool(ctx, load.Spool); err != nil {
		return nil, err
	}
	if !sameTime(stored.Before, load.Before) {
		first := "without a time, so all of its events were taken"
		if stored.Before != nil {
			first = "with the time " + micros(*stored.Before)
		}
		return nil, &RefusedError{Field: "before", Conflict: true, Message: fmt.Sprintf(
			"this content was loaded at %s as %s of %s, %s; a content is loaded once, so give the same time, or load the rest as a file of its own",
			millis(stored.Arrival), stored.Shard(), stored.Name, first)}
	}
	r := l.report(&stored)
	r.Already = true
	return r, nil
}

func sameTime(a, b *int64) bool {
	return a == b || a != nil && b != nil && *a == *b
}

// errNothing: no event is to be loaded.
var errNothing = errors.New("there is no event to load")

// What is filtered at a time.
const (
	chunkEvents = 4 << 10
	chunkBytes  = 4 << 20
)

// spool writes the events that belong to the load and adds to its record what
// they are.
func (l *Loader) spool(ctx context.Context, w io.Writer, events Events, load *protocol.Load) error {
	check := xxh3.New()
	out := NewFrameWriter(io.MultiWriter(w, check))
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return err
		}
		chunk, err := nextChunk(events)
		if more = !errors.Is(err, io.EOF); err != nil && more {
			return err
		}
		for _, e := range l.older(chunk, load) {
			if err := out.Write(e); err != nil {
				return fmt.Errorf("storing the events of a load: %w", err)
			}
			load.Events++
			load.Last = e.Line
		}
	}
	if load.Events == 0 {
		return errNothing
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("storing the events of a load: %w", err)
	}
	load.Check = check.Sum64()
	return nil
}

// nextChunk reads some events. With io.EOF there may be some, too.
func nextChunk(events Events) (chunk []Event, err error) {
	for size := 0; len(chunk) < chunkEvents && size < chunkBytes; {
		e, err := events.Next()
		if err != nil {
			return chunk, err
		}
		size += len(e.Data)
		chunk = append(chunk, e)
	}
	return chunk, nil
}

// older gives the events that belong to the load, and counts the others. An event
// whose time cannot be read belongs to it, as a rejected one: nothing says that
// it is in the stream, and here it is not lost.
func (l *Loader) older(chunk []Event, load *protocol.Load) []Event {
	if load.Before == nil || len(chunk) == 0 {
		return chunk
	}
	events := make([]protocol.Event, len(chunk))
	for i, e := range chunk {
		events[i] = event(0, e)
	}
	times := l.logic.EventTimes("", events)
	taken := chunk[:0]
	for i, e := range chunk {
		if times.Nulls[i] || times.Int[i] < *load.Before {
			taken = append(taken, e)
		} else {
			load.Newer++
		}
	}
	return taken
}
