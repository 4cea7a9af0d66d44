package serving

import (
	"context"
	"fmt"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/doubleentry"
	"github.com/watershed-data/watershed/internal/lookup"
	"github.com/watershed-data/watershed/internal/protocol"
)

// Limits bound what a service holds. A zero field means its default.
type Limits struct {
	Groups int // groups that one answer is made of; default 1,000,000
	Files  int // open view files; default 64
}

// The defaults of Limits.
const (
	DefaultGroups = 1_000_000
	DefaultFiles  = 64
)

// Service answers queries on the merged views of one generation. It may be used
// by several goroutines at once.
type Service struct {
	// Batch says how the batch layer stands, for the status; nil: nobody knows. Set
	// it before use.
	Batch func(context.Context) (doubleentry.Standing, error)

	// Change tells of a change of the definition for the status; nil, or giving nil:
	// none is under way. Set it before use.
	Change func() *Change

	// Tips says how far the log reaches, for the freshness. New gives one that asks the
	// log about every shard each time; set another one before use.
	Tips protocol.Tips

	// Lookups are the definition's dimension tables; nil: none. Set it before use.
	Lookups *lookup.Set

	def    *definition.Definition
	reader *protocol.Reader
	now    func() int64
	groups int
	files  *fileCache
}

// New makes a service. now gives milliseconds since 1970-01-01 UTC; it stamps
// freshness and decides nothing else. Close lets the open files go.
func New(def *definition.Definition, reader *protocol.Reader, now func() int64, limits Limits) *Service {
	if limits.Groups <= 0 {
		limits.Groups = DefaultGroups
	}
	if limits.Files <= 0 {
		limits.Files = DefaultFiles
	}
	return &Service{
		Tips: &protocol.LogTips{Log: reader.Log, Now: now},
		def:  def, reader: reader, now: now, groups: limits.Groups,
		files: newFileCache(reader.Views, limits.Files),
	}
}

// Close closes the view files that are open, those in use when their reader
// ends. The service must not be used after it.
func (s *Service) Close() error { return s.files.close() }

// Query answers a query as one snapshot. A query that is wrong, or too large,
// is an *Error; protocol.ErrBusy says to try again.
func (s *Service) Query(ctx context.Context, q Query) (*Answer, error) {
	p, err := s.plan(q)
	if err != nil {
		return nil, err
	}
	after, err := p.open(q.Cursor)
	if err != nil {
		return nil, err
	}
	from, to := p.kept()
	if after.key != "" && len(p.order) == 0 && p.timed() && p.keyOrdered() {
		from = max(from, readTime(after.key)) // earlier buckets were shown
	}
	g := newGroups(p, &budget{most: s.groups}, after.key, q.Limit)
	v := &visitor{service: s, groups: map[string]*groups{p.view.Name: g}}
	snapshot, err := s.reader.Read(ctx, []protocol.Range{{View: p.view.Name, From: from, To: to}}, v)
	if err != nil {
		return nil, err
	}
	if q.Cursor != "" && after.version != snapshot.Pointer.Version {
		return nil, invalid("cursor", "the cursor belongs to version %s, and %s is the current one now; ask again from the first page",
			versionName(after.version), versionName(snapshot.Pointer.Version))
	}
	a := &Answer{View: p.view.Name, Lookups: lookupStates(p.joins.used), Columns: p.columns, plan: p}
	if p.asKept {
		a.Kept = p.keptGrains(g.rollup)
	}
	if err := s.describe(ctx, snapshot, a); err != nil {
		return nil, err
	}
	return a, a.fill(g, q.Limit, snapshot.Pointer.Version)
}

func versionName(v string) string {
	if v == "" {
		return "(none)"
	}
	return v
}

// describe tells of what events the answer is made.
func (s *Service) describe(ctx context.Context, snapshot *protocol.Snapshot, a *Answer) error {
	if m := snapshot.Manifest; m != nil {
		t := instant(m.T)
		a.Version, a.Watershed = &m.Version, &t
	}
	a.Committed = map[string]string{}
	for shard, row := range snapshot.Rows {
		a.Committed[shard] = row.Through.String()
	}
	state, err := s.freshness(ctx, snapshot)
	if err != nil {
		return fmt.Errorf("finding how fresh the answer is: %w", err)
	}
	a.Freshness, a.Why = state.text(), state.why
	a.Complete = a.Why == ""
	return nil
}
