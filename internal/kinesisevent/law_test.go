package kinesisevent_test

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"iter"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/kinesisevent"
	"github.com/watershed-data/watershed/internal/kpl"
	"github.com/watershed-data/watershed/internal/memory"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
	"github.com/watershed-data/watershed/internal/serving"
	"github.com/watershed-data/watershed/internal/speed"
	"github.com/watershed-data/watershed/internal/verify"
)

const orders = `
pipeline: orders
events:
  format: json
  columns:
    id: {type: string, optional: true}
    k:  {type: string}
    n:  {type: int}
    at: {type: timestamp}
  time: at
  id: id
  dedupe_within: 3s
clean:
  - require: "n >= 0"
  - drop: "k == 'drop'"
views:
  by_k:  {by: [k], every: 1m, measures: {events: count, total: sum(n), kinds: "distinct(id, 16)"}}
  total: {by: [], every: none, measures: {events: count, mean: avg(n)}}
`

// TestHistoriesThroughTheHandler plays what an event source does to a function:
// batches come late, twice, with other bounds, while older invocations still run or
// have died between any two operations of a store, before parents are through, and
// while shards split and merge. At every moment the answer is the oracle's.
func TestHistoriesThroughTheHandler(t *testing.T) {
	t.Parallel()
	refused, died, waited := 0, 0, 0
	for seed := range uint64(40) {
		h := newHistory(t, seed)
		h.play()
		refused, died, waited = refused+h.refused, died+h.died, waited+h.waited
	}
	if refused == 0 || died < 20 || waited == 0 {
		t.Errorf("of the invocations, %d failed, %d died, and %d came before their ancestors: that shows too little", refused, died, waited)
	}
}

// history is a stream, its event source, and the function's invocations.
type history struct {
	t      *testing.T
	seed   uint64
	random *rand.Rand
	def    *definition.Definition
	logic  *rowlogic.Logic
	log    *memory.Log
	ledger *memory.Ledger
	items  *memory.RealTime

	open    []string
	shards  []string
	records map[string][]sent
	done    map[string]int // of a shard's records, as the event source knows it
	running []*invocation
	now     int64
	events  int

	refused, died, waited int
}

// invocation is one run of the function. Between any two operations of a store it
// stands still until it is chosen again.
type invocation struct {
	shard string
	end   int // of its records
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool
	dead  bool
	err   error
}

func newHistory(t *testing.T, seed uint64) *history {
	def, err := definition.Parse("orders.yaml", []byte(orders))
	if err != nil {
		t.Fatal(err)
	}
	logic, err := rowlogic.New(def)
	if err != nil {
		t.Fatal(err)
	}
	return &history{
		t: t, seed: seed, random: rand.New(rand.NewPCG(seed, 6)), def: def, logic: logic,
		log: memory.NewLog(2), ledger: memory.NewLedger(), items: memory.NewRealTime(),
		open: []string{memory.ShardID(0), memory.ShardID(1)}, shards: []string{memory.ShardID(0), memory.ShardID(1)},
		records: map[string][]sent{}, done: map[string]int{}, now: 1_700_000_000_000,
	}
}

func (h *history) play() {
	for range 300 {
		switch n := h.random.IntN(100); {
		case n < 15:
			h.put()
		case n < 17 && len(h.shards) < 8:
			h.reshard()
		case n < 30:
			h.invoke(h.random.IntN(3) == 0)
		case n < 32:
			h.compare()
		default:
			h.step()
		}
	}
	for round := 0; h.behind(); round++ { // now the event source is fair
		if round > 1000 {
			h.t.Fatalf("seed %d: the event source does not get on", h.seed)
		}
		h.invoke(false)
		for len(h.running) > 0 {
			h.step()
		}
	}
	if got := h.compare(); got != h.events {
		h.t.Fatalf("seed %d: at rest, %d of %d events are committed", h.seed, got, h.events)
	}
}

// put appends a record to the shard where it belongs, or to any other.
func (h *history) put() {
	h.now += int64(h.random.IntN(2500))
	r := sent{key: fmt.Sprint("p", h.random.IntN(4)), arrival: h.now - int64(h.random.IntN(1500))}
	shard := h.home(r.key)
	if h.random.IntN(10) == 0 {
		shard = h.open[h.random.IntN(len(h.open))]
	}
	r.aggregated = h.random.IntN(3) == 0
	n := 1
	if r.aggregated {
		n += h.random.IntN(3)
	}
	var stored []protocol.Record
	for i := range n {
		e := kpl.Record{PartitionKey: r.key, Data: h.event()}
		if i > 0 && h.random.IntN(3) == 0 {
			e.PartitionKey = fmt.Sprint("p", h.random.IntN(4))
		}
		r.events = append(r.events, e)
		stored = append(stored, protocol.Record{PartitionKey: e.PartitionKey, Data: e.Data})
	}
	if r.aggregated {
		r.key = "a" // what is outside of an aggregate says nothing of its events
	}
	r.seq = h.log.Put(shard, r.arrival, r.aggregated, stored...)
	h.records[shard] = append(h.records[shard], r)
	h.events += n
}

