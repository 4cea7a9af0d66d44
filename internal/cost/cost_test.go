package cost

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/watershed-data/watershed/internal/definition"
)

func sales(t *testing.T) *definition.Definition {
	t.Helper()
	def, err := definition.Load(filepath.Join("..", "..", "examples", "sales", "pipeline.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return def
}

// typical is the traffic that the command assumes.
func typical(eventsPerSecond float64) Traffic {
	return Traffic{EventsPerSecond: eventsPerSecond, EventBytes: 500, Groups: 100, QueriesPerSecond: 1, Months: 1}
}

func estimate(t *testing.T, def *definition.Definition, traffic Traffic) *Estimate {
	t.Helper()
	e, err := New(def, traffic)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (e *Estimate) line(t *testing.T, service, what string) Line {
	t.Helper()
	for _, l := range e.Lines {
		if l.Service == service && strings.Contains(l.What, what) {
			return l
		}
	}
	t.Fatalf("the estimate has no %s for %s:\n%s", service, what, e.Text())
	return Line{}
}

// The figures that a reader can check with a pocket calculator and AWS's own
// pages.
func TestLinesByHand(t *testing.T) {
	t.Parallel()
	const seconds = 730 * 3600
	onDemand := estimate(t, sales(t), typical(1000))
	traffic := typical(1000)
	traffic.Shards = 2
	provisioned := estimate(t, sales(t), traffic)
	for _, c := range []struct {
		e             *Estimate
		service, what string
		usd           float64
	}{
		{onDemand, "Data Firehose", "events into", 1000 * 5120. * seconds / (1 << 30) * 0.029},
		{onDemand, "Data Firehose", "conversion", 1000 * 5120. * seconds / (1 << 30) * 0.018},
		{onDemand, "Kinesis Data Streams", "on demand", 730 * 0.04},
		{onDemand, "Kinesis Data Streams", "rounded", 1000 * 1024. * seconds / (1 << 30) * 0.08},
		{onDemand, "Kinesis Data Streams", "read by", 2 * 1000 * 500. * seconds / (1 << 30) * 0.04},
		{provisioned, "Kinesis Data Streams", "shards", 2 * 730 * 0.015},
		{provisioned, "Kinesis Data Streams", "events", 1000. * seconds / 1e6 * 0.014},
		{onDemand, "API Gateway", "query", seconds / 1e6 * 1.0},
	} {
		if l := c.e.line(t, c.service, c.what); math.Abs(l.USD-c.usd) > 0.005 {
			t.Errorf("%s, %s: $ %.2f, by hand $ %.2f", c.service, c.what, l.USD, c.usd)
		}
	}
}

// An event one byte above 5 KB is billed as 10 KB.
func TestFirehoseRoundsUp(t *testing.T) {
	t.Parallel()
	bill := func(bytes int) float64 {
		traffic := typical(100)
		traffic.EventBytes = bytes
		return estimate(t, sales(t), traffic).line(t, "Data Firehose", "events into").USD
	}
	if bill(1) != bill(5120) || bill(5121) != 2*bill(5120) {
		t.Errorf("events of 1, 5120 and 5121 bytes: $ %.2f, %.2f, %.2f", bill(1), bill(5120), bill(5121))
	}
}

func TestSmallEventsAreFirehosesBill(t *testing.T) {
	t.Parallel()
	def := sales(t)
	def.Views = def.Views[:1] // without sketches
	traffic := typical(2000)
	traffic.Groups = 4
	e := estimate(t, def, traffic)
	if !strings.HasPrefix(e.Dominant, "Data Firehose") || !strings.Contains(e.Dominant, "500 bytes are billed as 5,120") {
		t.Errorf("what dominates: %s", e.Dominant)
	}
	if len(e.Advice) == 0 || !strings.Contains(e.Advice[0].Change, "larger events") {
		t.Errorf("the first advice is not about the size of events: %+v", e.Advice)
	}
}

// Advice that follows another: what it promises is the difference of two
// estimates, which can be made with flags.
func TestAdviceSavesWhatItSays(t *testing.T) {
	t.Parallel()
	traffic := typical(1000)
	before := estimate(t, sales(t), traffic)
	traffic.Shards = 2
	after := estimate(t, sales(t), traffic)
	for _, a := range before.Advice {
		if strings.HasPrefix(a.Change, "provision the stream (`--shards 2`") {
			if saved := before.USD - after.USD; math.Abs(a.USD-saved) > 0.005 {
				t.Errorf("the advice says $ %.2f, the other estimate saves $ %.2f", a.USD, saved)
			}
			return
		}
	}
	t.Errorf("no advice about provisioned shards: %+v", before.Advice)
}

// Many groups with sketches are DynamoDB's bill, and the view is named.
func TestSketchesOfManyGroupsAreDynamoDBsBill(t *testing.T) {
	t.Parallel()
	traffic := typical(500)
	traffic.Groups = 10_000
	e := estimate(t, sales(t), traffic)
	if !strings.HasPrefix(e.Dominant, "DynamoDB") || !strings.Contains(e.Dominant, "large_sales") {
		t.Errorf("what dominates: %s", e.Dominant)
	}
	if !strings.Contains(e.Text(), "distinct(zipcode, 256)") {
		t.Errorf("no advice about the sketch:\n%s", e.Text())
	}
}

// More traffic never costs less (more groups may: their sketches stay smaller) as
// long as runs keep to the schedule, nothing is negative or not a number, and
// services and lines add up to the whole.
func TestTheBillIsSound(t *testing.T) {
	t.Parallel()
	def := sales(t)
	for _, every := range []definition.Batch{{}, {Continuous: true}, {Every: time.Minute}, {Every: time.Hour}, {Every: 240 * time.Hour}} {
		def.Batch = every
		for field, of := range map[string]func(t *Traffic, n int){
			"events":  func(t *Traffic, n int) { t.EventsPerSecond = math.Pow(10, float64(n)) / 100 },
			"bytes":   func(t *Traffic, n int) { t.EventBytes = min(1<<20, int(math.Pow(10, float64(n)))) },
			"groups":  func(t *Traffic, n int) { t.Groups = int(math.Pow(10, float64(n))) },
			"queries": func(t *Traffic, n int) { t.QueriesPerSecond = float64(n * n * n) },
			"months":  func(t *Traffic, n int) { t.Months = 1 + n },
		} {
			before := 0.0
			for n := range 8 {
				traffic := typical(100)
				of(&traffic, n)
				e := estimate(t, def, traffic)
				name := fmt.Sprintf("%+v, %+v", every, traffic)
				// Runs that take longer than the time between them become fewer.
				onTime := newModel(def, traffic).between() == def.Batch.Every.Seconds()
				if field != "groups" && onTime && e.USD < before*0.9999 {
					t.Errorf("%s: more %s cost less: $ %.2f after $ %.2f", name, field, e.USD, before)
				}
				before = e.USD
				lines, services := 0.0, 0.0
				for _, l := range e.Lines {
					lines += l.USD
					if !(l.Quantity > 0) || !(l.USD > 0) || math.IsInf(l.USD, 0) {
						t.Errorf("%s: %+v", name, l)
					}
				}
				for _, s := range e.Services {
					services += s.USD
				}
				if math.Abs(lines-e.USD) > 1e-6*e.USD || math.Abs(services-e.USD) > 1e-6*e.USD {
					t.Errorf("%s: lines $ %f, services $ %f, in all $ %f", name, lines, services, e.USD)
				}
			}
		}
	}
}

func TestImpossibleTraffic(t *testing.T) {
	t.Parallel()
	for field, change := range map[string]func(*Traffic){
		"EventsPerSecond":  func(t *Traffic) { t.EventsPerSecond = math.NaN() },
		"EventBytes":       func(t *Traffic) { t.EventBytes = 2 << 20 },
		"Groups":           func(t *Traffic) { t.Groups = 0 },
		"QueriesPerSecond": func(t *Traffic) { t.QueriesPerSecond = -1 },
		"Months":           func(t *Traffic) { t.Months = 0 },
		"Shards":           func(t *Traffic) { t.Shards = 9 },
	} {
		traffic := typical(9001)
		change(&traffic)
		_, err := New(sales(t), traffic)
		var wrong *FieldError
		if !errors.As(err, &wrong) || wrong.Field != field {
			t.Errorf("a wrong %s: %v", field, err)
		}
	}
}

// The estimate tells what it is of: a table that nobody dated is no table.
func TestThePriceTable(t *testing.T) {
	t.Parallel()
	good := string(pricesText)
	if _, err := readPrices([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"no date":     strings.Replace(good, "date: 2026", "date: in 2026", 1),
		"no region":   strings.Replace(good, "region: us-east-1", "region: ''", 1),
		"a free one":  strings.Replace(good, "usd: 0.029", "usd: 0", 1),
		"a misspelt":  strings.Replace(good, "usd: 0.029", "eur: 0.029", 1),
		"per nothing": strings.Replace(good, "per: 1000000", "per: 0", 1),
	} {
		if _, err := readPrices([]byte(text)); err == nil {
			t.Errorf("a price table with %s was taken", name)
		}
	}
}

// What docs/cost.md shows is what the command prints.
func TestTheDocumentedEstimate(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "cost.md"))
	if err != nil {
		t.Fatal(err)
	}
	def, err := definition.Load(filepath.Join("..", "..", "examples", "flights", "pipeline.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	const command = "$ watershed cost examples/flights/pipeline.yaml --events-per-second 200\n"
	_, shown, found := strings.Cut(string(page), command)
	shown, _, ended := strings.Cut(shown, "```")
	if !found || !ended {
		t.Fatalf("docs/cost.md does not show %s", command)
	}
	text := estimate(t, def, typical(200)).Text()
	for _, part := range strings.Split(shown, "  ...\n") {
		if !strings.Contains(text, part) {
			t.Errorf("docs/cost.md shows\n%s\nwhich is not in\n%s", part, text)
		}
	}
}
