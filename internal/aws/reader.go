package aws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"golang.org/x/sync/errgroup"

	"github.com/watershed-data/watershed/internal/aws/tries"
	"github.com/watershed-data/watershed/internal/protocol"
)

// open opens an object for random reads. It reads the object's end, where Parquet has
// its footer, and learns the size by that.
func (b *bucket) open(ctx context.Context, key string) (protocol.ReadAtCloser, int64, error) {
	// Reads come long after this call, and know no context of their own.
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	o := &object{bucket: b, key: key, ctx: life, cancel: cancel}
	err := wholly(ctx, func() error { return o.readEnd(ctx) })
	if err != nil {
		cancel()
		return nil, 0, missing(key, err)
	}
	return o, o.size, nil
}

// object is an object that is open for random reads.
type object struct {
	bucket *bucket
	key    string
	size   int64
	ctx    context.Context // until Close
	cancel context.CancelFunc
}

// Close ends every read that is under way.
func (o *object) Close() error {
	o.cancel()
	return nil
}

// wholly repeats what fails because a reply broke off: the SDK repeats a request, but
// not that.
func wholly(ctx context.Context, do func() error) error {
	for try := 1; ; try++ {
		err := do()
		if !errors.Is(err, io.ErrUnexpectedEOF) || try == tries.Most {
			return err
		}
		if err := tries.Pause(ctx, try); err != nil {
			return err
		}
	}
}

// readEnd reads the last block.
func (o *object) readEnd(ctx context.Context) error {
	part := "bytes=-" + strconv.Itoa(blockBytes)
	out, err := o.bucket.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &o.bucket.name, Key: &o.key, Range: &part})
	var refused smithy.APIError
	if errors.As(err, &refused) && refused.ErrorCode() == "InvalidRange" { // an empty object has no end
		o.size, err = o.bucket.size(ctx, o.key)
		return err
	}
	if err != nil {
		return err
	}
	defer out.Body.Close()
	data := make([]byte, sdk.ToInt64(out.ContentLength))
	if _, err := io.ReadFull(out.Body, data); err != nil {
		return fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, err)
	}
	o.size = int64(len(data))
	if _, whole, ok := strings.Cut(sdk.ToString(out.ContentRange), "/"); ok {
		if o.size, err = strconv.ParseInt(whole, 10, 64); err != nil {
			return fmt.Errorf("the range that came is %q: %w", sdk.ToString(out.ContentRange), err)
		}
	}
	if o.size > 0 {
		last := (o.size - 1) / blockBytes
		length := o.size - last*blockBytes
		o.bucket.blocks.keep(o.id(last), data[int64(len(data))-length:])
	}
	return nil
}

func (o *object) id(n int64) blockID { return blockID{o.bucket.name, o.key, n} }

// ReadAt implements io.ReaderAt.
func (o *object) ReadAt(p []byte, offset int64) (int, error) {
	if offset < 0 {
		return 0, fmt.Errorf("reading %s: offset %d is negative", o.key, offset)
	}
	wanted := p[:max(min(int64(len(p)), o.size-offset), 0)]
	if len(wanted) == 0 {
		return 0, end(p, 0)
	}
	if err := o.read(wanted, offset); err != nil {
		return 0, fmt.Errorf("reading %s: %w", o.key, missing(o.key, err))
	}
	return len(wanted), end(p, len(wanted))
}

// end gives io.EOF if fewer bytes were read than there is room for.
func end(p []byte, n int) error {
	if n < len(p) {
		return io.EOF
	}
	return nil
}

// read fills p by blocks. What is larger than a request for blocks is read past them.
func (o *object) read(p []byte, offset int64) error {
	if len(p) > mostRun*blockBytes {
		return o.readRange(p, offset)
	}
	first, last := offset/blockBytes, (offset+int64(len(p))-1)/blockBytes
	found, err := o.blocksOf([]run{{first, last + 1}})
	if err != nil {
		return err
	}
	for n := first; n <= last; n++ {
		from := max(offset, n*blockBytes)
		to := min(offset+int64(len(p)), (n+1)*blockBytes)
		into := p[from-offset : to-offset]
		data, err := found[n-first].wait(o.ctx)
		if errors.Is(err, errNotMine) {
			err = o.readRange(into, from)
		} else if err == nil {
			copy(into, data[from-n*blockBytes:])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// run is blocks that follow each other, [from, to).
type run struct{ from, to int64 }

// blocksOf gives the blocks of runs. Those that nobody has are asked for, neighbours
// together and all requests at the same time.
func (o *object) blocksOf(runs []run) ([]*block, error) {
	var all []*block
	var mine [][]*block
	for _, r := range runs {
		before := false // the block before is in the last request
		for n := r.from; n < r.to; n++ {
			found, isNew := o.bucket.blocks.claim(o.id(n))
			all = append(all, found)
			switch {
			case !isNew:
			case before && len(mine[len(mine)-1]) < mostRun:
				mine[len(mine)-1] = append(mine[len(mine)-1], found)
			default:
				mine = append(mine, []*block{found})
			}
			before = isNew
		}
	}
	var g errgroup.Group
	g.SetLimit(parallelReads)
	for _, part := range mine {
		g.Go(func() error { return o.load(part) })
	}
	return all, g.Wait()
}

// load reads claimed blocks that follow each other, each into memory of its own: they
// are forgotten one by one.
func (o *object) load(claimed []*block) error {
	from := claimed[0].id.n * blockBytes
	length := min(int64(len(claimed))*blockBytes, o.size-from)
	data := make([][]byte, len(claimed))
	err := o.readFrom(from, length, func(body io.Reader) error {
		for i := range claimed {
			data[i] = make([]byte, min(blockBytes, length-int64(i)*blockBytes))
			if _, err := io.ReadFull(body, data[i]); err != nil {
				return err
			}
		}
		return nil
	})
	for i, b := range claimed {
		o.bucket.blocks.settle(b, data[i], err)
	}
	return err
}

// Fetch implements protocol.Fetcher.
func (o *object) Fetch(wanted []protocol.Bytes) error {
	var runs []run
	for _, w := range wanted {
		from, to := max(w.From, 0), min(w.To, o.size)
		if from >= to {
			continue
		}
		r := run{from / blockBytes, (to-1)/blockBytes + 1}
		if n := len(runs); n > 0 && r.from <= runs[n-1].to && r.from >= runs[n-1].from {
			runs[n-1].to = max(runs[n-1].to, r.to)
			continue
		}
		runs = append(runs, r)
	}
	if _, err := o.blocksOf(runs); err != nil {
		return fmt.Errorf("reading %s: %w", o.key, missing(o.key, err))
	}
	return nil
}

// readRange reads a part of the object past the blocks.
func (o *object) readRange(p []byte, offset int64) error {
	return o.readFrom(offset, int64(len(p)), func(body io.Reader) error {
		_, err := io.ReadFull(body, p)
		return err
	})
}

// readFrom reads a part of the object by one request, and again if its reply breaks
// off.
func (o *object) readFrom(offset, length int64, take func(body io.Reader) error) error {
	part := fmt.Sprintf("bytes=%d-%d", offset, offset+length-1)
	return wholly(o.ctx, func() error {
		out, err := o.bucket.client.GetObject(o.ctx, &s3.GetObjectInput{Bucket: &o.bucket.name, Key: &o.key, Range: &part})
		if err != nil {
			return err
		}
		defer out.Body.Close()
		if err = take(out.Body); err != nil && o.ctx.Err() == nil { // a reset connection as well as an early end
			err = fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, err)
		}
		return err
	})
}
