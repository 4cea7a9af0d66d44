package aws

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/watershed-data/watershed/internal/protocol"
)

// Replace implements protocol.Master. The new files are stored under names that
// are in the dataset only if the listing has them; the moment in which the listing
// is written is the moment of the replacement. A crash before leaves objects that
// nobody reads.
func (m *Master) Replace(ctx context.Context, old []string, new []protocol.NewFile) (out []protocol.File, err error) {
	defer func() {
		if err != nil {
			out, err = nil, fmt.Errorf("replacing %d files of the master dataset: %w", len(old), err)
		}
	}()
	for _, f := range new {
		stored, err := m.put(ctx, f, mergedFile)
		if err != nil {
			return nil, errors.Join(err, m.remove(ctx, out))
		}
		out = append(out, stored)
	}
	m.turn.Lock()
	defer m.turn.Unlock()
	tried, err := m.commit(ctx, old, out)
	if err != nil && !tried {
		return nil, errors.Join(err, m.remove(ctx, out))
	}
	m.gone(old) // also after an error: it may have landed
	if err != nil {
		return nil, err
	}
	m.collect(ctx)
	return out, nil
}

// gone remembers that files of this process's readers were replaced.
func (m *Master) gone(names []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last++
	for _, name := range names {
		m.replaced[name] = m.last
	}
}

// remove deletes files that are in no listing.
func (m *Master) remove(ctx context.Context, files []protocol.File) error {
	var keys []string
	for _, f := range files {
		keys = append(keys, m.Key(f.Name))
	}
	return m.bucket.delete(context.WithoutCancel(ctx), keys)
}

// commitTries bounds the tries against others that change the listing.
const commitTries = 30

// commit writes the listing with the replacement in it. It says whether it tried
// to: from then on the new files may be part of the dataset, and stay.
func (m *Master) commit(ctx context.Context, old []string, new []protocol.File) (tried bool, err error) {
	id := rand.Text()
	for range commitTries {
		l, etag, err := m.listing(ctx)
		if err != nil {
			return tried, err
		}
		if tried && l.has(id, new) {
			return tried, nil // the reply was lost, not the write, and others wrote after it
		}
		for _, name := range old {
			if err := m.listed(ctx, &l, name); err != nil {
				return tried, err
			}
			delete(l.Merged, name)
			l.Replaced[name] = replaced{By: id, Since: m.now().UnixMilli()}
		}
		for _, f := range new {
			l.Merged[f.Name] = f.Size
		}
		tried = true
		if err := m.putListing(ctx, l, etag); !errors.Is(err, errCondition) {
			return tried, err
		}
	}
	return tried, protocol.ErrBusy
}

// has reports whether a replacement is in the listing. What it replaced is there
// for longer than its writer tries.
func (l *listing) has(id string, new []protocol.File) bool {
	for _, r := range l.Replaced {
		if r.By == id {
			return true
		}
	}
	for _, f := range new {
		if _, ok := l.Merged[f.Name]; ok {
			return true
		}
	}
	return false
}

// listed gives ErrReplaced if a file is not in the dataset.
func (m *Master) listed(ctx context.Context, l *listing, name string) error {
	_, there := l.Merged[name]
	if _, gone := l.Replaced[name]; !there && !gone && !strings.HasSuffix(name, mergedFile) {
		_, err := m.bucket.size(ctx, m.Key(name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		there = err == nil
	}
	if !there {
		return fmt.Errorf("%s: %w", name, protocol.ErrReplaced)
	}
	return nil
}

// Pin implements protocol.Master.
func (m *Master) Pin(ctx context.Context) (release func(), err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := m.last
	m.pins[at]++
	return sync.OnceFunc(func() {
		if m.unpin(at) {
			m.turn.Lock()
			defer m.turn.Unlock()
			m.collect(context.WithoutCancel(ctx))
		}
	}), nil
}

// unpin lets a reader go, and says whether files may have waited for it alone.
func (m *Master) unpin(at int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pins[at]--; m.pins[at] == 0 {
		delete(m.pins, at)
	}
	return len(m.replaced) > 0 && m.keep == 0
}

// collect deletes replaced files that nobody reads any more. What fails is tried
// again with the next replacement.
func (m *Master) collect(ctx context.Context) {
	if err := m.tryCollect(ctx); err != nil {
		m.logger.Warn("deleting replaced files of the master dataset failed and will be tried again", "error", err)
	}
}

func (m *Master) tryCollect(ctx context.Context) error {
	for range commitTries {
		l, etag, err := m.listing(ctx)
		if err != nil {
			return err
		}
		doomed := m.doomed(&l)
		if len(doomed) == 0 {
			return nil
		}
		var keys []string
		for _, name := range doomed {
			keys = append(keys, m.Key(name))
			delete(l.Replaced, name)
		}
		// The objects go first: as long as one is there, the listing says what it is.
		if err := m.bucket.delete(ctx, keys); err != nil {
			return err
		}
		l.Collected++
		if err := m.putListing(ctx, l, etag); !errors.Is(err, errCondition) {
			m.forget(doomed)
			return err
		}
	}
	return protocol.ErrBusy
}

// forget is for files that are deleted.
func (m *Master) forget(names []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range names {
		delete(m.replaced, name)
	}
}

// doomed gives the replaced files whose time is over, and that no reader of this
// process may have listed. Readers that come now do not list them.
func (m *Master) doomed(l *listing) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	oldest := m.last
	for at := range m.pins {
		oldest = min(oldest, at)
	}
	until := m.now().Add(-m.keep).UnixMilli()
	names := slices.Sorted(maps.Keys(l.Replaced))
	return slices.DeleteFunc(names, func(name string) bool {
		return m.replaced[name] > oldest || l.Replaced[name].Since > until
	})
}
