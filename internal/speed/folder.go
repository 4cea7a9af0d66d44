// Package speed is the speed layer: it folds events into real-time views as
// soon as they are in the log. The protocol says when what it computes counts.
package speed

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/measure"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
	"github.com/watershed-data/watershed/internal/view"
)

// Folder computes what events add to the views. It implements protocol.Folder
// and may be used at once from several goroutines.
type Folder struct {
	logic *rowlogic.Logic
	views []definition.View
	sets  map[string][]measure.Measure
}

// NewFolder makes the folder of a definition's views, the built-in one too.
func NewFolder(def *definition.Definition, logic *rowlogic.Logic) *Folder {
	f := &Folder{logic: logic, views: def.AllViews(), sets: map[string][]measure.Measure{}}
	for _, v := range f.views {
		f.sets[v.Name] = measure.New(v)
	}
	return f
}

// Dedup implements protocol.Folder: without an event id an event is its position.
func (f *Folder) Dedup() bool { return false }

// Keep implements protocol.Folder.
func (f *Folder) Keep() int64 { return 0 }

// Fold implements protocol.Folder.
func (f *Folder) Fold(_ context.Context, shard string, events []protocol.Event, _ []protocol.Segment) ([]protocol.Delta, protocol.Segment, error) {
	rows := f.logic.Run(shard, events)
	var out []protocol.Delta
	for _, v := range f.views {
		out = append(out, fold(v, f.sets[v.Name], rows)...)
	}
	return out, protocol.Segment{}, nil
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
	inputs := make([]*column.Vector, len(set))
	for i, m := range set {
		if m.Column != "" {
			inputs[i] = rows.Vector(m.Column)
		}
	}
	cells := map[string][]measure.State{} // 8 bytes of time, then the dimensions
	var key []byte
	for i := range rows.Events {
		if !v.Outcomes && !rows.Accepted(i) {
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
