package kinesisevent_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/watershed-data/watershed/examples/sales"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/kinesisevent"
	"github.com/watershed-data/watershed/internal/kpl"
	"github.com/watershed-data/watershed/internal/memory"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
	"github.com/watershed-data/watershed/internal/speed"
)

const (
	batchRecords = 1000
	batches      = 50
)

// BenchmarkInvoke is the speed function from the payload to the commit, with ports
// in memory: sales, one event in a record, 1,000 records in an invocation. The rate
// is records a second.
func BenchmarkInvoke(b *testing.B) {
	def, err := definition.Load("../../examples/sales/pipeline.yaml")
	if err != nil {
		b.Fatal(err)
	}
	logic, err := rowlogic.New(def)
	if err != nil {
		b.Fatal(err)
	}
	log, payloads := salesStream(b)
	for _, c := range []struct {
		name  string
		speed func() kinesisevent.Speed
	}{
		{"decode", func() kinesisevent.Speed { return &recorder{} }},
		{"apply", func() kinesisevent.Speed {
			return &protocol.Speed{Log: log, Ledger: memory.NewLedger(), RealTime: memory.NewRealTime(),
				Folder: speed.NewFolder(def, logic), Now: func() int64 { return 0 }}
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			var h *kinesisevent.Handler
			for b.Loop() {
				if n%batches == 0 { // from the beginning of the stream again
					h = &kinesisevent.Handler{Speed: c.speed(), Ranges: &protocol.HashRanges{Log: log}}
				}
				if _, err := h.Invoke(context.Background(), payloads[n%batches]); err != nil {
					b.Fatal(err)
				}
				n++
			}
			b.ReportMetric(float64(n)*batchRecords/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// tip is a log that is read only where a batch begins: a store in memory would copy
// what nobody asked for.
type tip struct {
	*memory.Log
	events map[protocol.Position]protocol.Event // by the position before
}

func (l tip) Read(_ context.Context, _ string, after protocol.Position, _ int) (page protocol.Page, err error) {
	if e, ok := l.events[after]; ok {
		page.Events = []protocol.Event{e}
	}
	return page, nil
}

func salesStream(b *testing.B) (tip, [][]byte) {
	log := tip{memory.NewLog(1), map[protocol.Position]protocol.Event{}}
	producer := sales.New(1)
	var last protocol.Position
	payloads := make([][]byte, batches)
	for n := range payloads {
		records := make([]sent, batchRecords)
		for i := range records {
			seq := fmt.Sprintf("495903382714902566085596925383615710959%017d", n*batchRecords+i)
			records[i] = sent{seq: seq, key: fmt.Sprint(i), arrival: 1_700_000_000_123 + int64(i), events: []kpl.Record{{Data: producer.Next()}}}
			at := protocol.Position{Seq: seq}
			log.events[last] = protocol.Event{Position: at}
			last = at
		}
		payloads[n] = payload(b, memory.ShardID(0), records...)
	}
	return log, payloads
}
