package api

import (
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/watershed-data/watershed/internal/erasure"
)

// Erasure is a request to erase events.
type Erasure struct {
	erasure.Request
	DryRun bool // only count them
}

// UnavailableError is that something cannot be done now, but later.
type UnavailableError struct{ Code, Message string }

func (e *UnavailableError) Error() string { return e.Message }

const maxEraseBody = 1 << 20 // bytes

// erase erases events or counts them. What is to be erased comes in the body, as a
// form: addresses are logged on the way, and it names what must not be kept.
//
// It waits for a verification under way, and one that comes waits for it: in between
// the version and the master dataset say different things.
func (h *Handler) erase(w http.ResponseWriter, r *http.Request, form given) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxEraseBody)
	body, err := io.ReadAll(h.body(w, r))
	if err != nil {
		return badParameter("", "the body cannot be read: "+err.Error())
	}
	values, err := form.to.formValues(body)
	if err != nil {
		return err
	}
	ask := Erasure{Request: erasure.Request{Where: values.Get("where"), PartitionKey: values.Get("partition-key")}}
	if text := values.Get("dry-run"); text != "" {
		if ask.DryRun, err = strconv.ParseBool(text); err != nil {
			return badParameter("dry-run", strconv.Quote(text)+" is neither true nor false")
		}
	}
	if !ask.DryRun {
		done, err := turn(r.Context(), h.checks)
		if err != nil {
			return err
		}
		defer done()
	}
	result, err := h.options.Erase(r.Context(), ask)
	var wrong *erasure.RequestError
	if errors.As(err, &wrong) {
		return badParameter(wrong.Field, wrong.Message)
	}
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, result)
}
