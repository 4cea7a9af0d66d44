package kinesis

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// apiError is an error as the API names it: what a client's SDK turns into a
// typed error.
type apiError struct {
	status  int
	code    string // the API's name of it
	message string
}

func (e *apiError) Error() string { return e.code + ": " + e.message }

func fault(code, format string, args ...any) *apiError {
	return &apiError{http.StatusBadRequest, code, fmt.Sprintf(format, args...)}
}

func invalidArgument(format string, args ...any) *apiError {
	return fault("InvalidArgumentException", format, args...)
}

// violation is a member that breaks a constraint of the API's model, in the words
// that Kinesis uses.
func violation(member string, value any, constraint string, args ...any) *apiError {
	shown := "null"
	if value != nil {
		shown = fmt.Sprintf("'%.64v'", value)
	}
	return fault("ValidationException", "1 validation error detected: Value %s at '%s' failed to satisfy constraint: Member must %s",
		shown, member, fmt.Sprintf(constraint, args...))
}

func unavailable() *apiError {
	return &apiError{http.StatusServiceUnavailable, "ServiceUnavailable", "The endpoint is busy; try again."}
}

// asAPIError names any error. known is false for one that the client can do
// nothing about; its text is for the server's own log.
func asAPIError(err error) (e *apiError, known bool) {
	switch {
	case errors.As(err, &e):
		return e, true
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return unavailable(), true
	default:
		return &apiError{http.StatusInternalServerError, "InternalFailure", "The endpoint failed; its log says why under this request id."}, false
	}
}
