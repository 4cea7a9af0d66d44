package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// visibleFor is how long the steady stream is watched.
const visibleFor = 30 * time.Second

// measureVisible puts a steady stream and asks all the while what is committed.
func measureVisible(ctx context.Context, b *bench) error {
	_, err := b.with(ctx, "sales", func(p *pipeline) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		w := &watch{}
		done := make(chan error, 1)
		go func() {
			events := makeSales(int(visibleFor.Seconds()) * steadyRate)
			done <- p.steady(ctx, events, w.acknowledge)
		}()
		asks, err := w.poll(ctx, p, done)
		if err != nil {
			return err
		}
		stream := fmt.Sprintf("%d events/s in calls of %d", steadyRate, steadyCall)
		b.report.addTimes("visible", stream+": acknowledged to visible", w.visible...)
		b.report.addTimes("visible", stream+": due to acknowledged", w.acked...)
		b.report.addTimes("visible", "the question that looks for them", asks...)
		return nil
	})
	return err
}

// watch finds out when the events of a call are visible: at the first answer
// after the acknowledgement that has reached all of them.
type watch struct {
	mu      sync.Mutex
	waiting []call
	acked   []time.Duration // from due to acknowledged
	visible []time.Duration // from acknowledged to visible
}

func (w *watch) acknowledge(c call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acked = append(w.acked, c.acked.Sub(c.due))
	w.waiting = append(w.waiting, c)
}

// answered takes off the calls that an answer has reached.
func (w *watch) answered(at time.Time, committed positions) (left int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	still := w.waiting[:0]
	for _, c := range w.waiting {
		if c.acked.After(at) || !committed.reached(c.last) {
			still = append(still, c)
			continue
		}
		w.visible = append(w.visible, at.Sub(c.acked))
	}
	w.waiting = still
	return len(still)
}

// poll asks again and again until the stream has ended and all is visible. It
// gives how long each answer took.
func (w *watch) poll(ctx context.Context, p *pipeline, done <-chan error) (asks []time.Duration, err error) {
	ended := false
	for {
		select {
		case err := <-done:
			if err != nil {
				return nil, err
			}
			ended = true
		default:
		}
		start := time.Now()
		committed, err := p.committed(ctx)
		if err != nil {
			return nil, err
		}
		now := time.Now()
		asks = append(asks, now.Sub(start))
		if left := w.answered(now, committed); left == 0 && ended {
			return asks, nil
		}
	}
}
