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
	if s.Change != nil {
		changeLines(line, s.Change)
	}
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
	erased := ""
	if n := s.Outcomes.Erased; n > 0 {
		erased = fmt.Sprintf(", %d erased", n)
	}
	line("events", "%d accepted, %d rejected, %d dropped, %d duplicates%s", s.Outcomes.Accepted, s.Outcomes.Rejected, s.Outcomes.Dropped, s.Outcomes.Duplicate, erased)
	if l := s.Loads; l != nil {
		line("loads", "%s in the version, %s; %d for the next version", plural(l.Visible, "load"), plural(int(l.Events), "event"), l.Waiting)
	}
	for i, l := range s.Lookups {
		name := ""
		if i == 0 {
			name = "lookups"
		}
		line(name, "%s, %s", l.text(), plural(l.Rows, "row"))
	}
	s.shardTable(out)
	s.viewTable(out)
	return out.Flush()
}

// changeLines says how far a change of the definition is.
func changeLines(line func(name, format string, args ...any), c *Change) {
	percent := int64(100)
	if c.Of > 0 {
		percent = 100 * c.Rows / c.Of
	}
	line("change", "to generation %s since %s: %s", c.To, c.Since, c.Phase)
	line("", "%d of %s recomputed (%d%%)", c.Rows, plural(int(c.Of), "row"), percent)
	if !c.Answering {
		line("", "generation %s cannot be run by this program: queries are refused until the change is complete", c.From)
	}
	if c.Error != "" {
		line("", "the last try FAILED and is repeated: %s", printable(c.Error))
	}
}

// batchLines says how the last batch run ended, since when runs fail, and what the
// double entry gave, shard by shard where there is something to tell.
func batchLines(line func(name, format string, args ...any), st *doubleentry.Standing) {
	switch last, failing := st.Last, st.Failing; {
	case last == nil:
		line("batch", "no run yet")
	case failing == nil:
		line("batch", "last run %s at %s", last.Result, instant(last.At.UnixMilli()))
		if last.Mode != "" {
			line("", "%s: %s", last.Mode, printable(last.Why))
		}
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
	drained, events := 0, int64(0)
	for _, sh := range s.Shards {
		if sh.drained() {
			drained++
			events += sh.Events
			continue
		}
		lag := "none"
		switch {
		case sh.unknown:
			lag = "-"
		case sh.Behind:
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
	if drained > 0 { // a line for all of them: a stream that is resharded often has many
		rows = append(rows, []string{plural(drained, "shard"), "drained", "-", strconv.FormatInt(events, 10), "none", "-", "-"})
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
