package firehose

import (
	"context"
	"log/slog"

	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/deployment"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
)

// Stream is what is asked of the stream that Firehose reads.
type Stream interface {
	protocol.Lister
	// Record gives the record with a sequence number as it was put; false if the
	// shard does not hold it any more.
	Record(ctx context.Context, shard, seq string) (protocol.Record, bool, error)
}

// Metrics takes counts by the metrics' names; *emf.Metrics does.
type Metrics interface {
	Put(counts map[string]float64)
}

// Handler makes rows of a stream's records. It may be invoked several times at once.
type Handler struct {
	Metrics Metrics // nil: nothing is counted

	logic  *rowlogic.Logic
	rows   *archive.JSON
	stream Stream
	ranges *protocol.HashRanges
	logger *slog.Logger
}

// NewHandler makes the handler of a definition. The logger hears of every record that becomes no row.
func NewHandler(def *definition.Definition, stream Stream, logger *slog.Logger) (*Handler, error) {
	logic, err := rowlogic.New(def)
	if err != nil {
		return nil, err
	}
	return &Handler{logic: logic, rows: archive.NewJSON(def), stream: stream, ranges: &protocol.HashRanges{Log: stream}, logger: logger}, nil
}

// Invoke implements the Lambda runtime's handler: it answers every record of the
// payload, in its order, with its row as JSON or as failed.
func (h *Handler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	records, err := decode(payload)
	if err != nil {
		return nil, err
	}
	events, err := h.events(ctx, records)
	if err != nil {
		return nil, err
	}
	rejected, err := h.fill(records, events)
	if err != nil {
		return nil, err
	}
	answer := respond(records)
	if h.Metrics != nil && rejected > 0 {
		h.Metrics.Put(map[string]float64{deployment.RejectedMetric: float64(rejected)})
	}
	for i := range records {
		if r := &records[i]; r.failed != nil {
			h.logger.ErrorContext(ctx, "a record became no row", "record", r.name, "shard", r.shard, "position", r.event.Position.String(), "error", r.failed)
		}
	}
	return answer, nil
}

// fill sets the records' rows, and says how many of them are rejected events. Row
// logic runs once for each shard.
func (h *Handler) fill(records []placed, events [][]protocol.Event) (rejected int, err error) {
	batches := map[string][]protocol.Event{}
	owners := map[string][]*placed{} // of each event of a batch
	for i := range records {
		r := &records[i]
		for _, e := range events[i] {
			batches[r.shard] = append(batches[r.shard], e)
			owners[r.shard] = append(owners[r.shard], r)
		}
	}
	for shard, batch := range batches {
		rows := h.logic.Run(shard, batch)
		appendRow, err := h.rows.Rows(rows)
		if err != nil {
			return 0, err
		}
		for i, r := range owners[shard] {
			r.json = appendRow(r.json, i)
			if rows.Outcome[i] == rowlogic.Rejected {
				rejected++
			}
		}
	}
	return rejected, nil
}
