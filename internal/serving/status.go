package serving

import (
	"context"
	"fmt"
	"slices"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/doubleentry"
	"github.com/watershed-data/watershed/internal/measure"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
	"github.com/watershed-data/watershed/internal/view"
)

// Status is how a pipeline stands, as one snapshot. Times are RFC 3339 in UTC.
type Status struct {
	Pipeline   string                `json:"pipeline"`
	Generation string                `json:"generation"`
	Change     *Change               `json:"change"`    // null: none is under way
	Version    *VersionStatus        `json:"version"`   // null: none is published yet
	Freshness  *string               `json:"freshness"` // as in Answer
	Batch      *doubleentry.Standing `json:"batch"`     // null: it is not known here
	Complete   bool                  `json:"complete"`
	Why        string                `json:"why,omitempty"`
	Shards     []ShardStatus         `json:"shards"` // parents before children, then those that the log no longer lists; no loads
	Loads      *LoadsStatus          `json:"loads,omitempty"`
	Outcomes   Outcomes              `json:"outcomes"`
	Format     string                `json:"format"`           // of events: json, csv or tsv
	Fields     []string              `json:"fields,omitempty"` // csv and tsv: the fields of an event in their order
	Columns    []ColumnStatus        `json:"columns"`          // those that events carry
	ID         string                `json:"id"`               // the column that identifies an event; "": none
	Views      []ViewStatus          `json:"views"`
	Lookups    []LookupState         `json:"lookups,omitempty"`
}

// ColumnStatus is one column that events carry, so that a producer knows what
// is read from where.
type ColumnStatus struct {
	Name     string   `json:"name"`
	Type     string   `json:"type"`
	From     []string `json:"from"` // path in the event
	Optional bool     `json:"optional"`
}

// LoadsStatus is the loads of history that are complete in the master dataset.
type LoadsStatus struct {
	Visible int   `json:"visible"` // loads that the current version holds
	Events  int64 `json:"events"`  // of them
	Waiting int   `json:"waiting"` // loads that the next version will hold
}

// VersionStatus is the current version.
type VersionStatus struct {
	Name       string `json:"name"`
	Seq        int64  `json:"seq"`
	Watershed  string `json:"watershed"`
	AgeSeconds int64  `json:"ageSeconds"` // since the watershed
	Events     int64  `json:"events"`     // rows of the master dataset up to the version's cut
	Ledger     int64  `json:"ledger"`     // what the ledger holds up to the same cut: a published version has both equal
}

// ShardState is the state of a shard.
type ShardState string

// The states of shards.
const (
	Open   ShardState = "open"
	Closed ShardState = "closed"   // by a split or merge: nothing comes any more
	Gone   ShardState = "unlisted" // the log no longer lists it
)

// ShardStatus is how far one shard is.
type ShardStatus struct {
	ID           string     `json:"id"`
	State        ShardState `json:"state"`
	Epoch        int64      `json:"epoch"`
	Committed    string     `json:"committed"` // sequence:sub; "": nothing
	Events       int64      `json:"events"`    // committed
	Behind       bool       `json:"behind"`    // events are known to lie after the committed position
	LagSeconds   float64    `json:"lagSeconds"`
	Freshness    *string    `json:"freshness"`    // the arrival up to which it is committed; null: nothing is
	PendingSince *string    `json:"pendingSince"` // null: no batch is pending
	pendingSince int64
	unknown      bool // nothing is known of the log behind the committed position
}

// drained reports whether nothing more can happen in the shard: it is closed and
// committed to its end.
func (s ShardStatus) drained() bool {
	return s.State != Open && !s.Behind && !s.unknown && s.PendingSince == nil
}

// PendingSeconds is how long the shard's batch has been pending at the given
// time in milliseconds since 1970-01-01 UTC; 0 if none is.
func (s ShardStatus) PendingSeconds(now int64) float64 {
	if s.PendingSince == nil {
		return 0
	}
	return max(0, float64(now-s.pendingSince)/1000)
}

// Outcomes counts all events by what became of them.
type Outcomes struct {
	Accepted  int64 `json:"accepted"`
	Rejected  int64 `json:"rejected"`
	Dropped   int64 `json:"dropped"`
	Duplicate int64 `json:"duplicate"`
	Erased    int64 `json:"erased"`
}

// ViewStatus is one view as declared.
type ViewStatus struct {
	Name     string   `json:"name"`
	By       []string `json:"by"`
	Every    string   `json:"every"`
	Measures []string `json:"measures"`
}

