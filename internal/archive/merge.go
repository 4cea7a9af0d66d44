package archive

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/watershed-data/watershed/internal/protocol"
)

// How files are merged: when there are mergeLeast of about the same size. Sizes
// grow by that factor from tier to tier, so a row is written again at most once for
// each tier.
const (
	mergeLeast = 8
	tinyMost   = 64        // files of the lowest tier that are merged at a time
	largerMost = 16        // files of any other, of which a page of each column takes more memory
	tierBytes  = 64 << 10  // files of the lowest tier are smaller
	fullBytes  = 256 << 20 // a file of this size is large enough
)

// Merger merges small files of the master dataset into larger ones, each of one
// shard and in the order of positions. A row stays as it is, in all its columns;
// one that is there twice is kept once. Its methods must not be called at the same
// time.
type Merger struct {
	Master protocol.Master

	known map[string]*about
}

// Merged says what a call of Merge has done.
type Merged struct {
	Files   int   // that are no more
	Into    int   // that took their place
	Doubled int64 // rows that were there twice
}

// Merge merges files until none are left that should be. With doubled, it also
// merges files that hold rows of the same stretch of a log, which is where rows
// may be stored twice. Memory is bounded by a page of each column of largerMost
// files, and a compressed row group.
//
// It may be cancelled at any time; what was merged stays.
func (m *Merger) Merge(ctx context.Context, doubled bool) (done Merged, err error) {
	for {
		files, err := m.inspect(ctx)
		if err != nil {
			return done, fmt.Errorf("looking for files to merge: %w", err)
		}
		groups := plan(files, doubled)
		if len(groups) == 0 {
			return done, nil
		}
		for _, group := range groups {
			n, err := m.merge(ctx, group)
			if errors.Is(err, protocol.ErrReplaced) {
				continue // somebody else was faster
			}
			if err != nil {
				return done, fmt.Errorf("merging %d files of %s: %w", len(group), group[0].Shard, err)
			}
			done.Files += len(group)
			done.Into++
			done.Doubled += n
		}
	}
}

// plan gives the groups of files to merge now, each in the order of first positions.
func plan(files []*about, doubled bool) (groups [][]*about) {
	type kind struct{ shard, generation, schema string }
	alike := map[kind][]*about{}
	for _, f := range files {
		k := kind{f.Shard, f.generation, f.schema}
		alike[k] = append(alike[k], f)
	}
	for _, of := range alike {
		slices.SortFunc(of, func(a, b *about) int {
			return cmp.Or(strings.Compare(a.first, b.first), strings.Compare(a.Name, b.Name))
		})
		more := small(of)
		if doubled {
			if group := overlapping(of); group != nil {
				more = [][]*about{group}
			}
		}
		groups = append(groups, more...)
	}
	return groups
}

// inspect gives what is known of all files.
func (m *Merger) inspect(ctx context.Context) ([]*about, error) {
	release, err := m.Master.Pin(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	files, err := m.Master.Files(ctx)
	if err != nil {
		return nil, err
	}
	known := make(map[string]*about, len(files))
	var out []*about
	for _, f := range files {
		a := m.known[f.Name]
		if a == nil {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if a, err = inspect(ctx, m.Master, f); err != nil {
				return nil, err
			}
		}
		known[f.Name] = a
		out = append(out, a)
	}
	m.known = known
	return out, nil
}

// small gives groups of files of the lowest tier that has enough of them.
func small(files []*about) (groups [][]*about) {
	tiers := map[int][]*about{}
	for _, f := range files {
		if t, ok := tier(f.Size); ok {
			tiers[t] = append(tiers[t], f)
		}
	}
	for _, t := range slices.Sorted(maps.Keys(tiers)) {
		if len(tiers[t]) < mergeLeast {
			continue
		}
		most := largerMost
		if t == 0 {
			most = tinyMost
		}
		for group := range slices.Chunk(tiers[t], most) {
			if group = upTo(group, fullBytes); len(group) >= mergeLeast {
				groups = append(groups, group)
			}
		}
		return groups
	}
	return nil
}

// upTo gives the first of some files: as few as are merged, and more up to a size.
func upTo(files []*about, most int64) []*about {
	var size int64
	for i, f := range files {
		if size += f.Size; i >= mergeLeast && size > most {
			return files[:i]
		}
	}
	return files
}

// tier gives the tier of a file's size; false if the file is large enough.
func tier(size int64) (int, bool) {
	if size >= fullBytes {
		return 0, false
	}
	t := 0
	for most := int64(tierBytes); size >= most; most *= mergeLeast {
		t++
	}
	return t, true
}

// overlapping gives files that hold rows of the same stretch of the log. Files of
// which it is not known where their rows lie are left alone.
func overlapping(files []*about) []*about {
	var group []*about
	last := ""
	for _, f := range files {
		if f.first == "" {
			continue
		}
		if len(group) > 0 && f.first <= last && len(group) < largerMost {
			group = append(group, f)
			last = max(last, f.last)
			continue
		}
		if len(group) > 1 {
			return group
		}
		group, last = []*about{f}, f.last
	}
	if len(group) > 1 {
		return group
	}
	return nil
}

// merge makes one file of some, and gives how many rows were there twice.
func (m *Merger) merge(ctx context.Context, files []*about) (doubled int64, err error) {
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
	}
	release, err := m.Master.Pin(ctx)
	if err != nil {
		return 0, err
	}
	defer release()
	_, err = m.Master.Replace(ctx, names, []protocol.NewFile{{Shard: files[0].Shard, Write: func(w io.Writer) (err error) {
		doubled, err = m.write(ctx, w, files)
		return err
	}}})
	return doubled, err
}

