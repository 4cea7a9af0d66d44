package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// environment is that of a function of the sales example.
var environment = map[string]string{
	"WATERSHED_DEFINITION": "../../examples/sales/pipeline.yaml", "WATERSHED_STREAM": "sales",
	"WATERSHED_ITEMS": "items", "WATERSHED_LEDGER": "ledger", "WATERSHED_MASTER": "master", "WATERSHED_VIEWS": "views",
	"WATERSHED_STATE_MACHINE": "arn:aws:states:eu-central-1:123456789012:stateMachine:sales",
	"AWS_REGION":              "eu-central-1",
}

// A function that is set up wrongly says what is wrong when it starts, and not with
// every query.
func TestWire(t *testing.T) {
	for _, c := range []struct{ variable, value, want string }{
		{"", "", ""},
		{"WATERSHED_DEFINITION", "nowhere.yaml", "nowhere.yaml"},
		{"WATERSHED_STREAM", "", "WATERSHED_STREAM"},
		{"WATERSHED_ITEMS", "", "WATERSHED_ITEMS"},
		{"WATERSHED_LEDGER", "", "WATERSHED_LEDGER"},
		{"WATERSHED_VIEWS", "", "WATERSHED_VIEWS"},
		{"WATERSHED_STATE_MACHINE", "", "WATERSHED_STATE_MACHINE"},
		{"WATERSHED_STATE_MACHINE", "sales", "not an ARN"},
	} {
		t.Run(c.variable+"="+c.value, func(t *testing.T) {
			for name, value := range environment {
				t.Setenv(name, value)
			}
			if c.variable != "" {
				t.Setenv(c.variable, c.value)
			}
			_, err := wire(context.Background(), slog.New(slog.DiscardHandler))
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// BenchmarkInit is what a new instance of the function does before its first request.
// It asks nothing of the network.
func BenchmarkInit(b *testing.B) {
	for name, value := range environment {
		b.Setenv(name, value)
	}
	for b.Loop() {
		if _, err := wire(context.Background(), slog.New(slog.DiscardHandler)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStart is the time from the start of the function's process to its question
// for the first event, which is what Lambda counts as its initialisation.
func BenchmarkStart(b *testing.B) {
	program := filepath.Join(b.TempDir(), "bootstrap")
	if out, err := exec.Command("go", "build", "-tags", "lambda.norpc", "-ldflags", "-s -w", "-o", program, ".").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	asked := make(chan struct{})
	lambda := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done() // no event comes
	}))
	defer lambda.Close()
	for b.Loop() {
		cmd := exec.Command(program)
		cmd.Env = append(os.Environ(), "AWS_LAMBDA_RUNTIME_API="+strings.TrimPrefix(lambda.URL, "http://"))
		for name, value := range environment {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		<-asked
		b.StopTimer()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		b.StartTimer()
	}
}
