package memory_test

import (
	"testing"

	"github.com/watershed-data/watershed/internal/conform"
	"github.com/watershed-data/watershed/internal/memory"
	"github.com/watershed-data/watershed/internal/protocol"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	conform.Ledger(t, func(*testing.T) protocol.Ledger { return memory.NewLedger() })
	conform.RealTime(t, func(*testing.T) protocol.RealTime { return memory.NewRealTime() })
	conform.Master(t, func(*testing.T) protocol.Master { return memory.NewMaster() })
	conform.Views(t, func(*testing.T) protocol.Views { return memory.NewViews() })
}
