package oracle

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/protocol"
)

// Log adds the events of one shard, in the order of its log. An event is a
// duplicate if the one before it with the same partition key and id, in the
// shard or in an ancestor of it, arrived at most the definition's window
// earlier.
//
// It remembers an identity for as long as the window and a day after the newest
// arrival, at most twice as long: arrivals that go backwards by more than a day
// are not what the product promises to get right. So memory grows with what
// arrives in that time and not with the length of the log.
type Log struct {
	oracle      *Oracle
	shard       string
	keep        int64 // milliseconds
	started     bool
	newest      int64              // arrival
	since       int64              // newest when recent began
	recent, old map[identity]int64 // the arrival of the last event
	before      []*Log             // as given, but for those that had ended long before this one began
	near        []*Log             // of them, those that may hold what is looked for
}

// identity is a digest of partition key and id.
type identity [sha256.Size / 2]byte

const day = 24 * 3600 * 1000 // milliseconds

// Log begins the log of a shard. before are the logs of its ancestors, parents
// before children, or of more shards, and all their events have been added.
func (o *Oracle) Log(shard string, before ...*Log) *Log {
	return &Log{oracle: o, shard: shard, keep: o.def.Events.DedupeWithin.Milliseconds() + day, before: before}
}

// Before gives those of the logs before that had not ended long before this one
// began. A log that begins later needs none of the others.
func (l *Log) Before() []*Log { return l.before }

// Add adds the next event and says what became of it.
func (l *Log) Add(ev protocol.Event) Verdict {
	if ev.Erased != nil {
		l.eraseAt(ev)
		l.oracle.count(nil, erased)
		return erased
	}
	row, id, verdict := l.oracle.row(ev)
	if !id.Null && l.again(l.identity(ev, id), l.storedIdentity(ev, id), ev.Arrival) {
		verdict = duplicate
	}
	l.oracle.count(row, verdict)
	return verdict
}

// identity digests what makes two events the same. An event that its producer
// put into a shard of its own choice is the same as others in that shard only.
func (l *Log) identity(ev protocol.Event, id column.Value) identity {
	col, _ := l.oracle.def.Column(l.oracle.def.Events.ID)
	place := ""
	if ev.Stray {
		place = l.shard
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %s", place, ev.PartitionKey, Text(col.Type, id)))
	return identity(sum[:len(identity{})])
}

// again notes an event's arrival, and reports whether the one before it of its
// identity arrived within the window. One that was erased is known by the identity
// that the master dataset stores, and came before those that were not: what is
// erased of an identity is its beginning.
func (l *Log) again(id, stored identity, arrival int64) bool {
	l.advance(arrival)
	last, seen := l.last(id)
	if !seen {
		last, seen = l.last(stored)
	}
	l.recent[id] = arrival
	return seen && arrival-last <= l.oracle.def.Events.DedupeWithin.Milliseconds()
}

func (l *Log) last(id identity) (int64, bool) {
	if at, ok := l.recent[id]; ok {
		return at, true
	}
	if at, ok := l.old[id]; ok {
		return at, true
	}
	for _, b := range slices.Backward(l.near) {
		if at, ok := b.recent[id]; ok {
			return at, true
		}
		if at, ok := b.old[id]; ok {
			return at, true
		}
	}
	return 0, false
}

// advance forgets what arrived too long ago to matter.
func (l *Log) advance(arrival int64) {
	over := func(b *Log) bool { return b.newest < l.newest-l.keep }
	switch {
	case !l.started:
		l.started, l.newest, l.since, l.recent = true, arrival, arrival, map[identity]int64{}
		l.before = slices.DeleteFunc(slices.Clone(l.before), over)
		l.near = slices.Clone(l.before)
	case arrival-l.since > l.keep:
		l.newest = max(l.newest, arrival)
		l.old, l.recent, l.since = l.recent, map[identity]int64{}, l.newest
		l.near = slices.DeleteFunc(l.near, over)
	}
	l.newest = max(l.newest, arrival)
}
