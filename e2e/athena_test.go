//go:build e2e

package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/deployment"
)

// inAthena counts the master dataset in Athena, and looks whether the merged views
// are those of a version. The stand-in runs queries in DuckDB, which does not know
// views of Athena: what these answer is tested with Trino (internal/aws/catalog).
func (s *stack) inAthena(t *testing.T, sent *events, version string) {
	t.Helper()
	const query = `SELECT count(*) AS "rows", count(DISTINCT (ws_shard, ws_position)) AS events FROM "rows"`
	out := must(t, s.command(needed(t, pythonVariable), "e2e/testdata/athena.py", "query", s.outputs[deployment.WorkGroupOutput], s.outputs[deployment.DatabaseOutput], query))
	if want := fmt.Sprintf("[\"%d\", \"%[1]d\"]", len(sent.sent)); !strings.Contains(string(out), want) {
		t.Errorf("the master dataset in Athena has %s, want %s", out, want)
	}
	for _, v := range s.definition.AllViews() {
		if sql := s.merged(t, v.Name); !strings.Contains(sql, "'"+version+"'") {
			t.Errorf("the view %s in Athena is not of version %s:\n%s", v.Name, version, sql)
		}
	}
}

// merged is the text of a view in Athena.
func (s *stack) merged(t *testing.T, view string) string {
	t.Helper()
	text := string(must(t, s.command(needed(t, pythonVariable), "e2e/testdata/athena.py", "view", s.outputs[deployment.DatabaseOutput], view)))
	coded := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(text), "/* Presto View: "), " */")
	decoded, err := base64.StdEncoding.DecodeString(coded)
	if err != nil {
		t.Fatalf("reading the view %s of the catalog: %v", view, err)
	}
	var stored struct{ OriginalSQL string }
	if err := json.Unmarshal(decoded, &stored); err != nil {
		t.Fatalf("reading the view %s of the catalog: %v", view, err)
	}
	return stored.OriginalSQL
}
