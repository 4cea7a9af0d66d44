package memory_test

import (
	"context"
	"testing"

	"github.com/watershed-data/watershed/internal/conform"
	"github.com/watershed-data/watershed/internal/memory"
	"github.com/watershed-data/watershed/internal/protocol"
)

// stream drives a log in memory.
type stream struct{ *memory.Log }

func (s stream) Put(_ context.Context, shard string, aggregated bool, events ...protocol.Record) (string, error) {
	return s.Log.Put(shard, 1_700_000_000_000, aggregated, events...), nil
}

func (s stream) Split(_ context.Context, shard string) error {
	s.Reshard([]string{shard}, 2)
	return nil
}

func (s stream) Merge(_ context.Context, shard, adjacent string) error {
	s.Reshard([]string{shard, adjacent}, 1)
	return nil
}

func (s stream) Expire(_ context.Context, shard string, through protocol.Position) error {
	s.Trim(shard, through)
	return nil
}

func TestConformance(t *testing.T) {
	t.Parallel()
	conform.Log(t, func(_ *testing.T, shards int) conform.Stream { return stream{memory.NewLog(shards)} })
	conform.Ledger(t, func(*testing.T) protocol.Ledger { return memory.NewLedger() })
	conform.RealTime(t, func(*testing.T) protocol.RealTime { return memory.NewRealTime() })
	conform.Master(t, func(*testing.T) protocol.Master { return memory.NewMaster() })
	conform.Views(t, func(*testing.T) protocol.Views { return memory.NewViews() })
	conform.Loads(t, func(*testing.T) protocol.Loads { return memory.NewLoads() })
}
