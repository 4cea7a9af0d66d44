package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// pipelineProcess is a `watershed run` of a test.
type pipelineProcess struct {
	cmd    *exec.Cmd
	url    string
	ready  string // the line it printed when it was ready
	errOut *lockedBuffer
	ended  chan struct{} // closed when the process has ended
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

var readyURL = regexp.MustCompile(`^ready: .*(http://\S+),`)

// startPipeline runs a pipeline on a free port and waits for its ready line.
func startPipeline(t *testing.T, definition, data string, more ...string) *pipelineProcess {
	t.Helper()
	args := append([]string{"run", definition, "--data", data, "--listen", "127.0.0.1:0"}, more...)
	p := &pipelineProcess{cmd: process(t.Context(), args...), errOut: &lockedBuffer{}, ended: make(chan struct{})}
	p.cmd.Stderr = p.errOut
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	go func() {
		_, _ = io.Copy(io.Discard, out)
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
	})
	found := readyURL.FindStringSubmatch(line)
	if err != nil || found == nil {
		_ = p.cmd.Process.Kill()
		<-p.ended
		t.Fatalf("no ready line but %q (%v); stderr: %s", line, err, p.errOut)
	}
	p.url, p.ready = found[1], line
	return p
}

// kill ends the process at once, as a power switch would.
func (p *pipelineProcess) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	<-p.ended
}

// stop ends the process as SIGTERM does, and wants it to end well.
func (p *pipelineProcess) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.ended:
	case <-time.After(time.Minute):
		t.Fatalf("SIGTERM did not end it; stderr: %s", p.errOut)
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Fatalf("it ended with %d; stderr: %s", code, p.errOut)
	}
}

// told runs a client command against the pipeline and gives what it printed and
// its exit code.
func (p *pipelineProcess) told(t *testing.T, args ...string) result {
	t.Helper()
	var out, errOut strings.Builder
	code := run(t.Context(), append(args, "--endpoint", p.url), strings.NewReader(""), &out, &errOut)
	return result{code, out.String(), errOut.String()}
}

// writeInto writes a file into a folder.
func writeInto(t *testing.T, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
