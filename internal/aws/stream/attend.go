package stream

import (
	"context"
	"errors"
	"fmt"

	"github.com/watershed-data/watershed/internal/protocol"
)

// Attend looks behind a committed position of a shard, so that it is noted if that is
// the tip. It does so once a minute at most, and asks nothing in between.
func (l *Log) Attend(ctx context.Context, shard string, committed protocol.Position) error {
	if !l.due(shard) {
		return nil
	}
	_, err := l.Read(ctx, shard, committed, 1)
	return err
}

// AttendAll is Attend for all shards that the stream lists, also those of which a
// ledger has no row yet. Each error of theirs is in the one that it gives.
func (l *Log) AttendAll(ctx context.Context, ledger protocol.Ledger) error {
	// The rows are read first: a shard that begins in between is attended from its
	// beginning.
	rows, err := ledger.Rows(ctx)
	if err != nil {
		return fmt.Errorf("reading the ledger's rows: %w", err)
	}
	shards, err := l.Shards(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, s := range shards {
		errs = append(errs, l.Attend(ctx, s.ID, rows[s.ID].Through))
	}
	return errors.Join(errs...)
}

// due reports whether it is time to attend a shard, which then counts as done.
func (l *Log) due(shard string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if last, ok := l.looked[shard]; ok && now.Sub(last) < noteEvery || l.known[shard].Ended {
		return false
	}
	l.looked[shard] = now
	return true
}
