// Command performance measures a pipeline from the outside, as its users meet
// it: it starts `watershed run` on a free port with a data directory of its own,
// puts events through the Kinesis endpoint, asks over HTTP, and prints what it
// took. docs/performance.md says what the figures mean.
//
// It uses the command and its interfaces, and no package of the product, only the
// events of an example. Run it with `make perf`, from the repository's root, on a
// machine that does nothing else.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// limit is when the whole gives up. It takes a fraction of it.
const limit = 10 * time.Minute

// part is one thing that is measured, with pipelines of its own.
type part struct {
	name    string
	about   string
	measure func(ctx context.Context, b *bench) error
}

var parts = []part{
	{"throughput", "sales put as fast as they go, until the last is visible", measureThroughput},
	{"visible", "from the acknowledgement to the first answer that holds the events", measureVisible},
	{"query", "queries before and after a version, at rest and while events flow", measureQueries},
	{"batch", "batch runs and verify, over the flights and over sales", measureBatch},
}

// bench is one run of the program.
type bench struct {
	watershed string // the command
	dir       string // for data directories
	progress  io.Writer
	report    report
}

func main() {
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), "usage: performance [flags] [PART...]\n\nparts, all by default:\n")
		for _, p := range parts {
			fmt.Fprintf(flag.CommandLine.Output(), "  %-10s  %s\n", p.name, p.about)
		}
		fmt.Fprintf(flag.CommandLine.Output(), "\nflags:\n")
		flag.PrintDefaults()
	}
	watershed := flag.String("watershed", "bin/watershed", "the command to measure")
	asJSON := flag.Bool("json", false, "print JSON")
	flag.Parse()
	chosen, err := choose(flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "performance:", err)
		os.Exit(2)
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	b := &bench{watershed: *watershed, progress: os.Stderr}
	if err := b.run(ctx, chosen); err != nil {
		fmt.Fprintln(os.Stderr, "performance:", err)
		os.Exit(1)
	}
	write := b.report.writeTable
	if *asJSON {
		write = b.report.writeJSON
	}
	if err := write(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "performance: writing the figures:", err)
		os.Exit(1)
	}
}

// choose gives the named parts in the order of the program; no name is all.
func choose(names []string) ([]part, error) {
	var chosen []part
	for _, p := range parts {
		if len(names) == 0 || slices.Contains(names, p.name) {
			chosen = append(chosen, p)
		}
	}
	for _, name := range names {
		if !slices.ContainsFunc(parts, func(p part) bool { return p.name == name }) {
			var known []string
			for _, p := range parts {
				known = append(known, p.name)
			}
			return nil, fmt.Errorf("there is no part %q; write some of %s", name, strings.Join(known, ", "))
		}
	}
	return chosen, nil
}

func (b *bench) run(ctx context.Context, chosen []part) (err error) {
	if b.dir, err = os.MkdirTemp("", "watershed-performance-"); err != nil {
		return fmt.Errorf("making a data directory: %w", err)
	}
	defer os.RemoveAll(b.dir)
	b.report = report{Began: time.Now().UTC().Truncate(time.Second), Machine: describeMachine()}
	if err := b.measureSync(); err != nil {
		return err
	}
	for _, p := range chosen {
		fmt.Fprintf(b.progress, "%s: %s\n", p.name, p.about)
		if err := p.measure(ctx, b); err != nil {
			return fmt.Errorf("measuring %s: %w", p.name, err)
		}
	}
	return nil
}
