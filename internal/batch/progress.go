package batch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/deployment"
	"github.com/watershed-data/watershed/internal/job"
	"github.com/watershed-data/watershed/internal/protocol"
)

// Progress is how far a run has come: what one step hands to the next. It is small,
// however many shards and files there are.
type Progress struct {
	Run  string `json:"run"`
	Full bool   `json:"full"`           // make a version also if it were the current one again
	Step string `json:"step,omitempty"` // to be done now, one of the steps of package deployment; "": Next

	Next    string  `json:"next"`    // the step after
	Attempt int     `json:"attempt"` // number of the last job; 0: there is none yet
	Job     string  `json:"job"`     // where it is
	Result  string  `json:"result"`  // where the engine stores what came of it
	Seconds int64   `json:"seconds"` // to wait before the next step
	Until   int64   `json:"until"`   // how long files may come late, milliseconds since 1970-01-01 UTC; 0: nothing is waited for
	Doubled bool    `json:"doubled"` // the master dataset held rows more than once
	Report  *Report `json:"report"`  // with not more than the first few shards
	Error   string  `json:"error,omitempty"`

	Caught *Caught `json:"caught,omitempty"` // for the step failed
}

// Caught is an error of a step or of the engine, as Step Functions tells it.
type Caught struct {
	Error string `json:"Error"`
	Cause string `json:"Cause"`
}

// The attempts of a run, by what they do that the one before did not.
const (
	firstAttempt    = 1 + iota // takes the rows as they are
	distinctAttempt            // keeps one row per position
	lateAttempt                // has the files that came late
	repairedAttempt            // has rows that were written again from the log
)

// Dialect is the SQL of the engine that computes jobs.
type Dialect interface {
	// Columns lists the columns of the files that the statements read.
	Columns() []job.Column
	// Rows gives the statements that make the relations of the rows up to a cut; only
	// one row per position if distinct.
	Rows(cut map[string]protocol.Cut, distinct bool) ([]string, error)
	// Figures gives the query for what the double entry compares.
	Figures() string
	// View gives the query for a view of a version that was sealed at t, milliseconds
	// since 1970-01-01 UTC, and the columns that its rows are sorted by.
	View(v definition.View, t int64) (query string, order []string, err error)
}

// Jobs keeps texts of runs: jobs, what came of them, and what a step found out. A
// name has the run's name before its first slash.
type Jobs interface {
	// Put stores a text if there is none of that name, and gives the one that is stored.
	Put(ctx context.Context, name string, text []byte) ([]byte, error)
	// Get gives a text; false if there is none.
	Get(ctx context.Context, name string) (text []byte, ok bool, err error)
	// URI is where an engine finds, or stores, the text.
	URI(name string) string
}

// Places says where an engine finds what the ports know by names: URIs of folders,
// with a slash at their ends.
type Places struct {
	Files string // of the files of the master dataset
	Views string // of the versions
}

// Steps is the batch layer as steps, each of which may run in a process of its own,
// be killed, be repeated, and be at it twice at a time: for an engine that takes
// hours in another process. What is decided is stored before it is acted on, and
// what is stored first counts. The Layer's Engine and Archive.Flush are not used.
//
// Every run is a full one.
type Steps struct {
	*Layer
	Dialect Dialect
	Jobs    Jobs
	Places  Places
	// Published is called with the manifest of the current version after it was
	// published, more than once maybe; nil: nobody is told. Its error fails the step.
	Published func(ctx context.Context, m protocol.Manifest) error
	// Count takes what alarms look at, by the names of package deployment, once a run or
	// a little more often; nil: nobody counts.
	Count func(counts map[string]float64)
	// Poll is the time between looks for the result of an engine that nobody starts;
	// 0: DefaultPoll.
	Poll time.Duration
}

// DefaultPoll is the time between looks for a result.
const DefaultPoll = 15 * time.Second

// The names of a run's texts. Only jobs and their results are JSON by name, so that
// whoever looks for jobs finds nothing else.

func jobName(run string, attempt int) string { return fmt.Sprintf("%s/%d.json", run, attempt) }
func resultName(run string, attempt int) string {
	return fmt.Sprintf("%s/%d.result.json", run, attempt)
}

// comparedName is of the result that was compared: an engine may store another one.
func comparedName(run string, attempt int) string { return fmt.Sprintf("%s/%d.compared", run, attempt) }

// repairName is of what a repair found out about all shards that it looked into.
func repairName(run string) string { return run + "/repaired" }

func publishedName(run string) string { return run + "/published" }
func endName(run string) string       { return run + "/end" }

// mostShards is of how many shards a report tells that steps hand to each other. The
// version's manifest has the cut of all, and the journal both sides of all.
const mostShards = 40

// brief leaves out of a report what would make it large.
func (r *Report) brief() *Report {
	out := *r
	if len(out.Cut) > mostShards {
		out.Cut = nil
	}
	if b := r.Balance; b != nil && len(b.Shards) > mostShards {
		short := *b
		short.Shards = nil
		for _, s := range b.Shards {
			if !s.Equal && len(short.Shards) < mostShards {
				short.Shards = append(short.Shards, s)
			}
		}
		out.Balance = &short
	}
	return &out
}

// counts gives what alarms look at, of a run that ended.
func counts(report *Report, err error) map[string]float64 {
	out := map[string]float64{deployment.PublishedMetric: 1, deployment.BatchFailsMetric: 0, deployment.MismatchMetric: 0, deployment.RepairedMetric: 0}
	if err != nil {
		out[deployment.PublishedMetric], out[deployment.BatchFailsMetric] = 0, 1
	}
	if report.Balance == nil {
		return out
	}
	out[deployment.RepairedMetric] = float64(report.Balance.Repaired())
	if errors.Is(err, protocol.ErrMismatch) { // in the end, and not on the way to another error
		for _, s := range report.Balance.Shards {
			if !s.Equal {
				out[deployment.MismatchMetric]++
			}
		}
	}
	return out
}
