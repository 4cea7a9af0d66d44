package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/watershed-data/watershed/internal/protocol"
)

// consumer takes what a source hands over and remembers how far it is.
type consumer struct {
	t   *testing.T
	log *Log

	mu      sync.Mutex
	through map[string]protocol.Position
	events  map[string]int // by data
	calls   int
}

func newConsumer(t *testing.T, l *Log) *consumer {
	return &consumer{t: t, log: l, through: map[string]protocol.Position{}, events: map[string]int{}}
}

func (c *consumer) source() *Source {
	return &Source{Log: c.log, Start: c.start, Handle: c.handle, Limit: 3, Logger: slog.New(slog.DiscardHandler)}
}

func (c *consumer) start(_ context.Context, shard string) (protocol.Position, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.through[shard], nil
}

// handle refuses nothing that a source should not have handed over.
func (c *consumer) handle(ctx context.Context, b protocol.Batch) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range shardsOf(c.t, c.log) {
		if s.ID != b.Shard {
			continue
		}
		for _, p := range s.Parents {
			page, err := c.log.Read(ctx, p, c.through[p], 1)
			if err != nil || !page.Ended || len(page.Events) > 0 {
				c.t.Errorf("%s was handed over before its parent %s had ended: %+v, %v", b.Shard, p, page, err)
			}
		}
	}
	// Failures hold a shard up, so that its children would overtake it if they could.
	if c.calls++; c.calls%5 == 0 {
		return errors.New("not today")
	}
	for _, e := range b.Events {
		if !e.Position.After(c.through[b.Shard]) {
			c.t.Errorf("%s of %s comes after %s", e.Position, b.Shard, c.through[b.Shard])
		}
		c.through[b.Shard] = e.Position
		c.events[string(e.Data)]++
	}
	return nil
}

// A shard is handed over when its parents were, to their end; what is stopped sees
// every event and every shard that the log took before, even of a reshard in the
// last moment; and a source that starts anew goes on where the last one ended.
func TestSourceFollowsTheLineage(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir(), Options{Shards: 2})
	l := s.Log()
	c := newConsumer(t, l)
	random := rand.New(rand.NewPCG(3, 4))
	sent := 0
	for range 8 {
		stop, ended := make(chan struct{}), make(chan struct{})
		go func() { defer close(ended); c.source().Run(t.Context(), stop) }()
		for range 6 {
			for range random.IntN(20) {
				appendAll(t, l, protocol.Record{PartitionKey: fmt.Sprint(sent), Data: fmt.Append(nil, sent)})
				sent++
			}
			if err := reshardOnce(t.Context(), l, random); err != nil {
				t.Fatal(err)
			}
		}
		appendAll(t, l, protocol.Record{PartitionKey: fmt.Sprint(sent), Data: fmt.Append(nil, sent)})
		sent++
		close(stop)
		<-ended
		if len(c.events) != sent {
			t.Fatalf("of %d events %d were handed over before the source stopped", sent, len(c.events))
		}
	}
	for event, times := range c.events {
		if times != 1 {
			t.Errorf("event %s was handed over %d times", event, times)
		}
	}
}

// A source that waits for a parent which does not succeed ends with its context.
func TestSourceEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir(), Options{Shards: 1})
	appendAll(t, s.Log(), protocol.Record{PartitionKey: "k"})
	if err := s.Log().Split(t.Context(), shardID(0), "17"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	c := newConsumer(t, s.Log())
	source := c.source()
	source.Handle = func(context.Context, protocol.Batch) error {
		cancel()
		return errors.New("never")
	}
	source.Run(ctx, nil)
	if len(c.events) > 0 {
		t.Error("events were handed over")
	}
}

// A reshard may be the last thing before the stop: its children are handed over.
func TestSourceSeesTheLastReshard(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir(), Options{Shards: 1})
	l := s.Log()
	for i := range 40 {
		c := newConsumer(t, l)
		handled := make(chan string, 100)
		source := c.source()
		source.Handle = func(ctx context.Context, b protocol.Batch) error {
			handled <- b.Shard
			return nil
		}
		stop, ended := make(chan struct{}), make(chan struct{})
		go func() { defer close(ended); source.Run(t.Context(), stop) }()
		<-handled // it has begun
		open := openShards(t, l)
		if err := l.Split(t.Context(), open[0].ID, middle(open[0])); err != nil {
			t.Fatal(err)
		}
		close(stop)
		<-ended
		close(handled)
		child, seen := openShards(t, l)[0].ID, false
		for shard := range handled {
			seen = seen || shard == child
		}
		if !seen {
			t.Fatalf("after %d reshards, %s was not handed over before the source stopped", i, child)
		}
	}
}

// What the log took before the stop is handed over, even if the source hears of
// the stop first. Here it hears of nothing else.
func TestSourceLooksOnceMoreWhenItIsStopped(t *testing.T) {
	t.Parallel()
	for name, happens := range map[string]func(*testing.T, *Log){
		"an event": func(t *testing.T, l *Log) { appendAll(t, l, protocol.Record{PartitionKey: "k", Data: []byte("last")}) },
		"a reshard": func(t *testing.T, l *Log) {
			if err := l.Split(context.Background(), shardID(0), "17"); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := openStore(t, t.TempDir(), Options{Shards: 1}).Log()
			var mu sync.Mutex
			handled := map[string]int{} // calls, by shard; the first is one without events
			source := newConsumer(t, l).source()
			source.Handle = func(_ context.Context, b protocol.Batch) error {
				mu.Lock()
				defer mu.Unlock()
				handled[b.Shard]++
				return nil
			}
			happen, happened := make(chan struct{}), make(chan struct{})
			go func() { <-happen; happens(t, l); close(happened) }()
			synctest.Test(t, func(t *testing.T) {
				heard := l.seen.Load()
				unheard := *heard
				unheard.changed = make(chan struct{})
				l.seen.Store(&unheard)
				stop, ended := make(chan struct{}), make(chan struct{})
				go func() { defer close(ended); source.Run(context.Background(), stop) }()
				synctest.Wait() // it is at the tip and waits
				l.seen.Store(heard)
				close(happen)
				<-happened
				close(stop)
				<-ended
			})
			if calls := handled[shardID(0)] + handled[shardID(1)]; calls < 2 {
				t.Errorf("%d batches were handed over: the last one was not", calls)
			}
		})
	}
}
