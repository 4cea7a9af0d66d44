package local_test

import (
	"context"
	"fmt"
	"math/big"
	"testing"

	"github.com/watershed-data/watershed/internal/conform"
	"github.com/watershed-data/watershed/internal/kpl"
	"github.com/watershed-data/watershed/internal/kpl/kpltest"
	"github.com/watershed-data/watershed/internal/local"
	"github.com/watershed-data/watershed/internal/protocol"
)

// stream drives a log on the disk.
type stream struct{ *local.Log }

func (s stream) Put(ctx context.Context, shard string, aggregated bool, events ...protocol.Record) (string, error) {
	of, err := s.find(ctx, shard)
	if err != nil {
		return "", err
	}
	record := events[0]
	record.ExplicitHashKey = of.HashFrom
	if aggregated {
		var users []kpl.Record
		for _, e := range events {
			users = append(users, kpl.Record{PartitionKey: e.PartitionKey, Data: e.Data})
		}
		record.Data = kpltest.Join(users...)
	}
	placed, err := s.Append(ctx, []protocol.Record{record})
	if err != nil {
		return "", err
	}
	if placed[0].Shard != shard {
		return "", fmt.Errorf("the record went to %s, not to %s", placed[0].Shard, shard)
	}
	return placed[0].Seq, nil
}

func (s stream) Split(ctx context.Context, shard string) error {
	of, err := s.find(ctx, shard)
	if err != nil {
		return err
	}
	from, _ := new(big.Int).SetString(of.HashFrom, 10)
	to, _ := new(big.Int).SetString(of.HashTo, 10)
	middle := from.Rsh(from.Add(from, to), 1)
	return s.Log.Split(ctx, shard, middle.String())
}

func (s stream) Expire(ctx context.Context, shard string, through protocol.Position) error {
	return s.Trim(ctx, shard, through)
}

func (s stream) find(ctx context.Context, id string) (protocol.Shard, error) {
	shards, err := s.Shards(ctx)
	if err != nil {
		return protocol.Shard{}, err
	}
	for _, shard := range shards {
		if shard.ID == id {
			return shard, nil
		}
	}
	return protocol.Shard{}, protocol.ErrNoShard
}

func TestConformance(t *testing.T) {
	t.Parallel()
	openWith := func(t *testing.T, shards int) *local.Store {
		s, err := local.Open(t.TempDir(), local.Options{Pipeline: "p", Shards: shards})
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
	open := func(t *testing.T) *local.Store { return openWith(t, 0) }
	conform.Log(t, func(t *testing.T, shards int) conform.Stream { return stream{openWith(t, shards).Log()} })
	conform.Ledger(t, func(t *testing.T) protocol.Ledger { return open(t).Ledger("g") })
	conform.RealTime(t, func(t *testing.T) protocol.RealTime { return open(t).RealTime("g") })
	conform.Master(t, func(t *testing.T) protocol.Master {
		m, err := open(t).Master("g")
		if err != nil {
			t.Fatal(err)
		}
		return m
	})
	conform.Loads(t, func(t *testing.T) protocol.Loads {
		loads, err := open(t).Loads()
		if err != nil {
			t.Fatal(err)
		}
		return loads
	})
	conform.Views(t, func(t *testing.T) protocol.Views {
		v, err := open(t).Views("g")
		if err != nil {
			t.Fatal(err)
		}
		return v
	})
}
