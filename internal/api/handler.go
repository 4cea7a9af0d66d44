package api

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/watershed-data/watershed/internal/serving"
)

// Options are what the handler calls. Service, Batch, Verify, Loads and Erase are required.
type Options struct {
	Service *serving.Service
	// Batch makes one batch run, from all rows if full is true, and gives what to tell
	// of it, encodable as JSON. A run that is under way goes first: it waits for that,
	// or until ctx ends.
	Batch func(ctx context.Context, full bool) (any, error)
	// Verify compares a view with the oracle; "" is every view. The result is
	// encodable as JSON, a view that does not exist is a *serving.Error.
	// progress, if it is not nil, hears now and then how many events of how many were
	// recomputed.
	Verify func(ctx context.Context, view string, progress func(events, of int64)) (any, error)
	Loads  Loads
	// Erase erases events or counts them, and gives what to tell of it, encodable as
	// JSON. A request that cannot be understood is an *erasure.RequestError.
	Erase func(ctx context.Context, r Erasure) (any, error)
	// Rejects tells of rejected events; of one reason, if it is not "". A reason that
	// does not exist is a *serving.Error. nil: nothing can be told.
	Rejects func(ctx context.Context, reason string) (Report, error)
	Logger  *slog.Logger // of failures that are not the caller's; nil: none
	Now     func() int64 // milliseconds since 1970-01-01 UTC; nil: the clock
	// QueryTimeout bounds a query or status; default one minute. Batch and verify
	// take as long as they take: they end when their caller leaves.
	QueryTimeout time.Duration
	// BodyTimeout bounds how long a sender pauses within a body; default ten minutes.
	BodyTimeout time.Duration
}

// Report is an answer that is not one of a view.
type Report interface {
	WriteJSON(w io.Writer) error
	WriteCSV(w io.Writer) error
	WriteTable(w io.Writer) error
}

// defaultQueryTimeout is long for a query and short for a client's patience.
const defaultQueryTimeout = time.Minute

// Handler serves the API.
type Handler struct {
	options Options
	mux     *http.ServeMux
	metrics *metrics
	queries chan struct{} // holds a token for each query whose answer is in memory
	checks  chan struct{} // holds a token while a verification goes on
	loading chan struct{} // holds a token for each load that is coming in
}

// atOnce is how many answers are held in memory at a time; the next ones wait
// for their turn.
const atOnce = 4

// turn waits for a place, which the function it gives frees.
func turn(ctx context.Context, places chan struct{}) (func(), error) {
	select {
	case places <- struct{}{}:
		return func() { <-places }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// New makes the handler.
func New(o Options) *Handler {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = func() int64 { return time.Now().UnixMilli() }
	}
	if o.QueryTimeout <= 0 {
		o.QueryTimeout = defaultQueryTimeout
	}
	if o.BodyTimeout <= 0 {
		o.BodyTimeout = defaultBodyTimeout
	}
	h := &Handler{options: o, mux: http.NewServeMux(), queries: make(chan struct{}, atOnce), checks: make(chan struct{}, 1), loading: make(chan struct{}, atOnce)}
	h.metrics = newMetrics(h.status, o.Now)
	for _, r := range []struct {
		method, path string
		serve        func(http.ResponseWriter, *http.Request) error
	}{
		{http.MethodGet, "/v1/query", h.query},
		{http.MethodGet, "/v1/status", h.serveStatus},
		{http.MethodPost, "/v1/batch", h.batch},
		{http.MethodGet, "/v1/verify", h.verify},
		{http.MethodPost, "/v1/erase", h.erase},
		{http.MethodGet, "/v1/rejects", h.rejects},
		{"", "/v1/load", h.load},
		{http.MethodGet, "/metrics", h.metrics.serve},
		{http.MethodGet, "/healthz", healthz},
	} {
		h.mux.Handle(r.path, h.route(r.method, r.serve))
	}
	h.mux.Handle("/", h.route("", func(_ http.ResponseWriter, r *http.Request) error {
		return &failure{status: http.StatusNotFound, Code: "not_found", Message: "there is nothing at this path; the paths are /v1/query, /v1/status, /v1/rejects, /v1/batch, /v1/load, /v1/verify, /v1/erase, /metrics and /healthz"}
	}))
	return h
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// ObserveBatch counts a batch run that was not started through the API, for
// the metrics.
func (h *Handler) ObserveBatch(d time.Duration, err error) { h.metrics.observeBatch(d, err) }

// route checks the method and turns the error of a route into a response. HEAD
// is served like GET; net/http leaves the body out.
func (h *Handler) route(method string, serve func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := &response{ResponseWriter: w}
		var err error
		if method == "" || r.Method == method || method == http.MethodGet && r.Method == http.MethodHead {
			err = serve(out, r)
		} else {
			allow := method
			if method == http.MethodGet {
				allow = "GET, HEAD"
			}
			w.Header().Set("Allow", allow)
			err = &failure{status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Message: r.URL.Path + " takes " + allow}
		}
		if err != nil {
			h.fail(out, r, err)
		}
		// The connection may serve requests that are none of this handler's.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
	})
}

// response knows whether its first byte is on its way.
type response struct {
	http.ResponseWriter
	begun bool
}

func (w *response) WriteHeader(status int) {
	w.begun = true
	w.ResponseWriter.WriteHeader(status)
}

// writeTimeout is how long a reader may take for one piece of an answer: who
// stops reading must not hold an answer in memory.
const writeTimeout = 30 * time.Second

func (w *response) Write(b []byte) (int, error) {
	w.begun = true
	// A writer that knows no deadlines, as in tests, does without.
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Now().Add(writeTimeout))
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the writer below.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func healthz(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, err := io.WriteString(w, "ok\n")
	return err
}
