package aws

import (
	"context"
	"fmt"
	"time"

	"github.com/watershed-data/watershed/internal/aws/stream"
	"github.com/watershed-data/watershed/internal/protocol"
)

// adopted says of which generation the stores are. There is one such record in the
// ledger's table.
type adopted struct {
	Generation string `json:"generation"`
	Since      int64  `json:"since"` // milliseconds since 1970-01-01 UTC
}

// adoptedKey is the partition of that record. No generation is empty.
const adoptedKey = "#generation"

// Adopt makes the stores those of a generation, if they are of none yet. It is an
// error if they are of another one: the views would be empty, and answers wrong
// without looking so. Once it has succeeded, it asks no more.
func (s *Store) Adopt(ctx context.Context, generation string) error {
	_, err := s.adopt(ctx, generation)
	return err
}

// Holds is Adopt for those who only read: stores that are of no generation yet stay
// so, and are empty.
func (s *Store) Holds(ctx context.Context, generation string) error {
	there, err := s.generation(ctx)
	if err != nil || there.Generation == "" {
		return err
	}
	return s.compare(there, generation)
}

func (s *Store) adopt(ctx context.Context, generation string) (adopted, error) {
	there, err := s.generation(ctx)
	if err == nil && there.Generation == "" {
		there, err = s.putGeneration(ctx, adopted{Generation: generation, Since: s.options.Now().UnixMilli()})
	}
	if err == nil {
		err = s.compare(there, generation)
	}
	return there, err
}

// compare gives an error if the stores are of another generation than the caller's.
func (s *Store) compare(there adopted, mine string) error {
	if there.Generation == mine {
		return nil
	}
	return fmt.Errorf("opening the stores: this program's definition has the generation %s, but the table %s holds %s since %s: events, cleaning or views were changed; deploy the definition that the stack was made with again, or the changed one as a stack of its own",
		mine, s.options.Ledger, there.Generation, time.UnixMilli(there.Since).UTC().Format(time.RFC3339))
}

// generation gives of which generation the stores are; none is no error. It does not
// change, so it is asked for once.
func (s *Store) generation(ctx context.Context) (there adopted, err error) {
	s.mu.Lock()
	there = s.adopted
	s.mu.Unlock()
	if there.Generation != "" {
		return there, nil
	}
	if _, err := s.ledger().value(ctx, adoptedKey, adoptedKey, &there); err != nil {
		return adopted{}, fmt.Errorf("reading of which generation the stores are: %w", err)
	}
	s.remember(there)
	return there, nil
}

// putGeneration stores it if there is none, and gives the one that is there.
func (s *Store) putGeneration(ctx context.Context, there adopted) (adopted, error) {
	r := key(adoptedKey, adoptedKey)
	err := setBody(r, there)
	if err == nil {
		var stored bool
		var other record
		if stored, other, err = s.ledger().putIf(ctx, r, absent); err == nil && !stored {
			err = getBody(other, &there)
		}
	}
	if err != nil {
		return adopted{}, fmt.Errorf("taking up the generation %s: %w", there.Generation, err)
	}
	s.remember(there)
	return there, nil
}

func (s *Store) remember(there adopted) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.adopted = there
}

func (s *Store) ledger() *table { return &table{s.dynamo, s.options.Ledger} }

// Notes keeps what readers of a stream note, for one generation.
type Notes struct {
	store      *Store
	table      *table
	generation string
}

// Notes gives the notes of a generation.
func (s *Store) Notes(generation string) *Notes {
	return &Notes{store: s, table: s.ledger(), generation: generation}
}

func (n *Notes) shards() string { return n.generation + "#notes" }

// The attributes of a note. docs/runbook.md tells people how to write one.
const (
	noteThrough = "through" // sequence:sub
	noteAt      = "at"
	noteKeep    = "keep"
	noteEnded   = "ended" // 1: the shard was closed
)

// Born implements stream.Notes.
func (n *Notes) Born(ctx context.Context) (time.Time, error) {
	there, err := n.store.adopt(ctx, n.generation)
	return time.UnixMilli(there.Since), err
}

// Note implements stream.Notes.
func (n *Notes) Note(ctx context.Context, shard string) (out stream.Note, ok bool, err error) {
	r, err := n.table.get(ctx, n.shards(), shard)
	if err == nil && r != nil {
		out, err = noteOf(r)
	}
	if err != nil {
		return stream.Note{}, false, fmt.Errorf("reading the note on %s: %w", shard, err)
	}
	return out, r != nil, nil
}

func noteOf(r record) (out stream.Note, err error) {
	if out.Through, err = protocol.ParsePosition(textOf(r, noteThrough)); err != nil {
		return out, err
	}
	if out.At, err = numberOf(r, noteAt); err != nil {
		return out, err
	}
	if out.Keep, err = numberOf(r, noteKeep); err != nil {
		return out, err
	}
	_, out.Ended = r[noteEnded]
	return out, nil
}

// PutNote implements stream.Notes.
func (n *Notes) PutNote(ctx context.Context, shard string, note stream.Note) error {
	r := key(n.shards(), shard)
	r[noteThrough], r[noteAt], r[noteKeep] = text(note.Through.String()), number(note.At), number(note.Keep)
	if note.Ended {
		r[noteEnded] = number(1)
	}
	_, _, err := n.table.putIf(ctx, r, condition{
		absent.expression + " OR (#at < :at AND attribute_not_exists(#ended))",
		map[string]string{"#at": noteAt, "#ended": noteEnded},
		record{":at": number(note.At)},
	})
	if err != nil {
		return fmt.Errorf("writing the note on %s: %w", shard, err)
	}
	return nil
}
