package verify

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/watershed-data/watershed/internal/protocol"
)

// Result says what was compared and what differs.
type Result struct {
	Equal           bool              `json:"equal"` // no difference
	Cells           int64             `json:"cells"` // compared
	Parts           int               `json:"parts"` // in which the cells were compared; 1: all at one snapshot
	Views           []ViewResult      `json:"views"`
	Events          int64             `json:"events"` // recomputed from their raw bytes
	FromMaster      int64             `json:"fromMaster"`
	FromLog         int64             `json:"fromLog"`
	Outcomes        map[string]int64  `json:"outcomes"`  // events by what became of them
	Version         string            `json:"version"`   // of the batch views in the answer; "": none is published yet
	Watershed       string            `json:"watershed"` // RFC 3339; "": none
	Committed       map[string]string `json:"committed"` // the position up to which the answer holds each shard's events
	DifferenceCount int64             `json:"differenceCount"`
	Differences     []Difference      `json:"differences"` // the first ones

	most int
}

// ViewResult counts the cells of one view.
type ViewResult struct {
	View      string `json:"view"`
	Cells     int64  `json:"cells"`     // in the merged answer, the oracle's, or both
	Different int64  `json:"different"` // of them
}

// Difference is one disagreement: of a cell's measure, of a cell's being there,
// or of a source's figures with the ledger's.
type Difference struct {
	View   string `json:"view"` // or the source that disagrees with the ledger
	Cell   string `json:"cell"`
	What   string `json:"what"` // the measure, or what else differs
	Merged string `json:"merged"`
	Oracle string `json:"oracle"`
}

const defaultMost = 20

func newResult(opts Options, s *protocol.Snapshot) *Result {
	r := &Result{
		Views: []ViewResult{}, Outcomes: map[string]int64{}, Committed: map[string]string{},
		Differences: []Difference{}, most: opts.Most,
	}
	if r.most == 0 {
		r.most = defaultMost
	}
	for shard, row := range s.Rows {
		r.Committed[shard] = row.Through.String()
	}
	if m := s.Manifest; m != nil {
		r.Version = m.Version
		r.Watershed = time.UnixMilli(m.T).UTC().Format("2006-01-02T15:04:05.999Z07:00")
	}
	return r
}

func (r *Result) differ(d Difference) {
	r.DifferenceCount++
	if len(r.Differences) < r.most {
		r.Differences = append(r.Differences, d)
	}
}

// WriteJSON writes the result as one JSON object and a line end.
func (r *Result) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	return e.Encode(r)
}

// WriteTable writes the result for people.
func (r *Result) WriteTable(w io.Writer) error {
	var text strings.Builder
	version := "no version is published yet"
	if r.Version != "" {
		version = fmt.Sprintf("version %s, watershed %s", r.Version, r.Watershed)
	}
	fmt.Fprintln(&text, version)
	fmt.Fprintf(&text, "recomputed %d events from their raw bytes: %d from the master dataset, %d from the log\n", r.Events, r.FromMaster, r.FromLog)
	fmt.Fprintf(&text, "%d accepted, %d rejected, %d dropped, %d duplicates", r.Outcomes["accepted"], r.Outcomes["rejected"], r.Outcomes["dropped"], r.Outcomes["duplicate"])
	if n := r.Outcomes["erased"]; n > 0 {
		fmt.Fprintf(&text, ", %d erased", n)
	}
	if r.Parts > 1 {
		fmt.Fprintf(&text, "\ncompared in %d parts, since there are more cells than fit in memory; each is exact at a position of its own, the last one's is given", r.Parts)
	}
	fmt.Fprint(&text, "\n\n")

	out := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "cells\tdifferent\t\x00view")
	for _, v := range r.Views {
		fmt.Fprintf(out, "%d\t%d\t\x00%s\n", v.Cells, v.Different, v.View)
	}
	_ = out.Flush() // into memory: cannot fail
	r.writeDifferences(&text)
	_, err := io.WriteString(w, strings.ReplaceAll(text.String(), "\x00", "  "))
	return err
}

func (r *Result) writeDifferences(text *strings.Builder) {
	if r.Equal {
		fmt.Fprintf(text, "\nequal: all %d cells of the merged answer are what a recompute from scratch gives\n", r.Cells)
		return
	}
	fmt.Fprintf(text, "\nDIFFERENT: %d differences\n", r.DifferenceCount)
	for _, d := range r.Differences {
		place := d.View
		if d.Cell != "" {
			place += " " + d.Cell
		}
		fmt.Fprintf(text, "  %s: %s is %s, recomputed %s\n", place, d.What, d.Merged, d.Oracle)
	}
	if more := r.DifferenceCount - int64(len(r.Differences)); more > 0 {
		fmt.Fprintf(text, "  and %d more\n", more)
	}
}
