package rowlogic

import (
	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/protocol"
)

// EventTimes gives the event time of each event of a batch, in microseconds
// since 1970-01-01 UTC; null if it cannot be read. Unlike a row, an event that is
// rejected has its time here, as far as the steps of clean had come when it was:
// who takes events by their time takes them whatever becomes of them. It is nil
// if the definition has no event time.
func (l *Logic) EventTimes(shard string, events []protocol.Event) *column.Vector {
	if l.time < 0 {
		return nil
	}
	return l.judge(shard, events).Columns[l.time]
}
