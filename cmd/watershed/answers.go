package main

import "sync"

// answers says which generation answers. A request stays with the one that it
// found, to its end.
type answers struct {
	mu  sync.Mutex
	now *answering
}

// answering is a generation that answers, or did.
type answering struct {
	*generation
	requests sync.WaitGroup
}

// enter gives the generation that answers, nil if none does, and a function for
// the end of the request.
func (a *answers) enter() (*generation, func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.now == nil {
		return nil, func() {}
	}
	a.now.requests.Add(1)
	return a.now.generation, a.now.requests.Done
}

// replace makes another generation answer, nil for none. The function that it
// gives returns when no request is with the one before any more.
func (a *answers) replace(next *generation) (left func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.now
	if a.now = nil; next != nil {
		a.now = &answering{generation: next}
	}
	if before == nil {
		return func() {}
	}
	return before.requests.Wait // nobody enters it any more
}
