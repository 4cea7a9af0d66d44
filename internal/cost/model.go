package cost

import (
	"math"
	"time"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/deployment"
)

// What the layers are set to, and what they are seen or assumed to need. The
// assumptions that are told to the user name these.
const (
	month = 730 * 3600.0 // seconds
	gib   = 1 << 30

	lambdaBatch   = 1000        // events in one invocation of the speed function, at most
	lambdaPayload = 4_500_000.0 // bytes of events that fit into one, in base64

	speedGB         = 1.0  // memory of the speed function
	speedSeconds    = 0.05 // of an invocation: reading and writing the ledger
	speedPerEvent   = 5e-6 // seconds
	speedPerItem    = 0.01 / 25
	transformGB     = 0.5
	transformBuffer = 1 << 20 // bytes of events in an invocation
	transformEvery  = 60.0    // seconds in which there is one at least
	transformPerMiB = 0.15    // seconds
	queryGB         = 1.0
	querySeconds    = 0.02
	logBytes        = 400.0 // of an invocation

	firehoseRound   = 5 << 10
	firehoseObject  = 64 << 20
	firehoseSeconds = 60.0

	batchDPU          = 2.0
	batchStartSeconds = 30.0
	batchMinSeconds   = 60.0
	batchRowsPerSec   = 1e6
	runTransitions    = 12.0
	runObjects        = 20.0
	runSteps          = 6.0 // invocations of the batch function
	stepSeconds       = 2.0
	stepGB            = 2.0
	fileReads         = 3.0   // requests for a file of the master dataset: its footer, and columns
	fileSeconds       = 0.005 // of a run, for each file that it opens
	listed            = 1000.0

	storedShare    = 0.7  // of an event's bytes, in the master dataset's Parquet
	storedOverhead = 60.0 // bytes of a row's other columns

	ownMetrics = 5 // that the functions write themselves
)

// model is what decides a bill. Advice is a model with something changed.
type model struct {
	Traffic
	views           []definition.View
	dedupe          bool
	window          float64 // seconds that the event source waits for a batch to fill
	eventsPerRecord float64 // 1, or more with KPL aggregation
	unrounded       bool    // Firehose bills bytes rather than steps of 5 KB: what large events come near
	batchEvery      float64 // seconds; 0: continuous
}

func newModel(def *definition.Definition, t Traffic) model {
	m := model{
		Traffic: t, views: def.AllViews(), dedupe: def.Events.ID != "",
		window: 1, eventsPerRecord: 1, batchEvery: def.Batch.Every.Seconds(),
	}
	if m.batchEvery == 0 && !def.Batch.Continuous {
		m.batchEvery = (24 * time.Hour).Seconds()
	}
	return m
}

// use is so many of what a price is for.
type use struct {
	price    string // a key of the price table
	what     string // what it is used for
	quantity float64
}

// uses is everything that is billed for a month.
func (m model) uses() []use {
	bytes := m.EventsPerSecond * float64(m.EventBytes) // a second
	speed := m.speed()
	transforms := max(bytes/transformBuffer, 1/transformEvery)
	firehose := bytes
	if !m.unrounded {
		firehose = m.EventsPerSecond * roundUp(float64(m.EventBytes), firehoseRound)
	}
	runs := m.runs()
	queries := m.QueriesPerSecond * month
	invocations := (speed.invocations+transforms)*month + queries + runs.count*runSteps
	objects, files := m.objects(), m.files()
	stored := m.EventsPerSecond * month * float64(m.Months) * (storedShare*float64(m.EventBytes) + storedOverhead)

	out := m.stream()
	return append(out,
		use{"firehose-in", "events into the master dataset", firehose * month / gib},
		use{"firehose-conversion", "conversion to Parquet", firehose * month / gib},
		use{"lambda-requests", "speed, transform, query and batch", invocations},
		use{"lambda-time", "speed", speed.seconds * speedGB * month},
		use{"lambda-time", "transform", transformGB * (0.02*transforms + transformPerMiB*bytes/(1<<20)) * month},
		use{"lambda-time", "query", queryGB * querySeconds * queries},
		use{"lambda-time", "batch", stepGB * stepSeconds * runs.count * runSteps},
		use{"dynamodb-writes", "real-time items", speed.itemWrites * month},
		use{"dynamodb-writes", "ledger and dedup segments", speed.otherWrites * month},
		use{"dynamodb-writes", "deleting items after a run", runs.count * m.discarded()},
		use{"dynamodb-reads", "speed", speed.reads * month},
		use{"dynamodb-reads", "query", queries * m.queryReads()},
		use{"dynamodb-storage", "items and ledger", m.live() / gib},
		use{"s3-storage", "master dataset", stored / gib},
		use{"s3-writes", "objects of Firehose and batch, and listing them", objects + runs.count*(runObjects+files/listed)},
		use{"s3-reads", "query", 4 * queries},
		use{"s3-reads", "batch runs", runs.count * files * fileReads},
		use{"glue-time", "batch runs", runs.seconds * batchDPU / 3600},
		use{"steps", "batch runs", runs.count * runTransitions},
		use{"api-requests", "query", queries},
		use{"cloudwatch-logs", "of the functions and of requests", (invocations + queries) * logBytes / gib},
		use{"cloudwatch-metrics", "of the functions' own", ownMetrics},
		use{"cloudwatch-alarms", "alarms", deployment.Alarms},
		use{"cloudwatch-dashboards", "dashboard", 1},
		use{"kms-keys", "data key", 1},
	)
}

