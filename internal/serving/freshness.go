package serving

import (
	"context"
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
	started  bool // it has a ledger row
	unlisted bool // the log no longer lists it
	drained  bool // it is closed, and nothing of it is missing, ever
	tip      protocol.Tip
	asked    int64  // milliseconds: the time of asking
	reached  *int64 // milliseconds: committed up to this arrival; nil: nothing is
}

// freshness says how far each shard of a snapshot is. A shard with nothing behind its
// committed position is fresh as of the moment before its log was looked at. A closed
// shard counts until it is drained.
func (s *Service) freshness(ctx context.Context, snapshot *protocol.Snapshot) (progress, error) {
	tips, err := s.Tips.Tips(ctx, snapshot)
	if err != nil {
		return progress{}, err
	}
	var out progress
	var why []string
	counted := false
	for _, shard := range snapshot.Lineage.Shards {
		st := s.shardProgress(shard, tips[shard.ID], snapshot)
		out.shards = append(out.shards, st)
		if reason := st.incomplete(); reason != "" {
			why = append(why, reason)
		}
		if st.drained {
			continue
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

func (s *Service) shardProgress(shard protocol.Shard, tip protocol.Tip, snapshot *protocol.Snapshot) shardProgress {
	st := shardProgress{shard: shard, tip: tip, asked: s.now()}
	st.row, st.started = snapshot.Rows[shard.ID]
	switch {
	case tip.At > 0 && !tip.Behind:
		st.reached = &st.tip.At
	case st.row.Count > 0:
		st.reached = &st.row.MaxArrival
	}
	st.drained = shard.Closed() && !tip.Behind && (tip.Ended || followed(shard, snapshot))
	return st
}

// followed reports whether a child of a shard has begun: then the shard is committed
// to its end, whatever else is known.
func followed(shard protocol.Shard, snapshot *protocol.Snapshot) bool {
	for _, child := range snapshot.Lineage.Children(shard.ID) {
		if _, begun := snapshot.Rows[child]; begun {
			return true
		}
	}
	return false
}

// incomplete says what of a shard may be missing from an answer for longer than
// it takes to apply a batch; "": nothing.
func (st shardProgress) incomplete() string {
	if !st.started {
		return fmt.Sprintf("shard %s has no ledger row yet: none of its events are in the answer", st.shard.ID)
	}
	if st.tip.Expired {
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
