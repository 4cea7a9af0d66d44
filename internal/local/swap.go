package local

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/watershed-data/watershed/internal/protocol"
)

// swap is the record of a replacement, a file beside the shards' folders. The
// moment in which it appears is the moment of the replacement:
//
//  1. the new files are written as partial ones: a crash leaves what nobody reads
//  2. the record appears: from here on the old files are not listed
//  3. the new files get their names; a crash before that is mended by the next start
//  4. the old files are deleted once nobody reads them, then the record
type swap struct {
	Old      []string `json:"old"`
	New      []string `json:"new"`
	path     string
	number   int64 // in this process
	revealed bool  // the new files have their names
}

const swapFile = ".swap"

func isSwap(name string) bool { return strings.HasSuffix(name, swapFile) && !hidden(name) }

// Replace implements protocol.Master.
func (m *Master) Replace(_ context.Context, old []string, new []protocol.NewFile) (out []protocol.File, err error) {
	s := &swap{Old: old, path: filepath.Join(m.dir, rand.Text()+swapFile)}
	defer func() {
		if err != nil {
			err = fmt.Errorf("replacing %d files of the master dataset: %w", len(old), err)
		}
	}()
	for _, f := range new {
		name, err := m.newName(f.Shard)
		if err == nil {
			var size int64
			size, err = writePartial(m.Path(name), f.Write)
			out = append(out, protocol.File{Name: name, Shard: f.Shard, Size: size})
		}
		if err != nil {
			return nil, errors.Join(err, m.removePartial(s.New))
		}
		s.New = append(s.New, name)
	}
	// The record must not be there without the files that it names.
	if err := m.sync(s.New); err != nil {
		return nil, errors.Join(err, m.removePartial(s.New))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.commit(s); err != nil {
		return nil, err
	}
	m.collect()
	return out, nil
}

// commit makes the replacement.
func (m *Master) commit(s *swap) error {
	for _, name := range s.Old {
		if _, err := os.Stat(m.Path(name)); m.replaced[name] > 0 || errors.Is(err, fs.ErrNotExist) {
			return errors.Join(fmt.Errorf("%s: %w", name, protocol.ErrReplaced), m.removePartial(s.New))
		}
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	_, err = writeFile(s.path, func(w io.Writer) error { _, err := w.Write(text); return err })
	if _, missing := os.Stat(s.path); missing != nil {
		return errors.Join(err, missing, m.removePartial(s.New))
	}
	// The record is there, if perhaps not durably: there is no way back.
	m.last++
	s.number = m.last
	m.swaps = append(m.swaps, s)
	for _, name := range s.Old {
		m.replaced[name] = s.number
	}
	if err := errors.Join(err, m.reveal(s)); err != nil {
		return fmt.Errorf("the replacement is begun, and the next start completes it: %w", err)
	}
	return nil
}

// reveal gives the new files of a replacement their names. One that is not there
// has its name already, or was replaced in its turn before a crash.
func (m *Master) reveal(s *swap) error {
	for _, name := range s.New {
		if err := os.Rename(m.Path(name)+partial, m.Path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := m.sync(s.New); err != nil {
		return err
	}
	s.revealed = true
	return nil
}

// heal ends replacements whose new files could not be given their names: until
// then the dataset cannot be listed.
func (m *Master) heal() error {
	for _, s := range m.swaps {
		if s.revealed {
			continue
		}
		if err := m.reveal(s); err != nil {
			return fmt.Errorf("completing a replacement: %w", err)
		}
	}
	return nil
}

// finish deletes the old files of a replacement, and then its record: as long as
// an old file may come back after a crash, the record must say what it is.
func (m *Master) finish(s *swap) error {
	if !s.revealed {
		if err := m.reveal(s); err != nil {
			return err
		}
	}
	for _, name := range s.Old {
		if err := os.Remove(m.Path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := m.sync(s.Old); err != nil {
		return err
	}
	if err := os.Remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// sync makes the names of files durable.
func (m *Master) sync(names []string) error {
	done := map[string]bool{}
	for _, name := range names {
		dir := filepath.Dir(m.Path(name))
		if done[dir] {
			continue
		}
		done[dir] = true
		if err := syncPath(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (m *Master) removePartial(names []string) error {
	var errs []error
	for _, name := range names {
		errs = append(errs, os.Remove(m.Path(name)+partial))
	}
	return errors.Join(errs...)
}

// recover completes the replacements that a crash interrupted, and removes what
// was half written: it was never part of the dataset.
func (m *Master) recover() error {
	entries, err := os.ReadDir(m.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(m.dir, e.Name())
		switch {
		case e.IsDir() || !isSwap(strings.TrimSuffix(e.Name(), partial)):
		case strings.HasSuffix(e.Name(), partial):
			if err := os.Remove(path); err != nil {
				return err
			}
		default:
			if err := m.complete(path); err != nil {
				return fmt.Errorf("completing the replacement of %s: %w", path, err)
			}
		}
	}
	return m.walk(func(name string, _ fs.DirEntry) error {
		if !strings.HasSuffix(name, partial) {
			return nil
		}
		return os.Remove(m.Path(name))
	})
}

func (m *Master) complete(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	s := &swap{path: path}
	if err := json.Unmarshal(text, s); err != nil {
		return fmt.Errorf("the record is damaged: %w; %s", err, remedy)
	}
	return m.finish(s)
}
