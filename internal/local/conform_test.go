package local_test

import (
	"testing"

	"github.com/watershed-data/watershed/internal/conform"
	"github.com/watershed-data/watershed/internal/local"
	"github.com/watershed-data/watershed/internal/protocol"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	open := func(t *testing.T) *local.Store {
		s, err := local.Open(t.TempDir(), local.Options{Pipeline: "p"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	}
	conform.Ledger(t, func(t *testing.T) protocol.Ledger { return open(t).Ledger("g") })
	conform.RealTime(t, func(t *testing.T) protocol.RealTime { return open(t).RealTime("g") })
	conform.Master(t, func(t *testing.T) protocol.Master {
		m, err := open(t).Master("g")
		if err != nil {
			t.Fatal(err)
		}
		return m
	})
	conform.Views(t, func(t *testing.T) protocol.Views {
		v, err := open(t).Views("g")
		if err != nil {
			t.Fatal(err)
		}
		return v
	})
}
