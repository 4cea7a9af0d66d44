//go:build clients

package answers_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/watershed-data/watershed/internal/aws/stream"
)

const (
	first, second = "shardId-000000000000", "shardId-000000000001"
	child         = "shardId-000000000002"
)

// The merged answer on DynamoDB and S3 is that of exactly what is committed, across
// versions and a reshard that the function learns of by the ledger alone.
func TestMergedAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.check("before the first event")
	w.sell(first, cell{1, "tea"}, cell{1, "tea"}, cell{2, "milk"})
	w.sell(second, cell{1, "tea"})
	w.check("before the first version")
	w.publish()
	w.check("after a version")
	w.sell(first, cell{2, "milk"}, cell{3, "tea"})
	w.check("with events since")
	w.publish(cell{7, "batch only"})
	w.sell(second, cell{7, "batch only"})
	w.check("after the next version")
	listed := w.listed
	w.check("again")
	if w.listed != listed {
		t.Errorf("the shards were listed for every answer")
	}
	w.log.Reshard([]string{first}, 1)
	w.apply(first)
	w.sell(child, cell{3, "tea"}, cell{4, "tea"})
	w.check("after a reshard")
	if w.listed != listed+1 {
		t.Errorf("after a reshard the shards were listed %d times more, want once", w.listed-listed)
	}
	w.publish()
	w.sell(child, cell{4, "tea"})
	w.check("in the end")
}

func TestWhatAStackServes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.sell(first, cell{1, "tea"})
	w.publish()
	for _, c := range []struct {
		method, target string
		status         int
		says           string
	}{
		{"GET", "/healthz", 200, "ok"},
		{"GET", "/v1/openapi.json", 200, `"openapi": "3.1.0"`},
		{"GET", "/v1/status", 200, `"accepted": 1`},
		{"GET", "/v1/status?format=table", 200, "pipeline    sales"},
		{"GET", "/v1/rejects", 200, `"accepted": 1`},
		{"GET", "/v1/query?view=sales&by=product&every=none&where=product%20%3D%3D%20'tea'", 200, `{"product":"tea","sales":1,"revenue":"1.50"}`},
		{"HEAD", "/v1/query?view=sales", 200, ""},
		{"GET", "/v1/query?view=nothing", 404, "sales, ws_outcomes"},
		{"GET", "/v1/query?view=sales&limit=0", 400, "from 1"},
		{"GET", "/v1/verify", 501, "compared with its ledger"},
		{"POST", "/v1/load", 501, "watershed send --stack"},
		{"POST", "/v1/erase", 501, "does not erase"},
		{"GET", "/metrics", 501, "CloudWatch"},
		{"GET", "/v1/batch?run=..%2Fx", 404, "no run of this name"},
		{"GET", "/", 404, "/v1/query"},
	} {
		if out := w.ask(c.method, c.target); out.StatusCode != c.status || !strings.Contains(out.Body, c.says) {
			t.Errorf("%s %s: got %d %s", c.method, c.target, out.StatusCode, out.Body)
		}
	}
}

// Without this, Lambda refuses the answer, and the caller reads "Internal Server Error".
func TestAnAnswerThatIsTooLarge(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.sell(first, cell{1, "tea"}, cell{1, "milk"}, cell{2, "tea"})
	w.handler.Most = 600
	out := w.ask("GET", "/v1/query?view=sales&format=json")
	if code, field, message := problem(t, out); out.StatusCode != http.StatusBadRequest || code != "too_large" || field != "limit" || !strings.Contains(message, "--limit") {
		t.Errorf("got %d %s", out.StatusCode, out.Body)
	}
	if out := w.ask("GET", "/v1/query?view=sales&limit=1&format=csv"); out.StatusCode != http.StatusOK {
		t.Errorf("a page: %d %s", out.StatusCode, out.Body)
	}
}

// Without this, a function with another definition answers from an empty generation,
// or tells the caller where its tables are.
func TestStoresOfAnotherGeneration(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	if err := w.store.Adopt(t.Context(), "another"); err != nil {
		t.Fatal(err)
	}
	out := w.ask("GET", "/v1/query?view=sales")
	if out.StatusCode != http.StatusServiceUnavailable || strings.Contains(out.Body, "ledger-") || !strings.Contains(out.Body, "log of its query function") {
		t.Errorf("got %d %s", out.StatusCode, out.Body)
	}
}

// Without this, an answer is as fresh as the last event only, or fresher than anybody
// knows.
func TestFreshnessIsWhatWasNoted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.sell(first, cell{1, "tea"})
	w.sell(second, cell{1, "tea"}, cell{2, "tea"})
	notes := w.store.Notes(w.def.Generation)
	note := func(shard string, at int64) {
		row, _, err := w.speed.Ledger.Row(t.Context(), shard)
		if err != nil {
			t.Fatal(err)
		}
		if err := notes.PutNote(t.Context(), shard, stream.Note{Through: row.Through, At: at}); err != nil {
			t.Fatal(err)
		}
	}
	note(first, w.arrival+7000)
	note(second, w.arrival+5000)
	fresh := func(arrival int64) string {
		return `"freshness":"` + time.UnixMilli(arrival).UTC().Format("2006-01-02T15:04:05.999Z") + `"`
	}
	if out := w.ask("GET", "/v1/query?view=sales"); !strings.Contains(out.Body, fresh(w.arrival+5000)) {
		t.Errorf("got %s, want %s", out.Body, fresh(w.arrival+5000))
	}
	w.sell(second, cell{3, "tea"}) // behind its note
	if out := w.ask("GET", "/v1/query?view=sales"); !strings.Contains(out.Body, fresh(w.arrival)) {
		t.Errorf("got %s, want %s", out.Body, fresh(w.arrival))
	}
}