// stream is what the stream itself costs. Two consumers read it.
func (m model) stream() []use {
	records := m.EventsPerSecond / m.eventsPerRecord
	recordBytes := float64(m.EventBytes) * m.eventsPerRecord
	if m.Shards > 0 {
		return []use{
			{"kinesis-shard-hour", "shards", float64(m.Shards) * month / 3600},
			{"kinesis-put", "events", records * math.Ceil(recordBytes/(25<<10)) * month},
		}
	}
	return []use{
		{"kinesis-stream-hour", "stream on demand", month / 3600},
		{"kinesis-in", "events, each rounded up to 1 KB", records * roundUp(recordBytes, 1<<10) * month / gib},
		{"kinesis-out", "read by speed and Firehose", 2 * records * recordBytes * month / gib},
	}
}

// shards is how many the stream has; on demand it is ready for twice the traffic.
func (m model) shards() float64 {
	if m.Shards > 0 {
		return float64(m.Shards)
	}
	return max(onDemandShards, math.Ceil(2*m.shardsNeeded(m.eventsPerRecord)))
}

// speedUse is what the speed layer uses in a second.
type speedUse struct {
	invocations, seconds           float64
	itemWrites, otherWrites, reads float64 // units
}

func (m model) speed() speedUse {
	rate := m.EventsPerSecond / m.shards() // of one shard
	largest := max(1, min(lambdaBatch, math.Floor(lambdaPayload/float64(m.EventBytes))))
	invocations := min(rate, max(1/m.window, rate/largest))
	n := rate / invocations // events in a batch

	var items, writes, reads float64
	for _, v := range m.views {
		k, size := touched(m.groups(v), n), m.itemSize(v)
		items += k
		writes += k * math.Ceil(size/1024)
		reads += k * math.Ceil(size/4096)
	}
	others := 2.0 // the ledger's row: before and after
	if m.dedupe {
		others += math.Ceil(n * segmentBytes / 1024)
	}
	all := invocations * m.shards()
	return speedUse{
		invocations: all,
		seconds:     all * (speedSeconds + speedPerEvent*n + speedPerItem*items),
		itemWrites:  all * writes,
		otherWrites: all * others,
		reads:       all * (1 + reads),
	}
}

// groups is how many groups of a view are in use at one time.
func (m model) groups(v definition.View) float64 {
	switch {
	case v.Outcomes:
		return 3 // accepted, rejected for a reason or two
	case len(v.By) == 0:
		return 1
	}
	return float64(m.Groups)
}

// runUse is the batch runs of a month.
type runUse struct{ count, seconds float64 }

func (m model) runs() runUse {
	n := month / m.between()
	return runUse{count: n, seconds: n * m.runSeconds()}
}

// runSeconds is how long a run computes: from all rows, each time.
func (m model) runSeconds() float64 {
	rows := m.EventsPerSecond * month * float64(m.Months)
	return max(batchMinSeconds, batchStartSeconds+rows/batchRowsPerSec+m.files()*fileSeconds)
}

// objects is how many files Firehose adds to the master dataset in a month, and files
// how many there are.
func (m model) objects() float64 {
	return max(m.EventsPerSecond*float64(m.EventBytes)/firehoseObject, 1/firehoseSeconds) * month
}

func (m model) files() float64 { return m.objects() * float64(m.Months) }

// between is the seconds from one version to the next: a run starts when the one
// before it has ended, at the earliest.
func (m model) between() float64 { return max(m.batchEvery, m.runSeconds()) }

// discarded is how many write units deleting a run's items takes.
func (m model) discarded() float64 {
	total := 0.0
	m.eachEpochItem(func(count, size float64) { total += count * math.Ceil(size/1024) })
	return total
}

// live is the bytes of items that are there at a time: of the epoch that is
// written, and of the one before until it is discarded.
func (m model) live() float64 {
	total := 0.0
	m.eachEpochItem(func(count, size float64) { total += 2 * count * size })
	return total
}

// eachEpochItem tells for every view how many items one epoch has, and their size.
func (m model) eachEpochItem(tell func(count, size float64)) {
	for _, v := range m.views {
		buckets, events := m.epoch(v)
		tell(m.shards()*buckets*touched(m.groups(v), events), m.itemSize(v))
	}
}

// epoch is how many time buckets of a view an epoch of a shard fills, and the
// events in each.
func (m model) epoch(v definition.View) (buckets, events float64) {
	every := m.between()
	buckets = max(1, every/seconds(v.Every))
	return buckets, m.EventsPerSecond / m.shards() * every / buckets
}

// itemSize is the usual size of an item of a view, in bytes.
func (m model) itemSize(v definition.View) float64 {
	_, events := m.epoch(v)
	return itemSize(v, events/m.groups(v))
}

// queryReads is how many read units a query takes: pointer, every shard's ledger
// row, and one group's items of all shards in a view of average size.
func (m model) queryReads() float64 {
	size := 0.0
	for _, v := range m.views {
		size += m.itemSize(v)
	}
	return 2 + m.shards() + math.Ceil(m.shards()*size/float64(len(m.views))/4096)
}

func roundUp(x, step float64) float64 { return math.Ceil(x/step) * step }
