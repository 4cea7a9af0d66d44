//go:build clients

package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	tables "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go/middleware"

	store "github.com/watershed-data/watershed/internal/aws"
	"github.com/watershed-data/watershed/internal/aws/awstest"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/memory"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
	"github.com/watershed-data/watershed/internal/speed"
	"github.com/watershed-data/watershed/internal/standin"
)

const counted = `
pipeline: shop
events:
  format: json
  columns:
    id: {type: string}
    k:  {type: string}
    n:  {type: int}
    at: {type: timestamp}
  time: at
  id: id
  dedupe_within: 15m
views:
  by_k: {by: [k], every: 1h, measures: {events: count, total: sum(n)}}
`

// BenchmarkDynamoDB counts what 1,000 events cost in DynamoDB: one view and the
// built-in one, with event ids. With few keys, events share cells; with many, each
// has a cell of its own.
func BenchmarkDynamoDB(b *testing.B) {
	url, stop, err := standin.DynamoDB()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(stop)
	for _, c := range []struct {
		keys  string
		of    func(n int) int // an event's key
		batch int
	}{
		{"few", func(n int) int { return n % 10 }, 1000},
		{"few", func(n int) int { return n % 10 }, 100},
		{"many", func(n int) int { return n }, 1000},
		{"many", func(n int) int { return n }, 100},
	} {
		b.Run(fmt.Sprintf("keys=%s/batch=%d", c.keys, c.batch), func(b *testing.B) {
			var meter meter
			layer, put := countedLayer(b, url, &meter)
			n := 0
			apply := func() {
				events := put(c.batch, func(i int) string {
					return fmt.Sprintf(`{"id":"%d","k":"key %d","n":%d,"at":"2026-11-23T01:00:00Z"}`, n+i, c.of(n+i), i)
				})
				if err := layer.Apply(context.Background(), protocol.Batch{Shard: memory.ShardID(0), Events: events}); err != nil {
					b.Fatal(err)
				}
				n += c.batch
			}
			apply() // the row, and cells that later events share
			meter.reset()
			n0 := n
			for b.Loop() {
				apply()
			}
			for what, value := range map[string]float64{"requests": float64(meter.requests), "write-units": meter.written, "read-units": meter.read} {
				b.ReportMetric(1000*value/float64(n-n0), what+"/1000-events")
			}
		})
	}
}

// countedLayer makes a speed layer on new tables, and a log in memory to put events
// into.
func countedLayer(b *testing.B, url string, m *meter) (*protocol.Speed, func(n int, event func(i int) string) []protocol.Event) {
	def, err := definition.Parse("pipeline.yaml", []byte(counted))
	if err != nil {
		b.Fatal(err)
	}
	logic, err := rowlogic.New(def)
	if err != nil {
		b.Fatal(err)
	}
	config := standin.Config(url)
	config.APIOptions = append(config.APIOptions, m.attach)
	of := rand.Text()
	o := store.Options{Items: "items-" + of, Ledger: "ledger-" + of, Master: "none", Views: "none", Logger: slog.New(slog.DiscardHandler)}
	awstest.MakeTables(b, standin.Config(url), o.Items, o.Ledger)
	s, err := store.Open(config, o)
	if err != nil {
		b.Fatal(err)
	}
	log := memory.NewLog(1)
	var read protocol.Position
	put := func(n int, event func(i int) string) []protocol.Event {
		for i := range n {
			log.Put(memory.ShardID(0), 1_763_900_000_000, false, protocol.Record{PartitionKey: fmt.Sprint(i), Data: []byte(event(i))})
		}
		page, err := log.Read(context.Background(), memory.ShardID(0), read, n)
		if err != nil {
			b.Fatal(err)
		}
		read = page.Events[len(page.Events)-1].Position
		return page.Events
	}
	return &protocol.Speed{
		Log: log, Ledger: s.Ledger("g"), RealTime: s.RealTime("g"), Folder: speed.NewFolder(def, logic), Now: func() int64 { return 1 },
	}, put
}

// meter adds up what requests consume, as DynamoDB says.
type meter struct {
	mu            sync.Mutex
	requests      int
	written, read float64
}

func (m *meter) reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests, m.written, m.read = 0, 0, 0
}

func (m *meter) attach(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("meter", m.handle), middleware.Before)
}

func (m *meter) handle(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
	switch p := in.Parameters.(type) {
	case *dynamodb.PutItemInput:
		p.ReturnConsumedCapacity = tables.ReturnConsumedCapacityTotal
	case *dynamodb.DeleteItemInput:
		p.ReturnConsumedCapacity = tables.ReturnConsumedCapacityTotal
	case *dynamodb.GetItemInput:
		p.ReturnConsumedCapacity = tables.ReturnConsumedCapacityTotal
	case *dynamodb.BatchGetItemInput:
		p.ReturnConsumedCapacity = tables.ReturnConsumedCapacityTotal
	case *dynamodb.QueryInput:
		p.ReturnConsumedCapacity = tables.ReturnConsumedCapacityTotal
	}
	out, metadata, err := next.HandleInitialize(ctx, in)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests++
	switch r := out.Result.(type) {
	case *dynamodb.PutItemOutput:
		m.written += units(r.ConsumedCapacity)
	case *dynamodb.DeleteItemOutput:
		m.written += units(r.ConsumedCapacity)
	case *dynamodb.GetItemOutput:
		m.read += units(r.ConsumedCapacity)
	case *dynamodb.QueryOutput:
		m.read += units(r.ConsumedCapacity)
	case *dynamodb.BatchGetItemOutput:
		for i := range r.ConsumedCapacity {
			m.read += units(&r.ConsumedCapacity[i])
		}
	}
	return out, metadata, err
}

func units(c *tables.ConsumedCapacity) float64 {
	if c == nil {
		return 0
	}
	return sdk.ToFloat64(c.CapacityUnits)
}
