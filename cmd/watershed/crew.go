package main

import (
	"context"
	"sync"
)

// crew is work in the background that ends together.
type crew struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// newCrew begins work that ends with the crew.
func newCrew(ctx context.Context, work ...func(context.Context)) *crew {
	c := &crew{}
	ctx, c.cancel = context.WithCancel(ctx)
	for _, w := range work {
		c.wg.Go(func() { w(ctx) })
	}
	return c
}

// wait returns when all work has ended by itself.
func (c *crew) wait() {
	c.wg.Wait()
	c.cancel()
}

// end ends all work and waits for it.
func (c *crew) end() {
	c.cancel()
	c.wg.Wait()
}

// running is a generation at work.
type running struct {
	*generation
	source  *crew // hands the log to the speed layer
	archive *crew
	lead    []*crew
}

// follow makes a generation's two consumers read the log. Once stop is closed the
// speed layer ends at the log's end.
func (g *generation) follow(ctx context.Context, stop <-chan struct{}) *running {
	r := &running{generation: g, archive: newCrew(ctx, g.keepArchiving)}
	r.consume(ctx, stop)
	return r
}

// consume makes the speed layer read the log, from where it has come to.
func (r *running) consume(ctx context.Context, stop <-chan struct{}) {
	r.source = newCrew(ctx, func(ctx context.Context) { r.generation.source.Run(ctx, stop) })
}

// publish makes versions, as the definition says, and when an erasure was cut short.
func (r *running) publish(ctx context.Context) {
	r.lead = append(r.lead, newCrew(ctx, r.keepPublishing, r.keepErased))
}

// own does what only one generation of a data directory may do, when no other is
// beside it: it takes loads, changes files of the master dataset, and lets go of the
// log's old records. Loads that are accepted before wait.
func (r *running) own(ctx context.Context) {
	r.lead = append(r.lead, newCrew(ctx, r.loader.Run, r.keepMerging, r.keepTrimming))
}

// drain waits until the speed layer has ended by itself, and ends the rest.
func (r *running) drain() {
	r.source.wait()
	r.end()
}

// end ends everything.
func (r *running) end() {
	r.source.end()
	for _, c := range r.lead {
		c.end()
	}
	r.archive.end()
}