func (h *history) home(key string) string {
	sum := md5.Sum([]byte(key))
	at := new(big.Int).SetBytes(sum[:])
	shards, _ := h.log.Shards(context.Background())
	for _, s := range shards {
		from, _ := new(big.Int).SetString(s.HashFrom, 10)
		to, _ := new(big.Int).SetString(s.HashTo, 10)
		if slices.Contains(h.open, s.ID) && at.Cmp(from) >= 0 && at.Cmp(to) <= 0 {
			return s.ID
		}
	}
	panic("the open shards leave a hole")
}

func (h *history) event() []byte {
	if h.random.IntN(8) == 0 {
		return []byte(`{"n":`)
	}
	return fmt.Appendf(nil, `{"id":"i%d","k":%q,"n":%d,"at":"2014-11-02T04:59:%02dZ"}`,
		h.random.IntN(4), []string{"a", "b", "drop"}[h.random.IntN(3)], h.random.IntN(9)-1, h.random.IntN(60))
}

// reshard merges the two open shards, or splits one of them.
func (h *history) reshard() {
	parents, children := h.open, 1
	if len(h.open) != 2 || h.random.IntN(2) == 0 {
		i := h.random.IntN(len(h.open))
		parents, children = h.open[i:i+1], 2
	}
	parents = slices.Clone(parents) // the deletion moves what lies under it
	opened := h.log.Reshard(parents, children)
	h.open = slices.DeleteFunc(h.open, func(id string) bool { return slices.Contains(parents, id) })
	h.open = append(h.open, opened...)
	h.shards = append(h.shards, opened...)
}

func (h *history) behind() bool {
	for _, s := range h.shards {
		if h.done[s] < len(h.records[s]) {
			return true
		}
	}
	return false
}

// invoke hands over records of a shard from where the event source stands, or
// once more from before.
func (h *history) invoke(again bool) {
	shard := h.shards[h.random.IntN(len(h.shards))]
	from := h.done[shard]
	if again {
		from = h.random.IntN(from + 1)
	}
	left := len(h.records[shard]) - from
	if left == 0 {
		return
	}
	end := from + 1 + h.random.IntN(min(left, 5))
	text := payload(h.t, shard, h.records[shard][from:end]...)
	inv := &invocation{shard: shard, end: end}
	s := stores{h: h, inv: inv}
	log := logStore{h.log, s}
	handler := &kinesisevent.Handler{
		Ranges: &protocol.HashRanges{Log: log},
		Speed: &protocol.Speed{Log: log, Ledger: ledgerStore{h.ledger, s}, RealTime: itemStore{h.items, s},
			Folder: speed.NewFolder(h.def, h.logic), Now: func() int64 { return h.now }},
	}
	inv.next, inv.stop = iter.Pull(func(yield func(struct{}) bool) {
		inv.yield = yield
		_, inv.err = handler.Invoke(context.Background(), text)
	})
	h.running = append(h.running, inv)
	h.t.Cleanup(inv.stop)
}

// step lets one invocation go on for one operation.
func (h *history) step() {
	if len(h.running) == 0 {
		return
	}
	i := h.random.IntN(len(h.running))
	inv := h.running[i]
	if _, more := inv.next(); more {
		return
	}
	h.running = slices.Delete(h.running, i, i+1)
	switch {
	case inv.dead:
		h.died++
	case inv.err == nil:
		h.done[inv.shard] = max(h.done[inv.shard], inv.end)
	case errors.Is(inv.err, protocol.ErrNotYet):
		h.waited++
	case errors.Is(inv.err, protocol.ErrGap), errors.Is(inv.err, protocol.ErrBusy):
		h.refused++
	default:
		h.t.Fatalf("seed %d: %v", h.seed, inv.err)
	}
	if inv.dead || inv.err != nil {
		h.refused++
	}
}

// compare holds every cell of the merged answer against the oracle, and gives how
// many events it holds.
func (h *history) compare() int {
	reader := &protocol.Reader{Log: h.log, Ledger: h.ledger, RealTime: h.items, Views: memory.NewViews()}
	service := serving.New(h.def, reader, func() int64 { return h.now }, serving.Limits{})
	defer service.Close()
	result, err := verify.Run(h.t.Context(), verify.Options{Def: h.def, Service: service, Log: h.log, Master: memory.NewMaster()})
	if err != nil {
		h.t.Fatalf("seed %d: %v", h.seed, err)
	}
	if !result.Equal {
		var b strings.Builder
		_ = result.WriteTable(&b)
		h.t.Fatalf("seed %d:\n%s", h.seed, b.String())
	}
	return int(result.Events)
}
