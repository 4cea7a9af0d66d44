package laws

import (
	"context"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/memory"
	"github.com/watershed-data/watershed/internal/protocol"
)

// Some faults are too rare for random histories: here they are on purpose.

// stage is a world whose steps a test directs.
type stage struct {
	marks
	t *testing.T
}

func newStage(t *testing.T) stage {
	t.Helper()
	s := stage{marks{newWorld(Config{Trace: t.Logf})}, t}
	t.Cleanup(s.end)
	return s
}

// all lets an actor run to its end.
func (s stage) all(name string, f func(context.Context) error) {
	s.t.Helper()
	a := s.spawn(name, false, f)
	s.rest(a)
}

func (s stage) rest(a *actor) {
	s.t.Helper()
	for !a.done {
		s.turn(a)
	}
	if a.err != nil {
		s.t.Fatalf("%s: %v", a.name, a.err)
	}
}

// until lets an actor run until it has done a step that begins so.
func (s stage) until(a *actor, step string) {
	s.t.Helper()
	seen := false
	trace := s.trace
	s.trace = func(format string, args ...any) {
		trace(format, args...)
		if len(args) == 2 {
			what, _ := args[1].(string)
			seen = seen || strings.HasPrefix(what, step)
		}
	}
	defer func() { s.trace = trace }()
	for !seen {
		if a.done {
			s.t.Fatalf("%s ended without %q", a.name, step)
		}
		s.turn(a)
	}
}

// put appends one event.
func (s stage) put(shard int, arrival int64, id byte, key byte) {
	s.append(memory.ShardID(shard), arrival, []byte{byte(len(s.events)), id, key})
}

// apply applies all that is in a shard's log.
func (s stage) apply(shard int) {
	s.t.Helper()
	page, err := s.log.Read(context.Background(), memory.ShardID(shard), protocol.Position{}, 1<<20)
	if err != nil {
		s.t.Fatal(err)
	}
	s.all("speed", func(ctx context.Context) error {
		return s.speed().Apply(ctx, protocol.Batch{Shard: memory.ShardID(shard), Events: page.Events})
	})
}

func (s stage) deliverAll() {
	for _, e := range s.events {
		s.deliver(e)
	}
}

func (s stage) query() {
	s.t.Helper()
	s.all("query", func(ctx context.Context) error { return s.read(ctx, true) })
}

func (s stage) startRun(name string) *actor {
	return s.spawn(name, false, func(ctx context.Context) error { return s.batchRun(ctx, name) })
}

// Between the seals of parent and child, the parent's last event and its
// duplicate in the child are committed.
func TestDirectedDuplicateAcrossTheSeals(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.put(0, 10, 2, 'a')
	s.apply(0)
	s.put(0, 11, 1, 'a')
	s.reshard()
	s.put(1, 12, 1, 'a')
	run := s.startRun("run")
	s.until(run, "swap row s0")
	s.apply(0)
	s.apply(1)
	s.deliverAll()
	s.rest(run)
	s.query()
}

// The second event of an id arrived before the first; its segment goes no
// earlier than the first one's.
func TestDirectedEvictionWithArrivalsThatGoBackwards(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for _, e := range []struct {
		arrival int64
		id      byte
	}{{10, 1}, {8, 1}, {15, 2}, {13, 1}} {
		s.put(0, e.arrival, e.id, 'a')
		s.apply(0)
	}
	s.query()
}

// One child is far ahead of its sibling, which still needs the parent's ids.
func TestDirectedEvictionSparesTheSibling(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.put(0, 10, 1, 'a')
	s.apply(0)
	s.reshard()
	for _, arrival := range []int64{100, 150} {
		s.put(1, arrival, 2, 'b')
		s.apply(1)
	}
	s.put(2, 12, 1, 'a')
	s.apply(2)
	s.query()
}

// A run seals, another one overtakes it and publishes, and discards what the
// first one's cut does not cover.
func TestDirectedRunOvertaken(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.put(0, 10, 1, 'a')
	s.apply(0)
	s.deliverAll()
	slow := s.startRun("slow")
	s.until(slow, "swap row s0")
	s.put(0, 20, 2, 'b')
	s.apply(0)
	s.deliver(s.events[1])
	s.rest(s.startRun("fast"))
	s.rest(slow)
	s.query()
}

// Rows are delivered again after they balanced.
func TestDirectedFilesThatComeAfterThePin(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.put(0, 10, noID, 'a')
	s.apply(0)
	s.deliverAll()
	run := s.startRun("run")
	s.until(run, "list master")
	s.deliverAll()
	s.rest(run)
	s.query()
}

// An invocation reads a pending batch and falls asleep; when it wakes, the batch
// is committed and the segments that tell its duplicates are evicted.
func TestDirectedZombieAfterEviction(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.put(0, 10, 1, 'a')
	s.apply(0)
	s.put(0, 12, 1, 'b')
	invocation := func(ctx context.Context) error {
		page, err := s.log.Read(ctx, memory.ShardID(0), protocol.Position{}, 1<<20)
		if err != nil {
			return err
		}
		return s.speed().Apply(ctx, protocol.Batch{Shard: memory.ShardID(0), Events: page.Events[:2]})
	}
	awake := s.spawn("awake", false, invocation)
	s.until(awake, "swap row s0")
	zombie := s.spawn("zombie", false, invocation)
	s.until(zombie, "read row s0")
	s.rest(awake)
	for _, arrival := range []int64{100, 110} {
		s.put(0, arrival, 2, 'a')
		s.apply(0)
	}
	s.rest(zombie)
	s.query()
}

// Parent and child move on while a reader goes from row to row.
func TestDirectedReaderBetweenParentAndChild(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.put(0, 10, 2, 'a')
	s.apply(0)
	s.put(0, 11, 1, 'a')
	s.reshard()
	s.put(1, 12, 1, 'a')
	reader := s.spawn("query", false, func(ctx context.Context) error { return s.read(ctx, true) })
	s.until(reader, "read row")
	s.apply(0)
	s.apply(1)
	s.rest(reader)
}

// The reply to publishing is lost, and the request is sent again.
func TestDirectedLostReplyToPublishing(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.put(0, 10, 1, 'a')
	s.apply(0)
	s.deliverAll()
	run := s.startRun("run")
	s.until(run, "put manifest")
	s.turn(run) // reads the pointer
	run.fault = twice
	s.turn(run) // swaps it
	run.fault = none
	s.rest(run)
	s.query()
}
