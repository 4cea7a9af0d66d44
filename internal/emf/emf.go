// Package emf writes metrics as lines of a log, in CloudWatch's embedded metric
// format: whoever writes a line to the standard output of a Lambda function has
// sent the metric, without a call of its own and without a permission for one.
//
// It knows the format and nothing of what is measured.
package emf

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/watershed-data/watershed/internal/deployment"
)

// Metrics writes the metrics of one pipeline. It may be used by several goroutines
// at once.
type Metrics struct {
	namespace string
	pipeline  string
	now       func() time.Time

	mu  sync.Mutex
	out io.Writer
}

// New makes the writer of a pipeline's metrics in a namespace. out is what becomes
// the log, the standard output in Lambda; each line is one Write.
func New(out io.Writer, namespace, pipeline string, now func() time.Time) *Metrics {
	return &Metrics{namespace: namespace, pipeline: pipeline, now: now, out: out}
}

// mostMetrics is how many metrics one line may define.
const mostMetrics = 100

// directive is the member _aws of a line.
type directive struct {
	Timestamp int64    `json:"Timestamp"` // milliseconds since 1970-01-01 UTC
	Metrics   []metric `json:"CloudWatchMetrics"`
}

type metric struct {
	Namespace  string     `json:"Namespace"`
	Dimensions [][]string `json:"Dimensions"`
	Metrics    []name     `json:"Metrics"`
}

type name struct {
	Name string `json:"Name"`
	Unit string `json:"Unit"`
}

// Put writes counts by the metrics' names, which must be finite numbers. No counts
// are no line. A line that the log does not take is lost, and nobody can be told:
// an alarm that must not miss it says what missing data means.
func (m *Metrics) Put(counts map[string]float64) {
	for names := range slices.Chunk(slices.Sorted(maps.Keys(counts)), mostMetrics) {
		line := map[string]any{deployment.PipelineDimension: m.pipeline}
		of := metric{Namespace: m.namespace, Dimensions: [][]string{{deployment.PipelineDimension}}}
		for _, n := range names {
			of.Metrics = append(of.Metrics, name{n, "Count"})
			line[n] = counts[n]
		}
		line["_aws"] = directive{Timestamp: m.now().UnixMilli(), Metrics: []metric{of}}
		m.write(line)
	}
}

func (m *Metrics) write(line map[string]any) {
	text, err := json.Marshal(line)
	if err != nil {
		panic(fmt.Sprintf("emf: writing counts that are not finite numbers: %v", err)) // a count of something is one
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	_, _ = m.out.Write(append(text, '\n'))
}
