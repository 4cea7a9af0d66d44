package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// Generations says which generations a data directory holds. It is one record,
// replaced in one step, so that a crash never leaves two of them in doubt.
type Generations struct {
	Serving string    `json:"serving"`          // the one that answers
	Next    string    `json:"next,omitempty"`   // the one that is made beside it; "": none
	Since   time.Time `json:"since"`            // when Next was begun, or Serving if there is none
	Doomed  []string  `json:"doomed,omitempty"` // those whose rests have to go
}

// DefinitionText is a definition as it was written, to run a generation from when
// the file has become another one's.
type DefinitionText struct {
	File string `json:"file"` // absolute; what the definition names is relative to its folder
	Text []byte `json:"text"`
}

var generationsKey = []byte{keyGeneration}

func definitionKey(generation string) []byte {
	return fmt.Appendf(nil, "%cd%s", keyGeneration, generation)
}

// Generations gives the record; the zero one of a new directory.
func (s *Store) Generations() (g Generations, err error) {
	if err := s.enter(); err != nil {
		return g, err
	}
	defer s.leave()
	value, closer, err := s.db.Get(generationsKey)
	if errors.Is(err, pebble.ErrNotFound) {
		return g, nil
	}
	if err != nil {
		return g, fmt.Errorf("reading the generations: %w", err)
	}
	defer closer.Close()
	if len(value) > 0 && value[0] != '{' {
		return Generations{Serving: string(value)}, nil // as the first release wrote it
	}
	if err := json.Unmarshal(value, &g); err != nil {
		return g, fmt.Errorf("reading the generations: the record is damaged: %w", err)
	}
	return g, nil
}

// Adopt makes the directory follow a generation and gives where that leaves it.
// The first generation answers at once. Another one than the one that answers is
// begun beside it, and whatever was begun before it is given up; the one that
// answers gives up what is beside it. A generation that is begun, and was there
// before, is begun anew: Adopt first removes all rests.
func (s *Store) Adopt(ctx context.Context, generation string, text DefinitionText) (Generations, error) {
	if err := s.SweepDoomed(ctx); err != nil {
		return Generations{}, err
	}
	g, err := s.Generations()
	if err != nil {
		return g, err
	}
	next := g
	if g.Next != "" && g.Next != generation {
		next.Doomed = append(next.Doomed, g.Next)
		next.Next = ""
	}
	switch {
	case g.Serving == "":
		next.Serving, next.Since = generation, s.options.Now().UTC()
	case g.Serving != generation && g.Next != generation:
		next.Next, next.Since = generation, s.options.Now().UTC()
	}
	if err := s.putGenerations(next, generation, &text); err != nil {
		return g, err
	}
	if err := s.SweepDoomed(ctx); err != nil {
		return next, err
	}
	next.Doomed = nil
	return next, nil
}

// Switch makes the next generation the one that answers. What answered before is
// doomed: SweepDoomed removes it when nobody uses it any more.
func (s *Store) Switch(generation string) error {
	g, err := s.Generations()
	if err != nil {
		return err
	}
	if g.Serving == generation {
		return nil // a try before this one was stored after all
	}
	if g.Next != generation {
		return fmt.Errorf("switching to generation %s: the next one is %q", generation, g.Next)
	}
	return s.putGenerations(Generations{Serving: generation, Since: s.options.Now().UTC(), Doomed: append(g.Doomed, g.Serving)}, "", nil)
}

// putGenerations stores the record, and a generation's text if there is one, in
// one step.
func (s *Store) putGenerations(g Generations, generation string, text *DefinitionText) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	batch := s.db.NewBatch()
	defer batch.Close()
	record, err := json.Marshal(g)
	if err == nil {
		err = batch.Set(generationsKey, record, nil)
	}
	if err == nil && text != nil {
		var value []byte
		if value, err = json.Marshal(text); err == nil {
			err = batch.Set(definitionKey(generation), value, nil)
		}
	}
	if err == nil {
		err = batch.Commit(pebble.Sync)
	}
	if err != nil {
		return fmt.Errorf("storing the generations: %w", err)
	}
	return nil
}

// Definition gives the text of a generation's definition; false if the directory
// does not have it, which one of the first release does not.
func (s *Store) Definition(generation string) (text DefinitionText, ok bool, err error) {
	if err := s.enter(); err != nil {
		return text, false, err
	}
	defer s.leave()
	value, closer, err := s.db.Get(definitionKey(generation))
	if errors.Is(err, pebble.ErrNotFound) {
		return text, false, nil
	}
	if err == nil {
		defer closer.Close()
		err = json.Unmarshal(value, &text)
	}
	if err != nil {
		return text, false, fmt.Errorf("reading the definition of generation %s: %w", generation, err)
	}
	return text, true, nil
}

// SweepDoomed removes everything of the doomed generations. It may be killed and
// repeated. Nobody may use them any more.
func (s *Store) SweepDoomed(ctx context.Context) error {
	g, err := s.Generations()
	if err != nil {
		return err
	}
	for len(g.Doomed) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		doomed := g.Doomed[0]
		if doomed == g.Serving || doomed == g.Next || doomed == "" {
			return fmt.Errorf("removing generation %q: it is in use: the record of generations is damaged: %s", doomed, remedy)
		}
		if err := s.removeGeneration(doomed); err != nil {
			return fmt.Errorf("removing generation %s: %w", doomed, err)
		}
		g.Doomed = slices.Clone(g.Doomed[1:])
		if err := s.putGenerations(g, "", nil); err != nil {
			return err
		}
	}
	return nil
}

// generationKeys are the parts of the key space whose keys go on with the
// generation.
var generationKeys = []byte{keyLedger, keyPlan, keyItem, keySegment, keyCheckpoint, keyJournal}

// removeGeneration removes a generation's files, then its keys.
func (s *Store) removeGeneration(generation string) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	s.forgetMaster(generation)
	for _, part := range []string{viewsDir, masterDir} {
		if err := os.RemoveAll(filepath.Join(s.dir, part, generation)); err != nil {
			return err
		}
	}
	batch := s.db.NewBatch()
	defer batch.Close()
	for _, kind := range generationKeys {
		prefix := append([]byte{kind}, generation...)
		if err := batch.DeleteRange(prefix, keyAfter(prefix), nil); err != nil {
			return err
		}
	}
	if err := batch.Delete(definitionKey(generation), nil); err != nil {
		return err
	}
	if err := batch.Commit(pebble.Sync); err != nil {
		return err
	}
	_, err := s.db.AsyncFlush() // else readers step over each deleted key
	return err
}