// Status tells how the pipeline stands.
func (s *Service) Status(ctx context.Context) (*Status, error) {
	out := &Status{Pipeline: s.def.Pipeline, Generation: s.def.Generation, Format: s.def.Events.Format, Fields: s.def.Events.Fields, Columns: s.columnStatus(), ID: s.def.Events.ID, Views: s.viewStatus(), Lookups: lookupStates(s.Lookups.Tables()), Shards: []ShardStatus{}}
	snapshot, err := s.Cells(ctx, []string{definition.OutcomesView}, nil, func(_ string, key protocol.Key, states []measure.State) error {
		return out.Outcomes.add(key.Dims, states[0].N)
	})
	if err != nil {
		return nil, err
	}
	if m := snapshot.Manifest; m != nil {
		v := &VersionStatus{Name: m.Version, Seq: m.Seq, Watershed: instant(m.T), AgeSeconds: max(0, (s.now()-m.T)/1000), Events: m.Events}
		for _, cut := range m.Cut {
			v.Ledger += cut.Count
		}
		out.Version = v
	}
	if s.Change != nil {
		out.Change = s.Change()
	}
	if s.Batch != nil {
		standing, err := s.Batch(ctx)
		if err != nil {
			return nil, err
		}
		out.Batch = &standing
	}
	state, err := s.freshness(ctx, snapshot)
	if err != nil {
		return nil, fmt.Errorf("finding how far the shards are: %w", err)
	}
	out.Freshness, out.Why, out.Complete = state.text(), state.why, state.why == ""
	for _, st := range state.shards {
		out.Shards = append(out.Shards, st.status())
	}
	out.Loads = loadsStatus(snapshot)
	for _, id := range unlisted(snapshot) {
		row := snapshot.Rows[id]
		out.Shards = append(out.Shards, shardProgress{shard: protocol.Shard{ID: id}, row: row, started: true, unlisted: true}.status())
	}
	return out, nil
}

// loadsStatus gives the loads of a snapshot; nil if there is none.
func loadsStatus(snapshot *protocol.Snapshot) *LoadsStatus {
	out := LoadsStatus{Waiting: snapshot.Waiting}
	for id, row := range snapshot.Rows {
		if protocol.IsLoad(id) {
			out.Visible++
			out.Events += row.Count
		}
	}
	if out == (LoadsStatus{}) {
		return nil
	}
	return &out
}

// unlisted gives the shards of the stream that have a ledger row and that the log
// no longer lists.
func unlisted(snapshot *protocol.Snapshot) []string {
	var out []string
	for id := range snapshot.Rows {
		if _, ok := snapshot.Lineage.Shard(id); !ok && !protocol.IsLoad(id) {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

func (s *Service) columnStatus() []ColumnStatus {
	var out []ColumnStatus
	for _, c := range s.def.Events.Columns {
		out = append(out, ColumnStatus{Name: c.Name, Type: c.Type.String(), From: c.From, Optional: c.Optional})
	}
	return out
}

func (s *Service) viewStatus() []ViewStatus {
	var out []ViewStatus
	for _, v := range s.def.AllViews() {
		st := ViewStatus{Name: v.Name, By: append([]string{}, v.By...), Every: string(v.Every), Measures: []string{}}
		for _, m := range v.Measures {
			st.Measures = append(st.Measures, m.Name)
		}
		out = append(out, st)
	}
	return out
}

func (st shardProgress) status() ShardStatus {
	out := ShardStatus{
		ID: st.shard.ID, State: Open, Epoch: st.row.Epoch, Committed: st.row.Through.String(),
		Events: st.row.Count, Behind: st.tip.Behind, unknown: !st.drained && !st.unlisted && !st.tip.Behind && (st.tip.At == 0 || st.shard.Closed()),
	}
	switch {
	case st.unlisted:
		out.State = Gone
	case st.shard.Closed():
		out.State = Closed
	}
	if st.reached != nil {
		text := instant(*st.reached)
		out.Freshness = &text
	}
	if st.tip.Oldest > 0 {
		out.LagSeconds = max(0, float64(st.asked-st.tip.Oldest)/1000)
	}
	if p := st.row.Pending; p != nil {
		text := instant(p.Since)
		out.PendingSince, out.pendingSince = &text, p.Since
	}
	return out
}

// outcomeTypes are the types of the dimensions of the built-in view.
var outcomeTypes = []column.Type{{Kind: column.String}, {Kind: column.String}}

func (o *Outcomes) add(dims string, events int64) error {
	values, err := view.DecodeDims(outcomeTypes, dims)
	if err != nil {
		return err
	}
	switch outcome := rowlogic.Outcome(values[0].Str); outcome {
	case rowlogic.Accepted:
		o.Accepted += events
	case rowlogic.Rejected:
		o.Rejected += events
	case rowlogic.Dropped:
		o.Dropped += events
	case rowlogic.Duplicate:
		o.Duplicate += events
	case rowlogic.Erased:
		o.Erased += events
	default:
		return fmt.Errorf("reading view %s: %q is no outcome", definition.OutcomesView, outcome)
	}
	return nil
}
