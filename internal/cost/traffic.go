package cost

import (
	"fmt"
	"math"
)

// What a stream takes.
const (
	maxRecordBytes = 1 << 20
	shardBytes     = 1 << 20 // a second
	shardRecords   = 1000    // a second
	onDemandShards = 4       // a stream on demand has at least these
	maxShards      = 10_000
	most           = 1e9 // a bound on nonsense
)

// Traffic is what a pipeline has to carry, and what it is carried by.
type Traffic struct {
	EventsPerSecond  float64 // on average over the month
	EventBytes       int     // of one event, with its partition key
	Groups           int     // combinations of dimension values that are in use at one time, in each view with dimensions
	QueriesPerSecond float64 // on average, each for one group and one time bucket
	Months           int     // of events that the master dataset holds
	Shards           int     // of a provisioned stream; 0: on demand
}

// FieldError is a figure that Traffic cannot have.
type FieldError struct {
	Field   string // of Traffic
	Message string // what is allowed, as the end of a sentence
}

func (e *FieldError) Error() string { return e.Field + " " + e.Message }

// check gives a *FieldError for what is out of bounds.
func (t Traffic) check() error {
	wrong := func(field, format string, args ...any) error {
		return &FieldError{field, fmt.Sprintf(format, args...)}
	}
	switch {
	case !(t.EventsPerSecond > 0) || t.EventsPerSecond > most:
		return wrong("EventsPerSecond", "is above 0 and at most a thousand million")
	case t.EventBytes < 1 || t.EventBytes > maxRecordBytes:
		return wrong("EventBytes", "is from 1 to %d, the largest record of a stream", maxRecordBytes)
	case t.Groups < 1 || t.Groups > most:
		return wrong("Groups", "is from 1 to a thousand million")
	case !(t.QueriesPerSecond >= 0) || t.QueriesPerSecond > 1e6:
		return wrong("QueriesPerSecond", "is from 0 to a million")
	case t.Months < 1 || t.Months > 1200:
		return wrong("Months", "is from 1 to 1200")
	case t.Shards < 0 || t.Shards > maxShards:
		return wrong("Shards", "is from 1 to %d, or 0 for a stream on demand", maxShards)
	}
	if need := math.Ceil(t.shardsNeeded(1)); t.Shards > 0 && float64(t.Shards) < need {
		return wrong("Shards", "has to be %.0f or more: a shard takes %d records and 1 MiB a second", need, shardRecords)
	}
	return nil
}

// shardsNeeded is how many shards, and what part of one, take the traffic if a record holds so many events.
func (t Traffic) shardsNeeded(eventsPerRecord float64) float64 {
	return max(t.EventsPerSecond/eventsPerRecord/shardRecords, t.EventsPerSecond*float64(t.EventBytes)/shardBytes)
}
