package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/term"
)

// progress draws a bar of the input read, on a terminal only.
type progress struct {
	out   io.Writer // nil: no terminal
	total int64     // bytes; 0: unknown
	read  atomic.Int64

	stopping chan struct{}
	stopped  sync.WaitGroup
}

func newProgress(out io.Writer, total int64) *progress {
	p := &progress{total: total, stopping: make(chan struct{})}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.out = out
	}
	return p
}

// Write counts bytes of the input.
func (p *progress) Write(b []byte) (int, error) {
	p.read.Add(int64(len(b)))
	return len(b), nil
}

// start draws the bar until stop, with the number of events so far.
func (p *progress) start(events *atomic.Int64) {
	if p.out == nil {
		return
	}
	start := time.Now()
	p.stopped.Go(func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				fmt.Fprint(p.out, "\r"+p.line(events.Load(), time.Since(start))+"\x1b[K")
			case <-p.stopping:
				fmt.Fprint(p.out, "\r\x1b[K")
				return
			}
		}
	})
}

// stop takes the bar away.
func (p *progress) stop() {
	close(p.stopping)
	p.stopped.Wait()
}

// line is the bar, how much of the input is read, the events so far and how
// many a second.
func (p *progress) line(events int64, since time.Duration) string {
	rate := grouped(int64(float64(events) / since.Seconds()))
	counts := fmt.Sprintf("%s events  %s/s", grouped(events), rate)
	if p.total == 0 {
		return fmt.Sprintf("%s read  %s", size(p.read.Load()), counts)
	}
	done := part(p.read.Load(), p.total)
	return fmt.Sprintf("%s %3.0f%%  %s", bar(done), 100*done, counts)
}

// part is how much n is of all, from 0 to 1.
func part(n, all int64) float64 {
	if all <= 0 {
		return 0
	}
	return min(float64(n)/float64(all), 1)
}

// bar draws a part of a whole.
func bar(part float64) string {
	const width = 30
	full := int(part * width)
	return strings.Repeat("█", full) + strings.Repeat("░", width-full)
}

// size writes a number of bytes for people.
func size(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	case n < 1<<30:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}
