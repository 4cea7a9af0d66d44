package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/aws/aws-lambda-go/events"
)

// MostBytes is how large a result Lambda takes back from a function, encoded as
// JSON: 6 MiB, and what Lambda needs of it for itself.
const MostBytes = 6<<20 - envelope

// envelope is room for the status and the headers of a result, in bytes: API Gateway
// takes at most 10,240 of headers.
const envelope = 16 << 10

// Handler answers events with an http.Handler.
type Handler struct {
	Serve http.Handler
	// TooLarge answers in the place of an answer that is larger than Most.
	TooLarge http.Handler
	Most     int // bytes of a body as the result holds it; 0: MostBytes
}

// Invoke answers one event. Its error is that the event is none of an HTTP API, or
// that the answer broke off: half an answer must not look like a whole one.
func (h *Handler) Invoke(ctx context.Context, event events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
	r, err := request(ctx, event)
	if err != nil {
		return events.APIGatewayV2HTTPResponse{}, err
	}
	most := h.Most
	if most == 0 {
		most = MostBytes
	}
	a := newAnswer(r, most)
	err = serve(h.Serve, a, r)
	out, fits := a.result()
	if !fits {
		// The handler stopped where the answer became too large: that is no failure.
		a = newAnswer(r, most)
		err = serve(h.TooLarge, a, r)
		out, fits = a.result()
	}
	if err == nil && !fits {
		err = errTooLarge
	}
	if err != nil {
		return events.APIGatewayV2HTTPResponse{}, fmt.Errorf("answering %s %s: %w", r.Method, r.URL.Path, err)
	}
	return out, nil
}

var errAborted = errors.New("the answer broke off")

// serve turns the way in which a handler of net/http cuts off an answer into an
// error. Any other panic is one of the function.
func serve(handler http.Handler, a *answer, r *http.Request) (err error) {
	defer func() {
		switch cause := recover(); cause {
		case nil:
		case http.ErrAbortHandler:
			err = errAborted
		default:
			panic(cause)
		}
	}()
	handler.ServeHTTP(a, r)
	return nil
}
