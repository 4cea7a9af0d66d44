package serving

import (
	"context"
	"errors"
	"fmt"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/measure"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/view"
)

// visitor hands what makes up an answer to the groups of its views.
type visitor struct {
	service *Service
	groups  map[string]*groups // by view
}

// checkEvery is after how many cells of a file the context is looked at.
const checkEvery = 4096

// Reset implements protocol.Visitor.
func (v *visitor) Reset() {
	for _, g := range v.groups {
		g.reset()
	}
}

// Version implements protocol.Visitor.
func (v *visitor) Version(ctx context.Context, m protocol.Manifest, r protocol.Range) error {
	g := v.groups[r.View]
	for _, f := range m.Views[r.View] {
		file, err := v.service.files.open(ctx, m, f.Name)
		if err != nil {
			return fmt.Errorf("opening %s: %w", f.Name, err)
		}
		n := 0
		err = file.Scan(v.service.def, g.plan.view, r.From, r.To, func(t int64, dims []column.Value, states []measure.State) error {
			if n++; n%checkEvery == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			return g.add(t, dims, "", states)
		})
		if err := errors.Join(err, file.release()); err != nil {
			return err
		}
	}
	return nil
}

// Item implements protocol.Visitor.
func (v *visitor) Item(key protocol.Key, state []byte) error {
	g := v.groups[key.View]
	states, err := measure.Decode(g.plan.all, state)
	if err != nil {
		return fmt.Errorf("reading a real-time item of view %s: %w", key.View, err)
	}
	var dims []column.Value
	if !g.plan.allDims {
		if dims, err = view.DecodeDims(g.plan.dims, key.Dims); err != nil {
			return fmt.Errorf("reading a real-time item of view %s: %w", key.View, err)
		}
	}
	return g.add(key.Time, dims, key.Dims, states)
}
