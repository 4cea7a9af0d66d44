package laws

import (
	"context"
	"fmt"
	"strings"

	"github.com/watershed-data/watershed/internal/protocol"
)

// load brings some history into the master dataset, under a pseudo-shard, and
// then into the ledger by one write, while everything else goes on. Duplicates are
// looked for within a load only; these have no ids.
func (w marks) load(ctx context.Context) error {
	if err := w.idle(ctx, pick(w.random, 0, 10, 50, 200)); err != nil {
		return err
	}
	shard := protocol.LoadShard(strings.Repeat("0", 64))
	row := protocol.Row{MaxArrival: w.now}
	for line := range 1 + w.random.IntN(3) {
		var err error
		died := w.step(ctx, fmt.Sprintf("archive line %d of a load", line+1), func() { err = w.archiveLine(shard, protocol.LoadPosition(int64(line+1)), &row) })
		if err := first(died, err); err != nil {
			return err
		}
	}
	_, err := ledger{w.ledger, &w.scheduler}.Create(ctx, shard, row)
	return err
}

// archiveLine makes one event of a load a row, or two of the same position, and
// counts it.
func (w marks) archiveLine(shard string, at protocol.Position, row *protocol.Row) error {
	if len(w.events) > 0xff {
		return fmt.Errorf("a history has too many events")
	}
	data := []byte{byte(len(w.events)), noID, "ab"[w.random.IntN(2)]}
	e := protocol.Event{Position: at, Arrival: row.MaxArrival, Data: data, Last: true}
	w.loaded[at] = e
	w.events = append(w.events, event{index: int(data[0]), shard: shard, at: at, arrival: e.Arrival, id: noID, key: data[2]})
	for range pick(w.random, 1, 1, 2) {
		w.shards, w.master = append(w.shards, shard), append(w.master, e)
	}
	row.Through = at
	row.Count++
	row.Sum = row.Sum.Add(protocol.Hash(shard, &e))
	return nil
}
