package speed_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"

	"github.com/watershed-data/watershed/examples/sales"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
	"github.com/watershed-data/watershed/internal/speed"
)

// BenchmarkFold folds batches of the size that a lone producer and a flood make.
func BenchmarkFold(b *testing.B) {
	for _, n := range []int{20, 5_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			folder, events := salesFolder(b, n)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := folder.Fold(context.Background(), "shardId-000000000000", events, protocol.Seen{}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)*float64(n)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkMerge merges a delta into an item, as every cell of a batch is.
func BenchmarkMerge(b *testing.B) {
	folder, events := salesFolder(b, 5_000)
	folded, err := folder.Fold(context.Background(), "shardId-000000000000", events, protocol.Seen{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		d := folded.Deltas[i%len(folded.Deltas)]
		if _, err := folder.Merge(d.Key.View, d.State, d.State); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

func salesFolder(b *testing.B, n int) (*speed.Folder, []protocol.Event) {
	def, err := definition.Load("../../examples/sales/pipeline.yaml")
	if err != nil {
		b.Fatal(err)
	}
	logic, err := rowlogic.New(def)
	if err != nil {
		b.Fatal(err)
	}
	producer := sales.New(1)
	events := make([]protocol.Event, n)
	for i := range events {
		events[i] = protocol.Event{
			Position:     protocol.Position{Seq: fmt.Sprintf("495%053d", i)},
			PartitionKey: strconv.Itoa(i),
			Arrival:      1_700_000_000_000 + int64(i),
			Data:         producer.Next(),
			Last:         true,
		}
	}
	return speed.NewFolder(def, logic), events
}
