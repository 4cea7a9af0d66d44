package rejects

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
	"github.com/watershed-data/watershed/internal/serving"
)

// Logic is row logic that can name its reasons; *rowlogic.Logic is.
type Logic interface {
	archive.Logic
	Reasons() []string
}

// Options are what a report is made from.
type Options struct {
	Service     *serving.Service
	Log         protocol.Log // nil: examples are looked for in the master dataset alone
	Logic       Logic
	Master      protocol.Master
	Checkpoints archive.Checkpoints // up to where the master dataset holds a shard's events; for the log

	Examples int   // per reason; 0: 3, and 10 of a reason that is asked for
	Files    int   // of the master dataset whose footers are read; 0: 2,000
	Rows     int64 // of the master dataset that are looked at, whole files; 0: 5,000,000
	Waiting  int   // events of the log, not archived yet, that are looked at; 0: 20,000
}

func (o Options) withDefaults(reason string) Options {
	if o.Examples <= 0 {
		if o.Examples = 3; reason != "" {
			o.Examples = 10
		}
	}
	if o.Files <= 0 {
		o.Files = 2000
	}
	if o.Rows <= 0 {
		o.Rows = 5_000_000
	}
	if o.Waiting <= 0 {
		o.Waiting = 20_000
	}
	return o
}

// Report says what became of events that were not accepted. Times are RFC 3339
// in UTC.
type Report struct {
	Version   *string  `json:"version"` // these are as in an answer to a query
	Watershed *string  `json:"watershed"`
	Freshness *string  `json:"freshness"`
	Complete  bool     `json:"complete"`
	Why       string   `json:"why,omitempty"`
	Outcomes  Outcomes `json:"outcomes"`
	Reasons   []Reason `json:"reasons"` // by count, largest first; with a reason asked for, that one alone
	Searched  Searched `json:"searched"`
}

// Outcomes counts all events by what became of them.
type Outcomes struct {
	Accepted  int64 `json:"accepted"`
	Rejected  int64 `json:"rejected"`
	Dropped   int64 `json:"dropped"`
	Duplicate int64 `json:"duplicate"`
}

// Reason is one reason for which events were rejected.
type Reason struct {
	Reason   string    `json:"reason"`
	Events   int64     `json:"events"`
	Examples []Example `json:"examples"` // newest first, as far as they were searched
}

// Searched says where examples were looked for.
type Searched struct {
	Files   int   `json:"files"`   // of the master dataset
	OfFiles int   `json:"ofFiles"` // that there are
	Rows    int64 `json:"rows"`    // of the master dataset
	Waiting int   `json:"waiting"` // events of the log that are not archived yet
	All     bool  `json:"all"`     // nothing that could hold a wanted example was left out
}

// Find makes a report; of one reason if it is not "". A reason that the
// pipeline does not have is a *serving.Error.
func Find(ctx context.Context, o Options, reason string) (*Report, error) {
	o = o.withDefaults(reason)
	r, err := count(ctx, o, reason)
	if err != nil {
		return nil, err
	}
	s := &search{Options: o, report: r, wanted: map[string]int{}, found: map[string][]Example{}, seen: map[place]bool{}, all: true}
	for _, x := range r.Reasons {
		s.wanted[x.Reason] = int(min(int64(o.Examples), x.Events))
	}
	if err := s.master(ctx); err != nil {
		return nil, fmt.Errorf("searching the master dataset: %w", err)
	}
	if err := s.log(ctx); err != nil {
		return nil, fmt.Errorf("searching the log: %w", err)
	}
	for i := range r.Reasons {
		x := &r.Reasons[i]
		x.Examples = s.found[x.Reason]
		slices.SortStableFunc(x.Examples, newestFirst)
		x.Examples = append([]Example{}, x.Examples[:min(len(x.Examples), o.Examples)]...)
	}
	r.Searched.All = s.all
	return r, nil
}

// count takes the counts from the built-in view.
func count(ctx context.Context, o Options, reason string) (*Report, error) {
	a, err := o.Service.Query(ctx, serving.Query{View: definition.OutcomesView})
	if err != nil {
		return nil, fmt.Errorf("counting outcomes: %w", err)
	}
	r := &Report{Version: a.Version, Watershed: a.Watershed, Freshness: a.Freshness, Complete: a.Complete, Why: a.Why, Reasons: []Reason{}}
	for i := range a.Len() {
		values, err := a.Row(i)
		if err != nil {
			return nil, fmt.Errorf("counting outcomes: %w", err)
		}
		if err := r.add(values, reason); err != nil {
			return nil, fmt.Errorf("counting outcomes: %w", err)
		}
	}
	if reason != "" && len(r.Reasons) == 0 {
		if known := o.Logic.Reasons(); !slices.Contains(known, reason) {
			return nil, &serving.Error{Code: serving.NotFound, Field: "reason", Message: fmt.Sprintf("there is no reason %q; this pipeline's are %s", reason, strings.Join(known, ", "))}
		}
		r.Reasons = append(r.Reasons, Reason{Reason: reason, Examples: []Example{}})
	}
	slices.SortStableFunc(r.Reasons, func(a, b Reason) int { return cmp.Compare(b.Events, a.Events) })
	return r, nil
}

// add adds a row of the view: outcome, reason and count.
func (r *Report) add(values []serving.Value, only string) error {
	n, err := strconv.ParseInt(values[2].Text, 10, 64)
	if err != nil {
		return err
	}
	switch rowlogic.Outcome(values[0].Text) {
	case rowlogic.Accepted:
		r.Outcomes.Accepted += n
	case rowlogic.Dropped:
		r.Outcomes.Dropped += n
	case rowlogic.Duplicate:
		r.Outcomes.Duplicate += n
	case rowlogic.Rejected:
		r.Outcomes.Rejected += n
		if reason := values[1].Text; only == "" || only == reason {
			r.Reasons = append(r.Reasons, Reason{Reason: reason, Events: n})
		}
	}
	return nil
}
