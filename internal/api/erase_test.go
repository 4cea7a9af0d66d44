package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/api"
	"github.com/watershed-data/watershed/internal/erasure"
)

// What is to be erased comes in the body, and never in the address; what cannot be
// understood erases nothing.
func TestErase(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		target, body string
		err          error
		asked        *api.Erasure
		status       int
		code, says   string
	}{
		"a condition":     {body: "where=id+%3D%3D+7", asked: &api.Erasure{Request: erasure.Request{Where: "id == 7"}}, status: 200},
		"counting":        {body: "partition-key=k&dry-run=true", asked: &api.Erasure{Request: erasure.Request{PartitionKey: "k"}, DryRun: true}, status: 200},
		"a refusal":       {body: "where=x", err: &erasure.RequestError{Field: "where", Message: "what is x"}, asked: &api.Erasure{Request: erasure.Request{Where: "x"}}, status: 400, code: "invalid", says: "what is x"},
		"a change":        {body: "where=x", err: &api.UnavailableError{Code: "changing", Message: "later"}, asked: &api.Erasure{Request: erasure.Request{Where: "x"}}, status: 503, code: "changing", says: "later"},
		"a failure":       {body: "where=x", err: errors.New("disk full"), asked: &api.Erasure{Request: erasure.Request{Where: "x"}}, status: 500, code: "internal"},
		"an address":      {target: "?where=x", status: 400, code: "invalid", says: "takes none"},
		"a misspelt word": {body: "partition_key=k&where=x", status: 400, code: "invalid", says: "partition-key"},
		"perhaps":         {body: "where=x&dry-run=perhaps", status: 400, code: "invalid", says: "neither true nor false"},
		"twice":           {body: "where=x&where=y", status: 400, code: "invalid", says: "given 2 times"},
		"no form":         {body: "where=%zz", status: 400, code: "invalid", says: "no form"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked *api.Erasure
			o := newPipeline(t).options()
			o.Erase = func(_ context.Context, r api.Erasure) (any, error) {
				asked = &r
				return map[string]int{"events": 1}, c.err
			}
			w := httptest.NewRecorder()
			api.New(o).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v1/erase"+c.target, strings.NewReader(c.body)))
			var p problem
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
				t.Fatalf("%v: %s", err, w.Body)
			}
			if w.Code != c.status || p.Error.Code != c.code || !strings.Contains(p.Error.Message, c.says) {
				t.Errorf("got %d %+v", w.Code, p.Error)
			}
			if (asked == nil) != (c.asked == nil) || asked != nil && *asked != *c.asked {
				t.Errorf("asked for %+v, want %+v", asked, c.asked)
			}
		})
	}
}
