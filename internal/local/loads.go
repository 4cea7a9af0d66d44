package local

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/watershed-data/watershed/internal/protocol"
)

// loadsDir holds the events of loads until they are in the master dataset.
const loadsDir = "loads"

// Loads remembers the loads of all generations in the state database, and keeps
// each spool as a file.
type Loads struct {
	store *Store
	dir   string
	mu    sync.Mutex // makes a look and a write one step
}

// Loads gives the loads, one and the same every time. At first it deletes what a
// crash left of loads that were never accepted, and of those that are finished.
func (s *Store) Loads() (*Loads, error) {
	s.loadsLock.Lock()
	defer s.loadsLock.Unlock()
	if s.loads != nil {
		return s.loads, nil
	}
	l := &Loads{store: s, dir: filepath.Join(s.dir, loadsDir)}
	if err := makeSynced(l.dir); err != nil {
		return nil, fmt.Errorf("making the loads' folder: %w", err)
	}
	if err := l.sweep(); err != nil {
		return nil, fmt.Errorf("clearing what a crash left of loads: %w", err)
	}
	s.loads = l
	return l, nil
}

func (l *Loads) sweep() error {
	names, err := l.names()
	if err != nil {
		return err
	}
	loads, err := l.Loads(context.Background())
	if err != nil {
		return err
	}
	for _, load := range loads {
		if load.Loaded == 0 {
			names = slices.DeleteFunc(names, func(name string) bool { return name == load.Spool })
		}
	}
	var errs []error
	for _, name := range names {
		errs = append(errs, os.Remove(filepath.Join(l.dir, name)))
	}
	return errors.Join(errs...)
}

// names lists the files of the folder.
func (l *Loads) names() ([]string, error) {
	entries, err := os.ReadDir(l.dir)
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out, err
}

// Spool implements protocol.Loads.
func (l *Loads) Spool(_ context.Context, write func(io.Writer) error) (string, error) {
	name := rand.Text()
	if _, err := writeFile(filepath.Join(l.dir, name), write); err != nil {
		return "", fmt.Errorf("storing the events of a load: %w", err)
	}
	return name, nil
}

// OpenSpool implements protocol.Loads.
func (l *Loads) OpenSpool(_ context.Context, name string) (io.ReadCloser, error) {
	f, err := os.Open(filepath.Join(l.dir, name))
	if err != nil {
		return nil, fmt.Errorf("opening the events of a load: %w", err)
	}
	return f, nil
}

// DeleteSpool implements protocol.Loads.
func (l *Loads) DeleteSpool(_ context.Context, name string) error {
	if err := os.Remove(filepath.Join(l.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("deleting the events of a load: %w", err)
	}
	return nil
}

func loadKey(shard string) []byte { return fmt.Appendf(nil, "%c%s", keyLoad, shard) }

// PutLoad implements protocol.Loads.
func (l *Loads) PutLoad(_ context.Context, load protocol.Load) (protocol.Load, error) {
	err := l.update(func() error {
		stored, ok, err := l.get(load.Shard())
		if ok {
			load = stored
		}
		if ok || err != nil {
			return err
		}
		return l.set(load)
	})
	return load, err
}

// FinishLoad implements protocol.Loads.
func (l *Loads) FinishLoad(_ context.Context, shard string, loaded int64) error {
	return l.update(func() error {
		load, ok, err := l.get(shard)
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("there is no load %s", shard)
		}
		load.Loaded = loaded
		return l.set(load)
	})
}

// Load implements protocol.Loads.
func (l *Loads) Load(_ context.Context, shard string) (protocol.Load, bool, error) {
	if err := l.store.enter(); err != nil {
		return protocol.Load{}, false, err
	}
	defer l.store.leave()
	return l.get(shard)
}

// Loads implements protocol.Loads.
func (l *Loads) Loads(context.Context) (out []protocol.Load, err error) {
	if err := l.store.enter(); err != nil {
		return nil, err
	}
	defer l.store.leave()
	prefix := []byte{keyLoad}
	it, err := l.store.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: keyAfter(prefix)})
	if err != nil {
		return nil, fmt.Errorf("listing loads: %w", err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for valid := it.First(); valid; valid = it.Next() {
		load, err := parseLoad(it.Value())
		if err != nil {
			return nil, err
		}
		out = append(out, load)
	}
	slices.SortFunc(out, func(a, b protocol.Load) int {
		return cmp.Or(cmp.Compare(a.Arrival, b.Arrival), strings.Compare(a.Content, b.Content))
	})
	return out, it.Error()
}

// update runs f as one step.
func (l *Loads) update(f func() error) error {
	if err := l.store.enter(); err != nil {
		return err
	}
	defer l.store.leave()
	l.mu.Lock()
	defer l.mu.Unlock()
	return f()
}

func (l *Loads) get(shard string) (protocol.Load, bool, error) {
	value, closer, err := l.store.db.Get(loadKey(shard))
	if errors.Is(err, pebble.ErrNotFound) {
		return protocol.Load{}, false, nil
	}
	if err != nil {
		return protocol.Load{}, false, fmt.Errorf("reading a load: %w", err)
	}
	defer closer.Close()
	load, err := parseLoad(value)
	return load, err == nil, err
}

func parseLoad(value []byte) (load protocol.Load, err error) {
	if err := json.Unmarshal(value, &load); err != nil {
		return load, fmt.Errorf("reading a load: its record is damaged: %w", err)
	}
	return load, nil
}

func (l *Loads) set(load protocol.Load) error {
	value, err := json.Marshal(load)
	if err == nil {
		err = l.store.db.Set(loadKey(load.Shard()), value, pebble.Sync)
	}
	if err != nil {
		return fmt.Errorf("storing a load: %w", err)
	}
	return nil
}
