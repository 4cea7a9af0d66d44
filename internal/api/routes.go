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

func (h *Handler) query(w http.ResponseWriter, r *http.Request, values given) (err error) {
	began := time.Now()
	defer func() { h.metrics.observeQuery(time.Since(began), err) }()
	q, err := parseQuery(values.Values)
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
	header.Set("Content-Type", contentTypes[values.format()])
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
	return writeAnswer(w, a, values.format())
}

// rejects tells of rejected events. The search takes a query's place and time.
func (h *Handler) rejects(w http.ResponseWriter, r *http.Request, values given) error {
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
	w.Header().Set("Content-Type", contentTypes[values.format()])
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	if r.Method == http.MethodHead {
		return nil
	}
	return writeAnswer(w, report, values.format())
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

func (h *Handler) serveStatus(w http.ResponseWriter, r *http.Request, values given) error {
	s, err := h.status(r.Context())
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", contentTypes[values.format()])
	w.Header().Set("Cache-Control", "no-store")
	if values.format() == "table" {
		return s.WriteTable(w)
	}
	return s.WriteJSON(w)
}
