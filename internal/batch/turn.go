package batch

import (
	"context"
	"sync"
)

// turn lets one at a time through. Who waits may stop waiting, unlike at a mutex:
// a run can take hours, and its callers leave. The zero turn is free.
type turn struct {
	once  sync.Once
	token chan struct{}
}

// take waits for the turn. Its error is the context's.
func (t *turn) take(ctx context.Context) error {
	t.once.Do(func() { t.token = make(chan struct{}, 1) })
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case t.token <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// give gives it back.
func (t *turn) give() { <-t.token }
