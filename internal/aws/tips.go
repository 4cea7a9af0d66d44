package aws

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/watershed-data/watershed/internal/aws/stream"
	"github.com/watershed-data/watershed/internal/protocol"
)

// notesKept is for how long notes are remembered. They stay true; a later one only
// says more.
const notesKept = 15 * time.Second

// Tips knows of the stream's tips what its readers noted: asking a stream of Kinesis
// for every answer would take the few reads a second that a shard allows from those
// who need them. It may be used by several goroutines at once.
type Tips struct {
	notes *Notes
	now   func() time.Time

	mu    sync.Mutex
	at    time.Time
	known map[string]stream.Note // by shard
}

// Tips gives what is known of the tips for a generation.
func (s *Store) Tips(generation string) *Tips {
	return &Tips{notes: s.Notes(generation), now: s.options.Now}
}

// Tips implements protocol.Tips.
func (t *Tips) Tips(ctx context.Context, s *protocol.Snapshot) (map[string]protocol.Tip, error) {
	notes, err := t.current(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string]protocol.Tip{}
	for _, shard := range s.Lineage.Shards {
		note, ok := notes[shard.ID]
		if !ok {
			continue
		}
		switch c := s.Committed(shard.ID).Compare(note.Through); {
		case c == 0:
			out[shard.ID] = protocol.Tip{At: note.At, Ended: note.Ended}
		case c < 0: // its reader was ahead
			out[shard.ID] = protocol.Tip{At: note.At, Behind: true}
		}
	}
	return out, nil
}

// current gives the notes of all shards.
func (t *Tips) current(ctx context.Context) (map[string]stream.Note, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if t.known != nil && now.Sub(t.at) < notesKept {
		return t.known, nil
	}
	known := map[string]stream.Note{}
	err := t.notes.table.query(ctx, &dynamodb.QueryInput{
		KeyConditionExpression:    str("pk = :pk"),
		ExpressionAttributeValues: record{":pk": text(t.notes.shards())},
	}, func(r record) (err error) {
		known[textOf(r, sorting)], err = noteOf(r)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the notes on shards: %w", err)
	}
	t.at, t.known = now, known
	return known, nil
}
