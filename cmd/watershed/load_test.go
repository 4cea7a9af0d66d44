package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
)

const loadDefinition = `
pipeline: meets
events:
  format: json
  columns:
    n:  {type: int}
    k:  {type: string}
    at: {type: timestamp}
    id: {type: string}
  time: at
  id: id
clean:
  - require: "n >= 0"
    reason: negative
views:
  by_key:
    by: [k]
    every: 1h
    measures: {events: count, total: sum(n), least: min(n), most: max(n)}
batch: {every: 1h}
`

// past gives n events, some rejected, as lines of JSON and as a table, and how many
// are accepted with which total. Event i is of the hour i modulo 48 of two days.
func past(n int) (lines []string, table string, accepted, total int) {
	var csv strings.Builder
	csv.WriteString("n,k,at,id\n")
	for i := range n {
		value := i % 1000
		if i%100 == 7 {
			value = -1
		} else {
			accepted++
			total += value
		}
		at := time.Date(2014, 11, 1, i%48, i%60, 0, 0, time.UTC).Format(time.RFC3339)
		lines = append(lines, fmt.Sprintf(`{"n":%d,"k":"k%d","at":%q,"id":"e%d"}`, value, i%5, at, i))
		fmt.Fprintf(&csv, "%d,k%d,%s,e%d\n", value, i%5, at, i)
	}
	return lines, csv.String(), accepted, total
}

// mustTell runs a client command that has to succeed, and gives what it printed.
func (p *pipelineProcess) mustTell(t *testing.T, args ...string) string {
	t.Helper()
	r := p.told(t, args...)
	if r.code != 0 {
		t.Fatalf("%s: exit code %d: %s%s\nthe pipeline says: %s", strings.Join(args, " "), r.code, r.out, r.err, p.errOut)
	}
	return r.out
}

// totals asks for the sums over everything.
func (p *pipelineProcess) totals(t *testing.T) (events, total int) {
	t.Helper()
	var answer struct {
		Rows []struct {
			Events int    `json:"events"`
			Total  string `json:"total"`
		} `json:"rows"`
	}
	text := p.mustTell(t, "query", "by_key", "--by", "", "--every", "none", "--measures", "events,total", "--format", "json")
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		t.Fatal(err)
	}
	for _, row := range answer.Rows {
		events += row.Events
		n := 0
		if _, err := fmt.Sscan(row.Total, &n); err != nil {
			t.Fatal(err)
		}
		total += n
	}
	return events, total
}

func TestAStreamAndItsHistoryMeetWithoutOverlapOrHole(t *testing.T) {
	t.Parallel()
	const n, at = 3000, "2014-11-02T00:00:00Z"
	lines, table, accepted, total := past(n)
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, _ = w.Write([]byte(table))
	_ = w.Close()
	var since []string // what the stream has
	for i, line := range lines {
		if i%48 >= 24 {
			since = append(since, line)
		}
	}
	history, stream := write(t, "history.csv.gz", zipped.String()), write(t, "stream.ndjson", strings.Join(since, "\n"))
	p := startPipeline(t, write(t, "pipeline.yaml", loadDefinition), filepath.Join(t.TempDir(), "data"))

	p.mustTell(t, "send", stream)
	out := p.mustTell(t, "load", history, "--before", at)
	for _, want := range []string{"accepted 1,512 events", "left out 1,488 events not older than " + at, "visible from the next version"} {
		if !strings.Contains(out, want) {
			t.Errorf("load says %q, want %q", out, want)
		}
	}
	waitForTip(t, p)
	if events, _ := p.totals(t); events >= accepted {
		t.Errorf("%d events are visible before a version holds the load", events)
	}
	if out := p.mustTell(t, "status"); !strings.Contains(out, "0 loads in the version, 0 events; 1 for the next version") {
		t.Errorf("status says nothing of the load:\n%s", out)
	}
	p.mustTell(t, "verify")
	for range 2 {
		p.mustTell(t, "batch")
		if events, sum := p.totals(t); events != accepted || sum != total {
			t.Errorf("%d events with the total %d are visible, want %d and %d", events, sum, accepted, total)
		}
		p.mustTell(t, "verify")
		// Again, under another name and in another wrapping: the content is the same.
		if out := p.mustTell(t, "load", write(t, "again.csv", table), "--before", at); !strings.Contains(out, "already loaded at") {
			t.Errorf("loading again says %q", out)
		}
	}
	if out := p.mustTell(t, "status"); !strings.Contains(out, "1 load in the version, 1512 events; 0 for the next version") {
		t.Errorf("status says nothing of the load:\n%s", out)
	}
	listed, err := streamClient(p.url).ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: aws.String("meets")})
	if err != nil || len(listed.Shards) != 2 {
		t.Errorf("the stream lists %+v, %v; want its two shards", listed, err)
	}
	if out := p.mustTell(t, "batch"); !strings.Contains(out, "1 load") || strings.Contains(out, "load-") {
		t.Errorf("batch says %q", out)
	}

	if r := p.told(t, "load", history); r.code != 1 || !strings.Contains(r.err, "with the time "+at) {
		t.Errorf("loading it with another time: %d %s%s", r.code, r.out, r.err)
	}
	long := write(t, "long.ndjson", lines[0]+"\n"+lines[1]+"\n"+`{"k":"`+strings.Repeat("x", 1<<20)+`"}`+"\n")
	if r := p.told(t, "load", long); r.code != 1 || !strings.Contains(r.err, "long.ndjson:3: the event is larger than 1 MiB") || !strings.Contains(r.err, "nothing of "+long+" was loaded") {
		t.Errorf("loading a line that is too long: %d %s%s", r.code, r.out, r.err)
	}
	if out := p.mustTell(t, "load", write(t, "empty.ndjson", "\n\n")); !strings.Contains(out, "no events to load") {
		t.Errorf("loading nothing says %q", out)
	}
	p.mustTell(t, "batch")
	if events, sum := p.totals(t); events != accepted || sum != total {
		t.Errorf("%d events with the total %d are visible after refusals, want %d and %d", events, sum, accepted, total)
	}
	p.stop(t)
}

