package local

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// Journal keeps how the batch layer stands, as the text it gives.
type Journal struct {
	store *Store
	key   []byte
}

// Journal gives the journal of a generation.
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
