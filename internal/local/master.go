package local

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/watershed-data/watershed/internal/protocol"
)

// Master is the master dataset: immutable Parquet files, a folder per shard.
//
// What is no file of such a folder, or hidden, is not the dataset's: it is left
// alone, with one warning.
type Master struct {
	dir    string
	logger *slog.Logger

	mu       sync.Mutex       // held while files are listed, too: in between a replacement shows neither its old files nor its new ones
	swaps    []*swap          // whose old files are still there, oldest first
	replaced map[string]int64 // names of their old files, with the swap's number
	last     int64            // number of the last swap
	pins     map[int64]int    // by the last swap before them
	foreign  *sync.Map        // paths that were warned of
}

const parquetFile = ".parquet"

// Master gives the master dataset of a generation. It is one and the same every
// time: it knows who reads its files.
func (s *Store) Master(generation string) (*Master, error) {
	s.mastersLock.Lock()
	defer s.mastersLock.Unlock()
	if m := s.masters[generation]; m != nil {
		return m, nil
	}
	m := &Master{
		dir: filepath.Join(s.dir, masterDir, generation), logger: s.options.Logger,
		replaced: map[string]int64{}, pins: map[int64]int{}, foreign: &s.foreign,
	}
	if err := makeSynced(m.dir); err != nil {
		return nil, fmt.Errorf("making the master dataset's folder: %w", err)
	}
	if err := m.recover(); err != nil {
		return nil, fmt.Errorf("clearing what a crash left of the master dataset: %w", err)
	}
	if s.masters == nil {
		s.masters = map[string]*Master{}
	}
	s.masters[generation] = m
	return m, nil
}

// forgetMaster is for a generation whose folder goes.
func (s *Store) forgetMaster(generation string) {
	s.mastersLock.Lock()
	defer s.mastersLock.Unlock()
	delete(s.masters, generation)
}

// makeSynced makes a folder, if need be, and its name durable.
func makeSynced(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncPath(filepath.Dir(dir))
}

// Path gives where a file lies.
func (m *Master) Path(name string) string { return filepath.Join(m.dir, filepath.FromSlash(name)) }

// newName names a new file of a shard, whose folder is made.
func (m *Master) newName(shard string) (string, error) {
	if err := makeSynced(filepath.Join(m.dir, shard)); err != nil {
		return "", fmt.Errorf("making the folder of %s in the master dataset: %w", shard, err)
	}
	return shard + "/" + rand.Text() + parquetFile, nil
}

// Put implements protocol.Master.
func (m *Master) Put(_ context.Context, shard string, write func(io.Writer) error) (protocol.File, error) {
	name, err := m.newName(shard)
	if err != nil {
		return protocol.File{}, err
	}
	size, err := writeFile(m.Path(name), write)
	if err != nil {
		return protocol.File{}, fmt.Errorf("writing %s: %w", name, err)
	}
	return protocol.File{Name: name, Shard: shard, Size: size}, nil
}

// Files implements protocol.Master.
func (m *Master) Files(context.Context) ([]protocol.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.heal(); err != nil {
		return nil, fmt.Errorf("listing the master dataset: %w", err)
	}
	var out []protocol.File
	err := m.walk(func(name string, d fs.DirEntry) error {
		if m.replaced[name] > 0 || !strings.HasSuffix(name, parquetFile) {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		shard, _, _ := strings.Cut(name, "/")
		out = append(out, protocol.File{Name: name, Shard: shard, Size: info.Size()})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing the master dataset: %w", err)
	}
	return out, nil
}

// walk gives the dataset's files and the partial ones, by name.
func (m *Master) walk(fn func(name string, d fs.DirEntry) error) error {
	folders, err := os.ReadDir(m.dir)
	if err != nil {
		return err
	}
	for _, folder := range folders {
		switch {
		case !folder.IsDir() && (isSwap(folder.Name()) || isSwap(strings.TrimSuffix(folder.Name(), partial))):
			continue
		case !folder.IsDir() || hidden(folder.Name()):
			m.warn(folder.Name())
			continue
		}
		files, err := os.ReadDir(filepath.Join(m.dir, folder.Name()))
		if err != nil {
			return err
		}
		for _, f := range files {
			name := folder.Name() + "/" + f.Name()
			if !f.Type().IsRegular() || hidden(f.Name()) || !strings.HasSuffix(strings.TrimSuffix(f.Name(), partial), parquetFile) {
				m.warn(name)
				continue
			}
			if err := fn(name, f); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// hidden reports whether a name is that of something that tools leave behind.
func hidden(name string) bool { return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") }

// warn says once of a file that it is not taken for the dataset's.
func (m *Master) warn(name string) {
	if _, said := m.foreign.LoadOrStore(m.Path(name), true); !said {
		m.logger.Warn("the master dataset's folder holds something that is not part of it and is left alone", "path", m.Path(name))
	}
}

// Open implements protocol.Master.
func (m *Master) Open(_ context.Context, name string) (protocol.ReadAtCloser, int64, error) {
	return openFile(m.Path(name))
}

// Pin implements protocol.Master.
func (m *Master) Pin(context.Context) (release func(), err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := m.last
	m.pins[at]++
	return sync.OnceFunc(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.pins[at]--; m.pins[at] == 0 {
			delete(m.pins, at)
		}
		m.collect()
	}), nil
}

// collect deletes the old files of swaps that no reader has listed.
func (m *Master) collect() {
	m.swaps = slices.DeleteFunc(m.swaps, func(s *swap) bool {
		for at := range m.pins {
			if at < s.number {
				return false
			}
		}
		if err := m.finish(s); err != nil {
			m.logger.Warn("deleting replaced files of the master dataset failed and will be tried again", "error", err)
			return false
		}
		for _, name := range s.Old {
			delete(m.replaced, name)
		}
		return true
	})
}
