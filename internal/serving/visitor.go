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
	files   []viewFiles        // of the version, to be read when all items have come
}

// viewFiles are the files of one view of a version.
type viewFiles struct {
	manifest protocol.Manifest
	part     protocol.Range
}

// checkEvery is after how many cells of a file the context is looked at.
const checkEvery = 4096

// Reset implements protocol.Visitor.
func (v *visitor) Reset() {
	for _, g := range v.groups {
		g.reset()
	}
	v.files = nil
}

// Version implements protocol.Visitor.
func (v *visitor) Version(ctx context.Context, m protocol.Manifest, r protocol.Range) error {
	g := v.groups[r.View]
	g.keptBy(view.RolledUp(g.plan.view, g.plan.zone.Location, m.T))
	if err := g.plan.answerable(g.rollup); err != nil {
		return err
	}
	v.files = append(v.files, viewFiles{m, r})
	return nil
}

// End implements protocol.Visitor. Files are read after the items: then a group
// of a sorted file is complete when the next one begins.
func (v *visitor) End(ctx context.Context) error {
	for _, f := range v.files {
		if err := v.read(ctx, f.manifest, f.part); err != nil {
			return fmt.Errorf("reading view %s of version %s: %w", f.part.View, f.manifest.Version, err)
		}
	}
	for _, g := range v.groups {
		if err := g.settle(); err != nil && !errors.Is(err, errEnough) {
			return err
		}
	}
	return nil
}

func (v *visitor) read(ctx context.Context, m protocol.Manifest, r protocol.Range) error {
	g := v.groups[r.View]
	if err := g.settle(); err != nil { // the items
		return err
	}
	if err := g.beginFiles(len(m.Views[r.View])); err != nil {
		return err
	}
	for _, f := range m.Views[r.View] {
		file, err := v.service.files.open(ctx, m, f.Name)
		if err != nil {
			return fmt.Errorf("opening %s: %w", f.Name, err)
		}
		n := 0
		err = file.ScanAfter(v.service.def, g.plan.view, r.From, r.To, g.begin, func(t int64, dims []column.Value, states []measure.State) error {
			if n++; n%checkEvery == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			return g.offer(t, dims, "", states)
		})
		if errors.Is(err, errEnough) {
			err = nil
		}
		if err := errors.Join(err, file.release()); err != nil {
			return err
		}
	}
	if err := g.settle(); err != nil && !errors.Is(err, errEnough) {
		return err
	}
	return g.endFiles()
}

// Item implements protocol.Visitor.
func (v *visitor) Item(key protocol.Key, state []byte) error {
	g := v.groups[key.View]
	states, err := measure.Decode(g.plan.all, state)
	if err != nil {
		return fmt.Errorf("reading a real-time item of view %s: %w", key.View, err)
	}
	var dims []column.Value
	if !g.plan.allDims || g.plan.where != nil {
		if dims, err = view.DecodeDims(g.plan.dims, key.Dims); err != nil {
			return fmt.Errorf("reading a real-time item of view %s: %w", key.View, err)
		}
	}
	return g.offer(key.Time, dims, key.Dims, states)
}
