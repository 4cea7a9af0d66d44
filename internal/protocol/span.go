package protocol

// Span is a stretch of a shard's log: the events in (After, Through].
type Span struct {
	After, Through Position
}

// String gives the form users see.
func (s Span) String() string {
	after := s.After.String()
	if s.After.IsZero() {
		after = "beginning"
	}
	return "(" + after + ", " + s.Through.String() + "]"
}

// Stretch is what a file of the master dataset tells of some of its rows, without
// being read: they lie between two positions, and none arrived earlier.
type Stretch struct {
	First, Last string // keys of positions, both included
	Earliest    int64  // arrival, milliseconds since 1970-01-01 UTC
	Rows        int64  // how many they are
}
