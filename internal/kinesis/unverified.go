package kinesis

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/semaphore"
)

// Bounds on the bodies of requests whose signature is not checked yet. Anybody
// can send them, so a body weighs what has arrived of it and not what its header
// announces: who sends slowly holds little.
const (
	unverifiedBudget = 64 << 20        // memory of all of them together, in bytes
	unverifiedPiece  = 4 << 10         // the room of a body at first, in bytes
	leastRate        = 16 << 10        // bytes a second that a client has to send on average
	rateGrace        = 5 * time.Second // before the rate counts
)

// unverified bounds the memory of bodies whose signature is not checked yet.
//
// A body that finds the budget spent waits for the turn to go beyond it, with
// what it has so far. One at a time does, so bodies that wait for each other end
// one after the other, and there is never more than the budget and one body.
type unverified struct {
	budget *semaphore.Weighted
	beyond chan struct{} // holds a token while a body goes beyond the budget
}

func newUnverified() *unverified {
	return &unverified{budget: semaphore.NewWeighted(unverifiedBudget), beyond: make(chan struct{}, 1)}
}

// read reads a request's body. release, never nil, gives back its memory.
func (u *unverified) read(w http.ResponseWriter, r *http.Request) (body []byte, release func(), err error) {
	in := &incoming{of: u}
	if r.ContentLength > maxBody {
		return nil, in.release, tooLarge()
	}
	deadline := http.NewResponseController(w)
	defer func() { _ = deadline.SetReadDeadline(time.Time{}) }() // not every writer has deadlines
	limited := http.MaxBytesReader(w, r.Body, maxBody)
	for began := time.Now(); ; {
		if err := in.grow(r.Context()); err != nil {
			return nil, in.release, err
		}
		_ = deadline.SetReadDeadline(began.Add(in.waited + allowance(cap(in.body))))
		n, err := limited.Read(in.body[len(in.body):cap(in.body)])
		in.body = in.body[:len(in.body)+n]
		switch over := (*http.MaxBytesError)(nil); {
		case err == nil:
		case errors.Is(err, io.EOF):
			return in.body, in.release, nil
		case errors.As(err, &over):
			return nil, in.release, tooLarge()
		default:
			return nil, in.release, fault("SerializationException", "The request ended before its body did, or came too slowly.")
		}
	}
}

// allowance is the time that so many bytes may take.
func allowance(bytes int) time.Duration {
	return min(rateGrace+time.Duration(bytes)*time.Second/leastRate, bodyTimeout)
}

// incoming is a body of which more may come.
type incoming struct {
	of     *unverified
	body   []byte
	held   int64 // of the budget
	beyond bool
	waited time.Duration // for the turn to go beyond it
}

// grow makes room for more, twice as much as before.
func (in *incoming) grow(ctx context.Context) error {
	if len(in.body) < cap(in.body) {
		return nil
	}
	to := max(2*cap(in.body), unverifiedPiece)
	if more := int64(to - cap(in.body)); !in.beyond && in.of.budget.TryAcquire(more) {
		in.held += more
	} else if !in.beyond {
		if err := in.goBeyond(ctx); err != nil {
			return err
		}
	}
	in.body = append(make([]byte, 0, to), in.body...)
	return nil
}

func (in *incoming) goBeyond(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, budgetTimeout)
	defer cancel()
	start := time.Now()
	select {
	case in.of.beyond <- struct{}{}:
	case <-ctx.Done():
		return unavailable()
	}
	in.beyond, in.waited = true, time.Since(start)
	return nil
}

func (in *incoming) release() {
	in.of.budget.Release(in.held)
	if in.beyond {
		<-in.of.beyond
	}
}
