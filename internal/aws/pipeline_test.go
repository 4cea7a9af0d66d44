//go:build clients

package aws_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"testing"

	"github.com/watershed-data/watershed/internal/memory"
	"github.com/watershed-data/watershed/internal/protocol"
)

// pipeline is a log of plain events, and what reads it: the count of the events of
// each partition key, kept in the stores under test.
type pipeline struct {
	log      *memory.Log
	ledger   protocol.Ledger
	realTime protocol.RealTime
	views    views
}

// views are the versions in a bucket.
type views interface {
	protocol.Views
	Create(ctx context.Context, version, name string, write func(io.Writer) error) (int64, error)
}

func (p *pipeline) speed() *protocol.Speed {
	return &protocol.Speed{Log: p.log, Ledger: p.ledger, RealTime: p.realTime, Folder: counting{}, Now: func() int64 { return 1 }}
}

func (p *pipeline) events(t *testing.T, shard string) []protocol.Event {
	page, err := p.log.Read(context.Background(), shard, protocol.Position{}, 1000)
	if err != nil {
		t.Error(err)
	}
	return page.Events
}

// count is the oracle: it counts the events of every shard up to a position.
func (p *pipeline) count(t *testing.T, through func(shard string) protocol.Position) map[string]int {
	counts := map[string]int{}
	shards, err := p.log.Shards(context.Background())
	if err != nil {
		t.Error(err)
	}
	for _, s := range shards {
		for _, e := range p.events(t, s.ID) {
			if !e.Position.After(through(s.ID)) {
				counts[e.PartitionKey]++
			}
		}
	}
	return counts
}

// run makes a version, and discards what it covers; published is called in between.
func (p *pipeline) run(ctx context.Context, t *testing.T, name string, published func()) error {
	r := &protocol.Run{Speed: p.speed(), Views: p.views, Now: func() int64 { return 1 }, Kept: 1}
	plan, err := r.Plan(ctx, name)
	if err != nil {
		return err
	}
	counts, err := json.Marshal(p.count(t, func(shard string) protocol.Position { return plan.Cut[shard].Through }))
	if err != nil {
		return err
	}
	version := fmt.Sprintf("v%08d-%s-%d", plan.Pointer.Seq+1, name, rand.Uint64()) // unique to the attempt
	if _, err := p.views.Create(ctx, version, "counts", func(w io.Writer) error { _, err := w.Write(counts); return err }); err != nil {
		return err
	}
	m := protocol.Manifest{Version: version, Seq: plan.Pointer.Seq + 1, Run: name, Cut: plan.Cut}
	if err := p.views.PutManifest(ctx, m); err != nil {
		return err
	}
	if _, err := r.Publish(ctx, plan, version); err != nil {
		return err
	}
	published()
	_, err = r.Discard(ctx)
	return err
}

// adder is a visitor that adds up what it is shown.
type adder struct {
	views  protocol.Views
	counts map[string]int
}

func (a *adder) Reset() { a.counts = map[string]int{} }

func (a *adder) Version(ctx context.Context, m protocol.Manifest, _ protocol.Range) error {
	f, size, err := a.views.Open(ctx, m.Version, "counts")
	if err != nil {
		return err
	}
	defer f.Close()
	content := make([]byte, size)
	if _, err := f.ReadAt(content, 0); err != nil {
		return err
	}
	counts := map[string]int{}
	if err := json.Unmarshal(content, &counts); err != nil {
		return err
	}
	for k, n := range counts {
		a.counts[k] += n
	}
	return nil
}

func (a *adder) Item(key protocol.Key, state []byte) error {
	n, err := strconv.Atoi(string(state))
	a.counts[key.Dims] += n
	return err
}

func (a *adder) End(context.Context) error { return nil }

// read compares an answer with the oracle over exactly the events that it claims.
func (p *pipeline) read(ctx context.Context, t *testing.T) error {
	reader := &protocol.Reader{Log: p.log, Ledger: p.ledger, RealTime: p.realTime, Views: p.views}
	a := &adder{views: p.views}
	snapshot, err := reader.Read(ctx, []protocol.Range{{View: "v", From: 0, To: 1}}, a)
	if err != nil {
		return err
	}
	if want := p.count(t, snapshot.Committed); !maps.Equal(a.counts, want) {
		t.Errorf("the answer is %v, want %v", a.counts, want)
	}
	return nil
}

