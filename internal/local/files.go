package local

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/watershed-data/watershed/internal/protocol"
)

// tempDir holds what a process spills; nothing in it outlives the process.
const tempDir = "tmp"

// Temp gives an empty folder for what does not fit in memory.
func (s *Store) Temp() (string, error) {
	dir := filepath.Join(s.dir, tempDir)
	if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o755)); err != nil {
		return "", fmt.Errorf("clearing the folder for temporary files: %w", err)
	}
	return dir, nil
}

// partial is the ending of a file that is being written. Renaming it is what
// makes it part of the dataset; a crash leaves it behind, and nobody reads it.
const partial = ".partial"

// writeFile writes a file durably; it appears under its name when it is complete.
func writeFile(path string, write func(io.Writer) error) (size int64, err error) {
	if size, err = writePartial(path, write); err != nil {
		return 0, err
	}
	if err := os.Rename(path+partial, path); err != nil {
		return 0, errors.Join(err, os.Remove(path+partial))
	}
	return size, syncPath(filepath.Dir(path))
}

// writePartial writes a file's content durably under the name of a partial one;
// none is left behind if that fails.
func writePartial(path string, write func(io.Writer) error) (size int64, err error) {
	f, err := os.OpenFile(path+partial, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(path+partial))
		}
	}()
	b := bufio.NewWriterSize(f, 256<<10)
	err = write(b)
	if err == nil {
		err = b.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if info, statErr := f.Stat(); statErr == nil {
		size = info.Size()
	}
	return size, errors.Join(err, f.Close())
}

func openFile(path string) (protocol.ReadAtCloser, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

const manifestFile = "manifest.json"

// Views holds the versions, a folder each.
type Views struct {
	dir     string
	logger  *slog.Logger
	foreign *sync.Map // paths that were warned of
}

// Views gives the versions of a generation.
func (s *Store) Views(generation string) (*Views, error) {
	v := &Views{dir: filepath.Join(s.dir, viewsDir, generation), logger: s.options.Logger, foreign: &s.foreign}
	if err := makeSynced(v.dir); err != nil {
		return nil, fmt.Errorf("making the views' folder: %w", err)
	}
	return v, nil
}

// Path gives where a file of a version lies.
func (v *Views) Path(version, name string) string { return filepath.Join(v.dir, version, name) }

// PutManifest implements protocol.Views. It makes the version's files durable
// under their names first.
func (v *Views) PutManifest(_ context.Context, m protocol.Manifest) error {
	dir := filepath.Join(v.dir, m.Version)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making the folder of version %s: %w", m.Version, err)
	}
	if err := syncPath(v.dir); err != nil {
		return fmt.Errorf("storing the manifest of %s: %w", m.Version, err)
	}
	_, err := writeFile(filepath.Join(dir, manifestFile), func(w io.Writer) error {
		return json.NewEncoder(w).Encode(m)
	})
	if err != nil {
		return fmt.Errorf("storing the manifest of %s: %w", m.Version, err)
	}
	return nil
}

// Manifest implements protocol.Views.
func (v *Views) Manifest(_ context.Context, version string) (m protocol.Manifest, err error) {
	text, err := os.ReadFile(v.Path(version, manifestFile))
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("the manifest of %s is damaged: %w", version, err)
	}
	return m, nil
}

// Open implements protocol.Views.
func (v *Views) Open(_ context.Context, version, name string) (protocol.ReadAtCloser, int64, error) {
	return openFile(v.Path(version, name))
}

// Versions implements protocol.Views.
func (v *Views) Versions(context.Context) ([]string, error) {
	entries, err := os.ReadDir(v.dir)
	if err != nil {
		return nil, fmt.Errorf("listing versions: %w", err)
	}
	var out []string
	for _, e := range entries {
		if _, err := protocol.VersionSeq(e.Name()); err != nil || !e.IsDir() {
			v.warn(e.Name())
			continue
		}
		out = append(out, e.Name())
	}
	return out, nil
}

// warn says once of a file that it is no version.
func (v *Views) warn(name string) {
	path := filepath.Join(v.dir, name)
	if _, said := v.foreign.LoadOrStore(path, true); !said {
		v.logger.Warn("the views' folder holds something that is no version and is left alone", "path", path)
	}
}

// Delete implements protocol.Views. The manifest goes first, so that nothing
// half deleted looks complete.
func (v *Views) Delete(_ context.Context, version string) error {
	if err := os.Remove(v.Path(version, manifestFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.RemoveAll(filepath.Join(v.dir, version))
}

// Checkpoints holds up to where the archive has read each shard. They are kept
// apart from the ledger: the two consumers of the log know nothing of each other.
type Checkpoints struct {
	store      *Store
	generation string
}

// Checkpoints gives the archive's checkpoints of a generation.
func (s *Store) Checkpoints(generation string) *Checkpoints {
	return &Checkpoints{store: s, generation: generation}
}

func (c *Checkpoints) key(shard string) []byte {
	return fmt.Appendf(nil, "%c%s\x00%s", keyCheckpoint, c.generation, shard)
}

// Load gives the position up to which a shard is archived.
func (c *Checkpoints) Load(_ context.Context, shard string) (protocol.Position, error) {
	if err := c.store.enter(); err != nil {
		return protocol.Position{}, err
	}
	defer c.store.leave()
	value, closer, err := c.store.db.Get(c.key(shard))
	if errors.Is(err, pebble.ErrNotFound) {
		return protocol.Position{}, nil
	}
	if err != nil {
		return protocol.Position{}, fmt.Errorf("reading the archive's checkpoint of %s: %w", shard, err)
	}
	defer closer.Close()
	return protocol.ParseKey(string(value))
}

// Store stores the position up to which a shard is archived, after its rows are
// durable.
func (c *Checkpoints) Store(_ context.Context, shard string, p protocol.Position) error {
	if err := c.store.enter(); err != nil {
		return err
	}
	defer c.store.leave()
	if err := c.store.db.Set(c.key(shard), []byte(p.Key()), pebble.Sync); err != nil {
		return fmt.Errorf("storing the archive's checkpoint of %s: %w", shard, err)
	}
	return nil
}
