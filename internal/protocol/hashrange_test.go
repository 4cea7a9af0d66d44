package protocol_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/watershed-data/watershed/internal/memory"
	"github.com/watershed-data/watershed/internal/protocol"
)

// Each partition key belongs to one of a stream's open shards, and its events are
// strays in all others.
func TestHashRangesShareOutTheKeys(t *testing.T) {
	t.Parallel()
	log := memory.NewLog(3)
	ranges := &protocol.HashRanges{Log: log}
	for i := range 300 {
		key, at := fmt.Sprint("key ", i), 0
		for s := range 3 {
			of, err := ranges.Of(t.Context(), memory.ShardID(s))
			if err != nil {
				t.Fatal(err)
			}
			log.Append(memory.ShardID(s), key, 1, nil)
			page, err := log.Read(t.Context(), memory.ShardID(s), protocol.Position{}, 1000)
			if err != nil {
				t.Fatal(err)
			}
			if e := page.Events[len(page.Events)-1]; e.Stray == of.Holds(key) {
				t.Errorf("%s: stray %v in %s, which holds it: %v", key, e.Stray, memory.ShardID(s), of.Holds(key))
			}
			if of.Holds(key) {
				at++
			}
		}
		if at != 1 {
			t.Errorf("%s is in the range of %d shards", key, at)
		}
	}
}

// forgetful is a log that lists fewer shards as they expire, and counts how often
// it is asked.
type forgetful struct {
	*memory.Log
	asked   int
	expired int
}

func (l *forgetful) Shards(ctx context.Context) ([]protocol.Shard, error) {
	l.asked++
	shards, err := l.Log.Shards(ctx)
	return shards[l.expired:], err
}

// The log is asked for shards that are new, and remembered for those that are gone:
// a function asks for a range with every batch.
func TestHashRangesAreRemembered(t *testing.T) {
	t.Parallel()
	log := &forgetful{Log: memory.NewLog(2)}
	ranges := &protocol.HashRanges{Log: log}
	want := func(asked int, of ...int) {
		t.Helper()
		for _, i := range of {
			if _, err := ranges.Of(t.Context(), memory.ShardID(i)); err != nil {
				t.Fatal(err)
			}
		}
		if log.asked != asked {
			t.Errorf("the log was asked %d times, want %d", log.asked, asked)
		}
	}
	want(1, 0, 1, 0)
	log.Reshard([]string{memory.ShardID(0)}, 2)
	log.expired = 1
	want(2, 1, 3, 2, 0)
	if _, err := ranges.Of(t.Context(), memory.ShardID(9)); !errors.Is(err, protocol.ErrNoShard) {
		t.Errorf("a shard that is not there: %v", err)
	}
}

func TestRangesThatAreNone(t *testing.T) {
	t.Parallel()
	for _, s := range []protocol.Shard{
		{}, {HashFrom: "0"}, {HashFrom: "x", HashTo: "1"}, {HashFrom: "-1", HashTo: "1"},
		{HashFrom: "0", HashTo: "340282366920938463463374607431768211456"},
	} {
		if _, err := s.HashRange(); err == nil {
			t.Errorf("%+v is read", s)
		}
	}
}
