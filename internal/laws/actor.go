package laws

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
)

// errDied ends an actor that crashed: every further step of it fails.
var errDied = errors.New("the actor crashed")

// fault is what happens to one step.
type fault int

const (
	none   fault = iota
	before       // crash before the step
	after        // crash after it: it landed, nobody hears
	twice        // the reply is lost and the step is sent again
)

func (f fault) String() string {
	return [...]string{"", "CRASH BEFORE", "CRASH AFTER", "SENT TWICE"}[f]
}

// actor is a coroutine whose steps the scheduler lets happen.
type actor struct {
	name   string
	faulty bool // faults may hit it; the environment's actors are spared
	next   func() (string, bool)
	stop   func()
	yield  func(string) bool
	fault  fault
	dead   bool
	done   bool
	err    error
}

type actorKey struct{}

// scheduler runs actors one step at a time.
type scheduler struct {
	random *choices
	actors []*actor
	faults int // how many are left to inject
	trace  func(format string, args ...any)
	failed error
}

// spawn starts an actor. It runs up to its first step at once.
func (s *scheduler) spawn(name string, faulty bool, f func(ctx context.Context) error) *actor {
	a := &actor{name: name, faulty: faulty}
	a.next, a.stop = iter.Pull(func(yield func(string) bool) {
		a.yield = yield
		a.err = f(context.WithValue(context.Background(), actorKey{}, a))
	})
	if _, ok := a.next(); !ok {
		a.done = true
		return a
	}
	s.actors = append(s.actors, a)
	return a
}

// step asks the scheduler for a turn and does f in it.
func (s *scheduler) step(ctx context.Context, name string, f func()) error {
	a := ctx.Value(actorKey{}).(*actor)
	if a.dead || !a.yield(name) {
		a.dead = true
		return errDied
	}
	if a.fault != none {
		s.trace("%-12s %s %s", a.name, a.fault, name)
	} else if name != "" {
		s.trace("%-12s %s", a.name, name)
	}
	switch a.fault {
	case before:
		a.dead = true
		return errDied
	case after:
		f()
		a.dead = true
		return errDied
	case twice:
		f()
	}
	f()
	return nil
}

// idle lets a turn pass.
func (s *scheduler) idle(ctx context.Context, turns int) error {
	for range turns {
		if err := s.step(ctx, "", func() {}); err != nil {
			return err
		}
	}
	return nil
}

// chance decides whether something happens; 0, the dullest decision, is no.
func (s *scheduler) chance(percent int) bool { return s.random.IntN(100) >= 100-percent }

// run schedules until no actor is left, something failed, or the limit is reached.
func (s *scheduler) run(limit int) {
	var current *actor
	for ; limit > 0 && len(s.actors) > 0 && s.failed == nil; limit-- {
		if s.random.over() {
			current = s.actors[limit%len(s.actors)]
		} else if current == nil || current.done || s.chance(35) {
			current = s.actors[s.random.IntN(len(s.actors))]
		}
		current.fault = none
		if s.faults > 0 && current.faulty && s.chance(6) {
			s.faults--
			current.fault = fault(1 + s.random.IntN(3))
		}
		s.turn(current)
	}
}

func (s *scheduler) turn(a *actor) {
	if _, ok := a.next(); ok {
		return
	}
	a.done = true
	s.actors = slices.DeleteFunc(s.actors, func(b *actor) bool { return a == b })
	if a.err != nil && !a.dead {
		s.trace("%-12s failed: %v", a.name, a.err)
	}
	if errors.Is(a.err, errBroken) {
		s.failed = fmt.Errorf("%s: %w", a.name, a.err)
	}
}

// end releases what still runs.
func (s *scheduler) end() {
	for len(s.actors) > 0 {
		a := s.actors[0]
		s.actors = s.actors[1:]
		a.stop()
	}
}

// errBroken marks a broken law.
var errBroken = errors.New("a law is broken")