// A load is begun again and again while the pipeline is killed under it: at the
// end its events are there, each once.
func TestKillingThePipelineUnderALoad(t *testing.T) {
	t.Parallel()
	const n, kills = 20_000, 6
	lines, table, accepted, total := past(n)
	definition, data := write(t, "pipeline.yaml", loadDefinition), filepath.Join(t.TempDir(), "data")
	history := write(t, "history.csv", table)
	// The stream holds some of these events too, and so does a second load: none of
	// them is a duplicate of the first one's.
	stream := write(t, "stream.ndjson", strings.Join(lines[:1000], "\n"))
	for kill := range kills {
		p := startPipeline(t, definition, data)
		if kill == 0 {
			p.mustTell(t, "send", stream)
		}
		var wg sync.WaitGroup
		for _, args := range [][]string{{"load", history}, {"batch"}} {
			wg.Go(func() { p.told(t, args...) }) // it fails when the process dies
		}
		select { // anywhere between the first byte and the version
		case <-time.After(time.Duration(rand.IntN(1000)) * time.Millisecond):
		case <-p.ended:
			t.Errorf("the process ended by itself: %s", p.errOut)
		}
		p.kill(t)
		wg.Wait()
	}
	p := startPipeline(t, definition, data)
	p.mustTell(t, "load", history, stream)
	p.mustTell(t, "batch")
	waitForTip(t, p)
	events, sum := p.totals(t)
	if wantEvents, wantSum := accepted+2*990, total+2*sumOf(lines[:1000]); events != wantEvents || sum != wantSum {
		t.Errorf("%d events with the total %d are visible, want %d and %d", events, sum, wantEvents, wantSum)
	}
	p.mustTell(t, "verify")
	p.stop(t)
}

// sumOf adds up the accepted events' numbers.
func sumOf(lines []string) (sum int) {
	for _, line := range lines {
		var e struct{ N int }
		if json.Unmarshal([]byte(line), &e) == nil && e.N >= 0 {
			sum += e.N
		}
	}
	return sum
}

// A file may have any name; it is told so that people and terminals can take it.
func TestLegibleNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"orders.ndjson": "orders.ndjson", "größe 2.csv": "größe 2.csv", "a\x1b[2Jb": "a?[2Jb", "gr\xf6\xdfe.csv": "gr??e.csv", "a\nb": "a?b",
	} {
		if got := legible(name); got != want {
			t.Errorf("%q is told as %q, want %q", name, got, want)
		}
	}
}
