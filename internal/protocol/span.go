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
