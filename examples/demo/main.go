// Command demo shows Watershed at work, from the outside: it starts `watershed
// run` for two pipelines, replays events through the Kinesis endpoint, publishes
// versions while events keep flowing, kills one pipeline with SIGKILL and starts
// it again, and compares every merged answer with a recompute from scratch.
//
// It uses the command and its HTTP interface, and no package of the product.
// Run it with `make demo`, from the repository's root.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// limit is when the demo gives up. It takes a fraction of it.
const limit = 3 * time.Minute

func main() {
	keep := flag.Bool("keep", false, "keep the data directory at the end")
	watershed := flag.String("watershed", "bin/watershed", "the command")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "usage: demo [--keep] [--watershed PATH]")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	d := &demo{terminal: newTerminal(os.Stdout), watershed: *watershed, keep: *keep, began: time.Now()}
	err := d.run(ctx)
	if errors.Is(ctx.Err(), context.Canceled) {
		err = errors.New("interrupted")
	}
	if err != nil {
		d.say("")
		fmt.Fprintln(os.Stderr, d.paint(red, "demo: ")+err.Error())
		if d.keep {
			fmt.Fprintln(os.Stderr, "the data is in "+d.dir)
		}
		os.Exit(1)
	}
}

// demo is one run of the demo.
type demo struct {
	*terminal
	watershed string
	keep      bool
	began     time.Time
	dir       string
	pipelines []*pipeline
}

func (d *demo) run(ctx context.Context) (err error) {
	if d.dir, err = os.MkdirTemp("", "watershed-demo-"); err != nil {
		return fmt.Errorf("making a data directory: %w", err)
	}
	defer func() { err = errors.Join(err, d.end()) }()

	d.say("%s", d.paint(bold, "Watershed: two pipelines, one SIGKILL, and every answer checked"))
	if err := d.start(ctx); err != nil {
		return err
	}
	for _, p := range d.pipelines {
		if err := d.replay(ctx, p); err != nil {
			return fmt.Errorf("replaying %s: %w", p.name, err)
		}
	}
	for _, p := range d.pipelines {
		if err := d.ask(ctx, p); err != nil {
			return fmt.Errorf("asking %s: %w", p.name, err)
		}
	}
	if err := d.verify(ctx); err != nil {
		return err
	}
	d.explore()
	return nil
}

// start runs the pipelines.
func (d *demo) start(ctx context.Context) error {
	d.heading("Two pipelines start")
	for _, s := range scenarios {
		p, ready, err := s.start(ctx, d.watershed, d.dir)
		if err != nil {
			return err
		}
		d.pipelines = append(d.pipelines, p)
		d.say("  %-8s %s", p.name, d.paint(faint, strings.Join(p.process.args, " ")))
		d.say("           %s", ready)
	}
	return nil
}

// end stops what the demo started and removes the data, unless it is to be kept.
func (d *demo) end() error {
	var problems []error
	for _, p := range d.pipelines {
		if err := p.process.stop(); err != nil {
			problems = append(problems, fmt.Errorf("stopping %s: %w", p.name, err))
		}
	}
	if !d.keep {
		problems = append(problems, os.RemoveAll(d.dir))
	}
	return errors.Join(problems...)
}

// explore says how to go on.
func (d *demo) explore() {
	d.heading("Explore further")
	if !d.keep {
		d.say("  The data is removed now. To keep it and go on with it:")
		d.say("  make demo ARGS=--keep")
		return
	}
	p := d.pipelines[len(d.pipelines)-1]
	d.say("  The data is in %s. Start a pipeline on it again:", d.dir)
	d.say("  %s run %s --data %s", d.watershed, p.definition, p.data)
	d.say("  and ask it, in another terminal:")
	for _, command := range []string{
		"query delays_by_day --order -cancelled --limit 5",
		"query routes --by origin --every 1d --limit 9",
		"query ws_outcomes",
		"status",
		"verify",
	} {
		d.say("  %s %s", d.watershed, command)
	}
}
