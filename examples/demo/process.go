package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// startTimeout is how long a pipeline may take until its ready line.
const startTimeout = 30 * time.Second

// stopTimeout is how long a pipeline may drain after SIGTERM.
const stopTimeout = 15 * time.Second

// process is one `watershed run`, started anew after a kill with the same
// command line: the same data directory, the same address.
type process struct {
	args []string

	cmd    *exec.Cmd
	errors *tail
	exited chan struct{} // closed when cmd has ended
}

// start runs the command and returns its ready line.
func (p *process) start(ctx context.Context) (string, error) {
	p.cmd = exec.Command(p.args[0], p.args[1:]...)
	p.errors = &tail{}
	p.cmd.Stderr = p.errors
	// A group of its own: Ctrl-C is for the demo, which then drains the pipeline.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := p.cmd.Start(); err != nil {
		return "", err
	}
	ready := make(chan string, 1)
	p.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan struct{}) {
		lines := bufio.NewReader(out)
		if line, err := lines.ReadString('\n'); err == nil {
			ready <- strings.TrimSpace(line)
		}
		_, _ = io.Copy(io.Discard, lines)
		_ = cmd.Wait() // how it ended is told by what follows: the next request, or stop
		close(exited)
	}(p.cmd, p.exited)

	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	select {
	case line := <-ready:
		return line, nil
	case <-p.exited:
		return "", fmt.Errorf("it ended before it was ready: %s", p.errors)
	case <-ctx.Done():
		return "", errors.Join(fmt.Errorf("it was not ready in time: %s", p.errors), p.kill())
	}
}

// kill sends SIGKILL and waits for the end.
func (p *process) kill() error {
	err := p.cmd.Process.Kill()
	<-p.exited
	if errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("it had ended by itself: %s", p.errors)
	}
	return err
}

// stop drains the process with SIGTERM. It may be called when it has ended.
func (p *process) stop() error {
	select {
	case <-p.exited:
		return nil
	default:
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.exited:
	case <-time.After(stopTimeout):
		return errors.Join(fmt.Errorf("it did not drain within %s", stopTimeout), p.kill())
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("%s: %s", p.cmd.ProcessState, p.errors)
	}
	return nil
}

// freeAddress gives a loopback address that nothing listens on.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// tail keeps the end of what a process wrote to stderr.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailBytes = 4096

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if len(t.text) > tailBytes {
		t.text = append([]byte("..."), t.text[len(t.text)-tailBytes:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if text := bytes.TrimSpace(t.text); len(text) > 0 {
		return string(text)
	}
	return "it wrote nothing to stderr"
}
