package local

import (
	"context"
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
	before := r.Now().Add(-r.Keep).UnixMilli()
	for shard, cut := range manifest.Cut {
		through, err := r.Checkpoints.Load(ctx, shard)
		if err != nil {
			return err
		}
		if through.After(cut.Through) {
			through = cut.Through
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
		if through.IsZero() {
			continue
		}
		if err := r.Log.Trim(ctx, shard, through); err != nil {
			return err
		}
	}
	return nil
}

// precursor gives the last position that lies before all of a record's.
func (l *Log) precursor(seq string) (protocol.Position, error) {
	n, err := l.number(seq)
	if err != nil {
		return protocol.Position{}, err
	}
	return protocol.Position{Seq: l.sequence(n - 1), Sub: math.MaxInt64}, nil
}
