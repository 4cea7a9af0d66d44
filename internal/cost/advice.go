package cost

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/watershed-data/watershed/internal/definition"
)

// english writes numbers with separators.
var english = message.NewPrinter(language.English)

// dominant says which service the bill mostly is, and why.
func (m model) dominant(lines []Line, total float64) string {
	services := byService(lines, total)
	first := services[0]
	var largest Line
	for _, l := range lines {
		if l.Service == first.Name && l.USD > largest.USD {
			largest = l
		}
	}
	return english.Sprintf("%s, with %.0f %% of the bill, most of it for %s", first.Name, 100*first.Share, largest.What) + m.because(first.Name)
}

func (m model) because(service string) string {
	switch service {
	case "Data Firehose":
		billed := roundUp(float64(m.EventBytes), firehoseRound)
		return english.Sprintf(": it bills every event in steps of 5 KB, so %d bytes are billed as %.0f, %.1f times as many", m.EventBytes, billed, billed/float64(m.EventBytes))
	case "Kinesis Data Streams":
		if m.Shards == 0 {
			billed := roundUp(float64(m.EventBytes), 1<<10)
			return english.Sprintf(": on demand, every event is billed in steps of 1 KB, so %d bytes are billed as %.0f", m.EventBytes, billed)
		}
	case "DynamoDB":
		v, size := m.largestItem()
		writes := m.speed()
		return english.Sprintf(": %.0f write units per 1,000 events; an item of view %s has about %.0f bytes, and a unit writes 1 KB",
			1000*(writes.itemWrites+writes.otherWrites)/m.EventsPerSecond, v.Name, size)
	case "Glue":
		r := m.runs()
		return english.Sprintf(": %.0f runs, %.0f hours in all", r.count, r.seconds/3600)
	}
	return ""
}

func (m model) largestItem() (definition.View, float64) {
	v := slices.MaxFunc(m.views, func(a, b definition.View) int { return cmp.Compare(m.itemSize(a), m.itemSize(b)) })
	return v, m.itemSize(v)
}

// change is something to change, and what the model is after it.
type change struct {
	text  string
	model model
}

// changes are what could make the bill smaller. Which of them do is seen from
// their bills.
func (m model) changes() []change {
	var out []change
	add := func(after model, format string, args ...any) {
		out = append(out, change{english.Sprintf(format, args...), after})
	}
	after := m
	if m.Shards == 0 {
		after.Shards = int(math.Ceil(1.25 * m.shardsNeeded(1)))
		if after.Shards <= maxShards {
			add(after, "provision the stream (`--shards %d`, a quarter more than the average takes) instead of letting it grow on demand, if the traffic is even", after.Shards)
		}
	}
	after = m
	if k := math.Floor(25 << 10 / float64(m.EventBytes)); k > 1 {
		after.eventsPerRecord = k
		add(after, "let producers aggregate with the KPL, about %.0f events to a record: the stream bills records, and Watershed takes them apart", k)
	}
	after = m
	after.unrounded = true
	add(after, "send fewer, larger events (an order with its items rather than an event for each item): Firehose bills an event of %d bytes like one of %.0f; this is the most that there is to save", m.EventBytes, roundUp(float64(m.EventBytes), firehoseRound))
	after = m
	after.window = 10 * m.window
	add(after, "let the speed function wait %.0f s instead of %.0f s for a batch to fill, `speed: {window: %.0fs}` in the deployment's configuration: fewer writes, answers as much later", after.window, m.window, after.window)
	if m.between() < 6*3600 {
		after = m
		after.batchEvery = 6 * 3600
		add(after, "make a version every 6 hours, `batch: {every: 6h}`: answers are as fresh and as exact, queries read more real-time items")
	}
	if m.batchEvery > 3600 {
		after = m
		after.batchEvery = 3600
		add(after, "make a version every hour, `batch: {every: 1h}`: real-time items stay smaller")
	}
	for i, v := range m.views {
		for j, measure := range v.Measures {
			if measure.Func == definition.Distinct && measure.K > 256 {
				add(m.withK(i, j, 256), "keep fewer hashes in view %s, `distinct(%s, 256)`: about 6 %% of error above 256 values instead of %.0f %%, smaller items", v.Name, measure.Column, 100/math.Sqrt(float64(measure.K)))
			}
		}
	}
	return out
}

// withK is the model with another K of a distinct.
func (m model) withK(view, measure, k int) model {
	m.views = slices.Clone(m.views)
	m.views[view].Measures = slices.Clone(m.views[view].Measures)
	m.views[view].Measures[measure].K = k
	return m
}

// assumed is what the estimate takes for granted, for people.
func (m model) assumed() []string {
	stream := fmt.Sprintf("a stream of %d provisioned shards", m.Shards)
	if m.Shards == 0 {
		stream = "a stream on demand"
	}
	every := "a run starts when one has ended"
	if m.batchEvery > 0 {
		every = english.Sprintf("a run every %g h", m.batchEvery/3600)
	}
	return []string{
		english.Sprintf("%g events a second on average, of %d bytes with their partition key, none of them aggregated; %s with the default retention", m.EventsPerSecond, m.EventBytes, stream),
		english.Sprintf("groups in use at a time in a view with dimensions: %d; events spread evenly over shards and groups, nearly all events in the newest time bucket", m.Groups),
		english.Sprintf("the speed function is called after %g s or %d events, on arm64 with %g GB of memory", m.window, lambdaBatch, speedGB),
		english.Sprintf("items of the usual size: every value different for distinct, quantiles over two powers of ten, texts of %d bytes", textBytes),
		english.Sprintf("%s, on %g DPU of Glue, each from all rows, %.0f of them a second", every, batchDPU, batchRowsPerSec),
		english.Sprintf("months of events in the master dataset: %d, with %g of their bytes and %g bytes more for each", m.Months, storedShare, storedOverhead),
		english.Sprintf("queries a second: %g, each for one group and one time bucket", m.QueriesPerSecond),
		"Firehose bills events after it has taken KPL aggregates apart",
		"not in it: free tiers, taxes, discounts, data transfer out, KMS requests, Athena, crawlers, point-in-time recovery, a development account's second copy",
	}
}
