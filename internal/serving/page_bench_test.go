package serving_test

import (
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/serving"
)

// BenchmarkPage reads a page of a view with a million keys, and says how much of
// the heap an answer is left with. The service holds 5,000 groups at most, so a
// page that needed all of them would fail.
func BenchmarkPage(b *testing.B) {
	def := parse(b, `
pipeline: wide
events: {format: json, columns: {id: {type: int}}}
views: {ids: {by: [id], every: none, measures: {n: count, s: sum(id)}}}
`)
	facts := make([]fact, 1_000_000)
	for i := range facts {
		facts[i] = fact{"id": whole(int64(i))}
	}
	w := newWorld(b, def, 1)
	w.commit("shardId-000000000000", protocol.Row{Epoch: 2, Through: at(1000), Count: 1, MaxArrival: now})
	w.items(rand.New(rand.NewPCG(1, 1)), "shardId-000000000000", 1, at(1000), facts[500_000:500_100])
	w.publish(facts, 1)
	facts = nil
	for _, order := range []string{"id", "-s"} {
		b.Run(strings.ReplaceAll("order "+order, " ", "="), func(b *testing.B) {
			s := w.service(serving.Limits{Groups: 5000})
			q := serving.Query{View: "ids", Limit: 1000}
			if order != "id" {
				q.Order = serving.ParseOrder([]string{order})
			}
			var a *serving.Answer
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			for b.Loop() {
				a = query(b, s, q)
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/1e6, "MB-held")
			runtime.KeepAlive(a)
		})
	}
	b.Run("order=id,all", func(b *testing.B) { // every page, one after the other
		s := w.service(serving.Limits{Groups: 250_000})
		for b.Loop() {
			rows := 0
			for q := (serving.Query{View: "ids", Limit: 100_000}); ; {
				a := query(b, s, q)
				if rows += a.Len(); a.Next == nil {
					break
				}
				q.Cursor = *a.Next
			}
			if rows != 1_000_000 {
				b.Fatalf("the pages have %d rows", rows)
			}
		}
	})
}
