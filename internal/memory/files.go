package memory

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/watershed-data/watershed/internal/protocol"
)

// Master is a master dataset in memory.
type Master struct {
	mu    sync.Mutex
	files map[string]*stored
	n     int // files ever
	swaps int // replacements ever
	pins  map[int]int
}

// stored is a file of the master dataset.
type stored struct {
	protocol.File
	content  []byte
	replaced int // by which replacement; 0: by none
}

// NewMaster makes an empty master dataset.
func NewMaster() *Master { return &Master{files: map[string]*stored{}, pins: map[int]int{}} }

// Put implements protocol.Master.
func (m *Master) Put(ctx context.Context, shard string, write func(io.Writer) error) (protocol.File, error) {
	files, err := m.Replace(ctx, nil, []protocol.NewFile{{Shard: shard, Write: write}})
	if err != nil {
		return protocol.File{}, err
	}
	return files[0], nil
}

// Replace implements protocol.Master.
func (m *Master) Replace(_ context.Context, old []string, new []protocol.NewFile) ([]protocol.File, error) {
	contents := make([]bytes.Buffer, len(new))
	for i, f := range new {
		if err := f.Write(&contents[i]); err != nil {
			return nil, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range old {
		if f := m.files[name]; f == nil || f.replaced > 0 {
			return nil, fmt.Errorf("replacing %s: %w", name, protocol.ErrReplaced)
		}
	}
	if len(old) > 0 {
		m.swaps++
	}
	for _, name := range old {
		m.files[name].replaced = m.swaps
	}
	var out []protocol.File
	for i, f := range new {
		m.n++
		file := protocol.File{Name: fmt.Sprintf("%s/%06d.parquet", f.Shard, m.n), Shard: f.Shard, Size: int64(contents[i].Len())}
		m.files[file.Name] = &stored{File: file, content: contents[i].Bytes()}
		out = append(out, file)
	}
	m.collect()
	return out, nil
}

// Pin implements protocol.Master.
func (m *Master) Pin(context.Context) (release func(), err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := m.swaps
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

// collect deletes what was replaced and is pinned no more.
func (m *Master) collect() {
	maps.DeleteFunc(m.files, func(_ string, f *stored) bool {
		if f.replaced == 0 {
			return false
		}
		for at := range m.pins {
			if at < f.replaced {
				return false
			}
		}
		return true
	})
}

// Files implements protocol.Master.
func (m *Master) Files(context.Context) ([]protocol.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []protocol.File
	for _, name := range slices.Sorted(maps.Keys(m.files)) {
		if f := m.files[name]; f.replaced == 0 {
			out = append(out, f.File)
		}
	}
	return out, nil
}

// Open implements protocol.Master.
func (m *Master) Open(_ context.Context, name string) (protocol.ReadAtCloser, int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.files[name]
	if !ok {
		return open(nil, name)
	}
	return file{bytes.NewReader(f.content)}, f.Size, nil
}

func open(files map[string][]byte, name string) (protocol.ReadAtCloser, int64, error) {
	b, ok := files[name]
	if !ok {
		return nil, 0, fmt.Errorf("opening %s: there is no such file", name)
	}
	return file{bytes.NewReader(b)}, int64(len(b)), nil
}

type file struct{ *bytes.Reader }

func (file) Close() error { return nil }

// Views holds versions in memory.
type Views struct {
	mu        sync.Mutex
	files     map[string]map[string][]byte // version -> name -> content
	manifests map[string]protocol.Manifest
}

// NewViews makes an empty store of versions.
func NewViews() *Views {
	return &Views{files: map[string]map[string][]byte{}, manifests: map[string]protocol.Manifest{}}
}

// Write stores a file of a version.
func (v *Views) Write(version, name string, content []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.files[version] == nil {
		v.files[version] = map[string][]byte{}
	}
	v.files[version][name] = content
}

// PutManifest implements protocol.Views.
func (v *Views) PutManifest(_ context.Context, m protocol.Manifest) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.manifests[m.Version] = m
	return nil
}

// Manifest implements protocol.Views.
func (v *Views) Manifest(_ context.Context, version string) (protocol.Manifest, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	m, ok := v.manifests[version]
	if !ok {
		return m, fmt.Errorf("version %s has no manifest", version)
	}
	return m, nil
}

// Open implements protocol.Views.
func (v *Views) Open(_ context.Context, version, name string) (protocol.ReadAtCloser, int64, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return open(v.files[version], name)
}

// Versions implements protocol.Views.
func (v *Views) Versions(context.Context) ([]string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	all := map[string]bool{}
	for name := range v.files {
		all[name] = true
	}
	for name := range v.manifests {
		all[name] = true
	}
	return slices.Sorted(maps.Keys(all)), nil
}

// Delete implements protocol.Views.
func (v *Views) Delete(_ context.Context, version string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.manifests, version)
	delete(v.files, version)
	return nil
}
