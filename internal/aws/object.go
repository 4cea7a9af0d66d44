package aws

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/watershed-data/watershed/internal/aws/tries"
)

// bucket is a bucket of S3. Nothing in it is ever written over but the listing of
// the master dataset, which is replaced by compare-and-set.
type bucket struct {
	client *s3.Client
	name   string
	blocks *blocks // of what was read last
}

// uri names an object, or a folder if the key ends with a slash.
func (b *bucket) uri(key string) string { return "s3://" + b.name + "/" + key }

// errCondition: the object is there already, or is not the one that it was.
var errCondition = errors.New("the object is not what the write relied on")

// writeMeta is the metadata that holds the id of the write that made an object.
const writeMeta = "write"

// put stores an object that is not there yet; with an etag, in place of the one
// that has it. It gives errCondition if that does not hold.
//
// The SDK sends a write again if no reply came, and the first one may have landed:
// then the condition fails on what this very call wrote, which is success.
func (b *bucket) put(ctx context.Context, key string, content io.ReadSeeker, etag string) error {
	id := rand.Text()
	in := &s3.PutObjectInput{Bucket: &b.name, Key: &key, Body: content, Metadata: map[string]string{writeMeta: id}}
	if etag == "" {
		in.IfNoneMatch = str("*")
	} else {
		in.IfMatch = &etag
	}
	for try := 1; ; try++ {
		if _, err := content.Seek(0, io.SeekStart); err != nil {
			return err
		}
		_, err := b.client.PutObject(ctx, in)
		var failed smithy.APIError
		switch {
		case !errors.As(err, &failed):
			return err
		case failed.ErrorCode() == "PreconditionFailed" || etag != "" && isMissing(err):
			return b.wrote(ctx, key, id)
		case failed.ErrorCode() != "ConditionalRequestConflict" || try == tries.Most:
			return err
		}
		// Another conditional write of the key was under way.
		if err := tries.Pause(ctx, try); err != nil {
			return err
		}
	}
}

// wrote gives errCondition if an object is not from the write with the id.
func (b *bucket) wrote(ctx context.Context, key, id string) error {
	out, err := b.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.name, Key: &key})
	switch {
	case err != nil && !isMissing(err):
		return err
	case err != nil || out.Metadata[writeMeta] != id:
		return fmt.Errorf("%s: %w", key, errCondition)
	}
	return nil
}

// write stores what write writes under a key that is not there; nothing if it
// fails. The content waits in a temporary file until it is complete.
func (b *bucket) write(ctx context.Context, key string, write func(io.Writer) error) (size int64, err error) {
	f, err := os.CreateTemp("", "watershed-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	buffered := bufio.NewWriterSize(f, 256<<10)
	if err := write(buffered); err != nil {
		return 0, err
	}
	if err := buffered.Flush(); err != nil {
		return 0, err
	}
	if size, err = f.Seek(0, io.SeekCurrent); err != nil {
		return 0, err
	}
	return size, b.put(ctx, key, f, "")
}

// read gives a small object and its etag; fs.ErrNotExist if there is none.
func (b *bucket) read(ctx context.Context, key string) (content []byte, etag string, err error) {
	for try := 1; ; try++ {
		out, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: &key})
		if err != nil {
			return nil, "", missing(key, err)
		}
		content, err = io.ReadAll(out.Body)
		if err = errors.Join(err, out.Body.Close()); err == nil || try == tries.Most {
			return content, sdk.ToString(out.ETag), err
		}
		if err := tries.Pause(ctx, try); err != nil {
			return nil, "", err
		}
	}
}

// size gives an object's bytes; fs.ErrNotExist if there is none.
func (b *bucket) size(ctx context.Context, key string) (int64, error) {
	out, err := b.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.name, Key: &key})
	if err != nil {
		return 0, missing(key, err)
	}
	return sdk.ToInt64(out.ContentLength), nil
}

// list visits the objects whose keys begin with a prefix, by key.
func (b *bucket) list(ctx context.Context, prefix string, visit func(types.Object) error) error {
	pages := s3.NewListObjectsV2Paginator(b.client, &s3.ListObjectsV2Input{Bucket: &b.name, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, object := range page.Contents {
			if err := visit(object); err != nil {
				return err
			}
		}
	}
	return nil
}

// mostDeleted is how many keys a DeleteObjects takes.
const mostDeleted = 1000

// delete deletes objects; missing ones are no error.
func (b *bucket) delete(ctx context.Context, keys []string) error {
	for len(keys) > 0 {
		part := keys[:min(len(keys), mostDeleted)]
		keys = keys[len(part):]
		var ids []types.ObjectIdentifier
		for i := range part {
			ids = append(ids, types.ObjectIdentifier{Key: &part[i]})
		}
		out, err := b.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &b.name, Delete: &types.Delete{Objects: ids, Quiet: sdk.Bool(true)}})
		if err != nil {
			return err
		}
		for _, failed := range out.Errors {
			return fmt.Errorf("%d of %d objects were not deleted, %s for one: %s", len(out.Errors), len(part), sdk.ToString(failed.Key), sdk.ToString(failed.Message))
		}
	}
	return nil
}

// isMissing reports whether there is no such object.
func isMissing(err error) bool {
	var failed smithy.APIError
	return errors.As(err, &failed) && (failed.ErrorCode() == "NoSuchKey" || failed.ErrorCode() == "NotFound")
}

// missing makes an error of the service one of fs, if it says that the object is
// not there.
func missing(key string, err error) error {
	if isMissing(err) {
		return fmt.Errorf("%s: %w", key, fs.ErrNotExist)
	}
	return err
}

// putText stores a small object; the same one again is no error.
func (b *bucket) putText(ctx context.Context, key string, content []byte) error {
	err := b.put(ctx, key, bytes.NewReader(content), "")
	if !errors.Is(err, errCondition) {
		return err
	}
	there, _, err := b.read(ctx, key)
	if err == nil && !bytes.Equal(there, content) {
		err = fmt.Errorf("%s is there already and says something else: %w", key, errCondition)
	}
	return err
}
