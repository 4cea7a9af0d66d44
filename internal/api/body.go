package api

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// defaultBodyTimeout is how long a sender may pause within a body.
const defaultBodyTimeout = 10 * time.Minute

// body is a request's body whose sender must not pause for long. Without that a
// sender who has left without a word holds a place for ever, and with it the
// generation that the request is with.
type body struct {
	from    io.Reader
	control *http.ResponseController
	timeout time.Duration
}

func (h *Handler) body(w http.ResponseWriter, r *http.Request) io.Reader {
	return &body{from: r.Body, control: http.NewResponseController(w), timeout: h.options.BodyTimeout}
}

// Read implements io.Reader. Until the end of the body a deadline stays set: it also
// bounds what the server does with the rest of a body that is refused.
func (b *body) Read(p []byte) (int, error) {
	_ = b.control.SetReadDeadline(time.Now().Add(b.timeout)) // who knows no deadlines, as in tests, does without
	n, err := b.from.Read(p)
	if errors.Is(err, io.EOF) {
		_ = b.control.SetReadDeadline(time.Time{}) // from here on the server waits for the sender to leave
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("nothing came for %s: %w", b.timeout, io.ErrUnexpectedEOF)
	}
	return n, err
}
