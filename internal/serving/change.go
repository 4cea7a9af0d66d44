package serving

import "fmt"

// Change is a change of the definition that is under way: a generation that is
// made beside the one that answers.
type Change struct {
	From      string `json:"from"`      // the generation that answers, or did
	To        string `json:"to"`        // the one that is made
	Since     string `json:"since"`     // RFC 3339 in UTC
	Answering bool   `json:"answering"` // false: From cannot be run by this program, and queries are refused until the end
	Phase     string `json:"phase"`
	Rows      int64  `json:"rows"`            // recomputed
	Of        int64  `json:"of"`              // to recompute
	Error     string `json:"error,omitempty"` // of the last try; it goes on
}

// String says it in one line.
func (c *Change) String() string {
	text := fmt.Sprintf("the definition is being changed from generation %s to %s since %s: %s, %d of %d rows", c.From, c.To, c.Since, c.Phase, c.Rows, c.Of)
	if c.Error != "" {
		text += "; the last try failed: " + c.Error
	}
	return text
}
