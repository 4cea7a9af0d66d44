package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"github.com/watershed-data/watershed/internal/api"
	"github.com/watershed-data/watershed/internal/load"
)

// described gives the document as the API serves it.
func described(t *testing.T, h http.Handler) *openapi3.T {
	t.Helper()
	w := ask(h, "GET", "/v1/openapi.json")
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("got %d, %v", w.Code, w.Header())
	}
	doc, err := openapi3.NewLoader().LoadFromData(w.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestTheDocumentIsOpenAPI(t *testing.T) {
	t.Parallel()
	doc := described(t, api.New(newPipeline(t).options()))
	if err := doc.Validate(t.Context(), openapi3.IsOpenAPI31OrLater()); err != nil {
		t.Error(err)
	}
}

// everything is a handler that serves every operation.
func everything(t *testing.T) http.Handler {
	o := newPipeline(t).options()
	o.Instead, o.Loads = nil, noLoads{}
	o.Erase = func(context.Context, api.Erasure) (any, error) { return map[string]int{"events": 0}, nil }
	o.Run = func(_ context.Context, run string) (*api.BatchRun, error) {
		return &api.BatchRun{Run: run, State: api.Running, Began: "2014-12-01T00:00:00Z"}, nil
	}
	return api.New(o)
}

type noLoads struct{}

func (noLoads) Accept(context.Context, load.Upload) (*load.Report, error) {
	return &load.Report{}, nil
}
func (noLoads) Report(context.Context, string) (*load.Report, error) { return &load.Report{}, nil }
func (noLoads) Reports(context.Context) ([]*load.Report, error)      { return nil, nil }

// Without this, the document lacks what the API takes, or promises what it does not.
func TestTheDocumentIsOfThisAPI(t *testing.T) {
	t.Parallel()
	h := everything(t)
	doc := described(t, h)
	methods := []string{"GET", "POST", "PUT", "PATCH", "DELETE"}
	for path, item := range doc.Paths.Map() {
		for _, method := range methods {
			o := item.GetOperation(method)
			w := ask(h, method, path)
			if missing := w.Code == http.StatusMethodNotAllowed || w.Code == http.StatusNotFound; missing != (o == nil) {
				t.Errorf("%s %s: the document has it: %v; the API answers %d", method, path, o != nil, w.Code)
			}
			if o == nil {
				continue
			}
			for _, p := range o.Parameters {
				if w := ask(h, method, path+"?"+url.Values{p.Value.Name: {"x"}}.Encode()); strings.Contains(w.Body.String(), "there is no parameter") {
					t.Errorf("%s %s does not take %s", method, path, p.Value.Name)
				}
			}
		}
		if all := item.Operations(); len(all) == 0 {
			t.Errorf("%s has no operation", path)
		}
	}
	// And the other way round: what the API says that it takes is in the document.
	for _, c := range []struct{ method, path string }{{"GET", "/v1/query"}, {"GET", "/v1/status"}, {"GET", "/v1/rejects"}, {"POST", "/v1/batch"}, {"GET", "/v1/batch"}, {"POST", "/v1/load"}, {"GET", "/v1/load"}, {"GET", "/v1/verify"}, {"POST", "/v1/erase"}, {"GET", "/v1/openapi.json"}} {
		var refused problem
		if err := json.Unmarshal(ask(h, c.method, c.path+"?nothing=1").Body.Bytes(), &refused); err != nil {
			t.Fatal(err)
		}
		_, takes, _ := strings.Cut(refused.Error.Message, " takes ")
		var documented []string
		for _, p := range doc.Paths.Value(c.path).GetOperation(c.method).Parameters {
			documented = append(documented, p.Value.Name)
		}
		if documented == nil {
			documented = []string{"none"}
		}
		if got := strings.Split(takes, ", "); !slices.Equal(got, documented) {
			t.Errorf("%s %s takes %v, and the document says %v", c.method, c.path, got, documented)
		}
	}
	w := ask(h, "GET", "/v2")
	for path := range doc.Paths.Map() {
		if !strings.Contains(w.Body.String(), path) {
			t.Errorf("the API does not tell of %s: %s", path, w.Body)
		}
	}
}

// Without this, programs that were made of the document do not understand answers.
func TestAnswersAreAsTheDocumentSays(t *testing.T) {
	t.Parallel()
	h := everything(t)
	doc := described(t, h)
	for _, c := range []struct{ method, target, body string }{
		{"GET", "/v1/query?view=sales", ""},
		{"GET", "/v1/query?view=sales&by=product&measures=sales&order=-sales&limit=1&every=1d&from=2014-11-01", ""},
		{"GET", "/v1/query?view=sales&limit=1&format=csv", ""},
		{"GET", "/v1/query?view=nothing", ""},
		{"GET", "/v1/status", ""},
		{"GET", "/v1/status?format=table", ""},
		{"GET", "/v1/load", ""},
		{"GET", "/v1/load?load=x", ""},
		{"POST", "/v1/load?name=a", "{}\n"},
		{"GET", "/v1/batch?run=a", ""},
		{"GET", "/v1/rejects?format=table", ""},
		{"GET", "/v1/rejects?reason=none", ""},
		{"GET", "/v1/openapi.json", ""},
		{"GET", "/healthz", ""},
	} {
		t.Run(c.method+" "+c.target, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(c.method, c.target, strings.NewReader(c.body))
			if c.body != "" {
				r.Header.Set("Content-Type", "application/x-ndjson")
			}
			item := doc.Paths.Value(r.URL.Path)
			options := &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true}
			in := &openapi3filter.RequestValidationInput{
				Request: r, Options: options,
				Route: &routers.Route{Spec: doc, Path: r.URL.Path, PathItem: item, Method: c.method, Operation: item.GetOperation(c.method)},
			}
			if err := openapi3filter.ValidateRequest(t.Context(), in); err != nil && c.body == "" {
				t.Errorf("the request: %v", err)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(c.method, c.target, strings.NewReader(c.body)))
			out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: w.Code, Header: w.Header(), Options: options}
			if err := openapi3filter.ValidateResponse(t.Context(), out.SetBodyBytes(w.Body.Bytes())); err != nil {
				t.Errorf("the answer %s: %v", w.Body, err)
			}
		})
	}
}
