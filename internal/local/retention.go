package local

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/watershed-data/watershed/internal/protocol"
)

// Retention lets go of the log's old records, as Kinesis does after the stream's
// retention period, but of none that the pipeline may still need: a record goes
// when it is old enough, the archive has it, and the current version covers it.
//
// That is enough for every reader of the log. The archive reads behind its
// checkpoint. The speed layer reads behind what is committed, also what is
// pending, and a version's cut never lies behind that. Verifying reads behind
// the cut, and the double entry repairs the master dataset as far back as the
// log goes: what has been published was in it.
type Retention struct {
	Log         *Log
	Ledger      protocol.Ledger
	Views       protocol.Views
	Checkpoints *Checkpoints
	Keep        time.Duration // since a record's arrival
	Now         func() time.Time
}

// Trim lets go of what may go now. Closed shards stay listed when they are empty:
// their children's lineage is told by them.
func (r *Retention) Trim(ctx context.Context) error {
	pointer, err := r.Ledger.Pointer(ctx)
	if err != nil {
		return fmt.Errorf("reading the pointer: %w", err)
	}
	if pointer.Seq == 0 {
		return nil
	}
	manifest, err := r.Views.Manifest(ctx, pointer.Version)
	if err != nil {
		return fmt.Errorf("reading the manifest of %s: %w", pointer.Version, err)
	}
	shards, err := r.Log.Shards(ctx)
	if err != nil {
		return fmt.Errorf("listing shards: %w", err)
	}
	before := r.Now().Add(-r.Keep).UnixMilli()
	var errs []error
	for _, s := range shards {
		if cut, ok := manifest.Cut[s.ID]; ok {
			errs = append(errs, r.trim(ctx, s.ID, cut.Through, before))
		}
	}
	return errors.Join(errs...)
}

// trim lets go of a shard's records up to a position that are archived and arrived
// before a time in milliseconds since 1970-01-01 UTC.
func (r *Retention) trim(ctx context.Context, shard string, through protocol.Position, before int64) error {
	archived, err := r.Checkpoints.Load(ctx, shard)
	if err != nil {
		return err
	}
	if through.After(archived) {
		through = archived
	}
	young, ok, err := r.Log.Since(ctx, shard, before)
	if err != nil {
		return err
	}
	if ok {
		if old, err := r.Log.precursor(young); err != nil {
			return err
		} else if through.After(old) {
			through = old
		}
	}
	horizon, err := r.Log.Horizon(ctx, shard)
	if err != nil || !through.After(horizon) {
		return err
	}
	return r.Log.Trim(ctx, shard, through)
}

// precursor gives the last position that lies before all of a record's.
func (l *Log) precursor(seq string) (protocol.Position, error) {
	n, err := l.number(seq)
	if err != nil {
		return protocol.Position{}, err
	}
	return protocol.Position{Seq: l.sequence(n - 1), Sub: math.MaxInt64}, nil
}
