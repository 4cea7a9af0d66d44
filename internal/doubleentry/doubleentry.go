// Package doubleentry says what came of holding the master dataset against the
// ledger: in one form for a run's report, the status, the log and the metrics.
// It holds figures and knows nothing.
package doubleentry

import (
	"fmt"
	"strings"
	"time"
)

// Balance is one comparison of both sides up to a cut.
type Balance struct {
	At        time.Time `json:"at"`
	Watershed time.Time `json:"watershed"` // of the cut
	Equal     bool      `json:"equal"`     // for every shard; else nothing was published
	Doubled   bool      `json:"doubled"`   // the master dataset held rows more than once; one of each position counts
	Shards    []Shard   `json:"shards"`    // by name
}

// Shard is both sides of one shard up to the cut, and what was found out about
// the difference, if there was one. Lists of positions hold the first few.
type Shard struct {
	Shard       string   `json:"shard"`
	Equal       bool     `json:"equal"` // in count and checksum, in the end
	Ledger      int64    `json:"ledger"`
	Master      int64    `json:"master"`
	Missing     int64    `json:"missing"`     // events of the log that the master dataset lacked
	Repaired    int64    `json:"repaired"`    // of those, written again from the log
	Spans       []string `json:"spans"`       // that were missing, as (after, through]
	Surplus     int64    `json:"surplus"`     // rows at positions where the log has no event
	SurplusAt   []string `json:"surplusAt"`   // their positions
	Differing   int64    `json:"differing"`   // rows that are not what the log holds at their position
	DifferingAt []string `json:"differingAt"` // their positions
	Lost        int64    `json:"lost"`        // events that both the master dataset and the log lack
	Why         string   `json:"why,omitempty"`
}

// Difference is by how many events the two sides differ: at least 1 if they do.
func (s Shard) Difference() int64 {
	if s.Equal {
		return 0
	}
	return max(s.Ledger-s.Master, s.Master-s.Ledger, s.Surplus+s.Differing+s.Lost, 1)
}

// String gives the figures in words.
func (s Shard) String() string {
	var text string
	switch {
	case s.Equal:
		text = fmt.Sprintf("%s: %d events on both sides", s.Shard, s.Ledger)
	case s.Ledger == s.Master:
		text = fmt.Sprintf("%s: %d events on both sides with different checksums", s.Shard, s.Ledger)
	default:
		text = fmt.Sprintf("%s: %d events in the ledger, %d rows in the master dataset", s.Shard, s.Ledger, s.Master)
	}
	if s.Why != "" {
		text += "; " + s.Why
	}
	return text
}

// Repaired counts the events that were written again from the log.
func (b Balance) Repaired() int64 {
	var n int64
	for _, s := range b.Shards {
		n += s.Repaired
	}
	return n
}

// Ledger counts the events up to the cut.
func (b Balance) Ledger() int64 {
	var n int64
	for _, s := range b.Shards {
		n += s.Ledger
	}
	return n
}

// String gives the shards that differ, in words.
func (b Balance) String() string {
	var texts []string
	for _, s := range b.Shards {
		if !s.Equal {
			texts = append(texts, s.String())
		}
	}
	if texts == nil {
		return "every shard is equal"
	}
	return strings.Join(texts, "; ")
}

// Result is how a batch run ended.
type Result string

// The ways in which a run ends.
const (
	Published  Result = "published"
	Unchanged  Result = "unchanged"  // nothing came since the current version
	Superseded Result = "superseded" // another run published first
	Failed     Result = "failed"
)

// Run is a batch run that ended.
type Run struct {
	Name    string    `json:"name,omitempty"` // "": of an earlier release
	At      time.Time `json:"at"`             // its end
	Result  Result    `json:"result"`
	Version string    `json:"version,omitempty"`
	Mode    Mode      `json:"mode,omitempty"` // "": nothing was computed
	Why     string    `json:"why,omitempty"`  // in this mode
	Error   string    `json:"error,omitempty"`
}

// Mode is what a batch run computes its version from.
type Mode string

// The modes of a batch run. Their versions are equal, bit for bit.
const (
	Full        Mode = "full"        // all rows
	Incremental Mode = "incremental" // the version before and the rows since
)

// Failure is that the last runs failed, all of them since a time.
type Failure struct {
	Since    time.Time `json:"since"`
	Runs     int64     `json:"runs"`
	Mismatch bool      `json:"mismatch"` // master dataset and ledger do not agree
	Error    string    `json:"error"`    // of the last one
}

// Standing is how the batch layer stands. It outlives the process.
type Standing struct {
	Last     *Run     `json:"last"`     // null: none ended yet
	Failing  *Failure `json:"failing"`  // null: the last one did not fail
	Balance  *Balance `json:"balance"`  // the last comparison; null: none was made yet
	Repair   *Balance `json:"repair"`   // the last comparison that wrote events again; null: none ever did
	Failed   int64    `json:"failed"`   // runs, ever
	Repaired int64    `json:"repaired"` // events, ever
}
