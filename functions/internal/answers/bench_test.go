//go:build clients

package answers_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
)

// BenchmarkPointQuery is one hour of one product, out of a version of 200,000 cells and
// a thousand real-time items, asked as API Gateway asks. It tells the median and the
// 99th percentile, the same without the time in which requests are under way, the CPU time of this process, how many requests the stand-ins get for
// a query, and which part of the time at least one of them is under way: what is theirs,
// with the loopback.
func BenchmarkPointQuery(b *testing.B) {
	clock := &stopwatch{client: router{&http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}}
	w := newWorld(b, clock)
	if err := w.store.Adopt(b.Context(), w.def.Generation); err != nil {
		b.Fatal(err)
	}
	var old, fresh []cell
	for hour := range int64(400) {
		for product := range 500 {
			old = append(old, cell{hour, fmt.Sprintf("product%03d", product)})
		}
	}
	w.sell(first, cell{0, "product000"})
	w.publish(old...)
	for i := range 1000 {
		fresh = append(fresh, cell{int64(300 + i%100), fmt.Sprintf("product%03d", i%500)})
	}
	w.sell(first, fresh[:500]...)
	w.sell(second, fresh[500:]...)
	target := func(i int) string {
		from := time.Unix(int64(i%400)*3600, 0).UTC()
		return fmt.Sprintf("/v1/query?view=sales&from=%s&to=%s&where=product%%20%%3D%%3D%%20'product%03d'",
			from.Format(time.RFC3339), from.Add(time.Hour).Format(time.RFC3339), i%500)
	}
	for i := range 50 {
		w.ask("GET", target(i*7))
	}
	var took, own []time.Duration
	clock.reset()
	i, cpu := 0, cpuTime(b)
	for b.Loop() {
		i++
		began, busy := time.Now(), clock.busy
		if out := w.ask("GET", target(i*13)); out.StatusCode != http.StatusOK {
			b.Fatal(out.StatusCode, out.Body)
		}
		took = append(took, time.Since(began))
		own = append(own, took[len(took)-1]-(clock.busy-busy))
	}
	slices.Sort(took)
	slices.Sort(own)
	var all time.Duration
	for _, d := range took {
		all += d
	}
	b.ReportMetric(took[len(took)/2].Seconds()*1e3, "p50-ms")
	b.ReportMetric(took[len(took)*99/100].Seconds()*1e3, "p99-ms")
	b.ReportMetric(own[len(own)/2].Seconds()*1e3, "own-p50-ms")
	b.ReportMetric(own[len(own)*99/100].Seconds()*1e3, "own-p99-ms")
	b.ReportMetric((cpuTime(b)-cpu).Seconds()*1e3/float64(i), "cpu-ms/op")
	b.ReportMetric(float64(clock.requests)/float64(i), "requests/op")
	b.ReportMetric(100*clock.busy.Seconds()/all.Seconds(), "%stand-ins")
}

// cpuTime is what this process used so far.
func cpuTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// stopwatch measures for how long requests are under way.
type stopwatch struct {
	client   sdk.HTTPClient
	mu       sync.Mutex
	underWay int
	since    time.Time
	busy     time.Duration
	requests int
}

func (s *stopwatch) reset() { s.busy, s.requests = 0, 0 }

func (s *stopwatch) Do(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	if s.underWay++; s.underWay == 1 {
		s.since = time.Now()
	}
	s.requests++
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.underWay--; s.underWay == 0 {
			s.busy += time.Since(s.since)
		}
	}()
	return s.client.Do(r)
}
