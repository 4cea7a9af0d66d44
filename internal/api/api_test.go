package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/watershed-data/watershed/internal/api"
	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/doubleentry"
	"github.com/watershed-data/watershed/internal/measure"
	"github.com/watershed-data/watershed/internal/memory"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/serving"
	"github.com/watershed-data/watershed/internal/view"
)

const sales = `
pipeline: sales
events: {format: json, columns: {product: {type: string}, at: {type: timestamp}}, time: at}
views: {sales: {by: [product], every: 1h, measures: {sales: count}}}
`

const now = int64(1417392000000) // 2014-12-01T00:00:00Z

// pipeline is a pipeline in memory with two products of one hour, two rejected
// events, and no version.
type pipeline struct {
	reader *protocol.Reader
	ledger *memory.Ledger
	def    *definition.Definition
}

func newPipeline(t *testing.T) *pipeline {
	t.Helper()
	def, err := definition.Parse("pipeline.yaml", []byte(sales))
	if err != nil {
		t.Fatal(err)
	}
	log, realTime := memory.NewLog(1), memory.NewRealTime()
	p := &pipeline{def: def, ledger: memory.NewLedger()}
	p.reader = &protocol.Reader{Log: log, Ledger: p.ledger, RealTime: realTime, Views: memory.NewViews()}
	shard := memory.ShardID(0)
	seq := log.Append(shard, "k", now-5000, []byte("{}"))
	through := protocol.Position{Seq: seq}
	text := column.Type{Kind: column.String}
	put := func(name string, time int64, n int64, dims ...string) {
		v, _ := def.View(name)
		var values []column.Value
		var types []column.Type
		for _, d := range dims {
			values, types = append(values, column.Value{Str: d}), append(types, text)
		}
		_, err := realTime.Put(t.Context(), []protocol.Put{{Item: protocol.Item{
			ItemID: protocol.ItemID{Key: protocol.Key{View: name, Time: time, Dims: view.EncodeDims(types, values)}, Shard: shard},
			Cur:    measure.Encode(measure.New(v), []measure.State{{N: n}}), Through: through,
		}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	put("sales", 1414868400000000, 3, "product1")
	put("sales", 1414868400000000, 5, "product2")
	put(definition.OutcomesView, 0, 8, "accepted", "")
	put(definition.OutcomesView, 0, 2, "rejected", "not JSON")
	if _, err := p.ledger.Create(t.Context(), shard, protocol.Row{Through: through, Count: 10, MaxArrival: now - 5000}); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *pipeline) service() *serving.Service {
	return serving.New(p.def, p.reader, func() int64 { return now }, serving.Limits{})
}

func (p *pipeline) options() api.Options {
	return api.Options{
		Service: p.service(),
		Instead: map[api.Operation]string{api.Run: "POST answers when the run is over"},
		Batch: func(_ context.Context, full bool) (any, error) {
			return map[string]any{"version": 1, "full": full}, nil
		},
		Verify: func(_ context.Context, name string, progress func(events, of int64)) (any, error) {
			if progress != nil && name != "nothing" {
				progress(1, 2)
				progress(2, 2)
			}
			if name == "broken" {
				return nil, protocol.ErrBusy
			}
			if name == "nothing" {
				return nil, &serving.Error{Code: serving.NotFound, Field: "view", Message: "there is no view"}
			}
			return map[string]string{"verified": name}, nil
		},
		Rejects: func(_ context.Context, reason string) (api.Report, error) {
			if reason == "none" {
				return nil, &serving.Error{Code: serving.NotFound, Field: "reason", Message: "there is no reason"}
			}
			return report("rejects " + reason), nil
		},
		Now: func() int64 { return now },
	}
}

func ask(h http.Handler, method, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, target, nil))
	return w
}

// problem reads an error response.
type problem struct {
	Error struct{ Code, Message, Field string }
}

func TestRequests(t *testing.T) {
	t.Parallel()
	h := api.New(newPipeline(t).options())
	cases := []struct {
		method, target string
		status         int
		kind           string // content type
		body           string // a part of it
	}{
		{"GET", "/v1/query?view=sales", 200, "application/json", `"rows":[` + "\n" + `  {"time":"2014-11-01T19:00:00Z","product":"product1","sales":3},`},
		{"GET", "/v1/query?view=sales&by=&every=none&format=csv", 200, "text/csv; charset=utf-8; header=present", "sales\n8\n"},
		{"GET", "/v1/query?view=sales&by=product&measures=sales&order=-sales&limit=1&format=csv&from=2014-11-01&to=2014-11-02&every=1d", 200, "text/csv; charset=utf-8; header=present", "time,product,sales\n2014-11-01T00:00:00Z,product2,5\n"},
		{"GET", "/v1/query?view=sales&format=table", 200, "text/plain; charset=utf-8", "2 rows, no version"},
		{"GET", "/v1/query?view=ws_outcomes", 200, "application/json", `{"ws_outcome":"rejected","ws_reason":"not JSON","events":2}`},
		{"HEAD", "/v1/query?view=sales", 200, "application/json", ""},
		{"GET", "/v1/status", 200, "application/json", `"rejected": 2`},
		{"GET", "/v1/status?format=table", 200, "text/plain; charset=utf-8", "8 accepted, 2 rejected, 0 dropped"},
		{"POST", "/v1/batch", 200, "application/json", `{"full":false,"version":1}`},
		{"POST", "/v1/batch?full=true", 200, "application/json", `{"full":true,"version":1}`},
		{"GET", "/v1/verify?view=sales", 200, "application/json", `{"verified":"sales"}`},
		{"GET", "/v1/verify", 200, "application/json", `{"verified":""}`},
		{"GET", "/v1/verify?progress=true", 200, "application/x-ndjson", `{"progress":{"events":1,"of":2}}` + "\n" + `{"result":{"verified":""}}` + "\n"},
		{"GET", "/v1/verify?progress=true&view=broken", 200, "application/x-ndjson", `{"error":{"code":"busy",`},
		{"GET", "/healthz", 200, "text/plain; charset=utf-8", "ok\n"},
	}
	for _, c := range cases {
		t.Run(c.method+" "+c.target, func(t *testing.T) {
			t.Parallel()
			w := ask(h, c.method, c.target)
			if w.Code != c.status || w.Header().Get("Content-Type") != c.kind || !strings.Contains(w.Body.String(), c.body) {
				t.Errorf("got %d, %s, %s; want %d, %s, %s", w.Code, w.Header().Get("Content-Type"), w.Body, c.status, c.kind, c.body)
			}
			if c.body == "" && w.Body.Len() > 0 {
				t.Errorf("there is a body: %s", w.Body)
			}
		})
	}
}

// report is a report that says which format it was asked in.
type report string

func (r report) WriteJSON(w io.Writer) error  { return r.write(w, "json") }
func (r report) WriteCSV(w io.Writer) error   { return r.write(w, "csv") }
func (r report) WriteTable(w io.Writer) error { return r.write(w, "table") }

func (r report) write(w io.Writer, format string) error {
	_, err := io.WriteString(w, string(r)+" as "+format)
	return err
}

// Without this, a reason is ignored, or a format is another one.
func TestRejects(t *testing.T) {
	t.Parallel()
	h := api.New(newPipeline(t).options())
	for target, want := range map[string]string{
		"/v1/rejects": "rejects  as json",
		"/v1/rejects?reason=negative+price&format=csv": "rejects negative price as csv",
		"/v1/rejects?format=table":                     "rejects  as table",
	} {
		if w := ask(h, "GET", target); w.Code != 200 || w.Body.String() != want {
			t.Errorf("%s: got %d %s, want %s", target, w.Code, w.Body, want)
		}
	}
}

// Without this, a caller's mistake is ignored, or its answer does not help.
func TestRefusals(t *testing.T) {
	t.Parallel()
	h := api.New(newPipeline(t).options())
	cases := []struct {
		method, target string
		status         int
		code, field    string
		says           string
	}{
		{"GET", "/v1/query", 400, "invalid", "view", "sales, ws_outcomes"},
		{"GET", "/v1/query?view=sale", 404, "not_found", "view", "sales, ws_outcomes"},
		{"GET", "/v1/query?view=sales&form=2013-01-01", 400, "invalid", "form", "view, by, measures, quantile, from, to, every, where, order, limit, cursor, format"},
		{"GET", "/v1/query?view=sales&by=product&by=zip", 400, "invalid", "by", "given 2 times"},
		{"GET", "/v1/query?view=sales&where=prodct==%27a%27", 400, "invalid", "where", "there is no column prodct"},
		{"GET", "/v1/query?view=sales&where=prodct%3C%27a%27", 400, "invalid", "where", "prodct<'a'"},
		{"GET", "/v1/query?view=sales&quantile=0.5", 400, "invalid", "quantile", "quantiles"},
		{"GET", "/v1/query?view=sales&limit=0", 400, "invalid", "limit", "from 1"},
		{"GET", "/v1/query?view=sales&limit=ten", 400, "invalid", "limit", "from 1"},
		{"GET", "/v1/query?view=sales&format=xml", 400, "invalid", "format", "json, csv, table"},
		{"GET", "/v1/query?view=sales&from=soon", 400, "invalid", "from", "is not a time"},
		{"GET", "/v1/query?view=sales&every=1m", 400, "invalid", "every", "keeps 1h"},
		{"GET", "/v1/query?view=sales&cursor=x", 400, "invalid", "cursor", "no cursor"},
		{"GET", "/v1/query?view=%zz", 400, "invalid", "", "damaged"},
		{"POST", "/v1/query?view=sales", 405, "method_not_allowed", "", "takes GET, HEAD"},
		{"GET", "/v1/status?format=csv", 400, "invalid", "format", "json, table"},
		{"GET", "/v1/batch?run=x", 501, "not_implemented", "", "POST answers when the run is over"},
		{"PUT", "/v1/batch", 405, "method_not_allowed", "", "takes GET, HEAD, POST"},
		{"POST", "/v1/batch?full=maybe", 400, "invalid", "full", "neither true nor false"},
		{"GET", "/v1/verify?view=nothing", 404, "not_found", "view", "no view"},
		{"GET", "/v1/verify?view=nothing&progress=true", 404, "not_found", "view", "no view"},
		{"GET", "/v1/verify?progress=maybe", 400, "invalid", "progress", "neither true nor false"},
		{"GET", "/v1/rejects?reason=none", 404, "not_found", "reason", "there is no reason"},
		{"GET", "/v1/rejects?format=xml", 400, "invalid", "format", "json, csv, table"},
		{"DELETE", "/v1/load", 405, "method_not_allowed", "", "takes GET, HEAD, POST"},
		{"GET", "/v2/query", 404, "not_found", "", "/v1/query"},
		{"DELETE", "/metrics", 405, "method_not_allowed", "", "takes GET"},
	}
	for _, c := range cases {
		t.Run(c.method+" "+c.target, func(t *testing.T) {
			t.Parallel()
			w := ask(h, c.method, c.target)
			var p problem
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
				t.Fatalf("%v: %s", err, w.Body)
			}
			if w.Code != c.status || p.Error.Code != c.code || p.Error.Field != c.field || !strings.Contains(p.Error.Message, c.says) {
				t.Errorf("got %d %+v", w.Code, p.Error)
			}
			if !strings.Contains(w.Body.String(), `"field":`) {
				t.Errorf("a script that reads error.field fails: %s", w.Body)
			}
			if strings.Contains(w.Body.String(), `\u003`) {
				t.Errorf("who reads it by eye sees an escape: %s", w.Body)
			}
			if w.Code == 405 && w.Header().Get("Allow") == "" {
				t.Error("405 does not say what is allowed")
			}
		})
	}
}

// Without this, a run that goes on by itself looks like one that is over, or cannot be
// followed.
func TestARunThatGoesOnByItself(t *testing.T) {
	t.Parallel()
	o := newPipeline(t).options()
	ended := "2014-12-01T00:01:00Z"
	runs := map[string]*api.BatchRun{
		"a": {Run: "a", State: api.Running, Began: "2014-12-01T00:00:00Z"},
		"b": {Run: "b", State: api.Done, Began: "2014-12-01T00:00:00Z", Ended: &ended, Report: json.RawMessage(`{"version":"v00000001-x"}`)},
	}
	o.Instead = nil
	o.Batch = func(context.Context, bool) (any, error) { return runs["a"], nil }
	o.Run = func(_ context.Context, run string) (*api.BatchRun, error) {
		if r, ok := runs[run]; ok {
			return r, nil
		}
		return nil, &serving.Error{Code: serving.NotFound, Field: "run", Message: "there is no such run"}
	}
	h := api.New(o)
	for _, c := range []struct {
		method, target string
		status         int
		says           string
	}{
		{"POST", "/v1/batch", 202, `{"run":"a","state":"running","began":"2014-12-01T00:00:00Z","ended":null}`},
		{"GET", "/v1/batch?run=a", 200, `"state":"running"`},
		{"GET", "/v1/batch?run=b", 200, `"state":"done","began":"2014-12-01T00:00:00Z","ended":"2014-12-01T00:01:00Z","report":{"version":"v00000001-x"}`},
		{"GET", "/v1/batch?run=c", 404, "there is no such run"},
		{"GET", "/v1/batch", 400, "name the run"},
	} {
		if w := ask(h, c.method, c.target); w.Code != c.status || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s %s: got %d %s", c.method, c.target, w.Code, w.Body)
		}
	}
	if metrics := ask(h, "GET", "/metrics").Body.String(); !strings.Contains(metrics, `watershed_batch_duration_seconds_count{outcome="ok"} 0`) {
		t.Error("a run counts as over when it has begun")
	}
}

