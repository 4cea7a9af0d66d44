package memory

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/watershed-data/watershed/internal/protocol"
)

// Loads are loads of history in memory.
type Loads struct {
	mu     sync.Mutex
	n      int
	spools map[string][]byte
	loads  map[string]protocol.Load // by pseudo-shard
}

// NewLoads makes an empty store of loads.
func NewLoads() *Loads {
	return &Loads{spools: map[string][]byte{}, loads: map[string]protocol.Load{}}
}

// Spool implements protocol.Loads.
func (l *Loads) Spool(_ context.Context, write func(io.Writer) error) (string, error) {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return "", err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n++
	name := fmt.Sprintf("spool%06d", l.n)
	l.spools[name] = b.Bytes()
	return name, nil
}

// OpenSpool implements protocol.Loads.
func (l *Loads) OpenSpool(_ context.Context, name string) (io.ReadCloser, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f, _, err := open(l.spools, name)
	if err != nil {
		return nil, err
	}
	return f.(file), nil
}

// DeleteSpool implements protocol.Loads.
func (l *Loads) DeleteSpool(_ context.Context, name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.spools, name)
	return nil
}

// PutLoad implements protocol.Loads.
func (l *Loads) PutLoad(_ context.Context, load protocol.Load) (protocol.Load, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if stored, ok := l.loads[load.Shard()]; ok {
		return stored, nil
	}
	l.loads[load.Shard()] = load
	return load, nil
}

// FinishLoad implements protocol.Loads.
func (l *Loads) FinishLoad(_ context.Context, shard string, loaded int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	load, ok := l.loads[shard]
	if !ok {
		return fmt.Errorf("there is no load %s", shard)
	}
	load.Loaded = loaded
	l.loads[shard] = load
	return nil
}

// Load implements protocol.Loads.
func (l *Loads) Load(_ context.Context, shard string) (protocol.Load, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	load, ok := l.loads[shard]
	return load, ok, nil
}

// Loads implements protocol.Loads.
func (l *Loads) Loads(context.Context) ([]protocol.Load, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.SortedFunc(maps.Values(l.loads), func(a, b protocol.Load) int {
		return cmp.Or(cmp.Compare(a.Arrival, b.Arrival), strings.Compare(a.Content, b.Content))
	}), nil
}
