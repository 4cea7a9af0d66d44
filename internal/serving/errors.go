package serving

import (
	"fmt"
	"strings"

	"github.com/watershed-data/watershed/internal/measure"
)

// Code says what kind of mistake a query holds.
type Code string

// The kinds of mistakes.
const (
	Invalid    Code = "invalid"      // a parameter has a wrong value
	NotFound   Code = "not_found"    // the view does not exist
	TooLarge   Code = "too_large"    // the answer is larger than the service holds
	OutOfRange Code = "out_of_range" // a sum has more digits than any store or engine takes
)

// Error is a query that cannot be answered as asked. Its text is for the person
// who asked.
type Error struct {
	Code    Code
	Field   string // the parameter at fault: view, by, measures, from, to, every, where, order, limit, cursor; "" if none alone is
	Message string
}

func (e *Error) Error() string { return e.Message }

func invalid(field, format string, args ...any) *Error {
	return &Error{Code: Invalid, Field: field, Message: fmt.Sprintf(format, args...)}
}

// list names what exists in a message: "a, b" or "none".
func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// read gives the output's result of a group's states; one that is out of range is
// an error of the query, which can ask for less.
func (o output) read(states []measure.State) (measure.Result, error) {
	r, err := o.Read(states[o.state])
	if err != nil {
		return r, &Error{Code: OutOfRange, Field: "measures", Message: err.Error() + "; leave " + o.Name + " out of measures, or ask for a finer every or more dimensions in by"}
	}
	return r, nil
}