// Without this, an operation that a stack does not serve fails inside, or does not say
// what to do.
func TestOperationsThatAreNotServed(t *testing.T) {
	t.Parallel()
	o := api.Options{Service: newPipeline(t).service(), Instead: map[api.Operation]string{}}
	targets := map[api.Operation][2]string{
		api.Batch: {"POST", "/v1/batch"}, api.Run: {"GET", "/v1/batch"}, api.Load: {"POST", "/v1/load"}, api.Loads: {"GET", "/v1/load"},
		api.Verify: {"GET", "/v1/verify"}, api.Erase: {"POST", "/v1/erase"}, api.Rejects: {"GET", "/v1/rejects"}, api.Metrics: {"GET", "/metrics"},
	}
	for name := range targets {
		o.Instead[name] = "do " + string(name) + " elsewhere"
	}
	h := api.New(o)
	for name, at := range targets {
		w := ask(h, at[0], at[1])
		if want := "is not served here; do " + string(name) + " elsewhere"; w.Code != 501 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s %s: got %d %s", at[0], at[1], w.Code, w.Body)
		}
	}
	if w := ask(h, "GET", "/v1/query?view=sales"); w.Code != 200 {
		t.Errorf("a query: %d %s", w.Code, w.Body)
	}
}

// Without this, a reader of CSV does not know that rows were cut.
func TestHeadersTellWhatCSVCannot(t *testing.T) {
	t.Parallel()
	h := api.New(newPipeline(t).options())
	w := ask(h, "GET", "/v1/query?view=sales&limit=1&format=csv")
	next := w.Header().Get("Watershed-Next")
	if next == "" || w.Header().Get("Watershed-Complete") != "true" {
		t.Fatalf("headers are %v", w.Header())
	}
	w = ask(h, "GET", "/v1/query?view=sales&limit=1&format=csv&cursor="+next)
	if !strings.Contains(w.Body.String(), "product2") || w.Header().Get("Watershed-Next") != "" {
		t.Errorf("the second page is %s, next %q", w.Body, w.Header().Get("Watershed-Next"))
	}
}

