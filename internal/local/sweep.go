package local

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/watershed-data/watershed/internal/protocol"
)

// Sweep removes what batch runs of an earlier process left behind: plans, and
// versions that are not the current one. No run and no reader may have begun yet,
// so that nobody needs them.
func (s *Store) Sweep(ctx context.Context, generation string) error {
	if err := s.sweepPlans(generation); err != nil {
		return fmt.Errorf("sweeping plans of batch runs: %w", err)
	}
	pointer, err := s.Ledger(generation).Pointer(ctx)
	if err != nil {
		return err
	}
	views, err := s.Views(generation)
	if err != nil {
		return err
	}
	versions, err := views.Versions(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, v := range versions {
		if _, err := protocol.VersionSeq(v); err != nil || v == pointer.Version {
			continue // what is no version is not ours
		}
		if err := views.Delete(ctx, v); err != nil {
			errs = append(errs, fmt.Errorf("sweeping version %s: %w", v, err))
		}
	}
	return errors.Join(errs...)
}

func (s *Store) sweepPlans(generation string) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	prefix := s.Ledger(generation).planKey("")
	return s.db.DeleteRange(prefix, keyAfter(prefix), pebble.NoSync)
}
