//go:build e2e

package e2e

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/athena"
	"github.com/watershed-data/watershed/internal/deployment"
)

// inAthena asks the named query that counts the master dataset, and looks whether
// the merged views are those of a version. The stand-in runs queries in DuckDB, which
// does not know views of Athena: what they answer is tested with Trino
// (internal/aws/catalog).
func (s *stack) inAthena(t *testing.T, sent *events, version string) {
	t.Helper()
	queries, err := athena.Queries(s.definition)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range queries {
		if strings.HasPrefix(q.Name, "Double entry") {
			s.counts(t, q.SQL, len(sent.sent))
		}
	}
	for _, v := range s.definition.AllViews() {
		if sql := s.merged(t, v.Name); !strings.Contains(sql, "'"+version+"'") {
			t.Errorf("the view %s in Athena is not of version %s:\n%s", v.Name, version, sql)
		}
	}
}

// counts fails unless a query's rows count so many events in all, once each.
func (s *stack) counts(t *testing.T, query string, want int) {
	t.Helper()
	out := must(t, s.command(needed(t, pythonVariable), "e2e/testdata/athena.py", "query", s.outputs[deployment.WorkGroupOutput], s.outputs[deployment.DatabaseOutput], query))
	var head []string
	rows, events := 0, 0
	for line := range strings.Lines(string(out)) {
		var row []string
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatalf("reading %s: %v", line, err)
		}
		for i, name := range head {
			n, _ := strconv.Atoi(row[i])
			switch name {
			case "rows":
				rows += n
			case "events":
				events += n
			}
		}
		if head == nil {
			head = row
		}
	}
	if rows != want || events != want {
		t.Errorf("the double entry in Athena counts %d rows of %d events, want %d:\n%s", rows, events, want, out)
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
