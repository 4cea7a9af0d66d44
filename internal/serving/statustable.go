package serving

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/watershed-data/watershed/internal/doubleentry"
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
	if s.Batch != nil {
		batchLines(line, s.Batch)
	}
	line("fresh to", "%s", orNone(s.Freshness))
	if s.Complete {
		line("complete", "yes")
	} else {
		line("complete", "no: %s", printable(s.Why))
	}
	line("events", "%d accepted, %d rejected, %d dropped, %d duplicates", s.Outcomes.Accepted, s.Outcomes.Rejected, s.Outcomes.Dropped, s.Outcomes.Duplicate)
	s.shardTable(out)
	s.viewTable(out)
	return out.Flush()
}

// batchLines says how the last batch run ended, since when runs fail, and what the
// double entry gave, shard by shard where there is something to tell.
func batchLines(line func(name, format string, args ...any), st *doubleentry.Standing) {
	switch last, failing := st.Last, st.Failing; {
	case last == nil:
		line("batch", "no run yet")
	case failing == nil:
		line("batch", "last run %s at %s", last.Result, instant(last.At.UnixMilli()))
	default:
		line("batch", "FAILING since %s, %s; the last at %s", instant(failing.Since.UnixMilli()), plural(int(failing.Runs), "run"), instant(last.At.UnixMilli()))
		if !failing.Mismatch { // the balance tells it better
			line("", "%s", printable(failing.Error))
		}
	}
	b := st.Balance
	if b == nil {
		return
	}
	at := instant(b.At.UnixMilli())
	switch {
	case !b.Equal:
		line("balance", "NOT EQUAL at %s: the ledger and the master dataset disagree", at)
	case b.Doubled:
		line("balance", "equal at %s, %s on both sides; rows that are there more than once count once", at, plural(int(b.Ledger()), "event"))
	default:
		line("balance", "equal at %s, %s on both sides", at, plural(int(b.Ledger()), "event"))
	}
	for _, shard := range b.Shards {
		if !shard.Equal || shard.Why != "" {
			line("", "%s", printable(shard.String()))
		}
	}
	if r := st.Repair; r != nil && r.At != b.At {
		line("repaired", "%s at %s, %d in all", plural(int(r.Repaired()), "event"), instant(r.At.UnixMilli()), st.Repaired)
	}
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
