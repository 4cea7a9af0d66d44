package api

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// RunState says how far a run is.
type RunState string

// The states of runs.
const (
	Running RunState = "running"
	Done    RunState = "done"
	Failed  RunState = "failed"
)

// BatchRun is a batch run that does not end with the request that began it.
type BatchRun struct {
	Run   string   `json:"run"` // its name
	State RunState `json:"state"`
	Began string   `json:"began"` // RFC 3339 in UTC
	Ended *string  `json:"ended"` // RFC 3339 in UTC; null: not yet
	// Report is what a run did that is done: what POST answers where it waits for the
	// run's end.
	Report json.RawMessage `json:"report,omitempty"`
	Error  string          `json:"error,omitempty"` // why it failed
}

// batch makes one run. A second caller waits for its turn; a caller who leaves
// ends the run, which publishes nothing by halves. Where runs go on by themselves it
// begins one.
func (h *Handler) batch(w http.ResponseWriter, r *http.Request, values given) error {
	switch text := values.Get("full"); text {
	case "", "true", "false":
	default:
		return badParameter("full", strconv.Quote(text)+" is neither true nor false")
	}
	began := time.Now()
	result, err := h.options.Batch(r.Context(), values.Get("full") == "true")
	if begun, ok := result.(*BatchRun); ok && err == nil {
		return writeJSON(w, http.StatusAccepted, begun)
	}
	if r.Context().Err() == nil { // a run that its caller called off has not failed
		h.metrics.observeBatch(time.Since(began), err)
	}
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, result)
}

// run tells of a run that was begun.
func (h *Handler) run(w http.ResponseWriter, r *http.Request, values given) error {
	if values.Get("run") == "" {
		return badParameter("run", "name the run to tell of, as POST "+r.URL.Path+" named it")
	}
	run, err := h.options.Run(r.Context(), values.Get("run"))
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return writeJSON(w, http.StatusOK, run)
}
