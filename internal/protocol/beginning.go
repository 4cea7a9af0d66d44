package protocol

import (
	"context"
	"fmt"
)

// Committed gives the rows of a ledger as far as they are committed, without
// intents, epochs and cuts: the figures with which another generation may begin
// on the same log. The checksum is over events as they came, so it does not
// depend on the definition.
//
// Children are read before parents, so that the rows are causally closed: with a
// child's row, its parents' are committed to their end.
func Committed(ctx context.Context, log Log, ledger Ledger) (map[string]Row, error) {
	_, ids, err := childrenFirst(ctx, log, ledger)
	if err != nil {
		return nil, err
	}
	rows := make(map[string]Row, len(ids))
	for _, id := range ids {
		row, ok, err := ledger.Row(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("reading the ledger row of %s: %w", id, err)
		}
		if ok {
			rows[id] = Row{From: row.From, Through: row.Through, Count: row.Count, Sum: row.Sum, MaxArrival: row.MaxArrival}
		}
	}
	return rows, nil
}
