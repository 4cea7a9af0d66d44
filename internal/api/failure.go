package api

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/serving"
)

// failure is an error as a caller sees it.
type failure struct {
	status  int
	Code    string `json:"code"`
	Message string `json:"message"`
	Field   string `json:"field"` // the parameter at fault; "": none is
}

func (f *failure) Error() string { return f.Message }

func badParameter(field, message string) *failure {
	return &failure{status: http.StatusBadRequest, Code: string(serving.Invalid), Field: field, Message: message}
}

// classify gives the failure to show for an error; nil for one that is ours.
func classify(err error) *failure {
	var f *failure
	var q *serving.Error
	var later *UnavailableError
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &q):
		status := http.StatusBadRequest
		if q.Code == serving.NotFound {
			status = http.StatusNotFound
		}
		return &failure{status: status, Code: string(q.Code), Message: q.Message, Field: q.Field}
	case errors.As(err, &later):
		return &failure{status: http.StatusServiceUnavailable, Code: later.Code, Message: later.Message}
	case errors.Is(err, protocol.ErrBusy), errors.Is(err, protocol.ErrNotYet):
		return &failure{status: http.StatusServiceUnavailable, Code: "busy", Message: "the data changed faster than it could be read; try again"}
	case errors.Is(err, context.DeadlineExceeded):
		return &failure{status: http.StatusServiceUnavailable, Code: "timeout", Message: "it took too long; ask for less, or try again"}
	case errors.Is(err, context.Canceled):
		return &failure{status: http.StatusServiceUnavailable, Code: "canceled", Message: "it was ended before it was done; try again"}
	}
	return nil
}

// alarms are the failures that people have to see: the stores disagree or have
// lost events. Their text holds shards, positions and figures, and nothing of
// this machine.
var alarms = []struct {
	err  error
	code string
}{
	{protocol.ErrMismatch, "mismatch"},
	{protocol.ErrGap, "gap"},
	{protocol.ErrExpired, "expired"},
}

// inside gives the failure to show for an error that is ours, and logs it under
// an id. But for alarms, only the id is shown.
func (h *Handler) inside(r *http.Request, err error) *failure {
	id := rand.Text()
	h.options.Logger.Error("request failed", "id", id, "method", r.Method, "path", r.URL.Path, "error", err)
	f := &failure{status: http.StatusInternalServerError, Code: "internal", Message: "something went wrong inside; the log says what, under " + id}
	for _, a := range alarms {
		if errors.Is(err, a.err) {
			f.Code, f.Message = a.code, err.Error()
		}
	}
	return f
}

// fail responds with an error.
func (h *Handler) fail(w *response, r *http.Request, err error) {
	if w.begun {
		// Half an answer must not look like a whole one: the connection is cut.
		if r.Context().Err() == nil {
			h.options.Logger.Error("response broke off", "method", r.Method, "path", r.URL.Path, "error", err)
		}
		panic(http.ErrAbortHandler)
	}
	f := classify(err)
	if f == nil {
		f = h.inside(r, err)
	}
	if f.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	_ = writeJSON(w, f.status, map[string]*failure{"error": f})
}

// writeJSON responds with v. It is encoded first, so that an error is not half
// a response.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false) // messages quote expressions, and people read them
	if err := e.Encode(v); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, err := w.Write(body.Bytes())
	return err
}

// Unavailable responds that what was asked for cannot be served now, but later.
func Unavailable(w http.ResponseWriter, code, message string) {
	w.Header().Set("Retry-After", "1")
	_ = writeJSON(w, http.StatusServiceUnavailable, map[string]*failure{"error": {status: http.StatusServiceUnavailable, Code: code, Message: message}})
}

// Refuse responds that what was asked for is the caller's mistake; field is the
// parameter at fault, "" if none is.
func Refuse(w http.ResponseWriter, code, field, message string) {
	_ = writeJSON(w, http.StatusBadRequest, map[string]*failure{"error": {Code: code, Message: message, Field: field}})
}
