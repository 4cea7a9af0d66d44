package aws

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/watershed-data/watershed/internal/protocol"
)

// Views holds the versions of one generation in a bucket, under
// views/GENERATION/VERSION/.
type Views struct {
	bucket *bucket
	prefix string
}

// Views gives the versions of a generation.
func (s *Store) Views(generation string) *Views {
	return &Views{bucket: s.bucket(s.options.Views), prefix: "views/" + generation + "/"}
}

func (s *Store) bucket(name string) *bucket { return &bucket{s.s3, name, s.blocks} }

const manifestName = "manifest.json"

// Key gives the key in the bucket of a file of a version.
func (v *Views) Key(version, name string) string { return v.prefix + version + "/" + name }

// URI names the folder of the versions for who writes or reads them elsewhere, with a
// slash at its end.
func (v *Views) URI() string { return v.bucket.uri(v.prefix) }

// Create stores a file of a version, in bytes, when write has given all of it. A
// file that is there is never written over.
func (v *Views) Create(ctx context.Context, version, name string, write func(io.Writer) error) (size int64, err error) {
	if size, err = v.bucket.write(ctx, v.Key(version, name), write); err != nil {
		return 0, fmt.Errorf("storing %s of version %s: %w", name, version, err)
	}
	return size, nil
}

// PutManifest implements protocol.Views.
func (v *Views) PutManifest(ctx context.Context, m protocol.Manifest) error {
	content, err := json.Marshal(m)
	if err == nil {
		err = v.bucket.putText(ctx, v.Key(m.Version, manifestName), content)
	}
	if err != nil {
		return fmt.Errorf("storing the manifest of %s: %w", m.Version, err)
	}
	return nil
}

// Manifest implements protocol.Views.
func (v *Views) Manifest(ctx context.Context, version string) (m protocol.Manifest, err error) {
	content, _, err := v.bucket.read(ctx, v.Key(version, manifestName))
	if err == nil {
		err = json.Unmarshal(content, &m)
	}
	if err != nil {
		return protocol.Manifest{}, fmt.Errorf("reading the manifest of %s: %w", version, err)
	}
	return m, nil
}

// Open implements protocol.Views.
func (v *Views) Open(ctx context.Context, version, name string) (protocol.ReadAtCloser, int64, error) {
	f, size, err := v.bucket.open(ctx, v.Key(version, name))
	if err != nil {
		return nil, 0, fmt.Errorf("opening %s of version %s: %w", name, version, err)
	}
	return f, size, nil
}

// Versions implements protocol.Views. What has not the name of a version is left
// alone.
func (v *Views) Versions(ctx context.Context) (out []string, err error) {
	pages := s3.NewListObjectsV2Paginator(v.bucket.client, &s3.ListObjectsV2Input{Bucket: &v.bucket.name, Prefix: &v.prefix, Delimiter: str("/")})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing versions: %w", err)
		}
		for _, folder := range page.CommonPrefixes {
			name := strings.TrimSuffix(strings.TrimPrefix(*folder.Prefix, v.prefix), "/")
			if _, err := protocol.VersionSeq(name); err == nil {
				out = append(out, name)
			}
		}
	}
	return out, nil
}

// Delete implements protocol.Views. The manifest goes first, so that nothing half
// deleted looks complete.
func (v *Views) Delete(ctx context.Context, version string) error {
	keys := []string{v.Key(version, manifestName)}
	err := v.bucket.delete(ctx, keys)
	if err == nil {
		keys = keys[:0]
		err = v.bucket.list(ctx, v.Key(version, ""), func(o types.Object) error {
			keys = append(keys, *o.Key)
			return nil
		})
	}
	if err == nil {
		err = v.bucket.delete(ctx, keys)
	}
	if err != nil {
		return fmt.Errorf("deleting version %s: %w", version, err)
	}
	return nil
}
