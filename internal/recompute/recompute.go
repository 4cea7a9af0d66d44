package recompute

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/protocol"
)

// Journal keeps a text durably.
type Journal interface {
	// Load gives what was stored last; none at first.
	Load(ctx context.Context) ([]byte, error)
	// Store replaces it.
	Store(ctx context.Context, text []byte) error
}

// Old is what is needed of the generation that answers. None of it is changed.
type Old struct {
	Ledger      protocol.Ledger
	Master      protocol.Master
	Checkpoints archive.Checkpoints
}

// New is the generation that is begun. Until Run has ended, nobody else may touch
// it.
type New struct {
	Definition  *definition.Definition
	Logic       archive.Logic
	Ledger      protocol.Ledger
	RealTime    protocol.RealTime
	Master      protocol.Master
	Checkpoints archive.Checkpoints
	Keep        int64 // as protocol.Folder's
	// Publish makes a version by a batch run.
	Publish func(ctx context.Context) error
}

// Recompute begins a generation beside another. If it is cut short it goes on
// where it was, with the same journals.
type Recompute struct {
	Log   protocol.Log
	Old   Old
	New   New
	Start Journal // of the Start
	Done  Journal // of how far the recompute is

	identities int // held in memory at a time; 0: maxIdentities

	mu       sync.Mutex
	progress Progress
}

// Start is where a generation begins. It is fixed once, before anything is made.
type Start struct {
	Rows     map[string]protocol.Row      `json:"rows"`     // C: figures committed by the old generation
	Archived map[string]protocol.Position `json:"archived"` // K: up to where the files hold a shard's rows
	Files    []protocol.File              `json:"files"`
}

// Phase is a step of a change, for people.
type Phase string

// The phases of a recompute, in their order.
const (
	Starting   Phase = "starting"
	Rows       Phase = "recomputing rows"
	Version    Phase = "computing the first version"
	Identities Phase = "remembering event ids"
	Following  Phase = "catching up with the log"
)

// Progress is how far a recompute is.
type Progress struct {
	Phase Phase
	Rows  int64 // recomputed
	Of    int64 // rows to recompute, about: what the ledger counts
}

// Progress gives how far the recompute is. It may be asked at any time.
func (r *Recompute) Progress() Progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.progress
}

func (r *Recompute) update(f func(*Progress)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.progress)
}

func (r *Recompute) enter(p Phase) { r.update(func(at *Progress) { at.Phase = p }) }

// done is what is stored of the progress.
type done struct {
	Files     int   `json:"files"` // of Start.Files, in their order
	Rows      int64 `json:"rows"`
	Following bool  `json:"following"` // version and dedup set are complete
}

// Run begins the generation. When it returns without an error the generation has
// a version, and its speed layer and archive may follow the log. Running it again
// does at most what is left.
func (r *Recompute) Run(ctx context.Context) error {
	r.enter(Starting)
	var at done
	if _, err := load(ctx, r.Done, &at); err != nil {
		return fmt.Errorf("reading how far the recompute is: %w", err)
	}
	if !at.Following {
		start, err := r.start(ctx)
		if err != nil {
			return fmt.Errorf("fixing where the new generation begins: %w", err)
		}
		r.update(func(p *Progress) { p.Rows, p.Of = at.Rows, start.events() })
		if err := r.begin(ctx, start, &at); err != nil {
			return err
		}
		at.Following = true
		if err := r.store(ctx, r.Done, at); err != nil {
			return err
		}
	}
	r.enter(Following)
	return nil
}

