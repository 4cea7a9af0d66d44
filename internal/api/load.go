package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/watershed-data/watershed/internal/load"
	"github.com/watershed-data/watershed/internal/serving"
)

// Loader takes loads of history; *load.Loader does.
type Loader interface {
	Accept(ctx context.Context, u load.Upload) (*load.Report, error)
	// Report says how the load of a pseudo-shard stands; nil if there is none.
	Report(ctx context.Context, shard string) (*load.Report, error)
	Reports(ctx context.Context) ([]*load.Report, error)
}

// How events come to /v1/load.
const (
	// FramesType is the content type of events as load.FrameWriter writes them; any
	// other body is one event a line.
	FramesType = "application/vnd.watershed.events"
	// ContentTrailer is the trailer of such a body: the SHA-256 of the content that
	// the events are of, in hexadecimal digits.
	ContentTrailer = "Watershed-Content-Sha256"
)

const maxLoadName = 255 // bytes, as of a file's name

// loads says how loads stand.
func (h *Handler) loads(w http.ResponseWriter, r *http.Request, values given) error {
	if !values.Has("load") {
		all, err := h.options.Loads.Reports(r.Context())
		if err != nil {
			return err
		}
		return writeJSON(w, http.StatusOK, map[string][]*load.Report{"loads": all})
	}
	report, err := h.options.Loads.Report(r.Context(), values.Get("load"))
	if err != nil {
		return err
	}
	if report == nil {
		return &failure{status: http.StatusNotFound, Code: string(serving.NotFound), Field: "load", Message: "there is no such load"}
	}
	return writeJSON(w, http.StatusOK, report)
}

func (h *Handler) takeLoad(w http.ResponseWriter, r *http.Request, values given) error {
	u := load.Upload{Name: path.Base(values.Get("name"))}
	if u.Name == "." || u.Name == "/" {
		u.Name = "unnamed"
	}
	if len(u.Name) > maxLoadName || strings.ContainsFunc(u.Name, unicode.IsControl) || !utf8.ValidString(u.Name) {
		return badParameter("name", "this is no file's name: it is kept for people to read; write up to "+strconv.Itoa(maxLoadName)+" bytes of text without control characters")
	}
	if text := values.Get("before"); text != "" {
		before, err := h.options.Service.ParseTime(text)
		if err != nil {
			return badParameter("before", err.Error())
		}
		u.Before = &before
	}
	u.Events, u.Content = content(r, h.body(w, r))
	done, err := turn(r.Context(), h.loading)
	if err != nil {
		return err
	}
	defer done()
	report, err := h.options.Loads.Accept(r.Context(), u)
	if err != nil {
		return loadFailure(err)
	}
	return writeJSON(w, http.StatusOK, report)
}

// content reads a request's body: its events, and the hash of what they are of,
// which is the body itself unless its sender says otherwise.
func content(r *http.Request, body io.Reader) (load.Events, func() string) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && kind == FramesType {
		return load.NewFrameReader(body), func() string { return r.Trailer.Get(ContentTrailer) }
	}
	sum := sha256.New()
	return load.NewLines(io.TeeReader(body, sum)), func() string { return hex.EncodeToString(sum.Sum(nil)) }
}

// loadFailure gives the failure to show for what is the sender's mistake.
func loadFailure(err error) error {
	var refused *load.RefusedError
	var oversized *load.OversizedError
	switch {
	case errors.As(err, &refused) && refused.Conflict:
		return &failure{status: http.StatusConflict, Code: "conflict", Field: refused.Field, Message: refused.Message}
	case errors.As(err, &refused):
		return badParameter(refused.Field, refused.Message)
	case errors.As(err, &oversized):
		return badParameter("", oversized.Error())
	case errors.Is(err, load.ErrBroken):
		return badParameter("", err.Error()+"; nothing was loaded")
	}
	return err
}
