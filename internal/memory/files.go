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
	files map[string][]byte
	n     int
}

// NewMaster makes an empty master dataset.
func NewMaster() *Master { return &Master{files: map[string][]byte{}} }

// Put implements protocol.Master.
func (m *Master) Put(_ context.Context, shard string, write func(io.Writer) error) (protocol.File, error) {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return protocol.File{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.n++
	name := fmt.Sprintf("%s/%06d.parquet", shard, m.n)
	m.files[name] = b.Bytes()
	return protocol.File{Name: name, Size: int64(b.Len())}, nil
}

// Files implements protocol.Master.
func (m *Master) Files(context.Context) ([]protocol.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []protocol.File
	for _, name := range slices.Sorted(maps.Keys(m.files)) {
		out = append(out, protocol.File{Name: name, Size: int64(len(m.files[name]))})
	}
	return out, nil
}

// Open implements protocol.Master.
func (m *Master) Open(_ context.Context, name string) (protocol.ReadAtCloser, int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return open(m.files, name)
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
