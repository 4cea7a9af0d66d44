package aws

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
)

// Jobs keeps the jobs of a generation's batch runs, and what came of them, as texts
// in a bucket under jobs/GENERATION/. It does not know what they say.
type Jobs struct {
	bucket *bucket
	prefix string
}

// Jobs gives the jobs of a generation, which lie in a bucket of their own: what is
// there is of no use once its run has ended.
func (s *Store) Jobs(bucket, generation string) *Jobs {
	return &Jobs{bucket: s.bucket(bucket), prefix: "jobs/" + generation + "/"}
}

// URI names a text for who reads or writes it elsewhere.
func (j *Jobs) URI(name string) string { return j.bucket.uri(j.prefix + name) }

// Put stores a text if there is none of that name, and gives the one that is stored.
func (j *Jobs) Put(ctx context.Context, name string, text []byte) ([]byte, error) {
	err := j.bucket.put(ctx, j.prefix+name, bytes.NewReader(text), "")
	if err == nil {
		return text, nil
	}
	if !errors.Is(err, errCondition) {
		return nil, fmt.Errorf("storing %s: %w", j.URI(name), err)
	}
	there, _, err := j.bucket.read(ctx, j.prefix+name)
	if err != nil {
		return nil, fmt.Errorf("reading %s, which is there already: %w", j.URI(name), err)
	}
	return there, nil
}

// Get gives a text; false if there is none.
func (j *Jobs) Get(ctx context.Context, name string) (text []byte, ok bool, err error) {
	text, _, err = j.bucket.read(ctx, j.prefix+name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("reading %s: %w", j.URI(name), err)
	}
	return text, true, nil
}
