package api

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// verifyLine is one line of /v1/verify?progress=true, which is one JSON object a
// line: any number with Progress, then one with Result or Error.
type verifyLine struct {
	Progress *Progress       `json:"progress,omitempty"`
	Result   json.RawMessage `json:"result,omitempty"` // what /v1/verify answers otherwise
	Error    *failure        `json:"error,omitempty"`
}

// Progress is how far a verification is.
type Progress struct {
	Events int64 `json:"events"` // recomputed so far
	Of     int64 `json:"of"`
}

// progressEvery is the least time between two lines of progress.
const progressEvery = 200 * time.Millisecond

func (h *Handler) verify(w http.ResponseWriter, r *http.Request, values given) (err error) {
	told := false
	if text := values.Get("progress"); text != "" {
		if told, err = strconv.ParseBool(text); err != nil {
			return badParameter("progress", strconv.Quote(text)+" is neither true nor false")
		}
	}
	done, err := turn(r.Context(), h.checks)
	if err != nil {
		return err
	}
	defer done()
	if told {
		return h.verifyAloud(w, r, values.Get("view"))
	}
	result, err := h.options.Verify(r.Context(), values.Get("view"), nil)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, result)
}

// verifyAloud tells how far it is. Before the first line, an error is an ordinary
// one; from then on it is a line.
func (h *Handler) verifyAloud(w http.ResponseWriter, r *http.Request, view string) error {
	var last time.Time
	begun := false
	line := func(l verifyLine) error {
		body, err := json.Marshal(l)
		if err != nil {
			return err
		}
		if !begun {
			w.Header().Set("Content-Type", "application/x-ndjson")
			w.Header().Set("Cache-Control", "no-store")
			begun = true
		}
		if _, err := w.Write(append(body, '\n')); err != nil {
			return err
		}
		return http.NewResponseController(w).Flush()
	}
	result, err := h.options.Verify(r.Context(), view, func(events, of int64) {
		if now := time.Now(); now.Sub(last) >= progressEvery {
			last = now
			_ = line(verifyLine{Progress: &Progress{events, of}}) // who has left ends the context
		}
	})
	switch {
	case err != nil && !begun:
		return err
	case err != nil:
		f := classify(err)
		if f == nil {
			f = h.inside(r, err)
		}
		return line(verifyLine{Error: f})
	}
	body, err := json.Marshal(result)
	if err != nil {
		return err
	}
	return line(verifyLine{Result: body})
}
