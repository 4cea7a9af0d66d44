package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// When things happen to a pipeline, as shares of its events.
const (
	batchAt   = 0.3
	floodAt   = 0.55 // from here on without pauses if it is to be killed, so that calls are under way
	killAt    = 0.6
	trickleAt = 0.9 // from here on slowly, until all has happened
)

// inFlight is how many PutRecords calls are under way at a time.
const inFlight = 4

// trickle is the pause between two calls while the rest of the events waits
// for a version or a restart, so that events keep flowing meanwhile.
const trickle = 200 * time.Millisecond

// replay sends a pipeline's events at its rate. Meanwhile a batch run publishes
// a version, and then the pipeline is killed if the scenario says so.
func (d *demo) replay(ctx context.Context, p *pipeline) error {
	d.heading(fmt.Sprintf("%s events of %s, through the Kinesis endpoint", thousands(len(p.events)), p.about))
	b := d.newBar(p.name, len(p.events))
	defer b.end()

	group, ctx := errgroup.WithContext(ctx)
	happened := make(chan struct{})
	happen := sync.OnceFunc(func() {
		group.Go(func() error {
			defer close(happened)
			return d.happen(ctx, p)
		})
	})
	calls := make(chan int) // the number of each call's first event
	group.Go(func() error {
		defer close(calls)
		for first := 0; first < len(p.events); first += sendEvents {
			share := float64(first) / float64(len(p.events))
			if share >= batchAt {
				happen()
			}
			select {
			case calls <- first:
			case <-ctx.Done():
				return ctx.Err()
			}
			if err := p.pause(ctx, share, happened); err != nil {
				return err
			}
		}
		return nil
	})
	for range inFlight {
		group.Go(func() error {
			for first := range calls {
				events := p.events[first:min(first+sendEvents, len(p.events))]
				if err := p.sender.send(ctx, first, events); err != nil {
					return err
				}
				b.add(len(events))
			}
			return nil
		})
	}
	return group.Wait()
}

// pause waits until the next call is due.
func (p *pipeline) pause(ctx context.Context, share float64, happened <-chan struct{}) error {
	pause := time.Second * sendEvents / time.Duration(p.rate)
	select {
	case <-happened:
	default:
		switch {
		case share >= trickleAt:
			pause = trickle
		case share >= floodAt && p.kill:
			return nil
		}
	}
	select {
	case <-time.After(pause):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// happen is what happens to a pipeline while its events flow.
func (d *demo) happen(ctx context.Context, p *pipeline) error {
	if err := d.batch(ctx, p); err != nil {
		return err
	}
	if !p.kill {
		return nil
	}
	target := int64(killAt * float64(len(p.events)))
	for p.sender.acknowledged.Load() < target {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
	return d.kill(ctx, p)
}

// batch publishes a version.
func (d *demo) batch(ctx context.Context, p *pipeline) error {
	before, began := p.sender.acknowledged.Load(), time.Now()
	var run struct {
		Version string `json:"version"`
		Events  int64  `json:"events"`
	}
	if err := p.client.do(ctx, "POST", "/v1/batch", &run); err != nil {
		return fmt.Errorf("running a batch: %w", err)
	}
	meanwhile := p.sender.acknowledged.Load() - before
	d.say("  %s version %s published: batch views of %s events, made in %.1f s while %s more arrived",
		d.paint(green, "batch   "), run.Version, thousands(int(run.Events)), time.Since(began).Seconds(), thousands(int(meanwhile)))
	return nil
}

// kill ends the pipeline with SIGKILL and starts it again on the same data.
func (d *demo) kill(ctx context.Context, p *pipeline) error {
	pid := p.process.cmd.Process.Pid
	if err := p.process.kill(); err != nil {
		return fmt.Errorf("killing process %d: %w", pid, err)
	}
	acknowledged, began := p.sender.acknowledged.Load(), time.Now()
	if _, err := p.process.start(ctx); err != nil {
		return fmt.Errorf("starting again after SIGKILL: %w", err)
	}
	d.say("  %s kill -9 %d after %s acknowledged events; up again after %.1f s on the same data",
		d.paint(red, "SIGKILL "), pid, thousands(int(acknowledged)), time.Since(began).Seconds())
	return nil
}
