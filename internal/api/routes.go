package api

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/watershed-data/watershed/internal/serving"
)

// Headers that tell of an answer what CSV has no place for.
const (
	versionHeader  = "Watershed-Version"
	completeHeader = "Watershed-Complete"
	nextHeader     = "Watershed-Next"
	warningHeader  = "Watershed-Warning"
)

func (h *Handler) query(w http.ResponseWriter, r *http.Request) (err error) {
	began := time.Now()
	defer func() { h.metrics.observeQuery(time.Since(began), err) }()
	values, err := parameters(r, queryParameters...)
	if err != nil {
		return err
	}
	q, format, err := parseQuery(values)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), h.options.QueryTimeout)
	defer cancel()
	done, err := turn(ctx, h.queries)
	if err != nil {
		return err
	}
	defer done()
	a, err := h.options.Service.Query(ctx, q)
	if err != nil {
		return err
	}
	header := w.Header()
	header.Set("Content-Type", contentTypes[format])
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	header.Set(completeHeader, strconv.FormatBool(a.Complete))
	if a.Version != nil {
		header.Set(versionHeader, *a.Version)
	}
	if a.Next != nil {
		header.Set(nextHeader, *a.Next)
	}
	if text := a.Warning(); text != "" {
		header.Set(warningHeader, strconv.QuoteToASCII(text))
	}
	if r.Method == http.MethodHead {
		return nil
	}
	return writeAnswer(w, a, format)
}

// rejects tells of rejected events. The search takes a query's place and time.
func (h *Handler) rejects(w http.ResponseWriter, r *http.Request) error {
	values, err := parameters(r, "reason", "format")
	if err != nil {
		return err
	}
	format, err := parseFormat(values, "json", "csv", "table")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), h.options.QueryTimeout)
	defer cancel()
	done, err := turn(ctx, h.queries)
	if err != nil {
		return err
	}
	defer done()
	report, err := h.options.Rejects(ctx, values.Get("reason"))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", contentTypes[format])
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	if r.Method == http.MethodHead {
		return nil
	}
	return writeAnswer(w, report, format)
}

func writeAnswer(w io.Writer, a Report, format string) error {
	switch format {
	case "csv":
		return a.WriteCSV(w)
	case "table":
		return a.WriteTable(w)
	}
	return a.WriteJSON(w)
}

func (h *Handler) status(ctx context.Context) (*serving.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, h.options.QueryTimeout)
	defer cancel()
	return h.options.Service.Status(ctx)
}

func (h *Handler) serveStatus(w http.ResponseWriter, r *http.Request) error {
	values, err := parameters(r, "format")
	if err != nil {
		return err
	}
	format, err := parseFormat(values, "json", "table")
	if err != nil {
		return err
	}
	s, err := h.status(r.Context())
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", contentTypes[format])
	w.Header().Set("Cache-Control", "no-store")
	if format == "table" {
		return s.WriteTable(w)
	}
	return s.WriteJSON(w)
}

// batch makes one run. A second caller waits for its turn; a caller who leaves
// ends the run, which publishes nothing by halves.
func (h *Handler) batch(w http.ResponseWriter, r *http.Request) error {
	values, err := parameters(r, "full")
	if err != nil {
		return err
	}
	switch text := values.Get("full"); text {
	case "", "true", "false":
	default:
		return badParameter("full", strconv.Quote(text)+" is neither true nor false")
	}
	began := time.Now()
	result, err := h.options.Batch(r.Context(), values.Get("full") == "true")
	if r.Context().Err() == nil { // a run that its caller called off has not failed
		h.metrics.observeBatch(time.Since(began), err)
	}
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, result)
}
