package main

import (
	"context"
	"fmt"
	"log/slog"
	"math/big"
	"testing"
	"time"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/local"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/serving"
)

const identified = `
pipeline: bounded
events:
  format: json
  columns: {id: {type: string}, at: {type: timestamp}}
  time: at
  id: id
  dedupe_within: 10m
views:
  all: {by: [], every: 1d, measures: {events: count}}
`

// holdings is what a data directory holds, as far as it must not grow for ever.
type holdings struct {
	items, segments, versions, logged int
	files                             int // of the shard that has the most
}

// Without this, a pipeline that works well for a week fills its disk in a year:
// versions, real-time items, dedup segments of a shard and of its ancestors, the
// log, and files of the master dataset. Events of one kind come for 40 versions,
// most of an hour apart, and shards split and merge.
func TestWhatManyVersionsLeaveBehindIsBounded(t *testing.T) {
	t.Parallel()
	const versions, settled, events = 40, 20, 20
	def, err := definition.Parse("pipeline.yaml", []byte(identified))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	store, err := local.Open(t.TempDir(), local.Options{Pipeline: def.Pipeline, Shards: 1, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	g := openBounded(t, def, store)
	g.retention.Now = func() time.Time { return now }
	t.Cleanup(func() {
		if err := g.service.Close(); err != nil {
			t.Error(err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	stop := make(chan struct{})
	close(stop) // the source ends at the log's tip
	var most, late holdings
	for n := range versions {
		now = now.Add(40 * time.Minute)
		var records []protocol.Record
		for i := range events {
			key := fmt.Sprint(n*events + i)
			records = append(records, protocol.Record{PartitionKey: key, Data: fmt.Appendf(nil, `{"id":%q,"at":%d}`, key, now.Unix())})
		}
		if _, err := store.Log().Append(t.Context(), records); err != nil {
			t.Fatal(err)
		}
		if n%10 == 5 {
			reshardBounded(t, store.Log())
		}
		g.source.Run(t.Context(), stop)
		if _, err := g.batch.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := g.merger.Merge(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		if err := g.retention.Trim(t.Context()); err != nil {
			t.Fatal(err)
		}
		h := g.holdings(t)
		if n < settled {
			most = most.max(h)
		} else {
			late = late.max(h)
		}
	}
	if late.max(most) != most {
		t.Errorf("in %d versions there were at most %+v, and afterwards %+v", settled, most, late)
	}
	if most.segments < 2 || most.logged < events || most.items > 20 || most.versions > 4 {
		t.Errorf("what is held is not what it should be: %+v", most)
	}
}

func (h holdings) max(o holdings) holdings {
	return holdings{max(h.items, o.items), max(h.segments, o.segments), max(h.versions, o.versions), max(h.logged, o.logged), max(h.files, o.files)}
}

func openBounded(t *testing.T, def *definition.Definition, store *local.Store) *generation {
	t.Helper()
	if _, err := store.Adopt(t.Context(), def.Generation, local.DefinitionText{File: def.File, Text: def.Text}); err != nil {
		t.Fatal(err)
	}
	o := shared{store: store, computing: make(chan struct{}, 1), retention: 2 * time.Hour, logger: slog.New(slog.DiscardHandler), change: func() *serving.Change { return nil }}
	var err error
	if o.temp, err = store.Temp(); err != nil {
		t.Fatal(err)
	}
	if o.loads, err = store.Loads(); err != nil {
		t.Fatal(err)
	}
	g, err := openGeneration(def, o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// reshardBounded splits the open shard, or merges the two that are open.
func reshardBounded(t *testing.T, log *local.Log) {
	t.Helper()
	shards, err := log.Shards(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var open []protocol.Shard
	for _, s := range shards {
		if !s.Closed() {
			open = append(open, s)
		}
	}
	if len(open) == 2 {
		err = log.Merge(t.Context(), open[0].ID, open[1].ID)
	} else {
		err = log.Split(t.Context(), open[0].ID, new(big.Int).Lsh(big.NewInt(1), 127).String())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// holdings counts what the generation holds.
func (g *generation) holdings(t *testing.T) (h holdings) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range g.def.AllViews() {
		for token, more := "", true; more; {
			page, err := g.items.Query(ctx, v.Name, -1<<62, 1<<62, token)
			check(err)
			h.items += len(page.Items)
			token, more = page.Next, page.Next != ""
		}
	}
	shards, err := g.store.Log().Shards(ctx)
	check(err)
	for _, s := range shards {
		segments, err := g.items.Segments(ctx, s.ID)
		check(err)
		h.segments += len(segments)
		at, err := g.store.Log().Horizon(ctx, s.ID)
		check(err)
		page, err := g.store.Log().Read(ctx, s.ID, at, 1<<20)
		check(err)
		h.logged += len(page.Events)
	}
	all, err := g.batch.Views.Versions(ctx)
	check(err)
	h.versions = len(all)
	files, err := g.master.Files(ctx)
	check(err)
	of := map[string]int{}
	for _, f := range files {
		of[f.Shard]++
		h.files = max(h.files, of[f.Shard])
	}
	return h
}
