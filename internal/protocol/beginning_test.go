package protocol_test

import (
	"context"
	"testing"

	"github.com/watershed-data/watershed/internal/memory"
	"github.com/watershed-data/watershed/internal/protocol"
)

// movingLedger commits a parent's last event and begins its child the moment after
// the first row was read.
type movingLedger struct {
	*memory.Ledger
	parent, child string
	end           protocol.Position
	read          int
}

func (l *movingLedger) Row(ctx context.Context, shard string) (protocol.Row, bool, error) {
	row, ok, err := l.Ledger.Row(ctx, shard)
	if l.read++; l.read == 1 {
		parent, _, _ := l.Ledger.Row(ctx, l.parent)
		parent.Through, parent.Count = l.end, 2
		_, _ = l.Ledger.Swap(ctx, l.parent, parent)
		_, _ = l.Create(ctx, l.child, protocol.Row{})
	}
	return row, ok, err
}

// Rows that move while they are read: no child is taken whose parent is not at its
// end. Intents, epochs and cuts stay behind.
func TestCommittedRowsAreCausallyClosed(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	log := memory.NewLog(1)
	parent := memory.ShardID(0)
	first := protocol.Position{Seq: log.Append(parent, "k", 1, []byte("one"))}
	end := protocol.Position{Seq: log.Append(parent, "k", 2, []byte("two"))}
	child := log.Reshard([]string{parent}, 1)[0]
	l := &movingLedger{Ledger: memory.NewLedger(), parent: parent, child: child, end: end}
	row := protocol.Row{Epoch: 3, Through: first, Count: 1, MaxArrival: 1, Pending: &protocol.Pending{Through: end, Epoch: 3}, Cut: &protocol.Cut{Epoch: 2}}
	if _, err := l.Create(ctx, parent, row); err != nil {
		t.Fatal(err)
	}
	rows, err := protocol.Committed(ctx, log, l)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := rows[child]; ok && rows[parent].Through != end {
		t.Errorf("the child is in %+v and its parent is not at its end", rows)
	}
	rows, err = protocol.Committed(ctx, log, l)
	if want := (protocol.Row{Through: end, Count: 2, MaxArrival: 1}); err != nil || rows[parent] != want || len(rows) != 2 {
		t.Errorf("rows %+v, %v; want the parent's as %+v", rows, err, want)
	}
}
