package recompute

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/protocol"
)

// Events that go through row logic at a time, at most about.
const (
	chunkEvents = 4 << 10
	chunkBytes  = 8 << 20
)

// rows makes the rows of all files again, a file for each. A crash between a file
// and the note that it is done makes rows twice, which a batch run sees in the
// figures.
func (r *Recompute) rows(ctx context.Context, s *Start, at *done) error {
	for at.Files < len(s.Files) {
		f := s.Files[at.Files]
		if err := r.file(ctx, s, f.Name); err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		at.Files++
		at.Rows = r.Progress().Rows
		if err := r.store(ctx, r.Done, *at); err != nil {
			return err
		}
	}
	return nil
}

// file makes the rows of one file again.
func (r *Recompute) file(ctx context.Context, s *Start, name string) (err error) {
	in, size, err := r.Old.Master.Open(ctx, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	shard, err := firstShard(s, in, size)
	if err != nil || shard == "" {
		return err
	}
	_, err = r.New.Master.Put(ctx, shard, func(w io.Writer) error {
		c := chunk{recompute: r, out: archive.NewWriter(w, r.New.Definition)}
		err := archive.Scan(in, size, func(row *archive.Stored) error {
			if !s.wants(row) {
				return nil
			}
			if c.full(row) {
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := c.flush(); err != nil {
					return err
				}
			}
			c.add(row)
			return nil
		})
		if err == nil {
			err = c.flush()
		}
		return errors.Join(err, c.out.Close())
	})
	return err
}

// wants reports whether a row is to be made from the files; what lies behind comes
// from the log.
func (s *Start) wants(row *archive.Stored) bool {
	return !row.Position.After(s.Archived[row.Shard])
}

var errFound = errors.New("found")

// firstShard gives the shard of the first row that is wanted; "" if none is.
func firstShard(s *Start, in io.ReaderAt, size int64) (shard string, err error) {
	err = archive.Scan(in, size, func(row *archive.Stored) error {
		if s.wants(row) {
			shard = row.Shard
			return errFound
		}
		return nil
	})
	if errors.Is(err, errFound) {
		err = nil
	}
	return shard, err
}

// chunk gathers rows of one shard for one pass through row logic.
type chunk struct {
	recompute *Recompute
	out       *archive.Writer
	shard     string
	events    []protocol.Event
	ends      []int  // where each event's data ends in data
	data      []byte // of the events
}

// full reports whether a row has to wait until the chunk is flushed.
func (c *chunk) full(row *archive.Stored) bool {
	return len(c.events) > 0 && (row.Shard != c.shard || len(c.events) == chunkEvents || len(c.data)+len(row.Data) > chunkBytes)
}

func (c *chunk) add(row *archive.Stored) {
	c.shard = row.Shard
	c.data = append(c.data, row.Data...)
	c.events = append(c.events, row.Event)
	c.ends = append(c.ends, len(c.data))
}

func (c *chunk) flush() error {
	from := 0
	for i, to := range c.ends {
		c.events[i].Data = c.data[from:to:to]
		from = to
	}
	if err := c.out.Write(c.recompute.New.Logic.Run(c.shard, c.events)); err != nil {
		return err
	}
	n := int64(len(c.events))
	c.recompute.update(func(p *Progress) { p.Rows += n })
	// The writer may still hold the events: the next chunk gets memory of its own.
	c.events, c.ends, c.data = make([]protocol.Event, 0, chunkEvents), c.ends[:0], nil
	return nil
}
