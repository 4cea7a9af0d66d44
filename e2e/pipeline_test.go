//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/deployment"
)

// The whole way, as docs/deploy.md goes it: from nothing to an answer, two versions,
// and back to nothing.
func TestAPipelineOnAWS(t *testing.T) {
	s := newAccount(t).deploy(t, "e2e/testdata/pipeline.yaml", "e2e/testdata/config.yaml")
	engine := s.compute(t)
	sent := newEvents()

	t.Log("--- events, before there is a version")
	s.send(t, sent.plain(120))
	s.send(t, sent.aggregated(6, 12))
	s.sendLines(t, sent.lines(60))
	s.committed(t, sent)
	if version := s.equals(t, sent); version != "" {
		t.Errorf("version %q answers, and none was made", version)
	}
	s.answersOverHTTP(t, engine)

	t.Log("--- a version")
	s.batch(t)
	first := s.equals(t, sent)
	if first == "" {
		t.Fatal("the run has ended, and no version answers")
	}

	t.Log("--- more events, and the next version")
	s.send(t, sent.plain(40))
	s.send(t, sent.aggregated(2, 10))
	s.committed(t, sent)
	if version := s.equals(t, sent); version != first {
		t.Errorf("version %q answers, and %q is the last that was made", version, first)
	}
	s.batch(t)
	second := s.equals(t, sent)
	if second == first {
		t.Errorf("version %q answers as before the second run", second)
	}
	s.inAthena(t, sent, second)
	s.stands(t, sent)

	engine.stop()
	s.held(t, engine)
	s.dismiss(t)
	s.destroy(t)
}

// sendLines sends a file with the command.
func (s *stack) sendLines(t *testing.T, lines []byte) {
	t.Helper()
	file := filepath.Join(s.dir, "sales.ndjson")
	if err := os.WriteFile(file, lines, 0o644); err != nil {
		t.Fatal(err)
	}
	must(t, s.watershed(t, "send", file, "--stack", s.name))
}

// committed waits until the answers hold everything that was sent.
func (s *stack) committed(t *testing.T, sent *events) {
	t.Helper()
	until(t, "until the speed layer has committed everything", time.Minute, func() (string, error) {
		a, err := s.ask(t, definition.OutcomesView)
		if n := a.events(); n != len(sent.sent) {
			return fmt.Sprintf("%d of %d events", n, len(sent.sent)), err
		}
		return "", err
	})
}

// batch makes a version by the state machine, and waits for its end. The version
// answers for all real-time items then.
func (s *stack) batch(t *testing.T) {
	t.Helper()
	if s.items(t) == 0 {
		t.Error("there are no real-time items before the run, so this test looks at the wrong table")
	}
	t.Logf("%s", must(t, s.watershed(t, "batch", "--stack", s.name)))
	if n := s.items(t); n > 0 {
		t.Errorf("%d real-time items are left, which the version answers for", n)
	}
}

// items counts the real-time items. What a version answers for is discarded.
func (s *stack) items(t *testing.T) int {
	t.Helper()
	table := s.outputs[deployment.ItemsOutput]
	n := 0
	pages := dynamodb.NewScanPaginator(dynamodb.NewFromConfig(s.config()), &dynamodb.ScanInput{TableName: &table})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range page.Items { // package internal/aws has what else lies in the table
			if pk := text(item["pk"]); !strings.HasSuffix(pk, "#segments") && !strings.HasSuffix(pk, "#shards") {
				n++
			}
		}
	}
	return n
}

// stands fails unless `status` tells of two versions without a repair, of which both
// entries are equal, and `rejects` tells why events were rejected.
func (s *stack) stands(t *testing.T, sent *events) {
	t.Helper()
	var status struct {
		Version struct{ Seq, Events, Ledger int }
		Batch   struct{ Failed, Repaired int }
	}
	if err := json.Unmarshal(must(t, s.watershed(t, "status", "--stack", s.name, "--format", "json")), &status); err != nil {
		t.Fatalf("reading the status: %v", err)
	}
	if v := status.Version; v.Seq != 2 || v.Events != len(sent.sent) || v.Ledger != len(sent.sent) {
		t.Errorf("the status tells of version %d, with %d events in the master dataset and %d in the ledger; want 2 and %d", v.Seq, v.Events, v.Ledger, len(sent.sent))
	}
	if b := status.Batch; b.Failed > 0 || b.Repaired > 0 {
		t.Errorf("%d runs failed, and %d events were repaired", b.Failed, b.Repaired)
	}
	rejects := string(must(t, s.watershed(t, "rejects", "--stack", s.name)))
	for _, reason := range []string{"not JSON", "price: not a decimal", "wrong shard"} {
		if !strings.Contains(rejects, reason) {
			t.Errorf("rejects do not tell of %q:\n%s", reason, rejects)
		}
	}
}
