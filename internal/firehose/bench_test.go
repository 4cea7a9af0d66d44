package firehose_test

import (
	"fmt"
	"io"
	"log/slog"
	"testing"

	"github.com/watershed-data/watershed/examples/sales"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/firehose"
	"github.com/watershed-data/watershed/internal/memory"
	"github.com/watershed-data/watershed/internal/protocol"
)

// BenchmarkInvoke is the transform function from the payload to the answer: sales,
// 1,000 records in an invocation. It also says how long the answer is for each byte
// of the events, which bounds the buffer that Firehose may have.
func BenchmarkInvoke(b *testing.B) {
	def, err := definition.Load("../../examples/sales/pipeline.yaml")
	if err != nil {
		b.Fatal(err)
	}
	h, err := firehose.NewHandler(def, source{memory.NewLog(1)}, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		b.Fatal(err)
	}
	const n = 1000
	producer, bytes := sales.New(1), 0
	records := make([]record, n)
	for i := range records {
		e := protocol.Event{Position: protocol.Position{Seq: fmt.Sprintf("49590338271490256608559692538361571%021d", i)}, PartitionKey: fmt.Sprint(i), Arrival: 1_700_000_000_123}
		records[i] = record{fmt.Sprintf("4959033827149025660855969253836157%022d", i), producer.Next(), metadata(memory.ShardID(0), e, 0)}
		bytes += len(records[i].data)
	}
	payload, answer := invocation(b, records...), 0
	b.ReportAllocs()
	for b.Loop() {
		text, err := h.Invoke(b.Context(), payload)
		if err != nil {
			b.Fatal(err)
		}
		answer = len(text)
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(bytes)/n, "bytes/event")
	b.ReportMetric(float64(answer)/float64(bytes), "answer-bytes/byte")
}