// Sources, runs and readers work at once while one request in sixteen fails. An
// answer is exact, or it is an error.
func TestAnswersAreExactWhateverHappensToRequests(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	o, in := tables(t), newBucket(t)
	o.Master, o.Views, o.PathStyle = in, in, true
	random := rand.New(rand.NewPCG(1, 2))
	var turn sync.Mutex
	meet := func(*http.Request, int) accident {
		turn.Lock()
		defer turn.Unlock()
		if random.IntN(16) > 0 {
			return none
		}
		return []accident{replyLost, reset}[random.IntN(2)]
	}
	log := memory.NewLog(2)
	shards, err := log.Shards(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 80 {
		log.Put(shards[i%2].ID, int64(i), false, protocol.Record{PartitionKey: fmt.Sprint("key", i%7), Data: []byte{byte(i)}})
	}
	open := func(meet func(*http.Request, int) accident) *pipeline {
		tables, bucket := over(t, dynamo, o, meet), over(t, ministack, o, meet)
		return &pipeline{log: log, ledger: tables.Ledger("g"), realTime: tables.RealTime("g"), views: bucket.Views("g")}
	}
	// until repeats what fails, as a source or a scheduler does.
	until := func(what string, do func() error) {
		var err error
		for range 50 {
			if err = do(); err == nil {
				return
			}
		}
		t.Errorf("%s fails for good: %v", what, err)
	}
	var wg, sources sync.WaitGroup
	first := make(chan struct{})         // closed when the first version is published
	applied := make(chan struct{}, 1000) // a batch after that
	for _, s := range shards {
		sources.Go(func() {
			p := open(meet)
			for rest := p.events(t, s.ID); len(rest) > 0; {
				if len(rest) == 32 {
					<-first
				}
				n := min(len(rest), 4)
				until("applying a batch", func() error {
					return p.speed().Apply(ctx, protocol.Batch{Shard: s.ID, Events: rest[:n]})
				})
				if rest = rest[n:]; len(rest) < 32 {
					applied <- struct{}{}
				}
			}
		})
	}
	wg.Go(func() { sources.Wait(); close(applied) })
	wg.Go(func() {
		p := open(meet)
		begin := sync.OnceFunc(func() { close(first) })
		defer begin()
		for i := range 3 {
			until("a run", func() error {
				return p.run(ctx, t, fmt.Sprint("run", i), func() {
					begin()
					<-applied // what is behind the version's cut must stay
				})
			})
			until("an answer", func() error { return p.read(ctx, t) })
		}
	})
	wg.Go(func() {
		p := open(meet)
		for range 10 {
			if err := p.read(ctx, t); err != nil && ctx.Err() != nil {
				return
			}
		}
	})
	wg.Wait()
	clean := open(func(*http.Request, int) accident { return none })
	all := clean.count(t, func(string) protocol.Position { return protocol.Position{Seq: "999999999999"} })
	for i := range 2 { // before and after a run over everything
		a := &adder{views: clean.views}
		reader := &protocol.Reader{Log: log, Ledger: clean.ledger, RealTime: clean.realTime, Views: clean.views}
		if _, err := reader.Read(ctx, []protocol.Range{{View: "v", From: 0, To: 1}}, a); err != nil || !maps.Equal(a.counts, all) {
			t.Errorf("in the end the answer is %v (%v), want %v", a.counts, err, all)
		}
		if err := clean.run(ctx, t, fmt.Sprint("last", i), func() {}); err != nil {
			t.Fatal(err)
		}
	}
	page, err := clean.realTime.Query(ctx, "v", 0, 1, "")
	if err != nil || len(page.Items) > 0 {
		t.Errorf("after a version of everything %d items are left (%v)", len(page.Items), err)
	}
	if versions, err := clean.views.Versions(ctx); err != nil || len(versions) > 2 {
		t.Errorf("the versions are %v (%v), want the current one and one before", versions, err)
	}
}
