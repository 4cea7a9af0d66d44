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
func (s *Service) Cells(ctx context.Context, views []string, visit func(view string, key protocol.Key, states []measure.State) error) (*protocol.Snapshot, error) {
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
		v.groups[name] = newGroups(p, held, "", 0)
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
			if err := visit(name, protocol.Key{View: name, Time: readTime(r.key), Dims: r.key[timeLength:]}, r.states); err != nil {
				return nil, err
			}
		}
	}
	return snapshot, nil
}
