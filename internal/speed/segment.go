package speed

import (
	"encoding/binary"
	"errors"

	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
)

// A segment's data is its format, then the identities with their arrivals in log
// order. An arrival is written as its distance from the one before.
const (
	segmentFormat = 1
	identityBytes = 16
	entryBytes    = identityBytes + binary.MaxVarintLen64 // at most
)

// segments encodes what a batch adds to the dedup set, part by part.
type segments struct {
	id    protocol.SegmentID // of the first part
	most  int                // bytes of a part's data
	parts []protocol.Segment
	last  int64 // the arrival before
}

// add adds an event, and reports whether it begins a part.
func (s *segments) add(id rowlogic.Identity, arrival int64) (begins bool) {
	n := len(s.parts)
	if begins = n == 0 || len(s.parts[n-1].Data)+entryBytes > s.most; begins {
		id := s.id
		id.Part = n
		s.parts = append(s.parts, protocol.Segment{SegmentID: id, MaxArrival: arrival, Data: []byte{segmentFormat}})
		s.last = 0
		n++
	}
	part := &s.parts[n-1]
	part.Data = binary.BigEndian.AppendUint64(part.Data, id.Hi)
	part.Data = binary.BigEndian.AppendUint64(part.Data, id.Lo)
	part.Data = binary.AppendVarint(part.Data, arrival-s.last)
	part.MaxArrival = max(part.MaxArrival, arrival)
	s.last = arrival
	return begins
}

var errSegment = errors.New("reading a dedup segment: it is damaged, or of a newer program")

// decodeSegment gives a segment's events in log order.
func decodeSegment(data []byte, add func(id rowlogic.Identity, arrival int64)) error {
	if len(data) == 0 || data[0] != segmentFormat {
		return errSegment
	}
	arrival := int64(0)
	for data = data[1:]; len(data) > 0; {
		if len(data) < identityBytes {
			return errSegment
		}
		id := rowlogic.Identity{Hi: binary.BigEndian.Uint64(data), Lo: binary.BigEndian.Uint64(data[8:])}
		since, n := binary.Varint(data[identityBytes:])
		if n <= 0 {
			return errSegment
		}
		data = data[identityBytes+n:]
		arrival += since
		add(id, arrival)
	}
	return nil
}

// Sighting is an event of an identity, for Segments.
type Sighting struct {
	ID      rowlogic.Identity
	Arrival int64 // milliseconds since 1970-01-01 UTC
}

// Segments encodes sightings, which are in log order, as the parts of a segment,
// from id's part on: the dedup set of a shard that begins with events it has not
// folded.
func Segments(id protocol.SegmentID, sightings []Sighting) []protocol.Segment {
	out := segments{id: id, most: protocol.SegmentBytes}
	for _, s := range sightings {
		out.add(s.ID, s.Arrival)
	}
	for i := range out.parts {
		out.parts[i].Part += id.Part
	}
	return out.parts
}
