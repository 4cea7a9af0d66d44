package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/serving"
)

// metrics are what /metrics shows: how the pipeline stands when it is asked,
// and what the API did.
type metrics struct {
	registry *prometheus.Registry
	handler  http.Handler
	queries  *prometheus.HistogramVec
	batches  *prometheus.HistogramVec
}

func newMetrics(status func(context.Context) (*serving.Status, error), now func() int64) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		queries: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "watershed_query_duration_seconds", Help: "Time from a query's arrival to its last byte, by outcome.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16),
		}, []string{"outcome"}),
		batches: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "watershed_batch_duration_seconds", Help: "Time that batch runs took, by outcome.",
			Buckets: prometheus.ExponentialBuckets(0.1, 2, 16),
		}, []string{"outcome"}),
	}
	for _, outcome := range []string{succeeded, refused, failed} {
		m.queries.WithLabelValues(outcome) // a series that begins at 0 shows its first increase
		m.batches.WithLabelValues(outcome)
	}
	m.registry.MustRegister(m.queries, m.batches, &standing{status: status, now: now})
	m.handler = promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
	return m
}

func (m *metrics) serve(w http.ResponseWriter, r *http.Request) error {
	m.handler.ServeHTTP(w, r)
	return nil
}

// How a request ended.
const (
	succeeded = "ok"
	refused   = "refused" // the caller's mistake
	failed    = "failed"
)

func outcomeOf(err error) string {
	var f *failure
	var q *serving.Error
	switch {
	case err == nil:
		return succeeded
	case errors.As(err, &f), errors.As(err, &q):
		return refused
	}
	return failed
}

func (m *metrics) observeQuery(d time.Duration, err error) {
	m.queries.WithLabelValues(outcomeOf(err)).Observe(d.Seconds())
}

func (m *metrics) observeBatch(d time.Duration, err error) {
	m.batches.WithLabelValues(outcomeOf(err)).Observe(d.Seconds())
}

// standing collects how the pipeline stands, at the moment it is asked.
type standing struct {
	status func(context.Context) (*serving.Status, error)
	now    func() int64
}

var (
	upDesc       = prometheus.NewDesc("watershed_up", "1 if the pipeline's status could be read.", nil, nil)
	eventsDesc   = prometheus.NewDesc("watershed_events_committed_total", "Events committed by the speed layer.", []string{"shard"}, nil)
	lagDesc      = prometheus.NewDesc("watershed_shard_lag_seconds", "Age of a shard's oldest event that is not committed; 0 if all are.", []string{"shard"}, nil)
	behindDesc   = prometheus.NewDesc("watershed_shard_behind", "1 if the log holds events after a shard's committed position.", []string{"shard"}, nil)
	pendingDesc  = prometheus.NewDesc("watershed_shard_pending_seconds", "Age of a shard's batch that is begun and not committed; 0 if there is none.", []string{"shard"}, nil)
	outcomesDesc = prometheus.NewDesc("watershed_events_total", "Events by what became of them.", []string{"outcome"}, nil)
	completeDesc = prometheus.NewDesc("watershed_complete", "1 if answers are complete.", nil, nil)
	changeDesc   = prometheus.NewDesc("watershed_definition_change", "1 while a change of the definition is under way.", nil, nil)
	rowsDesc     = prometheus.NewDesc("watershed_definition_change_rows", "Rows of a change of the definition that is under way: recomputed, and to recompute in all.", []string{"which"}, nil)
	loadsDesc    = prometheus.NewDesc("watershed_loads", "Loads of history that are complete, by whether the current version holds them (visible) or the next one will (waiting).", []string{"state"}, nil)
	seqDesc      = prometheus.NewDesc("watershed_version_seq", "Number of the current version; 0: none is published yet.", nil, nil)
	mismatchDesc = prometheus.NewDesc("watershed_ledger_mismatch", "Events by which the ledger and the master dataset differ, by the last comparison; 0 if they agree.", []string{"shard"}, nil)
	failingDesc  = prometheus.NewDesc("watershed_batch_failing", "1 if the last batch run failed.", nil, nil)
	failedDesc   = prometheus.NewDesc("watershed_batch_runs_failed_total", "Batch runs that failed.", nil, nil)
	repairedDesc = prometheus.NewDesc("watershed_rows_repaired_total", "Rows that the master dataset lacked and that were written again from the log.", nil, nil)
	ageDesc      = prometheus.NewDesc("watershed_version_age_seconds", "Time since the current version's watershed.", nil, nil)
)

// Describe implements prometheus.Collector.
func (s *standing) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{upDesc, eventsDesc, lagDesc, behindDesc, pendingDesc, outcomesDesc, completeDesc, changeDesc, rowsDesc, loadsDesc, seqDesc, ageDesc, mismatchDesc, failingDesc, failedDesc, repairedDesc} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (s *standing) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v int64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	st, err := s.status(context.Background())
	if err != nil {
		gauge(upDesc, 0)
		return
	}
	gauge(upDesc, 1)
	gauge(completeDesc, one(st.Complete))
	gauge(changeDesc, one(st.Change != nil))
	if c := st.Change; c != nil {
		gauge(rowsDesc, float64(c.Rows), "recomputed")
		gauge(rowsDesc, float64(c.Of), "all")
	}
	for _, sh := range st.Shards {
		counter(eventsDesc, sh.Events, sh.ID)
		gauge(lagDesc, sh.LagSeconds, sh.ID)
		gauge(behindDesc, one(sh.Behind), sh.ID)
		gauge(pendingDesc, sh.PendingSeconds(s.now()), sh.ID)
	}
	counter(outcomesDesc, st.Outcomes.Accepted, "accepted")
	counter(outcomesDesc, st.Outcomes.Rejected, "rejected")
	counter(outcomesDesc, st.Outcomes.Dropped, "dropped")
	counter(outcomesDesc, st.Outcomes.Duplicate, "duplicate")
	counter(outcomesDesc, st.Outcomes.Erased, "erased")
	if l := st.Loads; l != nil {
		gauge(loadsDesc, float64(l.Visible), "visible")
		gauge(loadsDesc, float64(l.Waiting), "waiting")
	}
	if v := st.Version; v != nil {
		gauge(seqDesc, float64(v.Seq))
		gauge(ageDesc, float64(v.AgeSeconds))
	} else {
		gauge(seqDesc, 0)
	}
	if b := st.Batch; b != nil {
		gauge(failingDesc, one(b.Failing != nil))
		counter(failedDesc, b.Failed)
		counter(repairedDesc, b.Repaired)
		if b.Balance != nil {
			for _, sh := range b.Balance.Shards {
				if sh.Equal && protocol.IsLoad(sh.Shard) {
					continue // a series for each load that ever was would be too many
				}
				gauge(mismatchDesc, float64(sh.Difference()), sh.Shard)
			}
		}
	}
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
