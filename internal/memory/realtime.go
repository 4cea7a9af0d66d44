package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/watershed-data/watershed/internal/protocol"
)

// RealTime is a store of real-time items in memory.
type RealTime struct {
	mu       sync.Mutex
	items    map[protocol.ItemID]protocol.Item
	segments map[string][]protocol.Segment
	PageSize int // items per page of a query; set it before use
}

// NewRealTime makes an empty store.
func NewRealTime() *RealTime {
	return &RealTime{items: map[protocol.ItemID]protocol.Item{}, segments: map[string][]protocol.Segment{}, PageSize: 100}
}

// Items implements protocol.RealTime.
func (r *RealTime) Items(_ context.Context, ids []protocol.ItemID) ([]protocol.Item, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]protocol.Item, len(ids))
	for i, id := range ids {
		out[i] = protocol.Item{ItemID: id}
		if it, ok := r.items[id]; ok {
			out[i] = it
		}
	}
	return out, nil
}

// Put implements protocol.RealTime.
func (r *RealTime) Put(_ context.Context, puts []protocol.Put) ([]bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]bool, len(puts))
	for i, p := range puts {
		if err := p.Item.Fits(); err != nil {
			return nil, err
		}
		if r.items[p.Item.ItemID].Through == p.Expect {
			r.items[p.Item.ItemID] = p.Item
			out[i] = true
		}
	}
	return out, nil
}

func compareID(a, b protocol.ItemID) int {
	return cmp.Or(strings.Compare(a.View, b.View), cmp.Compare(a.Time, b.Time), strings.Compare(a.Dims, b.Dims),
		cmp.Compare(a.Epoch, b.Epoch), strings.Compare(a.Shard, b.Shard))
}

// Query implements protocol.RealTime. Items that come or go between pages do
// not shift the pages that follow.
func (r *RealTime) Query(_ context.Context, view string, from, to int64, token string) (protocol.ItemPage, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var last protocol.ItemID
	if token != "" {
		var err error
		if last, err = parseToken(token); err != nil {
			return protocol.ItemPage{}, err
		}
	}
	var page protocol.ItemPage
	for id, it := range r.items {
		if id.View == view && id.Time >= from && id.Time < to && (token == "" || compareID(id, last) > 0) {
			page.Items = append(page.Items, it)
		}
	}
	slices.SortFunc(page.Items, func(a, b protocol.Item) int { return compareID(a.ItemID, b.ItemID) })
	end, size := 0, 0
	for end < len(page.Items) && end < r.PageSize && size < protocol.ItemPageBytes {
		size += page.Items[end].Size()
		end++
	}
	if end < len(page.Items) {
		page.Items = page.Items[:end]
		page.Next = formatToken(page.Items[end-1].ItemID)
	}
	return page, nil
}

func formatToken(id protocol.ItemID) string {
	return fmt.Sprintf("%q %d %q %d %q", id.View, id.Time, id.Dims, id.Epoch, id.Shard)
}

func parseToken(token string) (id protocol.ItemID, err error) {
	var view, dims, shard string
	if _, err = fmt.Sscanf(token, "%q %d %q %d %q", &view, &id.Time, &dims, &id.Epoch, &shard); err != nil {
		return id, fmt.Errorf("reading page token %s: %w", strconv.Quote(token), err)
	}
	id.View, id.Dims, id.Shard = view, dims, shard
	return id, nil
}

// Discard implements protocol.RealTime.
func (r *RealTime) Discard(_ context.Context, shard string, epoch int64) (int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var n int64
	for id := range r.items {
		if id.Shard == shard && id.Epoch <= epoch {
			delete(r.items, id)
			n++
		}
	}
	return n, nil
}

// PutSegment implements protocol.RealTime.
func (r *RealTime) PutSegment(_ context.Context, s protocol.Segment) error {
	if err := s.Fits(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	of := r.segments[s.Shard]
	i, found := slices.BinarySearchFunc(of, s.SegmentID, func(x protocol.Segment, id protocol.SegmentID) int {
		return cmp.Or(x.Through.Compare(id.Through), cmp.Compare(x.Part, id.Part))
	})
	if !found {
		r.segments[s.Shard] = slices.Insert(slices.Clone(of), i, s)
	}
	return nil
}

// Segments implements protocol.RealTime.
func (r *RealTime) Segments(_ context.Context, shard string) ([]protocol.Segment, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.segments[shard]), nil
}

// DeleteSegment implements protocol.RealTime.
func (r *RealTime) DeleteSegment(_ context.Context, id protocol.SegmentID) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.segments[id.Shard] = slices.DeleteFunc(slices.Clone(r.segments[id.Shard]), func(s protocol.Segment) bool { return s.SegmentID == id })
	return nil
}
