package speed

import (
	"fmt"
	"strings"

	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
)

// seen is a shard's dedup set at a position: when the last event of every
// identity arrived, for as long as that matters.
//
// It is the sum of segments and forgets them as they expire in the store,
// oldest first. To move on from batch to batch costs no loading. The last batch
// can be taken back, since it may not have been committed: then the next one
// begins where it began.
type seen struct {
	shard   string
	through protocol.Position // every event up to here is in the set
	latest  int64             // arrival in it

	table    table
	segments []protocol.Segment // that the set is made of, oldest first, without their data
	first    int64              // number of segments[0]; the numbers go on by one, and 0 is none

	// The last batch, until it is known to be committed.
	before  protocol.Position  // where it began
	undo    []undo             // what it replaced, in order
	added   int                // segments
	expired []protocol.Segment // when it began
}

type undo struct {
	id  rowlogic.Identity
	old sighting
}

// newSeen makes the set of the segments, which are oldest first.
func newSeen(shard string, through protocol.Position, from []protocol.Segment) (*seen, error) {
	bytes := 0
	for _, seg := range from {
		bytes += len(seg.Data)
	}
	through.Seq = strings.Clone(through.Seq)
	s := &seen{shard: shard, through: through, table: newTable(bytes / (identityBytes + 2)), first: 1}
	for _, seg := range from {
		n := s.begin(seg)
		err := decodeSegment(seg.Data, func(id rowlogic.Identity, arrival int64) { s.put(id, arrival, n) })
		if err != nil {
			return nil, fmt.Errorf("segment %d of %s at %s: %w", seg.Part, seg.Shard, seg.Through, err)
		}
	}
	return s, nil
}

// begin adds a segment without events and gives its number.
func (s *seen) begin(seg protocol.Segment) int64 {
	seg.Data = nil
	s.segments = append(s.segments, seg)
	return s.first + int64(len(s.segments)) - 1
}

func (s *seen) put(id rowlogic.Identity, arrival, segment int64) (before sighting) {
	s.latest = max(s.latest, arrival)
	return s.table.put(id, sighting{arrival: arrival, segment: segment}, s.first)
}

// at puts the set to a position: where it is, or where the last batch began. It
// gives false if the set cannot be put there.
func (s *seen) at(through protocol.Position) bool {
	switch {
	case through == s.through: // the last batch is committed
		s.before, s.added, s.expired = s.through, 0, nil
	case through == s.before:
		for i := len(s.undo) - 1; i >= 0; i-- {
			s.table.find(s.undo[i].id).sighting = s.undo[i].old
		}
		s.segments = s.segments[:len(s.segments)-s.added]
		s.through, s.added = s.before, 0
	default:
		return false
	}
	s.undo = s.undo[:0]
	return true
}

// expire forgets the segments that nobody needs from here on.
func (s *seen) expire(maxArrival, keep int64) {
	n := protocol.Expired(s.segments, maxArrival, keep)
	s.expired = append(s.expired, s.segments[:n]...)
	s.segments = s.segments[n:]
	s.first += int64(n)
}

// add adds a batch of rows that lie directly behind the set, and marks the
// duplicates among them. It gives the segments that the batch makes, of at most
// the given bytes.
func (s *seen) add(rows *rowlogic.Batch, within int64, most int) []protocol.Segment {
	end := rows.Events[len(rows.Events)-1].Position
	end.Seq = strings.Clone(end.Seq) // it may be a piece of a whole page's text
	out := segments{id: protocol.SegmentID{Shard: s.shard, Through: end}, most: most}
	var number int64
	for i, id := range rows.ID {
		if id.IsZero() {
			continue
		}
		arrival := rows.Events[i].Arrival
		if out.add(id, arrival) {
			number = s.begin(out.parts[len(out.parts)-1])
		}
		last := s.put(id, arrival, number)
		if last.segment >= s.first && arrival-last.arrival <= within {
			rows.MarkDuplicate(i)
		}
		s.undo = append(s.undo, undo{id: id, old: last})
	}
	s.added = len(out.parts)
	for i, part := range out.parts { // now that they are complete
		s.segments[len(s.segments)-s.added+i].MaxArrival = part.MaxArrival
	}
	s.before, s.through = s.through, end
	return out.parts
}
