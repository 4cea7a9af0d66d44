package local

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// Journal keeps a text: how a layer of a generation stands.
type Journal struct {
	store *Store
	key   []byte
}

// RecomputeJournal gives the journal of one part of a generation's beginning.
func (s *Store) RecomputeJournal(generation, part string) *Journal {
	return &Journal{store: s, key: fmt.Appendf(nil, "%c%s\x00%s", keyJournal, generation, part)}
}

// ErasingJournal gives the journal of whether an erasure is under way.
func (s *Store) ErasingJournal(generation string) *Journal {
	return &Journal{store: s, key: fmt.Appendf(nil, "%c%s\x00erasing", keyJournal, generation)}
}

// Journal gives the batch layer's journal of a generation.
func (s *Store) Journal(generation string) *Journal {
	return &Journal{store: s, key: fmt.Appendf(nil, "%c%s", keyJournal, generation)}
}

// Load gives what was stored last; nil at first.
func (j *Journal) Load(context.Context) ([]byte, error) {
	if err := j.store.enter(); err != nil {
		return nil, err
	}
	defer j.store.leave()
	value, closer, err := j.store.db.Get(j.key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	return slices.Clone(value), nil
}

// Store replaces it durably.
func (j *Journal) Store(_ context.Context, text []byte) error {
	if err := j.store.enter(); err != nil {
		return err
	}
	defer j.store.leave()
	return j.store.db.Set(j.key, text, pebble.Sync)
}
