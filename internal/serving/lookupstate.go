package serving

import (
	"fmt"
	"strings"

	"github.com/watershed-data/watershed/internal/lookup"
)

// LookupState says which content of a lookup is in use.
type LookupState struct {
	Name     string `json:"name"`
	Content  string `json:"content"`  // names the content: equal ones have equal names
	Modified string `json:"modified"` // the file's time of change, RFC 3339 in UTC
	Rows     int    `json:"rows"`
	Problem  string `json:"problem,omitempty"` // why the file as it is now is not used
}

func lookupStates(uses []lookup.Use) []LookupState {
	var out []LookupState
	for _, u := range uses {
		out = append(out, LookupState{u.Lookup.Name, u.Content, instant(u.Modified.UnixMilli()), u.Len(), u.Problem})
	}
	return out
}

// text tells of a lookup in one line.
func (l LookupState) text() string {
	if l.Problem == "" {
		return fmt.Sprintf("%s as of %s", l.Name, l.Modified)
	}
	return fmt.Sprintf("%s as of %s, since its file cannot be used: %s", l.Name, l.Modified, printable(l.Problem))
}

// lookupProblems says of every lookup whose file cannot be used that it is an
// older content that the answer was made with.
func lookupProblems(states []LookupState) string {
	var out []string
	for _, l := range states {
		if l.Problem != "" {
			out = append(out, "lookup "+l.text())
		}
	}
	return strings.Join(out, "; ")
}

// Warning says what to know about the answer besides Why; "": nothing. Formats
// that hold rows alone cannot tell it.
func (a *Answer) Warning() string { return lookupProblems(a.Lookups) }
