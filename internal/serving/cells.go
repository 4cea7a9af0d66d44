package serving

import (
	"context"
	"errors"
	"fmt"

	"github.com/watershed-data/watershed/internal/measure"
	"github.com/watershed-data/watershed/internal/protocol"
)

// Cells visits every cell of the views with its merged state, view by view as
// named and within one by time, then dimensions: what queries are made of, as
// one snapshot of all the views. states are the view's measures in order and are
// the caller's. Nothing is visited before the snapshot is known to be one. Its
// error ends the visit and is given as it is.
//
// Cells that are not wanted take no memory, so an answer of any size can be read
// in parts; nil wants all.
func (s *Service) Cells(ctx context.Context, views []string, wanted func(view string, key protocol.Key) bool, visit func(view string, key protocol.Key, states []measure.State) error) (*protocol.Snapshot, error) {
	held := &budget{most: s.groups}
	v := &visitor{service: s, groups: map[string]*groups{}}
	var ranges []protocol.Range
	for _, name := range views {
		p, err := s.plan(Query{View: name})
		if err != nil {
			return nil, err
		}
		if v.groups[name] != nil {
			return nil, invalid("view", "view %s is named twice", name)
		}
		g := newGroups(p, held, "", 0)
		if wanted != nil {
			g.wanted = func(key string) bool { return wanted(name, keyOf(name, key)) }
		}
		v.groups[name] = g
		ranges = append(ranges, protocol.Range{View: name, From: p.from, To: p.to})
	}
	snapshot, err := s.reader.Read(ctx, ranges, v)
	if large := (*Error)(nil); errors.As(err, &large) && large.Code == TooLarge && len(views) > 1 {
		return nil, &Error{Code: TooLarge, Field: "view", Message: fmt.Sprintf("the views have more than %d cells together; name one view at a time", s.groups)}
	}
	if err != nil {
		return nil, err
	}
	for _, name := range views {
		rows, err := v.groups[name].rows()
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			if err := visit(name, keyOf(name, r.key), r.states); err != nil {
				return nil, err
			}
		}
	}
	return snapshot, nil
}

// keyOf gives the cell of a group of all of a view's dimensions.
func keyOf(view, key string) protocol.Key {
	return protocol.Key{View: view, Time: readTime(key), Dims: key[timeLength:]}
}
