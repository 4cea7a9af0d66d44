//go:build clients

package kinesis_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestBoto3 runs boto3, unchanged, against the endpoint.
func TestBoto3(t *testing.T) {
	t.Parallel()
	python := os.Getenv("WATERSHED_TEST_PYTHON")
	if python == "" {
		t.Fatal("WATERSHED_TEST_PYTHON is not set: name a Python interpreter that has the packages of testdata/requirements.txt")
	}
	for name, token := range map[string]string{"loopback": "", "token": "correct-horse-battery"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := serve(t, options{shards: 3, token: token})
			out, err := exec.CommandContext(t.Context(), python, "testdata/boto3_client.py", e.url, token).CombinedOutput()
			if err != nil || !strings.HasSuffix(string(out), "ok\n") {
				t.Errorf("boto3 failed: %v\n%s", err, out)
			}
		})
	}
}
