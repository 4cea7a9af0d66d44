//go:build clients

package kinesis_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/local"
	"github.com/watershed-data/watershed/internal/protocol"
)

// python gives the interpreter that has the clients.
func python(t *testing.T) string {
	t.Helper()
	python := os.Getenv("WATERSHED_TEST_PYTHON")
	if python == "" {
		t.Fatal("WATERSHED_TEST_PYTHON is not set: name a Python interpreter that has the packages of testdata/requirements.txt")
	}
	return python
}

// TestBoto3 runs boto3, unchanged, against the endpoint.
func TestBoto3(t *testing.T) {
	t.Parallel()
	python := python(t)
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

// TestKPLProducers lets producers that others wrote put aggregates, one of them
// while the stream is resharded under it: every record that they put is an event,
// with its partition key.
func TestKPLProducers(t *testing.T) {
	t.Parallel()
	e := serve(t, options{shards: 3})
	cmd := exec.CommandContext(t.Context(), python(t), "testdata/kpl_producers.py", e.url)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the producers failed: %v\n%s", err, complaints.String())
	}
	want := map[string]string{} // data -> partition key
	if err := json.Unmarshal(out, &want); err != nil {
		t.Fatal(err)
	}
	found, strays, aggregated := map[string]int{}, map[string]int{}, map[string]int{}
	for _, event := range events(t, e.log) {
		data := string(event.Data)
		phase := strings.TrimRight(data, "0123456789")
		if key, ok := want[data]; !ok || key != event.PartitionKey {
			t.Errorf("event %q of key %q was not put so, but of %q", data, event.PartitionKey, key)
		}
		if event.Aggregated {
			aggregated[phase]++
		}
		if event.Stray {
			strays[phase]++
			continue
		}
		found[data]++
	}
	for data := range want {
		switch n := found[data]; {
		case n == 1:
		case n > 1 && strings.HasPrefix(data, "aiokpl after "), n > 1 && strings.HasPrefix(data, "aiokpl first "): // put again when in doubt
		default:
			t.Errorf("%q is there %d times", data, n)
		}
	}
	for _, phase := range []string{"aws-kinesis-agg ", "aiokpl before ", "aiokpl after "} {
		if aggregated[phase] < 100 {
			t.Errorf("%s: %d events came in aggregates, which shows nothing", phase, aggregated[phase])
		}
	}
	if strays["aiokpl after "] == 0 || strays["aiokpl before "]+strays["aws-kinesis-agg "] > 0 {
		t.Errorf("strays %v: want some after the reshard, and none before", strays)
	}
	t.Logf("aggregated %v, strays %v", aggregated, strays)
}

// events reads a whole log.
func events(t *testing.T, log *local.Log) (out []protocol.Event) {
	t.Helper()
	shards, err := log.Shards(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, shard := range shards {
		var after protocol.Position
		for {
			page, err := log.Read(t.Context(), shard.ID, after, 100)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, page.Events...)
			if page.AtTip {
				break
			}
			after = page.Events[len(page.Events)-1].Position
		}
	}
	return out
}
