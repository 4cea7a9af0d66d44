package recompute

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
	"github.com/watershed-data/watershed/internal/speed"
)

// maxIdentities is how many identities are held in memory at a time, at about 200
// bytes each.
const maxIdentities = 1 << 20

// maxTurns ends the search for turns that are small enough: those of one identity,
// which may be in many shards, cannot be made smaller.
const maxTurns = 1 << 16

// remember stores what the speed layer would have stored by C: for each identity
// that can still make an event a duplicate, when its last event arrived.
func (r *Recompute) remember(ctx context.Context, s *Start) error {
	if r.New.Definition.Events.ID == "" {
		return nil
	}
	shards, err := r.Log.Shards(ctx)
	if err != nil {
		return fmt.Errorf("listing shards: %w", err)
	}
	files, err := r.New.Master.Files(ctx)
	if err != nil {
		return err
	}
	m := &memories{Recompute: r, start: s, files: files, heirs: heirsOf(protocol.NewLineage(shards), s.Rows, r.New.Keep)}
	if err := m.findFirst(ctx); err != nil {
		return err
	}
	return m.storeAll(ctx)
}

// memories are the dedup sets of all shards at C, on their way from the rows.
type memories struct {
	*Recompute
	start *Start
	files []protocol.File
	heirs []heir
	first map[string]string // by shard: the key of the first position that matters; no entry: none does
}

// heir is a shard whose next events, or those of a child that has not begun, are
// held against the set.
type heir struct {
	family []string            // its ancestors and itself, parents before children
	above  map[string][]string // a member's ancestors
	since  int64               // an earlier arrival cannot make a coming event a duplicate
	first  map[string]string   // by member: the key of its first position that arrived later
}

func heirsOf(l *protocol.Lineage, rows map[string]protocol.Row, keep int64) (heirs []heir) {
	for _, shard := range l.Shards {
		if _, started := rows[shard.ID]; !started || inherited(l.Children(shard.ID), rows) {
			continue
		}
		h := heir{family: append(l.Ancestors(shard.ID), shard.ID), above: map[string][]string{}, first: map[string]string{}}
		latest := int64(0)
		for _, id := range h.family {
			latest = max(latest, rows[id].MaxArrival)
			h.above[id] = l.Ancestors(id)
		}
		h.since = latest - keep
		heirs = append(heirs, h)
	}
	return heirs
}

// inherited reports whether all children have begun: from then on they are held
// against what their parent has.
func inherited(children []string, rows map[string]protocol.Row) bool {
	waiting := func(id string) bool { _, started := rows[id]; return !started }
	return len(children) > 0 && !slices.ContainsFunc(children, waiting)
}

// findFirst finds from where on the rows of each shard matter. It is a place in
// the log and not a time: behind the first event that arrived late enough, an
// identity's last event counts even if it arrived before that, since arrivals may
// go backwards.
func (m *memories) findFirst(ctx context.Context) error {
	least := int64(math.MaxInt64)
	by := map[string][]*heir{}
	for i := range m.heirs {
		h := &m.heirs[i]
		least = min(least, h.since)
		for _, id := range h.family {
			by[id] = append(by[id], h)
		}
	}
	err := m.each(ctx, archive.Since{Arrival: least}, func(shard string, row *archive.Sighting) error {
		for _, h := range by[shard] {
			if at, ok := h.first[shard]; row.Arrival >= h.since && (!ok || string(row.Position) < at) {
				h.first[shard] = string(row.Position)
			}
		}
		return nil
	})
	m.first = map[string]string{}
	for i := range m.heirs {
		m.heirs[i].claim(m.first)
	}
	return err
}

// claim adds what an heir needs: of the members that have something, and all of
// their descendants.
func (h *heir) claim(first map[string]string) {
	for _, id := range h.family {
		at, needed := h.first[id]
		if slices.ContainsFunc(h.above[id], func(a string) bool { _, ok := h.first[a]; return ok }) {
			at, needed = "", true
		}
		if before, ok := first[id]; needed && (!ok || at < before) {
			first[id] = at
		}
	}
}

