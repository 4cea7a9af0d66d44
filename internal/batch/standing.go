package batch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/watershed-data/watershed/internal/doubleentry"
	"github.com/watershed-data/watershed/internal/protocol"
)

// standing is how the layer stands, in memory and in the journal.
type standing struct {
	mu     sync.Mutex
	loaded bool
	doubleentry.Standing
}

// Standing says how the layer stands: how its last run ended, since when runs
// fail, and what the last comparisons of the double entry gave. It may be asked
// while a run goes on.
func (l *Layer) Standing(ctx context.Context) (doubleentry.Standing, error) {
	s := &l.standing
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := l.load(ctx); err != nil {
		return doubleentry.Standing{}, err
	}
	return s.Standing, nil // what it points to never changes
}

// load reads the journal at the first time.
func (l *Layer) load(ctx context.Context) error {
	s := &l.standing
	if s.loaded || l.Journal == nil {
		return nil
	}
	text, err := l.Journal.Load(ctx)
	if err != nil {
		return fmt.Errorf("reading the batch layer's journal: %w", err)
	}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &s.Standing); err != nil {
			return fmt.Errorf("the batch layer's journal is damaged: %w", err)
		}
	}
	s.loaded = true
	return nil
}

// failing reports whether the last run failed.
func (l *Layer) failing(ctx context.Context) bool {
	s, err := l.Standing(ctx)
	return err != nil || s.Failing != nil
}

// forget makes the journal be read again: another process may have written it.
func (s *standing) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loaded, s.Standing = false, doubleentry.Standing{}
}

// remember notes how a run ended, once. A run that was called off says nothing.
func (l *Layer) remember(ctx context.Context, run string, report *Report, err error) {
	if err != nil && ctx.Err() != nil {
		return
	}
	ctx = context.WithoutCancel(ctx)
	s := &l.standing
	s.mu.Lock()
	defer s.mu.Unlock()
	if loading := l.load(ctx); loading != nil {
		l.Logger.Error("what earlier batch runs found is lost", "error", loading)
		s.loaded = true // it is replaced now
	}
	if s.Last != nil && s.Last.Name == run && run != "" {
		return
	}
	l.note(run, report, err)
	if l.Journal == nil {
		return
	}
	text, storing := json.Marshal(s.Standing)
	if storing == nil {
		storing = l.Journal.Store(ctx, text)
	}
	if storing != nil {
		l.Logger.Error("storing what the batch run found failed", "error", storing)
	}
}

func (l *Layer) note(run string, report *Report, err error) {
	s := &l.standing.Standing
	last := &doubleentry.Run{Name: run, At: l.Now().UTC(), Version: report.Version, Mode: report.Mode, Why: report.Why, Result: doubleentry.Published}
	if b := report.Balance; b != nil {
		s.Balance = b
		if n := b.Repaired(); n > 0 {
			s.Repair = b
			s.Repaired += n
		}
	}
	switch {
	case err != nil:
		last.Result, last.Error = doubleentry.Failed, err.Error()
		s.Failed++
		next := doubleentry.Failure{Since: last.At}
		if s.Failing != nil {
			next = *s.Failing
		}
		next.Runs++
		next.Mismatch, next.Error = errors.Is(err, protocol.ErrMismatch), last.Error
		s.Failing = &next
		l.Logger.Error("a batch run failed and published nothing", "error", err, "failingSince", next.Since, "runs", next.Runs)
	case report.Superseded:
		last.Result = doubleentry.Superseded
	case report.Unchanged:
		last.Result = doubleentry.Unchanged
	}
	if err == nil {
		s.Failing = nil
	}
	s.Last = last
}
