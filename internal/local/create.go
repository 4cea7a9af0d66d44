package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// formatVersion is the layout that this release writes and reads.
const formatVersion = 1

// A directory being created holds draftFile; renaming it to formatFile, when all
// else is on disk, is what makes it a data directory. A crash before leaves a
// draft, which the next Open completes.
const (
	formatFile = "FORMAT"
	draftFile  = "FORMAT.new"
)

// format is the content of formatFile.
type format struct {
	Format   int       `json:"format"`
	Pipeline string    `json:"pipeline"`
	Shards   int       `json:"shards"` // at creation
	Created  time.Time `json:"created"`
}

// state is what inspect finds in a directory.
type state int

const (
	fresh    state = iota // nothing there, or a creation that was cut short
	complete              // a data directory
)

// inspect looks at a directory without changing it, and refuses what is foreign.
func inspect(dir string) (state, error) {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fresh, nil
	case errors.Is(err, syscall.ENOTDIR):
		return fresh, errors.New("it is a file: name a directory")
	case err != nil:
		return fresh, fmt.Errorf("reading it: %w", err)
	}
	var names []string
	for _, e := range entries {
		if e.Name() != "lost+found" { // every new ext4 volume has one
			names = append(names, e.Name())
		}
	}
	if slices.Contains(names, formatFile) {
		return complete, nil
	}
	if slices.Contains(names, draftFile) {
		return fresh, nil
	}
	for _, name := range names {
		if name != lockFile {
			return fresh, fmt.Errorf("it holds other files (%s) and no %s, so it is not a data directory: name an empty or a new one", name, formatFile)
		}
	}
	return fresh, nil
}

// makeDir makes the directory, if need be, and makes its name durable.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making it: %w", err)
	}
	return syncPath(filepath.Dir(filepath.Clean(dir)))
}

// lockDir takes the directory's lock, which the kernel gives back when the
// process ends, however it ends.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("locking it: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("locking it: %w", err)
		}
		return nil, fmt.Errorf("another process%s has it open: stop that one first, or name another directory", holder(f))
	}
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0) // for people
	}
	return f, nil
}

// unlockDir gives the lock up at once. Closing the file would do so only when no
// process has it open any more, and one that is just being started may.
func unlockDir(f *os.File) error {
	return errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.Close())
}

// holder names the process that wrote the lock file, if it can be read.
func holder(f *os.File) string {
	var text [32]byte
	n, _ := f.ReadAt(text[:], 0)
	if pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n]))); err == nil {
		return fmt.Sprintf(" (%d)", pid)
	}
	return ""
}

// creation gives the steps that make a data directory out of an empty one or of
// a creation cut short, in order. Each may be the last one before a crash.
func (s *Store) creation() []func() error {
	shards := s.options.Shards
	if shards == 0 {
		shards = DefaultShards
	}
	at := func(name string) string { return filepath.Join(s.dir, name) }
	return []func() error{
		func() error {
			f := format{Format: formatVersion, Pipeline: s.options.Pipeline, Shards: shards, Created: s.options.Now().UTC().Truncate(time.Second)}
			text, err := json.Marshal(f)
			if err != nil {
				return err
			}
			return writeSynced(at(draftFile), append(text, '\n'))
		},
		func() error {
			// Nothing in it was ever acknowledged: Open had not returned.
			return os.RemoveAll(at(stateDir))
		},
		func() error { return writeSynced(at(ackedFile), ackedText(0)) },
		func() error { return os.MkdirAll(at(masterDir), 0o755) },
		func() error { return os.MkdirAll(at(viewsDir), 0o755) },
		func() error { return s.createDatabase(shards) },
		func() error { return syncPath(s.dir) },
		func() error { return os.Rename(at(draftFile), at(formatFile)) },
		func() error { return syncPath(s.dir) },
	}
}

// createDatabase makes the state database with its first shards in it.
func (s *Store) createDatabase(shards int) error {
	db, err := s.openDatabase(true)
	if err != nil {
		return err
	}
	return errors.Join(createLog(db, shards, s.options.Now()), db.Close())
}

// checkFormat refuses a directory that is not this pipeline's or that this
// release cannot read.
func (s *Store) checkFormat() error {
	text, err := os.ReadFile(filepath.Join(s.dir, formatFile))
	if err != nil {
		return fmt.Errorf("reading its %s: %w", formatFile, err)
	}
	var f format
	if err := json.Unmarshal(text, &f); err != nil || f.Format < 1 {
		return fmt.Errorf("its %s file is damaged: %s", formatFile, remedy)
	}
	// The rest of a newer format is not ours to judge.
	if f.Format > formatVersion {
		return fmt.Errorf("it has format %d, written by a newer release; this one reads up to format %d: use the newer release", f.Format, formatVersion)
	}
	if f.Pipeline == "" || f.Shards < 1 || f.Created.IsZero() {
		return fmt.Errorf("its %s file is damaged: %s", formatFile, remedy)
	}
	if f.Pipeline != s.options.Pipeline {
		return fmt.Errorf("it belongs to the pipeline %q, not to %q: name another directory", f.Pipeline, s.options.Pipeline)
	}
	if n := s.options.Shards; n != 0 && n != f.Shards {
		return fmt.Errorf("it was created with %d shards, not %d: leave the number out to go on with what it has, or name another directory", f.Shards, n)
	}
	return nil
}

// checkParts refuses a directory that lost one of its parts.
func checkParts(dir string) error {
	for _, part := range []string{stateDir, masterDir, viewsDir} {
		if info, err := os.Stat(filepath.Join(dir, part)); err != nil || !info.IsDir() {
			return missing(part)
		}
	}
	// The database replays its write-ahead log when it opens, and would take a
	// missing one for an empty one.
	entries, err := os.ReadDir(filepath.Join(dir, stateDir))
	if err != nil {
		return fmt.Errorf("reading its part %s: %w", stateDir, err)
	}
	if !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return filepath.Ext(e.Name()) == ".log" }) {
		return damaged(errors.New("the write-ahead log is missing"))
	}
	return nil
}

// remedy is what to do about a directory that lost something.
const remedy = "restore the directory from a backup, or start anew in another one"

func missing(part string) error {
	return fmt.Errorf("its part %s is missing: %s", part, remedy)
}

// writeSynced writes a file and makes its content durable.
func writeSynced(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncPath makes a directory's entries durable.
func syncPath(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
