package serving

import (
	"context"
	"errors"
	"sync"

	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/viewfile"
)

// fileCache keeps the view files of the current version open. They are
// immutable, so a footer is read once per version. Files of another version
// than the newest seen, and those beyond the bound, are opened for one reading.
type fileCache struct {
	views protocol.Views
	most  int

	mu     sync.Mutex
	seq    int64 // of the version whose files are kept
	files  map[string]*openFile
	closed bool
}

// openFile is an open view file. Each user releases it.
type openFile struct {
	*viewfile.File
	cache  *fileCache
	store  protocol.ReadAtCloser
	users  int
	leaves bool // is closed with its last user
}

func newFileCache(views protocol.Views, most int) *fileCache {
	return &fileCache{views: views, most: most, files: map[string]*openFile{}}
}

// open gives an open file of a version. The caller releases it.
func (c *fileCache) open(ctx context.Context, m protocol.Manifest, name string) (*openFile, error) {
	if f := c.take(m, name); f != nil {
		return f, nil
	}
	// Opening is not under the lock: it waits for the store. Two readers may open
	// the same file; the second one's is for one reading.
	store, size, err := c.views.Open(ctx, m.Version, name)
	if err != nil {
		return nil, err
	}
	file, err := viewfile.Open(store, size)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return c.put(m, name, &openFile{File: file, cache: c, store: store, users: 1, leaves: true}), nil
}

// take gives a file that is open already.
func (c *fileCache) take(m protocol.Manifest, name string) *openFile {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.Seq > c.seq {
		_ = c.drop() // files that were only read: closing them loses nothing
		c.seq = m.Seq
	}
	f := c.files[name]
	if m.Seq != c.seq || f == nil {
		return nil
	}
	f.users++
	return f
}

// put keeps a file that was just opened, if there is room for it.
func (c *fileCache) put(m protocol.Manifest, name string, f *openFile) *openFile {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed && m.Seq == c.seq && c.files[name] == nil && len(c.files) < c.most {
		f.leaves = false
		c.files[name] = f
	}
	return f
}

// release ends one use of the file.
func (f *openFile) release() error {
	f.cache.mu.Lock()
	f.users--
	last := f.users == 0 && f.leaves
	f.cache.mu.Unlock()
	if last {
		return f.store.Close()
	}
	return nil
}

// drop forgets all files: idle ones are closed now, the others by their last
// user. The lock is held.
func (c *fileCache) drop() error {
	var failed error
	for _, f := range c.files {
		f.leaves = true
		if f.users == 0 {
			failed = errors.Join(failed, f.store.Close())
		}
	}
	clear(c.files)
	return failed
}

func (c *fileCache) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	return c.drop()
}
