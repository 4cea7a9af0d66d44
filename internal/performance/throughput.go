package main

import (
	"context"
	"fmt"
	"syscall"
	"time"
)

const (
	throughputRuns   = 3
	throughputSales  = 500_000
	throughputRounds = 3 // of the same sales, so that the archive has its turn, ten seconds after the start
	throughputEvents = throughputRounds * throughputSales
)

// measureThroughput puts sales as fast as they go, into a new pipeline each
// time. The sender runs on the same cores.
func measureThroughput(ctx context.Context, b *bench) error {
	events := makeSales(throughputSales)
	var acknowledged, visible, pipelineCPU, senderCPU []float64
	for range throughputRuns {
		cpu, err := b.with(ctx, "sales", func(p *pipeline) error {
			before, start := ownCPU(), time.Now()
			var last positions // of the last round, so after all others
			for range throughputRounds {
				var err error
				if last, err = p.load(ctx, events); err != nil {
					return err
				}
			}
			acknowledged = append(acknowledged, throughputEvents/time.Since(start).Seconds())
			if err := p.await(ctx, last); err != nil {
				return err
			}
			visible = append(visible, throughputEvents/time.Since(start).Seconds())
			senderCPU = append(senderCPU, perEvent(ownCPU()-before))
			return nil
		})
		if err != nil {
			return err
		}
		pipelineCPU = append(pipelineCPU, perEvent(cpu))
	}
	name := fmt.Sprintf("%d sales", throughputEvents)
	b.report.add("throughput", name+" until all are visible", "events/s", visible...)
	b.report.add("throughput", name+" until all are acknowledged", "events/s", acknowledged...)
	b.report.add("throughput", "CPU time of the pipeline per event", "µs", pipelineCPU...)
	b.report.add("throughput", "CPU time of the sender per event", "µs", senderCPU...)
	return nil
}

// perEvent gives the share of one event, in microseconds.
func perEvent(cpu time.Duration) float64 {
	return float64(cpu) / float64(time.Microsecond) / throughputEvents
}

// ownCPU is the CPU time that this process has taken.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