func (r *Recompute) begin(ctx context.Context, start *Start, at *done) error {
	r.enter(Rows)
	if err := r.rows(ctx, start, at); err != nil {
		return fmt.Errorf("recomputing the master dataset: %w", err)
	}
	r.enter(Version)
	if err := r.handOver(ctx, start); err != nil {
		return fmt.Errorf("handing the log over: %w", err)
	}
	pointer, err := r.New.Ledger.Pointer(ctx)
	if err != nil {
		return fmt.Errorf("reading the pointer: %w", err)
	}
	if pointer.Seq == 0 {
		if err := r.New.Publish(ctx); err != nil {
			return fmt.Errorf("computing the first version: %w", err)
		}
	}
	r.enter(Identities)
	if err := r.remember(ctx, start); err != nil {
		return fmt.Errorf("remembering event ids: %w", err)
	}
	return nil
}

// start gives the stored Start, or fixes one.
func (r *Recompute) start(ctx context.Context) (*Start, error) {
	s := &Start{Archived: map[string]protocol.Position{}}
	if ok, err := load(ctx, r.Start, s); ok || err != nil {
		return s, err
	}
	var err error
	if s.Rows, err = protocol.Committed(ctx, r.Log, r.Old.Ledger); err != nil {
		return nil, err
	}
	shards, err := r.Log.Shards(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing shards: %w", err)
	}
	for _, shard := range shards {
		if s.Archived[shard.ID], err = r.Old.Checkpoints.Load(ctx, shard.ID); err != nil {
			return nil, err
		}
	}
	for id, row := range s.Rows {
		if _, listed := s.Archived[id]; !listed {
			s.Archived[id] = row.Through // a load, or expired: no log to read the rest from
		}
	}
	// A checkpoint is stored when its rows are: listed after the checkpoints were
	// read, the files hold everything up to them.
	if s.Files, err = r.Old.Master.Files(ctx); err != nil {
		return nil, err
	}
	return s, r.store(ctx, r.Start, s)
}

func (s *Start) events() (n int64) {
	for _, row := range s.Rows {
		n += row.Count
	}
	return n
}

// handOver lets the new archive and the new ledger begin where the old ones were.
func (r *Recompute) handOver(ctx context.Context, s *Start) error {
	for shard, through := range s.Archived {
		at, err := r.New.Checkpoints.Load(ctx, shard)
		if err != nil {
			return err
		}
		if through.After(at) {
			if err := r.New.Checkpoints.Store(ctx, shard, through); err != nil {
				return err
			}
		}
	}
	for shard, row := range s.Rows {
		// One that is there is what an attempt before this one left, perhaps sealed.
		if _, err := r.New.Ledger.Create(ctx, shard, row); err != nil {
			return fmt.Errorf("creating the ledger row of %s: %w", shard, err)
		}
	}
	return nil
}

// CaughtUp reports whether the new generation has committed all that the old one
// has, so that what was visible stays visible when the new one answers.
func (r *Recompute) CaughtUp(ctx context.Context) (bool, error) {
	shards, err := r.Old.Ledger.Shards(ctx)
	if err != nil {
		return false, fmt.Errorf("listing ledger rows: %w", err)
	}
	slices.Sort(shards)
	for _, shard := range shards {
		old, _, err := r.Old.Ledger.Row(ctx, shard)
		if err != nil {
			return false, fmt.Errorf("reading the ledger row of %s: %w", shard, err)
		}
		now, ok, err := r.New.Ledger.Row(ctx, shard)
		if err != nil {
			return false, fmt.Errorf("reading the ledger row of %s: %w", shard, err)
		}
		if !ok || old.Through.After(now.Through) {
			return false, nil
		}
	}
	return true, nil
}

func load(ctx context.Context, j Journal, to any) (bool, error) {
	text, err := j.Load(ctx)
	if err != nil || len(text) == 0 {
		return false, err
	}
	if err := json.Unmarshal(text, to); err != nil {
		return false, fmt.Errorf("the journal is damaged: %w", err)
	}
	return true, nil
}

func (r *Recompute) store(ctx context.Context, j Journal, what any) error {
	text, err := json.Marshal(what)
	if err != nil {
		return err
	}
	if err := j.Store(ctx, text); err != nil {
		return fmt.Errorf("storing how far the recompute is: %w", err)
	}
	return nil
}
