package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	startTimeout = 30 * time.Second // until the ready line
	stopTimeout  = 30 * time.Second // to drain after SIGTERM
)

// child is one `watershed run`.
type child struct {
	*pipeline
	cmd    *exec.Cmd
	stderr bytes.Buffer
	exited chan struct{} // closed when cmd has ended
}

// start runs the pipeline of an example, on a free port and a new data directory.
func (b *bench) start(ctx context.Context, example string) (*child, error) {
	data := filepath.Join(b.dir, fmt.Sprintf("%s-%d", example, time.Now().UnixNano()))
	definition := filepath.Join("examples", example, "pipeline.yaml")
	c := &child{
		cmd:    exec.Command(b.watershed, "run", definition, "--data", data, "--listen", "127.0.0.1:0"),
		exited: make(chan struct{}),
	}
	c.cmd.Stderr = &c.stderr
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", example, err)
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", example, err)
	}
	ready := make(chan string, 1)
	go func() {
		defer close(c.exited)
		lines := bufio.NewReader(out)
		line, _ := lines.ReadString('\n') // without a line, the end of the process is what counts
		ready <- line
		_, _ = io.Copy(io.Discard, lines)
		_ = c.cmd.Wait() // how it ended is in ProcessState
	}()
	select {
	case line := <-ready:
		if c.pipeline = newPipeline(example, endpoint(line)); c.pipeline != nil {
			return c, nil
		}
		err = fmt.Errorf("it says %q where a ready line belongs", line)
	case <-time.After(startTimeout):
		err = fmt.Errorf("it was not ready within %s", startTimeout)
	case <-ctx.Done():
		err = ctx.Err()
	}
	c.kill()
	return nil, fmt.Errorf("starting %s: %w; %s", example, err, bytes.TrimSpace(c.stderr.Bytes()))
}

// endpoint finds the address in a ready line; "" if there is none.
func endpoint(line string) string {
	for _, word := range strings.Fields(line) {
		if strings.HasPrefix(word, "http://") {
			return strings.TrimRight(word, ",")
		}
	}
	return ""
}

func (c *child) kill() {
	_ = c.cmd.Process.Kill() // an error says that it has ended
	<-c.exited
}

// stop drains the pipeline and gives the CPU time that it took in its life.
func (c *child) stop() (time.Duration, error) {
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // an error says that it has ended
	select {
	case <-c.exited:
	case <-time.After(stopTimeout):
		c.kill()
		return 0, fmt.Errorf("stopping %s: it did not drain within %s", c.name, stopTimeout)
	}
	state := c.cmd.ProcessState
	if !state.Success() {
		return 0, fmt.Errorf("stopping %s: %s; %s", c.name, state, bytes.TrimSpace(c.stderr.Bytes()))
	}
	return state.UserTime() + state.SystemTime(), nil
}

// with runs do against a pipeline of an example and stops the pipeline.
func (b *bench) with(ctx context.Context, example string, do func(p *pipeline) error) (cpu time.Duration, err error) {
	c, err := b.start(ctx, example)
	if err != nil {
		return 0, err
	}
	defer func() {
		used, stopped := c.stop()
		cpu, err = used, errors.Join(err, stopped)
	}()
	return 0, do(c.pipeline)
}
