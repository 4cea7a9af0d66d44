package local

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Adopt binds the directory to a generation: the first one it is given. What is
// stored answers for that generation only, so another one is refused.
func (s *Store) Adopt(generation string) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	key := []byte{keyGeneration}
	value, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		if err := s.db.Set(key, []byte(generation), pebble.Sync); err != nil {
			return fmt.Errorf("storing the generation: %w", err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the generation: %w", err)
	}
	defer closer.Close()
	if string(value) != generation {
		return fmt.Errorf("data directory %s was made with another definition (generation %s, the file gives %s): changing what a definition computes is not supported yet on existing data; run the old definition, or name another directory and send the events again", s.dir, value, generation)
	}
	return nil
}
