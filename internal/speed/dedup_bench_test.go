package speed_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/memory"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
	"github.com/watershed-data/watershed/internal/speed"
)

const orders = `
pipeline: orders
events:
  format: json
  columns:
    order_id: {type: string}
    product:  {type: string}
    price:    {type: "decimal(12,2)"}
    sold_at:  {type: timestamp}
  time: sold_at
  id: order_id
clean:
  - set: {product: "lower(trim(product))"}
  - require: "price >= 0"
  - drop: "product == 'test'"
views:
  by_product: {by: [product], every: 1h, measures: {sales: count, revenue: sum(price), average: avg(price)}}
  takings: {by: [], every: 1m, measures: {sales: count, revenue: sum(price)}}
`

func ordersFolder(t testing.TB, id bool) *speed.Folder {
	text := orders
	if !id {
		text = strings.Replace(orders, "  id: order_id\n", "", 1)
	}
	def, err := definition.Parse("orders.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	logic, err := rowlogic.New(def)
	if err != nil {
		t.Fatal(err)
	}
	return speed.NewFolder(def, logic)
}

// flow makes batch after batch of orders, each with an id of its own, of which
// arrive as many within the dedup window and its slack as given.
type flow struct {
	events []protocol.Event
	n      int64
	step   int64 // microseconds between arrivals
}

func newFlow(batch, held int) *flow {
	f := &flow{events: make([]protocol.Event, batch), step: 75 * 60 * 1e6 / int64(held)}
	for i := range f.events {
		f.events[i] = protocol.Event{PartitionKey: strconv.Itoa(i), Last: true,
			Data: fmt.Appendf(nil, `{"order_id":"%012d","product":"product%d","price":%d.%02d,"sold_at":"2014-11-01 19:35:41.158"}`, 0, i%10, i%90, i%100)}
	}
	return f
}

func (f *flow) next() []protocol.Event {
	for i := range f.events {
		e := &f.events[i]
		f.n++
		digits := e.Data[len(`{"order_id":"`):][:12]
		for k, x := len(digits)-1, f.n; k >= 0; k, x = k-1, x/10 {
			digits[k] = byte('0' + x%10)
		}
		e.Arrival = 1_700_000_000_000 + f.n*f.step/1000
	}
	// What lies at the end names the batch.
	f.events[len(f.events)-1].Position = protocol.Position{Seq: fmt.Sprintf("495%053d", f.n)}
	return f.events
}

// BenchmarkDuplicates is what it costs the speed layer to find duplicates: the
// same batches without and with an event id, with a million ids remembered.
func BenchmarkDuplicates(b *testing.B) {
	const batch, held = 5_000, 1_000_000
	for _, id := range []bool{false, true} {
		b.Run(fmt.Sprintf("id=%v", id), func(b *testing.B) {
			folder, flow := ordersFolder(b, id), newFlow(batch, held)
			seen := protocol.Seen{Load: func(context.Context) ([]protocol.Segment, error) { return nil, nil }}
			fold := func() {
				events := flow.next()
				if _, err := folder.Fold(b.Context(), memory.ShardID(0), events, seen); err != nil {
					b.Fatal(err)
				}
				last := events[len(events)-1]
				seen.Through, seen.MaxArrival = last.Position, last.Arrival
			}
			for id && flow.n < held {
				fold()
			}
			b.ReportAllocs()
			for b.Loop() {
				fold()
			}
			b.ReportMetric(float64(b.N)*batch/b.Elapsed().Seconds(), "events/s")
		})
	}
}
