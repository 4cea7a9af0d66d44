package serving

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/watershed-data/watershed/internal/protocol"
)

// slowPending is the age beyond which a batch that is not committed makes
// answers incomplete.
const slowPending = time.Minute

// progress is how far the shards of a snapshot are.
type progress struct {
	shards  []shardProgress // as listed, parents before children
	reached *int64          // milliseconds: the arrival that every shard has reached; nil: one has nothing yet
	why     string          // why the answer is incomplete; "": it is complete
}

func (p progress) text() *string {
	if p.reached == nil {
		return nil
	}
	text := instant(*p.reached)
	return &text
}

// shardProgress is how far one listed shard is.
type shardProgress struct {
	shard    protocol.Shard
	row      protocol.Row
	started  bool   // it has a ledger row
	unlisted bool   // the log no longer lists it
	behind   bool   // events lie after what is committed
	expired  bool   // and the log no longer holds them all
	asked    int64  // milliseconds: before the log was asked
	oldest   int64  // milliseconds: arrival of the first event behind, if the log holds it
	reached  *int64 // milliseconds: committed up to this arrival; nil: nothing is
}

// freshness asks the log how far each shard of a snapshot is. A shard with
// nothing behind its committed position is fresh as of the moment before the
// log was asked. A closed shard counts until it is drained.
func (s *Service) freshness(ctx context.Context, snapshot *protocol.Snapshot) (progress, error) {
	var out progress
	var why []string
	counted := false
	for _, shard := range snapshot.Lineage.Shards {
		st, err := s.shardProgress(ctx, shard, snapshot)
		if err != nil {
			return progress{}, err
		}
		out.shards = append(out.shards, st)
		if reason := st.incomplete(); reason != "" {
			why = append(why, reason)
		}
		if shard.Closed() && !st.behind {
			continue // drained: nothing of it is missing, ever
		}
		switch {
		case !counted:
			out.reached, counted = st.reached, true
		case out.reached == nil || st.reached == nil:
			out.reached = nil
		case *st.reached < *out.reached:
			out.reached = st.reached
		}
	}
	out.why = strings.Join(why, "; ")
	return out, nil
}

func (s *Service) shardProgress(ctx context.Context, shard protocol.Shard, snapshot *protocol.Snapshot) (shardProgress, error) {
	st := shardProgress{shard: shard}
	st.row, st.started = snapshot.Rows[shard.ID]
	st.asked = s.now()
	page, err := s.reader.Log.Read(ctx, shard.ID, st.row.Through, 1)
	st.expired = errors.Is(err, protocol.ErrExpired)
	if err != nil && !st.expired {
		return st, fmt.Errorf("reading the log of %s after %q: %w", shard.ID, st.row.Through, err)
	}
	st.behind = st.expired || len(page.Events) > 0
	if len(page.Events) > 0 {
		st.oldest = page.Events[0].Arrival
	}
	switch {
	case !st.behind:
		st.reached = &st.asked
	case st.row.Count > 0:
		st.reached = &st.row.MaxArrival
	}
	return st, nil
}

// incomplete says what of a shard may be missing from an answer for longer than
// it takes to apply a batch; "": nothing.
func (st shardProgress) incomplete() string {
	if !st.started {
		return fmt.Sprintf("shard %s has no ledger row yet: none of its events are in the answer", st.shard.ID)
	}
	if st.expired {
		return fmt.Sprintf("shard %s: the log no longer holds events after %s, which is as far as they are committed", st.shard.ID, st.row.Through)
	}
	p := st.row.Pending
	if p == nil {
		return ""
	}
	if age := time.Duration(st.asked-p.Since) * time.Millisecond; age > slowPending {
		return fmt.Sprintf("shard %s has a batch up to %s pending for %s", st.shard.ID, p.Through, age.Round(time.Second))
	}
	return ""
}
