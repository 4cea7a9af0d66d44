package serving

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// WriteJSON writes the status as one JSON object and a line end.
func (s *Status) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	return e.Encode(s)
}

// WriteTable writes the status for people.
func (s *Status) WriteTable(w io.Writer) error {
	out := bufio.NewWriter(w)
	line := func(name, format string, args ...any) {
		_, _ = fmt.Fprintf(out, "%-11s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("pipeline", "%s", printable(s.Pipeline))
	line("generation", "%s", s.Generation)
	if v := s.Version; v == nil {
		line("version", "none published yet")
	} else {
		age := time.Duration(v.AgeSeconds) * time.Second
		line("version", "%s (number %d), watershed %s, %s ago", v.Name, v.Seq, v.Watershed, age)
		line("", "%s in the master dataset, %d in the ledger", plural(int(v.Events), "event"), v.Ledger)
	}
	line("fresh to", "%s", orNone(s.Freshness))
	if s.Complete {
		line("complete", "yes")
	} else {
		line("complete", "no: %s", printable(s.Why))
	}
	line("events", "%d accepted, %d rejected, %d dropped", s.Outcomes.Accepted, s.Outcomes.Rejected, s.Outcomes.Dropped)
	s.shardTable(out)
	s.viewTable(out)
	return out.Flush()
}

func (s *Status) shardTable(out *bufio.Writer) {
	var rows [][]string
	for _, sh := range s.Shards {
		lag := "none"
		if sh.Behind {
			lag = time.Duration(sh.LagSeconds * float64(time.Second)).Round(time.Millisecond).String()
		}
		committed := sh.Committed
		if committed == "" {
			committed = "-"
		}
		rows = append(rows, []string{
			sh.ID, string(sh.State), strconv.FormatInt(sh.Epoch, 10), strconv.FormatInt(sh.Events, 10), lag, orNone(sh.PendingSince), committed,
		})
	}
	writeBlock(out, []string{"shard", "state", "epoch", "events", "lag", "pending since", "committed"}, []bool{2: true, 3: true, 4: true, 6: false}, rows)
}

func (s *Status) viewTable(out *bufio.Writer) {
	var rows [][]string
	for _, v := range s.Views {
		by := "-"
		if len(v.By) > 0 {
			by = strings.Join(v.By, ", ")
		}
		rows = append(rows, []string{v.Name, v.Every, by, strings.Join(v.Measures, ", ")})
	}
	writeBlock(out, []string{"view", "every", "by", "measures"}, make([]bool, 4), rows)
}

func writeBlock(out *bufio.Writer, names []string, right []bool, rows [][]string) {
	t := &table{}
	for i, name := range names {
		t.column(name, right[i])
	}
	for _, row := range rows {
		t.fit(row)
	}
	_ = out.WriteByte('\n')
	t.header(out)
	for _, row := range rows {
		t.line(out, row)
	}
}

func orNone(text *string) string {
	if text == nil {
		return "-"
	}
	return *text
}
