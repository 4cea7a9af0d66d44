package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"
)

const (
	queryEvents = 200_000         // sales in the views: 39 days of them
	queryFor    = 2 * time.Second // how long a question is asked over and over
	queryMost   = 500             // and how often at most
)

var questions = []struct {
	name    string
	options url.Values
}{
	{"one hour of a view", url.Values{"view": {"sales_by_product"}, "from": {"2014-11-10T12:00:00Z"}, "to": {"2014-11-10T13:00:00Z"}}},
	{"one day, rolled up", url.Values{"view": {"sales_by_product"}, "every": {"1d"}, "from": {"2014-11-10"}, "to": {"2014-11-11"}}},
	{"a whole view", url.Values{"view": {"sales_by_product"}}},
}

// measureQueries asks a few questions, one after the other, in every state that
// a pipeline can be in.
func measureQueries(ctx context.Context, b *bench) error {
	_, err := b.with(ctx, "sales", func(p *pipeline) error {
		events := makeSales(queryEvents)
		last, err := p.load(ctx, events)
		if err == nil {
			err = p.await(ctx, last)
		}
		if err != nil {
			return err
		}
		if err := b.askInAllStates(ctx, p, "no version", events); err != nil {
			return err
		}
		if _, err := p.batch(ctx); err != nil {
			return err
		}
		return b.askInAllStates(ctx, p, "after a version", events)
	})
	return err
}

// askInAllStates asks at rest, and while events flow.
func (b *bench) askInAllStates(ctx context.Context, p *pipeline, when string, events [][]byte) error {
	if err := b.ask(ctx, p, when+", at rest"); err != nil {
		return err
	}
	flowing, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- p.steady(flowing, events, func(call) {}) }()
	err := b.ask(ctx, p, fmt.Sprintf("%s, %d events/s", when, steadyRate))
	stop()
	return errors.Join(err, <-done)
}

func (b *bench) ask(ctx context.Context, p *pipeline, when string) error {
	for _, q := range questions {
		var times []time.Duration
		var size int
		for until := time.Now().Add(queryFor); len(times) < queryMost && time.Now().Before(until); {
			start := time.Now()
			answer, err := p.query(ctx, q.options)
			if err != nil {
				return err
			}
			times = append(times, time.Since(start))
			size = len(answer)
		}
		b.report.addTimes("query", fmt.Sprintf("%s, %d KB: %s", q.name, (size+999)/1000, when), times...)
	}
	return nil
}
