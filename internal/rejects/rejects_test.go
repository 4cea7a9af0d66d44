package rejects_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/memory"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rejects"
	"github.com/watershed-data/watershed/internal/rowlogic"
	"github.com/watershed-data/watershed/internal/serving"
	"github.com/watershed-data/watershed/internal/speed"
)

const text = `
pipeline: sales
events: {format: json, columns: {product: {type: string}, price: {type: int}}}
clean:
  - require: "price >= 0"
    reason: negative price
  - drop: "product == 'test'"
views: {sales: {by: [product], every: none, measures: {sales: count}}}
`

// pipeline is archive, speed and serving layer over stores in memory.
type pipeline struct {
	t       *testing.T
	options rejects.Options
	log     *memory.Log
	archive *archive.Archiver
	speed   *protocol.Speed
	arrival int64
}

// checkpoints keeps them in memory.
type checkpoints map[string]protocol.Position

func (c checkpoints) Load(_ context.Context, shard string) (protocol.Position, error) {
	return c[shard], nil
}

func (c checkpoints) Store(_ context.Context, shard string, p protocol.Position) error {
	c[shard] = p
	return nil
}

func newPipeline(t *testing.T) *pipeline {
	t.Helper()
	def, err := definition.Parse("pipeline.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	logic, err := rowlogic.New(def)
	if err != nil {
		t.Fatal(err)
	}
	log, ledger, realTime, master := memory.NewLog(1), memory.NewLedger(), memory.NewRealTime(), memory.NewMaster()
	p := &pipeline{t: t, log: log, arrival: 1417392000000}
	now := func() int64 { return p.arrival }
	p.speed = &protocol.Speed{Log: log, Ledger: ledger, RealTime: realTime, Folder: speed.NewFolder(def, logic), Now: now}
	marks := checkpoints{}
	p.archive = &archive.Archiver{Definition: def, Logic: logic, Log: log, Master: master, Checkpoints: marks}
	service := serving.New(def, &protocol.Reader{Log: log, Ledger: ledger, RealTime: realTime, Views: memory.NewViews()}, now, serving.Limits{})
	t.Cleanup(func() {
		if err := service.Close(); err != nil {
			t.Error(err)
		}
	})
	p.options = rejects.Options{Service: service, Log: log, Logic: logic, Master: master, Checkpoints: marks}
	return p
}

var shard = memory.ShardID(0)

// send puts events into the log and lets the speed layer commit them.
func (p *pipeline) send(events ...string) {
	p.t.Helper()
	for _, e := range events {
		p.arrival++
		p.log.Append(shard, "key", p.arrival, []byte(e))
	}
	page, err := p.log.Read(p.t.Context(), shard, protocol.Position{}, 1<<20)
	if err == nil {
		err = p.speed.Apply(p.t.Context(), protocol.Batch{Shard: shard, Events: page.Events})
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// store archives what is in the log, as one file.
func (p *pipeline) store() {
	p.t.Helper()
	page, err := p.log.Read(p.t.Context(), shard, protocol.Position{}, 1<<20)
	if err == nil {
		err = p.archive.Flush(p.t.Context(), map[string]protocol.Position{shard: page.Events[len(page.Events)-1].Position})
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *pipeline) find(reason string) *rejects.Report {
	p.t.Helper()
	r, err := rejects.Find(p.t.Context(), p.options, reason)
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

// shown lists a report's reasons with counts and the bytes of examples.
func shown(r *rejects.Report) string {
	var b strings.Builder
	for _, x := range r.Reasons {
		fmt.Fprintf(&b, "%s %d:", x.Reason, x.Events)
		for _, e := range x.Examples {
			b.WriteString(" " + e.Raw)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func price(n int) string { return fmt.Sprintf(`{"product":"a","price":%d}`, n) }

// Without this, counts are not those of the views, or examples are old ones.
func TestNewestExamplesFirst(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	p.send(price(1), price(-1), price(-2), "x", `{"product":"test","price":1}`)
	p.store()
	p.send(price(-3), price(2), price(-4))
	p.store()
	p.send(price(-5), "y") // not archived yet
	r := p.find("")
	if got, want := shown(r), "negative price 5: "+price(-5)+" "+price(-4)+" "+price(-3)+"\nnot JSON 2: y x\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if want := (rejects.Outcomes{Accepted: 2, Rejected: 7, Dropped: 1}); r.Outcomes != want {
		t.Errorf("outcomes are %+v, want %+v", r.Outcomes, want)
	}
	if !r.Searched.All || !r.Complete || r.Freshness == nil {
		t.Errorf("it claims to have left something out: %+v", r)
	}
	e := r.Reasons[0].Examples[0]
	if e.Shard != shard || e.Position == "" || e.Arrival != "2014-12-01T00:00:00.009Z" || e.PartitionKey != "key" || e.Length != len(price(-5)) {
		t.Errorf("an example is %+v", e)
	}
	if got := shown(p.find("not JSON")); got != "not JSON 2: y x\n" {
		t.Errorf("one reason: %s", got)
	}
	if got := shown(p.find("missing price")); got != "missing price 0:\n" {
		t.Errorf("a reason that did not occur: %s", got)
	}
	_, err := rejects.Find(t.Context(), p.options, "no JSON")
	var wrong *serving.Error
	if !errors.As(err, &wrong) || wrong.Field != "reason" || !strings.Contains(wrong.Message, "\"no JSON\"; this pipeline's are duplicate name, empty") {
		t.Errorf("a reason that does not exist: %v", err)
	}
}

// Without this, the examples of one large request are its first events, and an
// older one may be shown in place of the newest.
func TestNewestOfOneArrival(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	for n := range 8 {
		p.log.Append(shard, "key", p.arrival, []byte(price(-n-1)))
	}
	p.send(price(1))
	want := "negative price 8: " + price(-8) + " " + price(-7) + " " + price(-6) + "\n"
	if got := shown(p.find("")); got != want {
		t.Errorf("in the log: got %swant %s", got, want)
	}
	p.store()
	if got := shown(p.find("")); got != want {
		t.Errorf("in the master dataset: got %swant %s", got, want)
	}
}

// Without this, a row that the archive wrote twice is two examples.
func TestARowThatIsThereTwiceIsOneExample(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	p.send(price(-1), price(-2))
	page, err := p.log.Read(t.Context(), shard, protocol.Position{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	p.store()
	if err := p.archive.Repair(t.Context(), shard, []protocol.Span{{Through: page.Events[1].Position}}); err != nil {
		t.Fatal(err)
	}
	if got, want := shown(p.find("")), "negative price 2: "+price(-2)+" "+price(-1)+"\n"; got != want {
		t.Errorf("got %swant %s", got, want)
	}
}

// Without this, a search of a large dataset takes for ever, or hides that it was
// cut short.
func TestTheSearchIsBoundedAndSaysSo(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	for i := range 4 {
		p.send(price(-i-1), price(1), fmt.Sprintf("bad %d", i))
		p.store()
	}
	p.send("waiting 1", "waiting 2", "waiting 3")
	for name, limit := range map[string]func(*rejects.Options){
		"rows":    func(o *rejects.Options) { o.Rows = 4 },
		"files":   func(o *rejects.Options) { o.Files = 1 },
		"waiting": func(o *rejects.Options) { o.Waiting = 2 },
	} {
		limited := *p
		limit(&limited.options)
		r := limited.find("")
		if r.Searched.All {
			t.Errorf("%s: the report does not say that something was left out: %+v", name, r.Searched)
		}
		var out bytes.Buffer
		if err := r.WriteTable(&out); err != nil || !strings.Contains(out.String(), "Not every event was searched") {
			t.Errorf("%s: the table does not say so: %s", name, out.String())
		}
		if len(r.Reasons) != 2 || r.Reasons[0].Events+r.Reasons[1].Events != 11 {
			t.Errorf("%s: counts are not bounded by the search, but are %s", name, shown(r))
		}
	}
}

var hostile = []string{
	"\xff\xfe\x00\x01", `say "no", and
leave`, "ä😀\x1b[31m", "", strings.Repeat("é", 1500), strings.Repeat("\xff", 5000), "plain, text",
}

// Equal reports in every format: what JSON says is what CSV says and what a
// table shows, and the bytes come back.
func TestFormatsSayTheSame(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	p.options.Examples = 20
	p.send(hostile...)
	p.store()
	r := p.find("")
	var asJSON, asCSV, asTable bytes.Buffer
	for w, write := range map[*bytes.Buffer]func(io.Writer) error{&asJSON: r.WriteJSON, &asCSV: r.WriteCSV, &asTable: r.WriteTable} {
		if err := write(w); err != nil {
			t.Fatal(err)
		}
	}
	var back rejects.Report
	if err := json.Unmarshal(asJSON.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(&asCSV).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	records = records[1:]
	raw := map[string]bool{}
	for _, x := range back.Reasons {
		if !strings.Contains(asTable.String(), x.Reason) {
			t.Errorf("the table does not show %s", x.Reason)
		}
		for _, e := range x.Examples {
			want := []string{x.Reason, strconv.FormatInt(x.Events, 10), e.Shard, e.Position, e.Arrival, e.PartitionKey, e.Detail, string(e.Encoding), strconv.Itoa(e.Length), strconv.Itoa(e.Shown), e.Raw}
			if len(records) == 0 || !reflect.DeepEqual(records[0], want) {
				t.Fatalf("CSV has %q, JSON %q", records[0], want)
			}
			records = records[1:]
			content := []byte(e.Raw)
			if e.Encoding == rejects.Base64 {
				if content, err = base64.StdEncoding.DecodeString(e.Raw); err != nil {
					t.Fatal(err)
				}
			}
			if len(content) != e.Shown {
				t.Errorf("%d bytes are shown, and %d claimed", len(content), e.Shown)
			}
			raw[string(content)] = true
			if !strings.Contains(asTable.String(), e.Position) {
				t.Errorf("the table lacks %s", e.Position)
			}
		}
	}
	for _, e := range hostile {
		if !raw[e[:min(len(e), 2000)]] {
			t.Errorf("%.20q is no example, or not as it was sent", e)
		}
	}
	if strings.Contains(asTable.String(), "\x1b") {
		t.Error("the table moves the terminal's cursor")
	}
}