// failingLedger fails every read of the pointer.
type failingLedger struct {
	protocol.Ledger
	err error
}

func (l failingLedger) Pointer(context.Context) (protocol.Pointer, error) {
	return protocol.Pointer{}, l.err
}

// Without this, callers see paths and keys of ours, or retry what cannot work.
func TestFailuresInside(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		err    error
		status int
		code   string
	}{
		"secret":   {errors.New("opening /data/secret: permission denied"), 500, "internal"},
		"busy":     {protocol.ErrBusy, 503, "busy"},
		"deadline": {context.DeadlineExceeded, 503, "timeout"},
		"mismatch": {fmt.Errorf("comparing shard a: 4 and 5 events: %w", protocol.ErrMismatch), 500, "mismatch"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPipeline(t)
			p.reader.Ledger = failingLedger{p.ledger, c.err}
			o := p.options()
			var logged strings.Builder
			o.Logger = slog.New(slog.NewTextHandler(&logged, nil))
			w := ask(api.New(o), "GET", "/v1/query?view=sales")
			var got problem
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if w.Code != c.status || got.Error.Code != c.code || strings.Contains(w.Body.String(), "secret") {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
			if c.code == "internal" {
				id := got.Error.Message[strings.LastIndex(got.Error.Message, " ")+1:]
				if !strings.Contains(logged.String(), id) || !strings.Contains(logged.String(), "permission denied") {
					t.Errorf("the log does not tell of %s: %s", id, logged.String())
				}
			}
			if metrics := ask(api.New(o), "GET", "/metrics").Body.String(); !strings.Contains(metrics, "watershed_up 0") {
				t.Errorf("metrics do not tell that the status cannot be read: %s", metrics)
			}
		})
	}
}

