package load

import (
	"context"
	"time"

	"github.com/watershed-data/watershed/internal/protocol"
)

// Report says how a load stands. Times are RFC 3339 in UTC.
type Report struct {
	Load     string  `json:"load"`            // the pseudo-shard; "": there was nothing to load, and nothing is remembered
	Content  string  `json:"content"`         // SHA-256
	Name     string  `json:"name"`            // of the file that was loaded first
	Before   *string `json:"before"`          // null: all events were taken
	Accepted *string `json:"accepted"`        // when it was durable; the arrival of its events
	Events   int64   `json:"events"`          // that were taken, also those that are rejected
	Newer    int64   `json:"newer"`           // that were left out, since they are not older than Before
	Archived int64   `json:"archived"`        // of Events, rows that are in the master dataset, about
	Loaded   *string `json:"loaded"`          // when all were in the master dataset and in the ledger; null: not yet
	Already  bool    `json:"already"`         // the content was accepted before, and nothing has changed
	Waiting  bool    `json:"waiting"`         // until a change of the definition is complete
	Error    string  `json:"error,omitempty"` // why the last try to bring it into the master dataset failed
}

// Report says how the load of a pseudo-shard stands; nil if there is none.
func (l *Loader) Report(ctx context.Context, shard string) (*Report, error) {
	load, ok, err := l.loads.Load(ctx, shard)
	if !ok || err != nil {
		return nil, err
	}
	return l.report(&load), nil
}

// Reports says how all loads stand, in the order of their arrival.
func (l *Loader) Reports(ctx context.Context) ([]*Report, error) {
	loads, err := l.loads.Loads(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]*Report, len(loads))
	for i := range loads {
		out[i] = l.report(&loads[i])
	}
	return out, nil
}

func (l *Loader) report(load *protocol.Load) *Report {
	r := outline(load)
	accepted := millis(load.Arrival)
	r.Load, r.Content, r.Accepted = load.Shard(), load.Content, &accepted
	if load.Loaded > 0 {
		loaded := millis(load.Loaded)
		r.Loaded, r.Archived = &loaded, load.Events
		return r
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	r.Waiting, r.Error = !l.runs, l.failed[r.Load]
	if l.going != nil && l.going.load.Content == load.Content {
		r.Archived = l.going.passed.Load()
	}
	return r
}

// outline is the report of an upload that is not accepted yet.
func outline(load *protocol.Load) *Report {
	r := &Report{Name: load.Name, Events: load.Events, Newer: load.Newer}
	if load.Before != nil {
		before := micros(*load.Before)
		r.Before = &before
	}
	return r
}

func millis(t int64) string {
	return time.UnixMilli(t).UTC().Format("2006-01-02T15:04:05.999Z07:00")
}

func micros(t int64) string {
	return time.UnixMicro(t).UTC().Format("2006-01-02T15:04:05.999999Z07:00")
}