// each gives the rows at C that are wanted, of shards that are some heir's.
func (m *memories) each(ctx context.Context, since archive.Since, fn func(shard string, row *archive.Sighting) error) error {
	through := map[string]string{}
	for id, row := range m.start.Rows {
		through[id] = row.Through.Key()
	}
	for _, f := range m.files {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := m.file(ctx, f.Name, since, func(row *archive.Sighting) error {
			if end, ok := through[string(row.Shard)]; !ok || string(row.Position) > end {
				return nil
			}
			return fn(string(row.Shard), row)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *memories) file(ctx context.Context, name string, since archive.Since, fn func(*archive.Sighting) error) (err error) {
	in, size, err := m.New.Master.Open(ctx, name)
	if err != nil {
		return fmt.Errorf("opening %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	if err := archive.Sightings(in, size, since, fn); err != nil {
		if errors.Is(err, errTooMany) {
			return err
		}
		return fmt.Errorf("reading %s: %w", name, err)
	}
	return nil
}

// identity is one in a shard.
type identity struct {
	shard string
	rowlogic.Identity
}

// last is an identity's last event.
type last struct {
	position string // its key
	arrival  int64
}

var errTooMany = errors.New("too many identities at a time")

// storeAll stores the segments, all at the shard's C. Identities that do not fit
// in memory at once are taken in several turns, by their hash.
func (m *memories) storeAll(ctx context.Context) error {
	if len(m.first) == 0 {
		return nil
	}
	for turns := uint64(1); ; turns *= 2 {
		// What too few turns have stored is stored again, or says the same once more.
		if err := m.storeIn(ctx, turns); !errors.Is(err, errTooMany) {
			return err
		}
	}
}

func (m *memories) storeIn(ctx context.Context, turns uint64) error {
	parts := map[string]int{} // stored, by shard
	for turn := range turns {
		found, err := m.gather(ctx, turns, turn)
		if err != nil {
			return err
		}
		if err := m.storeSegments(ctx, found, parts); err != nil {
			return err
		}
	}
	return nil
}

// gather finds the last event of each identity of one turn.
func (m *memories) gather(ctx context.Context, turns, turn uint64) (map[identity]last, error) {
	most := m.identities
	if most == 0 {
		most = maxIdentities
	}
	since := archive.Since{Arrival: math.MinInt64, Position: slices.Min(slices.Collect(maps.Values(m.first)))}
	found := map[identity]last{}
	err := m.each(ctx, since, func(shard string, row *archive.Sighting) error {
		first, wanted := m.first[shard]
		if !wanted || string(row.Position) < first || row.ID.Lo%turns != turn {
			return nil
		}
		id := identity{shard, row.ID}
		if at, ok := found[id]; ok && at.position >= string(row.Position) {
			return nil
		}
		found[id] = last{string(row.Position), row.Arrival}
		if len(found) > most && turns < maxTurns {
			return errTooMany
		}
		return nil
	})
	return found, err
}

// storeSegments stores one turn's identities as segments behind the parts that are
// there.
func (m *memories) storeSegments(ctx context.Context, found map[identity]last, parts map[string]int) error {
	sightings := map[string][]speed.Sighting{}
	for id, at := range found {
		sightings[id.shard] = append(sightings[id.shard], speed.Sighting{ID: id.Identity, Arrival: at.arrival})
	}
	for shard, of := range sightings {
		// Each identity is there once, so that their order decides nothing but when
		// a part expires; and a repeat stores the same.
		slices.SortFunc(of, func(a, b speed.Sighting) int {
			return cmp.Or(cmp.Compare(a.Arrival, b.Arrival), cmp.Compare(a.ID.Hi, b.ID.Hi), cmp.Compare(a.ID.Lo, b.ID.Lo))
		})
		for _, segment := range speed.Segments(protocol.SegmentID{Shard: shard, Through: m.start.Rows[shard].Through, Part: parts[shard]}, of) {
			if err := m.New.RealTime.PutSegment(ctx, segment); err != nil {
				return fmt.Errorf("storing a dedup segment of %s: %w", shard, err)
			}
			parts[shard]++
		}
	}
	return nil
}
