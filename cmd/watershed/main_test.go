package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// asCommand makes the test binary the command.
const asCommand = "WATERSHED_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	os.Exit(m.Run())
}

// process prepares the command in a process of its own, with nothing in its
// environment that the test did not put there.
func process(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = []string{asCommand + "=1"}
	return cmd
}

// result is how a command ended.
type result struct {
	code     int
	out, err string
}

// command runs the command in a process of its own.
func command(t *testing.T, args ...string) result {
	t.Helper()
	return finish(t, process(t.Context(), args...))
}

func finish(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errOut.String()}
}

// write writes a file and gives its path.
func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Without this, editors and scripts that look for file:line:column at the start
// of a line do not find what keeps a definition from starting.
func TestProblemsBeginWithTheirPlace(t *testing.T) {
	t.Parallel()
	bad := write(t, "bad.yaml", "pipeline: p\nevents: {format: json, columns: {a: {type: strin}}}\nviews: {v: {by: [b], every: none, measures: {n: count}}}\n")
	lost := write(t, "lost.yaml", "pipeline: p\nevents: {format: json, columns: {a: {type: string}}}\nlookups: {l: {file: none.csv, key: k, on: [a]}}\nviews: {v: {by: [a], every: none, measures: {n: count}}}\n")
	for _, c := range []struct{ file, begins string }{{bad, bad + ":2:"}, {lost, lost + ":3:21: reading lookup l"}} {
		for _, args := range [][]string{{"check", c.file}, {"run", c.file, "--listen", "127.0.0.1:0", "--data", t.TempDir()}} {
			if r := command(t, args...); r.code != 1 || !strings.HasPrefix(r.err, c.begins) || r.out != "" {
				t.Errorf("%v: exit code %d\nstdout: %s\nstderr: %s", args, r.code, r.out, r.err)
			}
		}
	}
}

func TestHowCommandsEnd(t *testing.T) {
	t.Parallel()
	good := write(t, "good.yaml", "pipeline: p\nevents: {format: json, columns: {a: {type: string}}}\nviews: {v: {by: [a], every: none, measures: {n: count}}}\n")
	bad := write(t, "bad.yaml", "pipeline: p\nevents: {format: json, columns: {a: {type: strin}}}\nviews: {v: {by: [b], every: none, measures: {n: count}}}\n")
	nobody := "--endpoint=http://127.0.0.1:1"
	for _, c := range []struct {
		args []string
		code int
		out  string // part of what is printed
		err  string // part of what goes to stderr; "": nothing may
	}{
		{args: nil, out: "watershed check pipeline.yaml"},
		{args: []string{"--help"}, out: "Talking to a running pipeline:"},
		{args: []string{"query", "--help"}, out: "--order -revenue"},
		{args: []string{"load", "--help"}, out: "--before"},
		{args: []string{"version"}, out: "watershed "},
		{args: []string{"check", good}, out: "pipeline p"},
		{args: []string{"check", bad}, code: 1, err: "bad.yaml:2:"},
		{args: []string{"check", bad}, code: 1, err: "bad.yaml:3:"},
		{args: []string{"check", filepath.Join(t.TempDir(), "none.yaml")}, code: 1, err: "no such file"},
		{args: []string{"check"}, code: 2, err: "check needs FILE"},
		{args: []string{"check", good, bad}, code: 2, err: "does not take"},
		{args: []string{"chek", good}, code: 2, err: "did you mean check?"},
		{args: []string{"query", "v", "--frm", "2014"}, code: 2, err: "unknown flag: --frm"},
		{args: []string{"query", "v", "--format", "xml"}, code: 2, err: "table or json or csv"},
		{args: []string{"query", "v", "--limit", "ten"}, code: 2, err: `"ten" for "--limit" flag: write a whole number`},
		{args: []string{"query", "v", "--limit", "99999999999999999999"}, code: 2, err: "write a smaller number"},
		{args: []string{"send", "-", "--rate", "fast"}, code: 2, err: `"fast" for "--rate" flag: write a number`},
		{args: []string{"query", "v", "--limit", "0"}, code: 2, err: "--limit must be at least 1"},
		{args: []string{"query", "v", "--where", "a == 1", "--quantile", "0.5", nobody}, code: 1, err: "watershed run pipeline.yaml"},
		{args: []string{"query", "v", "--endpoint", "localhost"}, code: 2, err: "is not an endpoint"},
		{args: []string{"query", "v", nobody}, code: 1, err: "watershed run pipeline.yaml"},
		{args: []string{"status", nobody}, code: 1, err: "watershed run pipeline.yaml"},
		{args: []string{"status", "--format", "csv"}, code: 2, err: "table or json"},
		{args: []string{"batch", nobody}, code: 1, err: "nothing listens"},
		{args: []string{"verify", nobody}, code: 1, err: "nothing listens"},
		{args: []string{"send", "-", nobody}, code: 1, err: "nothing listens"},
		{args: []string{"send"}, code: 2, err: "send needs FILE"},
		{args: []string{"send", "-", "--rate", "0"}, code: 2, err: "--rate must be above 0"},
		{args: []string{"send", "none.ndjson"}, code: 1, err: "no such file"},
		{args: []string{"send", good}, code: 1, err: "--input"},
		{args: []string{"send", t.TempDir()}, code: 1, err: "is a directory"},
		{args: []string{"rejects", "--reason", "x", nobody}, code: 1, err: "nothing listens"},
		{args: []string{"rejects", "--format", "xml"}, code: 2, err: "table or json or csv"},
		{args: []string{"load"}, code: 2, err: "load needs FILE"},
		{args: []string{"load", "-", "--before", ""}, code: 2, err: "--before needs a time"},
		{args: []string{"load", "none.ndjson"}, code: 1, err: "no such file"},
		{args: []string{"load", "-", nobody}, code: 1, err: "nothing listens"},
		{args: []string{"erase"}, code: 2, err: "needs either --where or --partition-key"},
		{args: []string{"erase", "--where", ""}, code: 2, err: "not empty"},
		{args: []string{"erase", "--partition-key", "k", "--yes", "--dry-run"}, code: 2, err: "exclude each other"},
	} {
		t.Run(strings.Join(append([]string{"watershed"}, c.args...), " "), func(t *testing.T) {
			t.Parallel()
			r := command(t, c.args...)
			if r.code != c.code || !strings.Contains(r.out, c.out) || !strings.Contains(r.err, c.err) || (c.err == "") != (r.err == "") {
				t.Errorf("exit code %d, want %d\nstdout: %s\nstderr: %s", r.code, c.code, r.out, r.err)
			}
			if c.code != 0 && r.out != "" {
				t.Errorf("an error prints to stdout: %s", r.out)
			}
		})
	}
}
