package archive

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"

	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
)

// Erasure erases events from the master dataset: their partition keys, their bytes
// and what row logic made of them. Of each a row stays that holds its place: shard,
// position, arrival and hash, so that count and checksum of the shard are what they
// were, and a repair from the log finds nothing missing.
type Erasure struct {
	Master   protocol.Master
	Erasures Erasures // told of every event before it goes; nil: no log is written from again
	Wanted   func(shard, partitionKey string, stray bool, id rowlogic.Identity) bool
}

// Count gives how many events of each shard up to the positions would be erased. One
// that is stored twice counts twice.
func (e *Erasure) Count(ctx context.Context, through map[string]protocol.Position) (map[string]int64, error) {
	release, err := e.Master.Pin(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	_, counts, err := e.find(ctx, through)
	return counts, err
}

// Erase erases the events of each shard up to the positions, all at once, and gives
// how many they are. forget says of an event's shard and its arrival, in
// milliseconds since 1970-01-01 UTC, whether its identity may go as well, since no
// event that is still to come can be its duplicate.
//
// The files that held the events are gone as soon as nobody reads them any more.
func (e *Erasure) Erase(ctx context.Context, through map[string]protocol.Position, forget func(shard string, arrival int64) bool) (map[string]int64, error) {
	for {
		counts, err := e.attempt(ctx, through, forget)
		if errors.Is(err, protocol.ErrReplaced) {
			continue // files were merged meanwhile
		}
		return counts, err
	}
}

func (e *Erasure) attempt(ctx context.Context, through map[string]protocol.Position, forget func(string, int64) bool) (map[string]int64, error) {
	release, err := e.Master.Pin(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	files, counts, err := e.find(ctx, through)
	if err != nil || len(files) == 0 {
		return counts, err
	}
	var old []string
	var new []protocol.NewFile
	for _, f := range files {
		old = append(old, f.Name)
		new = append(new, protocol.NewFile{Shard: f.Shard, Write: func(w io.Writer) error {
			return e.rewrite(ctx, w, f.Name, through, forget)
		}})
	}
	if _, err := e.Master.Replace(ctx, old, new); err != nil {
		return nil, err
	}
	return counts, nil
}

// find gives the files that hold events to erase, and how many each shard has.
func (e *Erasure) find(ctx context.Context, through map[string]protocol.Position) (found []protocol.File, counts map[string]int64, err error) {
	files, err := e.Master.Files(ctx)
	if err != nil {
		return nil, nil, err
	}
	counts = map[string]int64{}
	for _, f := range files {
		n := 0
		err := e.each(ctx, f.Name, through, func(shard string) {
			n++
			counts[shard]++
		})
		if err != nil {
			return nil, nil, fmt.Errorf("looking for events to erase: %w", err)
		}
		if n > 0 {
			found = append(found, f)
		}
	}
	return found, counts, nil
}

// each gives the shard of each row of a file that is to be erased.
func (e *Erasure) each(ctx context.Context, name string, through map[string]protocol.Position, fn func(shard string)) (err error) {
	in, size, err := e.Master.Open(ctx, name)
	if err != nil {
		return fmt.Errorf("opening %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	f, err := open(in, size)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	c := cursor{name: name, file: f}
	if err := c.find(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	limits := keysOf(through)
	for _, group := range f.RowGroups() {
		err := e.group(ctx, group, &c.at, limits, fn)
		if err != nil {
			return fmt.Errorf("reading %s: %w", name, err)
		}
	}
	return nil
}

// keysOf gives the keys of positions.
func keysOf(through map[string]protocol.Position) map[string]string {
	out := make(map[string]string, len(through))
	for shard, p := range through {
		out[shard] = p.Key()
	}
	return out
}

func (e *Erasure) group(ctx context.Context, group parquet.RowGroup, at *places, limits map[string]string, fn func(shard string)) error {
	columns := []int{at.shard, at.position, at.key, at.stray, at.idHigh, at.idLow, at.outcome}
	var row candidate
	return eachRow(group, columns, 0, group.NumRows(), func(n int64, v []parquet.Value) error {
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		row.set(v[0], v[1], v[2], v[3], v[4], v[5], v[6])
		if e.wants(&row, limits) {
			fn(row.shard)
		}
		return nil
	})
}

// candidate is what of a row says whether it is to be erased.
type candidate struct {
	shard    string
	position []byte
	key      []byte
	stray    bool
	id       rowlogic.Identity
	erased   bool // it is already
}

func (c *candidate) set(shard, position, key, stray, idHigh, idLow, outcome parquet.Value) {
	if s := shard.ByteArray(); string(s) != c.shard {
		c.shard = string(s)
	}
	c.position, c.key, c.stray = position.ByteArray(), key.ByteArray(), stray.Boolean()
	c.id = rowlogic.Identity{}
	if !idHigh.IsNull() {
		c.id = rowlogic.Identity{Hi: uint64(idHigh.Int64()), Lo: uint64(idLow.Int64())}
	}
	c.erased = string(outcome.ByteArray()) == string(rowlogic.Erased)
}

// wants reports whether a row is to be erased, by the keys of the last positions.
func (e *Erasure) wants(c *candidate, limits map[string]string) bool {
	limit, in := limits[c.shard]
	return in && !c.erased && string(c.position) <= limit && e.Wanted(c.shard, string(c.key), c.stray, c.id)
}

// rewrite writes a file again without what is to be erased.
func (e *Erasure) rewrite(ctx context.Context, w io.Writer, name string, through map[string]protocol.Position, forget func(string, int64) bool) (err error) {
	in, err := openCursor(ctx, e.Master, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.close()) }()
	out := newRewriter(w, in)
	if span, err := wholeSpan(in.file); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	} else if span != nil {
		noteSpan(out.file, *span)
	}
	limits := keysOf(through)
	var row candidate
	going := departing{to: e.Erasures}
	for n := 0; ; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if err := in.next(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		at := &in.at
		row.set(in.row[at.shard], in.row[at.position], in.row[at.key], in.row[at.stray], in.row[at.idHigh], in.row[at.idLow], in.row[at.outcome])
		if e.wants(&row, limits) {
			in.erase(forget(row.shard, in.row[at.arrival].Int64()))
			if err := going.add(ctx, row.shard, in); err != nil {
				return err
			}
		}
		if err := out.write(in.row); err != nil {
			return err
		}
	}
	if err := going.flush(ctx); err != nil {
		return err
	}
	return out.close()
}

// departing gathers erased events on their way to where they are remembered.
type departing struct {
	to    Erasures
	shard string
	some  map[protocol.Position]protocol.Erased
}

const departTogether = 1024 // events

// add adds an event by what stays of its row. Those of a load have no log.
func (d *departing) add(ctx context.Context, shard string, c *cursor) error {
	if d.to == nil || protocol.IsLoad(shard) {
		return nil
	}
	if shard != d.shard || len(d.some) == departTogether {
		if err := d.flush(ctx); err != nil {
			return err
		}
		d.shard, d.some = shard, map[protocol.Position]protocol.Erased{}
	}
	p, err := protocol.ParseKey(string(c.row[c.at.position].ByteArray()))
	if err != nil {
		return err
	}
	left := protocol.Erased{Hash: hashOf(c.row[c.at.hashHigh], c.row[c.at.hashLow])}
	if high := c.row[c.at.idHigh]; !high.IsNull() {
		left.IDHigh, left.IDLow = uint64(high.Int64()), uint64(c.row[c.at.idLow].Int64())
	}
	d.some[p] = left
	return nil
}

func (d *departing) flush(ctx context.Context) error {
	if len(d.some) == 0 {
		return nil
	}
	if err := d.to.Add(ctx, d.shard, d.some); err != nil {
		return fmt.Errorf("remembering what is erased of %s: %w", d.shard, err)
	}
	return nil
}

// erase leaves of the row what holds its place.
func (c *cursor) erase(forget bool) {
	for i, f := range c.file.Schema().Fields() {
		switch i {
		case c.at.shard, c.at.position, c.at.arrival, c.at.aggregated, c.at.stray, c.at.hashHigh, c.at.hashLow, c.at.rowLogic:
			continue
		case c.at.idHigh, c.at.idLow:
			if !forget {
				continue
			}
		case c.at.outcome:
			c.row[i] = parquet.ByteArrayValue([]byte(rowlogic.Erased)).Level(0, 0, i)
			continue
		}
		if f.Optional() {
			c.row[i] = parquet.NullValue().Level(0, 0, i)
		} else {
			c.row[i] = parquet.ZeroValue(f.Type().Kind()).Level(0, 0, i)
		}
	}
}
