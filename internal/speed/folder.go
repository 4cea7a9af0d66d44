// Package speed is the speed layer: it folds events into real-time views as
// soon as they are in the log. The protocol says when what it computes counts.
package speed

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/measure"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
	"github.com/watershed-data/watershed/internal/view"
)

// Slack is by how much arrivals in a lineage may go backwards without a
// duplicate being overlooked: ids are remembered for the dedup window and this
// much longer. Kinesis's arrivals are approximate by far less.
const Slack = time.Hour

// Folder computes what events add to the views. It implements protocol.Folder
// and may be used at once from several goroutines.
//
// If the definition has an event id, it keeps the dedup sets of the shards it
// works on in memory: about 60 bytes for each event with an id that arrived
// within the dedup window and Slack.
type Folder struct {
	logic  *rowlogic.Logic
	views  []definition.View
	sets   map[string][]measure.Measure
	within int64 // the dedup window in milliseconds
	seen   cache
}

// NewFolder makes the folder of a definition's views, the built-in one too.
func NewFolder(def *definition.Definition, logic *rowlogic.Logic) *Folder {
	f := &Folder{logic: logic, views: def.AllViews(), sets: map[string][]measure.Measure{}, within: def.Events.DedupeWithin.Milliseconds()}
	for _, v := range f.views {
		f.sets[v.Name] = measure.New(v)
	}
	return f
}

// Fold implements protocol.Folder.
func (f *Folder) Fold(ctx context.Context, shard string, events []protocol.Event, before protocol.Seen) (protocol.Folded, error) {
	rows := f.logic.Run(shard, events)
	var out protocol.Folded
	if rows.ID != nil && len(events) > 0 {
		var err error
		if out.Segments, out.Expired, err = f.dedup(ctx, rows, before); err != nil {
			return protocol.Folded{}, err
		}
	}
	for _, v := range f.views {
		out.Deltas = append(out.Deltas, fold(v, f.sets[v.Name], rows)...)
	}
	return out, nil
}

// Keep implements protocol.Folder.
func (f *Folder) Keep() int64 { return f.within + Slack.Milliseconds() }

// dedup marks the duplicates among the rows. It gives the segments that the rows
// add to the dedup set, and those before them that have expired.
func (f *Folder) dedup(ctx context.Context, rows *rowlogic.Batch, before protocol.Seen) (parts, expired []protocol.Segment, err error) {
	keep := f.Keep()
	s := f.seen.take(rows.Shard, before.Through)
	if s == nil {
		loaded, err := before.Load(ctx)
		if err != nil {
			return nil, nil, err
		}
		if s, err = newSeen(rows.Shard, before.Through, loaded); err != nil {
			return nil, nil, err
		}
	}
	s.expire(before.MaxArrival, keep)
	parts, expired = s.add(rows, f.within, protocol.SegmentBytes), slices.Clone(s.expired)
	f.seen.put(s, keep)
	return parts, expired, nil
}

// Merge implements protocol.Folder.
func (f *Folder) Merge(name string, a, b []byte) ([]byte, error) {
	set, ok := f.sets[name]
	if !ok {
		return nil, fmt.Errorf("there is no view %s in this definition", name)
	}
	x, err := measure.Decode(set, a)
	if err != nil {
		return nil, err
	}
	y, err := measure.Decode(set, b)
	if err != nil {
		return nil, err
	}
	measure.MergeAll(set, x, y)
	return measure.Encode(set, x), nil
}

// fold adds up the rows of one view, cell by cell, in the order of the cells.
func fold(v definition.View, set []measure.Measure, rows *rowlogic.Batch) []protocol.Delta {
	times := rows.Times[v.Every] // nil for every: none
	dims := vectors(rows, v.By)
	chosen := rows.Chosen(v)
	inputs := make([]*column.Vector, len(set))
	for i, m := range set {
		if name := m.Input(); name != "" {
			inputs[i] = rows.Vector(name)
		}
	}
	cells := map[string][]measure.State{} // 8 bytes of time, then the dimensions
	var key []byte
	for i := range rows.Events {
		if !v.Outcomes && !rows.Accepted(i) || chosen != nil && chosen.Int[i] == 0 {
			continue
		}
		var time int64
		if times != nil {
			time = times.Int[i]
		}
		key = binary.BigEndian.AppendUint64(key[:0], uint64(time)^1<<63)
		for _, d := range dims {
			key = view.AppendDim(key, d.Type.Kind, d.At(i))
		}
		states := cells[string(key)]
		if states == nil {
			states = make([]measure.State, len(set))
			cells[string(key)] = states
		}
		for j, m := range set {
			value := column.Null
			if inputs[j] != nil {
				value = inputs[j].At(i)
			}
			m.Add(&states[j], value)
		}
	}
	out := make([]protocol.Delta, 0, len(cells))
	for key, states := range cells {
		time := int64(binary.BigEndian.Uint64([]byte(key)) ^ 1<<63)
		out = append(out, protocol.Delta{Key: protocol.Key{View: v.Name, Time: time, Dims: key[8:]}, State: measure.Encode(set, states)})
	}
	slices.SortFunc(out, func(a, b protocol.Delta) int {
		if a.Key.Time != b.Key.Time {
			if a.Key.Time < b.Key.Time {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Key.Dims, b.Key.Dims)
	})
	return out
}

func vectors(rows *rowlogic.Batch, names []string) []*column.Vector {
	out := make([]*column.Vector, len(names))
	for i, name := range names {
		out[i] = rows.Vector(name)
	}
	return out
}