func (m *Merger) write(ctx context.Context, w io.Writer, files []*about) (doubled int64, err error) {
	var open []*cursor
	defer func() {
		for _, c := range open {
			err = errors.Join(err, c.close())
		}
	}()
	for _, f := range files {
		c, err := openCursor(ctx, m.Master, f.Name)
		if err != nil {
			return 0, err
		}
		open = append(open, c)
	}
	out := newRewriter(w, open[0])
	if span := joined(files); span != nil {
		noteSpan(out.file, *span)
	}
	merge := merging{out: out}
	for _, c := range open {
		if err := merge.step(c); err != nil {
			return 0, err
		}
	}
	for n := 0; len(merge.heads) > 0; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if err := merge.take(); err != nil {
			return 0, err
		}
	}
	return merge.doubled, out.close()
}

// joined gives the span of the log that the files hold together; nil if there is a
// gap between them or nothing is known.
func joined(files []*about) *protocol.Span {
	var spans []protocol.Span
	for _, f := range files {
		if f.whole == nil {
			return nil
		}
		spans = append(spans, *f.whole)
	}
	slices.SortFunc(spans, func(a, b protocol.Span) int { return a.After.Compare(b.After) })
	out := spans[0]
	for _, s := range spans[1:] {
		if s.After.After(out.Through) {
			return nil
		}
		if s.Through.After(out.Through) {
			out.Through = s.Through
		}
	}
	return &out
}

// merging takes rows from files in the order of positions.
type merging struct {
	out     *rewriter
	heads   []*cursor // those that stand at a row, in the order of their rows
	last    []byte    // position's key and shard of the last row
	written []uint64  // hashes of the rows at it
	at      []byte    // memory for the next one
	doubled int64
}

// before orders rows: those of one position so that the one to keep comes first.
func before(a, b *cursor) int {
	if c := cmp.Or(bytes.Compare(a.position(), b.position()), bytes.Compare(a.shard(), b.shard())); c != 0 {
		return c
	}
	if a.erased() != b.erased() {
		if a.erased() {
			return -1
		}
		return 1
	}
	return cmp.Compare(b.rowLogic(), a.rowLogic())
}

// step moves a cursor to its next row, and to its place among the heads.
func (m *merging) step(c *cursor) error {
	if err := c.next(); errors.Is(err, io.EOF) {
		return nil
	} else if err != nil {
		return err
	}
	i, _ := slices.BinarySearchFunc(m.heads, c, before)
	m.heads = slices.Insert(m.heads, i, c)
	return nil
}

// take writes the first row, unless it is there already. Two rows of a position
// that differ are both kept: which of them is right is not for this package to say.
func (m *merging) take() error {
	c := m.heads[0]
	m.heads = m.heads[1:]
	at := append(append(m.at[:0], c.position()...), c.shard()...)
	if !bytes.Equal(at, m.last) {
		m.last, m.at, m.written = at, m.last, m.written[:0]
	}
	if hash := c.hash(); slices.Contains(m.written, hash) {
		m.doubled++
	} else {
		m.written = append(m.written, hash)
		if err := m.out.write(c.row); err != nil {
			return err
		}
	}
	return m.step(c)
}
