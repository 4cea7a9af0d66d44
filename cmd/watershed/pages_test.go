package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what the commands of the pages print into the pages")

// Readers follow a page from top to bottom and get what it shows. With -update the
// pages are brought up to date:
//
//	go test ./cmd/watershed -run Pages -update
func TestPages(t *testing.T) {
	t.Parallel()
	for name, pages := range map[string][]string{
		"readme":     {"README.md"},
		"quickstart": {"docs/quickstart.md"},
		"sales":      {"examples/sales/README.md"},
		"flights":    {"examples/flights/README.md", "docs/query.md"},
		"rides":      {"examples/rides/README.md"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNewcomer(t)
			for _, page := range pages {
				n.follow(t, page)
			}
		})
	}
}

// root is the top of the repository, in which the pages' commands are given.
const root = "../.."

// newcomer follows pages in a working directory of its own.
type newcomer struct {
	dir      string           // stands for the repository
	tmp      string           // stands for /tmp
	pipeline *pipelineProcess // the last one that a page told it to run
}

// newNewcomer makes a working directory with what the commands need: the examples,
// the command, and go.mod for `go run`.
func newNewcomer(t *testing.T) *newcomer {
	t.Helper()
	n := &newcomer{dir: t.TempDir(), tmp: t.TempDir()}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	module, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		os.CopyFS(filepath.Join(n.dir, "examples"), os.DirFS(filepath.Join(root, "examples"))),
		os.WriteFile(filepath.Join(n.dir, "go.mod"), module, 0o600),
		os.Mkdir(filepath.Join(n.dir, "bin"), 0o700),
		os.Symlink(self, filepath.Join(n.dir, "bin", "watershed")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// follow does what a page says, in its order.
func (n *newcomer) follow(t *testing.T, page string) {
	t.Helper()
	path := filepath.Join(root, page)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	steps := stepsOf(lines)
	if len(steps) == 0 {
		t.Fatalf("%s has no commands", page)
	}
	for i := len(steps) - 1; i >= 0; i-- {
		steps[i].place = fmt.Sprintf("%s:%d: %s", page, steps[i].line+1, steps[i].command)
	}
	stale := false
	for i := range steps {
		s := &steps[i]
		got := n.do(t, s)
		if s.compared && !s.shows(got) {
			stale = true
			s.output = linesOf(got)
			if !*update {
				t.Errorf("%s\nprints\n%s\nand the page says\n%s", s.place, got, strings.Join(lines[s.line+1:s.end], "\n"))
			}
		}
	}
	if stale && *update {
		if err := os.WriteFile(path, []byte(strings.Join(rewritten(lines, steps), "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// do gives a command as a shell would and returns what it prints.
func (n *newcomer) do(t *testing.T, s *step) string {
	t.Helper()
	command := strings.ReplaceAll(s.command, "/tmp/", n.tmp+"/")
	if words := strings.Fields(command); len(words) > 4 && words[1] == "run" && words[3] == "--data" {
		return n.run(t, words[2], words[4])
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", command)
	cmd.Dir = n.dir
	cmd.Env = append(os.Environ(), asCommand+"=1", "PATH="+filepath.Join(n.dir, "bin")+string(filepath.ListSeparator)+os.Getenv("PATH"))
	if n.pipeline != nil {
		cmd.Env = append(cmd.Env, "WATERSHED_ENDPOINT="+n.pipeline.url)
	}
	var out bytes.Buffer // as a terminal shows it
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if failure := new(exec.ExitError); err != nil && !errors.As(err, &failure) {
		t.Fatalf("%s: %v", s.place, err)
	}
	if (err != nil) != s.fails() {
		t.Fatalf("%s: %v\n%s", s.place, err, &out)
	}
	n.rest(t)
	return strings.ReplaceAll(out.String(), n.tmp+"/", "/tmp/")
}

// run starts a pipeline, after stopping the one before, as two cannot listen at one
// address, and returns its ready line.
func (n *newcomer) run(t *testing.T, definition, data string) string {
	t.Helper()
	if !filepath.IsAbs(definition) {
		definition = filepath.Join(n.dir, definition)
	}
	if n.pipeline != nil {
		n.pipeline.stop(t)
	}
	n.pipeline = startPipeline(t, definition, data)
	n.rest(t)
	return strings.ReplaceAll(n.pipeline.ready, n.tmp+"/", "/tmp/")
}

// rest waits until the pipeline has nothing more to do: a reader is slower.
func (n *newcomer) rest(t *testing.T) {
	t.Helper()
	if n.pipeline != nil {
		waitForTip(t, n.pipeline)
		waitForChange(t, n.pipeline)
	}
}

// step is a command of a page. In a `sh` block every line is one, and what they
// print is not shown. In a `console` block lines that begin with "$ " are commands,
// and what they print follows.
type step struct {
	line     int // of the command, from 0
	end      int // the line behind its output
	command  string
	compared bool
	output   []string
	place    string // for messages
}

// stepsOf finds the commands of a page. The builds it tells of are done: the test
// binary is the command.
func stepsOf(lines []string) (steps []step) {
	block := ""
	for i, line := range lines {
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence:
			block = fence
		case block == "sh" && line != "" && !strings.HasPrefix(line, "make "):
			steps = append(steps, step{line: i, end: i + 1, command: line})
		case block == "console" && strings.HasPrefix(line, "$ "):
			steps = append(steps, step{line: i, end: i + 1, command: line[2:], compared: true})
		case block == "console" && len(steps) > 0:
			s := &steps[len(steps)-1]
			s.output, s.end = append(s.output, line), i+1
		}
	}
	return steps
}

// fails reports whether the page shows that the command fails.
func (s *step) fails() bool {
	for _, line := range s.output {
		if strings.HasPrefix(line, "watershed: ") {
			return true
		}
	}
	return false
}

// shows reports whether the page shows what the command printed. A line "..." of
// the page stands for any number of lines.
func (s *step) shows(got string) bool {
	var want strings.Builder
	want.WriteString("^")
	for _, line := range s.output {
		if line == "..." {
			want.WriteString("(?:.*\n)*")
		} else {
			want.WriteString(regexp.QuoteMeta(settled(line)) + "\n")
		}
	}
	want.WriteString("$")
	return regexp.MustCompile(want.String()).MatchString(settled(got))
}

// linesOf gives the lines of a text that ends with a line end.
func linesOf(text string) []string {
	lines := strings.Split(text, "\n")
	return lines[:len(lines)-1]
}

// What differs from one run to the next, and nothing else.
var unsettled = []struct {
	what *regexp.Regexp
	name string
}{
	{regexp.MustCompile(`\bv\d{8}-[A-Z2-7]{26}\b`), "VERSION"},
	{regexp.MustCompile(`((?:of|to|watershed|arrived|accepted|loaded) |"(?:watershed|freshness)":")20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,3})?Z`), "${1}NOW"},
	{regexp.MustCompile(`\bbefore 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ`), "before AGE"},
	{regexp.MustCompile(`(?m)\bafter \d[\dµmsh.]*$`), "after TIME"},
	{regexp.MustCompile(`\bin \d[\dµmsh.]* \([\d,]+/s\)`), "in TIME (RATE)"},
	{regexp.MustCompile(`\b\d{56}:\d+\b`), "POSITION"},
	{regexp.MustCompile(`--cursor \w+=*`), "--cursor CURSOR"},
	{regexp.MustCompile(`http://127\.0\.0\.1:\d+`), "ENDPOINT"},
}

func settled(text string) string {
	for _, u := range unsettled {
		text = u.what.ReplaceAllString(text, u.name)
	}
	return text
}

// rewritten gives a page with the outputs of its steps.
func rewritten(lines []string, steps []step) (out []string) {
	done := 0
	for _, s := range steps {
		out = append(out, lines[done:s.line+1]...)
		out = append(out, s.output...)
		done = s.end
	}
	return append(out, lines[done:]...)
}
