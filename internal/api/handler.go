package api

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/watershed-data/watershed/internal/serving"
)

// Options are what the handler calls: a function for each operation that is served.
type Options struct {
	Service *serving.Service
	// Instead names the operations that are not served here, and says what to do in
	// their place. Their functions are not called.
	Instead map[Operation]string
	// Batch makes one batch run, from all rows if full is true, and gives what to tell
	// of it, encodable as JSON. A run that is under way goes first: it waits for that,
	// or until ctx ends. A *BatchRun says that it has begun a run and does not wait.
	Batch func(ctx context.Context, full bool) (any, error)
	// Run tells of a run that Batch has begun. One that does not exist is a
	// *serving.Error.
	Run func(ctx context.Context, run string) (*BatchRun, error)
	// Verify compares a view with the oracle; "" is every view. The result is
	// encodable as JSON, a view that does not exist is a *serving.Error.
	// progress, if it is not nil, hears now and then how many events of how many were
	// recomputed.
	Verify func(ctx context.Context, view string, progress func(events, of int64)) (any, error)
	Loads  Loader
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
	all := operations()
	for _, path := range paths(all) {
		h.mux.Handle(path, h.route(all, path))
	}
	h.mux.Handle("/", h.answer(func(_ http.ResponseWriter, r *http.Request) error {
		return &failure{status: http.StatusNotFound, Code: string(serving.NotFound), Message: "there is nothing at this path; the paths are " + strings.Join(paths(all), ", ")}
	}))
	return h
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// ObserveBatch counts a batch run that was not started through the API, for
// the metrics.
func (h *Handler) ObserveBatch(d time.Duration, err error) { h.metrics.observeBatch(d, err) }

// route serves the operations of a path. HEAD is served like GET; net/http leaves the
// body out.
func (h *Handler) route(all []operation, path string) http.Handler {
	byMethod := map[string]*operation{}
	for i := range all {
		if o := &all[i]; o.path == path {
			byMethod[o.method] = o
		}
	}
	if get := byMethod[http.MethodGet]; get != nil {
		byMethod[http.MethodHead] = get
	}
	allow := strings.Join(methods(all, path), ", ")
	return h.answer(func(w http.ResponseWriter, r *http.Request) error {
		o := byMethod[r.Method]
		if o == nil {
			w.Header().Set("Allow", allow)
			return &failure{status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Message: path + " takes " + allow}
		}
		if instead, ok := h.options.Instead[o.name]; ok {
			return &failure{status: http.StatusNotImplemented, Code: "not_implemented", Message: r.Method + " " + path + " is not served here; " + instead}
		}
		values, err := o.queryValues(r)
		if err != nil {
			return err
		}
		return o.serve(h, w, r, given{values, o})
	})
}

// answer turns the error of what serves a request into a response.
func (h *Handler) answer(serve func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := &response{ResponseWriter: w}
		if err := serve(out, r); err != nil {
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

func (h *Handler) healthz(w http.ResponseWriter, _ *http.Request, _ given) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, err := io.WriteString(w, "ok\n")
	return err
}
