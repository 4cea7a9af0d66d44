// Command play plays histories and holds every answer against the oracle: any
// number of them, or one again that failed.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"github.com/watershed-data/watershed/internal/laws"
)

func main() {
	n := flag.Uint64("n", 10_000, "histories to play")
	seed := flag.Uint64("seed", 0, "seed of the first history; the others follow it")
	events := flag.Int("events", 0, "with -script: records, about")
	faults := flag.Int("faults", 0, "with -script: faults")
	layers := flag.Bool("layers", false, "play with the real layers, about 150 times as slow")
	steps := flag.Bool("steps", false, "play with the real layers and runs in steps, as slow")
	script := flag.String("script", "", "play this one history again and tell it step by step")
	flag.Parse()
	play, one := playProtocol, laws.Play
	switch {
	case *steps:
		play, one = playSteps, laws.PlayStepsAside
	case *layers:
		play, one = playLayers, laws.PlayLayersAside
	}
	if *script != "" {
		os.Exit(again(one, laws.Config{Events: *events, Faults: *faults}, *script))
	}
	os.Exit(many(*seed, *n, play))
}

// again tells one history.
func again(play laws.Player, c laws.Config, text string) int {
	script, err := laws.ParseScript(text)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	c.Script = script
	c.Trace = func(format string, args ...any) { fmt.Printf(format+"\n", args...) }
	if _, err := play(c); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("the laws hold")
	return 0
}

// playProtocol plays the history of a seed; one that fails is made small and told.
func playProtocol(seed uint64) (laws.Outcome, string) {
	c := laws.Seeded(seed)
	o, err := laws.Play(c)
	if err != nil {
		return o, fmt.Sprintf("seed %d: %v, made small:\n%s", seed, err, laws.Explain(c, o.Script))
	}
	return o, ""
}

// playLayers does so with the real layers.
func playLayers(seed uint64) (laws.Outcome, string) {
	c := laws.SeededLayers(seed)
	o, err := laws.PlayLayersAside(c)
	if err != nil {
		return o, fmt.Sprintf("seed %d: %v, made small:\n%s", seed, err, laws.ExplainLayers(c, o.Script))
	}
	return o, ""
}

// playSteps does so with runs in steps.
func playSteps(seed uint64) (laws.Outcome, string) {
	c := laws.SeededLayers(seed)
	o, err := laws.PlayStepsAside(c)
	if err != nil {
		return o, fmt.Sprintf("seed %d: %v, made small:\n%s", seed, err, laws.ExplainSteps(c, o.Script))
	}
	return o, ""
}

// many plays histories on all cores, until one fails.
func many(first, n uint64, play func(seed uint64) (laws.Outcome, string)) int {
	var next, done atomic.Uint64
	var mu sync.Mutex
	var sum laws.Outcome
	failed := make(chan string, runtime.GOMAXPROCS(0))
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for !stop.Load() {
				i := next.Add(1) - 1
				if i >= n {
					return
				}
				o, story := play(first + i)
				if story != "" {
					stop.Store(true)
					failed <- story
					return
				}
				mu.Lock()
				sum.Add(o)
				mu.Unlock()
				done.Add(1)
			}
		})
	}
	ended := make(chan struct{})
	go func() { wg.Wait(); close(ended) }()
	showProgress(&done, n, ended)
	select {
	case story := <-failed:
		fmt.Println(story)
		return 1
	default:
	}
	fmt.Printf("%d histories from seed %d: %d answers checked, none wrong; %d readings gave up with an error; %d versions published, %d computed both ways\n", n, first, sum.Answers, sum.Refused, sum.Published, sum.Compared)
	return 0
}

// showProgress draws a bar on a terminal until ended is closed.
func showProgress(done *atomic.Uint64, n uint64, ended <-chan struct{}) {
	if !term.IsTerminal(int(os.Stderr.Fd())) {
		<-ended
		return
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	start := time.Now()
	for {
		select {
		case <-ended:
			fmt.Fprint(os.Stderr, "\r\033[K")
			return
		case <-tick.C:
			d := done.Load()
			fmt.Fprintf(os.Stderr, "\r\033[K%d of %d histories, %.0f a second", d, n, float64(d)/time.Since(start).Seconds())
		}
	}
}
