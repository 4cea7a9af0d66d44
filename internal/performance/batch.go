package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/watershed-data/watershed/examples/flights"
)

const (
	batchRuns  = 5
	batchSales = 500_000
)

// steps of a batch run, in their order.
var steps = []string{"seal", "wait", "compute", "publish", "discard"}

// measureBatch makes batch runs over the flights and over sales.
func measureBatch(ctx context.Context, b *bench) error {
	month, err := flights.Events()
	if err != nil {
		return fmt.Errorf("reading the flights: %w", err)
	}
	for _, of := range []struct {
		example  string
		events   [][]byte
		verifies int // how often
	}{
		{"flights", month, 3},
		{"sales", makeSales(batchSales), 1},
	} {
		_, err := b.with(ctx, of.example, func(p *pipeline) error {
			last, err := p.load(ctx, of.events)
			if err == nil {
				err = p.await(ctx, last)
			}
			if err != nil {
				return err
			}
			name := fmt.Sprintf("%d %s", len(of.events), of.example)
			if err := b.runBatches(ctx, p, name); err != nil {
				return err
			}
			return b.runVerify(ctx, p, name, of.verifies)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// runBatches makes runs over the same events. The first is told apart: it waits
// until the archive has written them.
func (b *bench) runBatches(ctx context.Context, p *pipeline, name string) error {
	took := map[string][]float64{}
	for i := range batchRuns + 1 {
		start := time.Now()
		seconds, err := p.batch(ctx)
		if err != nil {
			return err
		}
		total := float64(time.Since(start)) / float64(time.Millisecond)
		if i == 0 {
			b.report.add("batch", name+": first run", "ms", total)
			b.report.add("batch", name+": first run, of it waiting for the archive", "ms", 1000*seconds["wait"])
			continue
		}
		took[""] = append(took[""], total)
		for _, step := range steps {
			took[step] = append(took[step], 1000*seconds[step])
		}
	}
	b.report.add("batch", name+": run", "ms", took[""]...)
	for _, step := range steps {
		b.report.add("batch", name+": run, of it "+step, "ms", took[step]...)
	}
	return nil
}

// batch makes one full run and gives the seconds of each step.
func (p *pipeline) batch(ctx context.Context) (map[string]float64, error) {
	body, err := p.do(ctx, http.MethodPost, "/v1/batch?full=true")
	if err != nil {
		return nil, err
	}
	var report struct {
		Seconds map[string]float64 `json:"seconds"`
	}
	if err := json.Unmarshal(body, &report); err != nil {
		return nil, fmt.Errorf("decoding the report of a batch run: %w", err)
	}
	return report.Seconds, nil
}

func (b *bench) runVerify(ctx context.Context, p *pipeline, name string, times int) error {
	var took []time.Duration
	var cells int64
	for range times {
		start := time.Now()
		body, err := p.do(ctx, http.MethodGet, "/v1/verify")
		if err != nil {
			return err
		}
		took = append(took, time.Since(start))
		var result struct {
			Equal bool  `json:"equal"`
			Cells int64 `json:"cells"`
		}
		if err := json.Unmarshal(body, &result); err != nil {
			return fmt.Errorf("decoding the result of verify: %w", err)
		}
		if !result.Equal {
			return fmt.Errorf("verifying %s: the merged answer is not what a recompute gives", name)
		}
		cells = result.Cells
	}
	b.report.addTimes("batch", fmt.Sprintf("%s: verify, %d cells", name, cells), took...)
	return nil
}
