package aws

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/watershed-data/watershed/internal/aws/tries"
	"github.com/watershed-data/watershed/internal/protocol"
)

// Master is the master dataset of one generation in a bucket, under
// master/GENERATION/. A file that was put is in the dataset as soon as its object
// is there, whoever put it. One that took others' place is there if the listing
// says so, and the listing is one object.
type Master struct {
	bucket *bucket
	prefix string
	keep   time.Duration
	now    func() time.Time
	logger *slog.Logger

	turn sync.Mutex // one replacement or collection at a time; taken before mu

	mu       sync.Mutex
	last     int64            // number of this process's last replacement
	replaced map[string]int64 // files that are to be deleted, by the number of their replacement
	pins     map[int64]int    // readers of this process, by the last replacement before them
}

const (
	parquetFile = ".parquet"
	mergedFile  = ".merged" + parquetFile // of a file that took others' place
	listingName = "_files.json"           // engines leave out names that begin so
)

// Master gives the master dataset of a generation, one and the same every time: it
// knows its readers in this process.
func (s *Store) Master(generation string) *Master {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.masters[generation]
	if m == nil {
		m = &Master{
			bucket: s.bucket(s.options.Master), prefix: "master/" + generation + "/", keep: s.options.KeepReplaced, now: s.options.Now, logger: s.options.Logger,
			replaced: map[string]int64{}, pins: map[int64]int{},
		}
		s.masters[generation] = m
	}
	return m
}

// listing says what the objects do not.
type listing struct {
	Merged    map[string]int64    `json:"merged"`    // files that took others' place, with their bytes
	Replaced  map[string]replaced `json:"replaced"`  // files that others took the place of, until they are deleted
	Collected int64               `json:"collected"` // how often replaced files were deleted and forgotten
}

// replaced says of a file that another one is in its place.
type replaced struct {
	By    string `json:"by"`    // id of the replacement
	Since int64  `json:"since"` // milliseconds since 1970-01-01 UTC
}

// listing reads the listing and its etag; an empty one and "" if there is none.
func (m *Master) listing(ctx context.Context) (l listing, etag string, err error) {
	content, etag, err := m.bucket.read(ctx, m.Key(listingName))
	if err == nil {
		err = json.Unmarshal(content, &l)
	}
	if errors.Is(err, fs.ErrNotExist) {
		etag, err = "", nil
	}
	if l.Merged == nil {
		l.Merged = map[string]int64{}
	}
	if l.Replaced == nil {
		l.Replaced = map[string]replaced{}
	}
	if err != nil {
		return l, "", fmt.Errorf("reading the listing of replaced files: %w", err)
	}
	return l, etag, nil
}

func (m *Master) putListing(ctx context.Context, l listing, etag string) error {
	content, err := json.Marshal(l)
	if err == nil {
		err = m.bucket.put(ctx, m.Key(listingName), bytes.NewReader(content), etag)
	}
	if err != nil {
		return fmt.Errorf("writing the listing of replaced files: %w", err)
	}
	return nil
}

// Key gives the key in the bucket of a file.
func (m *Master) Key(name string) string { return m.prefix + name }

// URI names the folder of the files for who reads them elsewhere, with a slash at its
// end.
func (m *Master) URI() string { return m.bucket.uri(m.prefix) }

// Put implements protocol.Master.
func (m *Master) Put(ctx context.Context, shard string, write func(io.Writer) error) (protocol.File, error) {
	return m.put(ctx, protocol.NewFile{Shard: shard, Write: write}, parquetFile)
}

func (m *Master) put(ctx context.Context, f protocol.NewFile, ending string) (protocol.File, error) {
	name := f.Shard + "/" + rand.Text() + ending
	size, err := m.bucket.write(ctx, m.Key(name), f.Write)
	if err != nil {
		return protocol.File{}, fmt.Errorf("storing %s in the master dataset: %w", name, err)
	}
	return protocol.File{Name: name, Shard: f.Shard, Size: size}, nil
}

// Files implements protocol.Master. Objects and listing are read one after the
// other, which is as good as at once unless files were forgotten in between: such
// a file could be among the objects still and in the listing no more.
func (m *Master) Files(ctx context.Context) ([]protocol.File, error) {
	for try := 1; ; try++ {
		before, _, err := m.listing(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing the master dataset: %w", err)
		}
		files, err := m.objects(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing the master dataset: %w", err)
		}
		after, _, err := m.listing(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing the master dataset: %w", err)
		}
		if before.Collected == after.Collected {
			return after.apply(files), nil
		}
		if try == tries.Most {
			return nil, fmt.Errorf("listing the master dataset: %w", protocol.ErrBusy)
		}
		if err := tries.Pause(ctx, try); err != nil {
			return nil, err
		}
	}
}

// apply gives the dataset's files by name, from those that were put.
func (l *listing) apply(put []protocol.File) []protocol.File {
	out := slices.DeleteFunc(put, func(f protocol.File) bool {
		_, gone := l.Replaced[f.Name]
		return gone
	})
	for name, size := range l.Merged {
		out = append(out, protocol.File{Name: name, Shard: shardOf(name), Size: size})
	}
	slices.SortFunc(out, func(a, b protocol.File) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// objects gives the files that were put, replaced or not.
func (m *Master) objects(ctx context.Context) (out []protocol.File, err error) {
	err = m.bucket.list(ctx, m.prefix, func(o types.Object) error {
		name := strings.TrimPrefix(*o.Key, m.prefix)
		base := path.Base(name)
		if strings.HasSuffix(name, parquetFile) && !strings.HasSuffix(name, mergedFile) && base[0] != '_' && base[0] != '.' {
			out = append(out, protocol.File{Name: name, Shard: shardOf(name), Size: sdk.ToInt64(o.Size)})
		}
		return nil
	})
	return out, err
}

// shardOf gives the shard that a file was put for; "" for what lies in folders of
// another kind, and may hold rows of any shard.
func shardOf(name string) string {
	shard, rest, _ := strings.Cut(name, "/")
	if strings.Contains(rest, "/") {
		return ""
	}
	return shard
}

// Open implements protocol.Master.
func (m *Master) Open(ctx context.Context, name string) (protocol.ReadAtCloser, int64, error) {
	f, size, err := m.bucket.open(ctx, m.Key(name))
	if err != nil {
		return nil, 0, fmt.Errorf("opening a file of the master dataset: %w", err)
	}
	return f, size, nil
}
