package rejects

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
)

// WriteJSON writes the report as one JSON object and a line end.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	return e.Encode(r)
}

// WriteCSV writes a row for each example, and one without an event for a reason
// of which none was found.
func (r *Report) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	_ = out.Write([]string{"reason", "events", "shard", "position", "arrival", "partition_key", "detail", "encoding", "length", "shown", "raw"})
	for _, x := range r.Reasons {
		events := strconv.FormatInt(x.Events, 10)
		if len(x.Examples) == 0 {
			_ = out.Write(append([]string{x.Reason, events}, make([]string, 9)...))
		}
		for _, e := range x.Examples {
			_ = out.Write([]string{x.Reason, events, e.Shard, e.Position, e.Arrival, e.PartitionKey, e.Detail, string(e.Encoding), strconv.Itoa(e.Length), strconv.Itoa(e.Shown), e.Raw})
		}
	}
	out.Flush()
	return out.Error()
}

// tableRaw is how many characters of an event a table shows.
const tableRaw = 300

// WriteTable writes the report for people.
func (r *Report) WriteTable(w io.Writer) error {
	out := bufio.NewWriter(w)
	width := len("events")
	for _, x := range r.Reasons {
		width = max(width, len(strconv.FormatInt(x.Events, 10)))
	}
	fmt.Fprintf(out, "%*s  reason\n", width, "events")
	for _, x := range r.Reasons {
		fmt.Fprintf(out, "%*d  %s\n", width, x.Events, printable(x.Reason))
	}
	for _, x := range r.Reasons {
		if len(x.Examples) > 0 {
			fmt.Fprintf(out, "\n%s\n", printable(x.Reason))
		}
		for _, e := range x.Examples {
			e.write(out)
		}
	}
	fmt.Fprintf(out, "\n%s\n", r.footer())
	return out.Flush()
}

func (e Example) write(out io.Writer) {
	fmt.Fprintf(out, "  %s %s, arrived %s, partition key %s\n", e.Shard, e.Position, e.Arrival, strconv.Quote(e.PartitionKey))
	if e.Detail != "" {
		fmt.Fprintf(out, "    %s\n", printable(e.Detail))
	}
	raw, shown := e.Raw, e.Shown
	if e.Encoding == Text {
		if runes := []rune(raw); len(runes) > tableRaw {
			raw = string(runes[:tableRaw])
			shown = len(raw)
		}
		raw = printable(raw)
	} else {
		raw = "base64 " + raw[:min(len(raw), tableRaw)]
		shown = min(shown, tableRaw/4*3)
	}
	if shown < e.Length {
		raw += fmt.Sprintf("... (%d of %d bytes)", shown, e.Length)
	}
	fmt.Fprintf(out, "    %s\n", raw)
}

// footer tells what else became of events, and what was not looked at.
func (r *Report) footer() string {
	var b strings.Builder
	o := r.Outcomes
	fmt.Fprintf(&b, "%d rejected, %d dropped, %d duplicate, %d accepted", o.Rejected, o.Dropped, o.Duplicate, o.Accepted)
	if r.Freshness != nil {
		fmt.Fprintf(&b, ", fresh to %s", *r.Freshness)
	}
	if !r.Complete {
		b.WriteString("\nNot complete: " + printable(r.Why))
	}
	if !r.Searched.All {
		fmt.Fprintf(&b, "\nNot every event was searched for examples: %d of %d files and %d rows of the master dataset, %d events of the log",
			r.Searched.Files, r.Searched.OfFiles, r.Searched.Rows, r.Searched.Waiting)
	}
	return b.String()
}

// printable gives a text on one line that cannot move a terminal's cursor.
func printable(s string) string {
	for _, r := range s {
		if r == unicode.ReplacementChar || !strconv.IsPrint(r) {
			return strconv.Quote(s)
		}
	}
	return s
}