// Without this, a caller who has left keeps a run going, or is counted as a failure.
func TestABatchRunEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	o := newPipeline(t).options()
	o.Batch = func(ctx context.Context, _ bool) (any, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	h := api.New(o)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "POST", "/v1/batch", nil))
	if w.Code != 503 {
		t.Errorf("who leaves gets %d %s", w.Code, w.Body)
	}
	if metrics := ask(h, "GET", "/metrics").Body.String(); !strings.Contains(metrics, `watershed_batch_duration_seconds_count{outcome="failed"} 0`) {
		t.Errorf("a run that was called off counts as failed: %s", metrics)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	o := newPipeline(t).options()
	o.Service.Batch = func(context.Context) (doubleentry.Standing, error) {
		shards := []doubleentry.Shard{{Shard: "a", Equal: true, Ledger: 7, Master: 7}, {Shard: "b", Ledger: 9, Master: 6}, {Shard: "c", Ledger: 5, Master: 5}}
		return doubleentry.Standing{Failing: &doubleentry.Failure{Runs: 2}, Failed: 4, Repaired: 11, Balance: &doubleentry.Balance{Shards: shards}}, nil
	}
	h := api.New(o)
	ask(h, "GET", "/v1/query?view=sales")
	ask(h, "GET", "/v1/query?view=sale")
	h.ObserveBatch(time.Second, nil)
	h.ObserveBatch(time.Second, errors.New("no"))
	w := ask(h, "GET", "/metrics")
	for _, line := range []string{
		"watershed_up 1",
		`watershed_events_committed_total{shard="shardId-000000000000"} 10`,
		`watershed_shard_lag_seconds{shard="shardId-000000000000"} 0`,
		`watershed_shard_pending_seconds{shard="shardId-000000000000"} 0`,
		`watershed_events_total{outcome="rejected"} 2`,
		"watershed_version_seq 0",
		"watershed_batch_failing 1",
		"watershed_batch_runs_failed_total 4",
		"watershed_rows_repaired_total 11",
		`watershed_ledger_mismatch{shard="a"} 0`,
		`watershed_ledger_mismatch{shard="b"} 3`,
		`watershed_ledger_mismatch{shard="c"} 1`, // equal counts of different events
		`watershed_query_duration_seconds_count{outcome="ok"} 1`,
		`watershed_query_duration_seconds_count{outcome="refused"} 1`,
		`watershed_batch_duration_seconds_count{outcome="ok"} 1`,
		`watershed_batch_duration_seconds_count{outcome="failed"} 1`,
	} {
		if !strings.Contains(w.Body.String(), line+"\n") {
			t.Errorf("there is no %s in %s", line, w.Body)
		}
	}
}
