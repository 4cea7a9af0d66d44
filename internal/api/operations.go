package api

import (
	"net/http"

	"github.com/watershed-data/watershed/internal/definition"
)

// Operation names what one method of one path does.
type Operation string

// The operations.
const (
	Query    Operation = "query"
	Status   Operation = "status"
	Rejects  Operation = "rejects"
	Batch    Operation = "batch"
	Run      Operation = "run"
	Load     Operation = "load"
	Loads    Operation = "loads"
	Verify   Operation = "verify"
	Erase    Operation = "erase"
	Document Operation = "openapi"
	Metrics  Operation = "metrics"
	Health   Operation = "healthz"
)

// operations gives all of them, in the order of the document.
func operations() []operation {
	return []operation{
		{
			name: Query, method: http.MethodGet, path: "/v1/query", serve: (*Handler).query,
			summary: "The merged answer of a view",
			about: "Exactly the events that are committed when it is asked, each of them once. Lists have commas between their names.\n\n" +
				"On AWS an answer has to fit what a function may give, 6 MB compressed; a larger one is an error, and limit and cursor read it in pages.",
			parameters: []parameter{
				{name: "view", kind: text, required: true, example: "sales_by_product", about: "The view."},
				{name: "by", kind: text, example: "product", about: "The dimensions to keep, or attributes of lookups such as product.category, in the order to show them; the empty text merges them all. All dimensions if it is left out."},
				{name: "measures", kind: text, example: "sales,revenue", about: "The measures to give, in order; all if it is left out."},
				{name: "quantile", kind: text, example: "0.5,0.99", about: "The quantiles to give of measures that have them, from 0 to 1; 0.5,0.9,0.99 if it is left out."},
				{name: "from", kind: text, example: "2014-11-01", about: "The first bucket's start: RFC 3339, or YYYY-MM-DD in the pipeline's zone."},
				{name: "to", kind: text, example: "2014-12-01T00:00:00Z", about: "The time before which buckets start."},
				{name: "every", kind: text, values: grainNames(), about: "A coarser grain; each bucket as the view keeps it if it is left out."},
				{name: "where", kind: text, example: "product == 'tea'", about: "A condition on dimensions and their attributes, in CEL."},
				{name: "order", kind: text, example: "-revenue", about: "The columns to order by; a minus before one is descending. Ties are in the order of time and dimensions."},
				{name: "limit", kind: whole, example: "100", about: "At most this number of rows; all if it is left out."},
				{name: "cursor", kind: text, about: "next of the page before; everything else has to be asked again as it was."},
				formats("json", "csv", "table"),
			},
			answers: []reply{{status: http.StatusOK, about: "The answer.", formats: []string{"json", "csv", "table"}, headers: true, of: "Answer"}},
		},
		{
			name: Status, method: http.MethodGet, path: "/v1/status", serve: (*Handler).serveStatus,
			summary:    "How the pipeline stands",
			about:      "Shards, lag, the current version, ledger against master dataset, what became of all events, and the views that can be queried.",
			parameters: []parameter{formats("json", "table")},
			answers:    []reply{{status: http.StatusOK, about: "How it stands.", formats: []string{"json", "table"}, of: "Status"}},
		},
		{
			name: Rejects, method: http.MethodGet, path: "/v1/rejects", serve: (*Handler).rejects,
			summary: "Why events were rejected, with examples",
			about:   "The counts are exact. Examples are searched, and the search is bounded; the answer says what it left out.",
			parameters: []parameter{
				{name: "reason", kind: text, example: "negative price", about: "One reason only, with more examples."},
				formats("json", "csv", "table"),
			},
			answers: []reply{{status: http.StatusOK, about: "The reasons.", formats: []string{"json", "csv", "table"}, of: "Rejects"}},
		},
		{
			name: Batch, method: http.MethodPost, path: "/v1/batch", serve: (*Handler).batch,
			summary:    "Make a version of the batch views now",
			about:      "In local mode the answer comes when the run is over, and a caller who leaves ends the run. On AWS the run is an execution of a state machine: the answer names it at once, with status 202, and GET tells what became of it.",
			parameters: []parameter{{name: "full", kind: boolean, values: []string{"true", "false"}, about: "Compute all views from all events, whatever it costs."}},
			answers: []reply{
				{status: http.StatusOK, about: "The run is over, and this is what it did.", formats: []string{"json"}, of: "BatchReport"},
				{status: http.StatusAccepted, about: "The run has begun.", formats: []string{"json"}, of: "Run"},
			},
		},
		{
			name: Run, method: http.MethodGet, path: "/v1/batch", serve: (*Handler).run,
			summary:    "What became of a run that POST began",
			about:      "Local mode has no need of it: there POST answers when the run is over.",
			parameters: []parameter{{name: "run", kind: text, required: true, about: "The run's name, as POST gave it."}},
			answers:    []reply{{status: http.StatusOK, about: "How the run stands.", formats: []string{"json"}, of: "Run"}},
		},
		{
			name: Load, method: http.MethodPost, path: "/v1/load", serve: (*Handler).takeLoad,
			summary: "Load history into the master dataset",
			about:   "Visible from the next version on. A content is loaded once: sending it again changes nothing. The body is one event a line; with the content type " + FramesType + " it is events in frames, followed by the trailer " + ContentTrailer + ".",
			parameters: []parameter{
				{name: "before", kind: text, example: "2014-11-01T00:00:00Z", about: "Take only events older than this time."},
				{name: "name", kind: text, example: "history-2013.csv", about: "The file's name, for people to read."},
			},
			body:    []string{"application/x-ndjson", FramesType},
			answers: []reply{{status: http.StatusOK, about: "What was accepted; it is durable.", formats: []string{"json"}, of: "Load"}},
		},
		{
			name: Loads, method: http.MethodGet, path: "/v1/load", serve: (*Handler).loads,
			summary:    "How loads stand",
			parameters: []parameter{{name: "load", kind: text, about: "One load, as POST named it; the answer then is of that one alone."}},
			answers:    []reply{{status: http.StatusOK, about: "All loads, or the one that was named.", formats: []string{"json"}, of: "Loads"}},
		},
		{
			name: Verify, method: http.MethodGet, path: "/v1/verify", serve: (*Handler).verify,
			summary: "Compare every cell of the merged answer with a recompute from raw bytes",
			parameters: []parameter{
				{name: "view", kind: text, example: "sales_by_product", about: "One view; all if it is left out."},
				{name: "progress", kind: boolean, about: "Tell how far it is: the answer then is one JSON object a line, any number with progress and at last one with result or error."},
			},
			answers: []reply{{status: http.StatusOK, about: "Whether it is equal, and every difference up to a bound.", formats: []string{"json", "application/x-ndjson"}, of: "Verification"}},
		},
		{
			name: Erase, method: http.MethodPost, path: "/v1/erase", serve: (*Handler).erase,
			summary: "Erase events, or count them",
			about:   "What is to be erased comes as a form in the body: addresses are logged on the way, and it names what must not be kept.",
			form: []parameter{
				{name: "where", kind: text, example: "order_id == 'A-1'", about: "A condition on the event id, in CEL."},
				{name: "partition-key", kind: text, about: "All events of this partition key."},
				{name: "dry-run", kind: boolean, about: "Only count them."},
			},
			answers: []reply{{status: http.StatusOK, about: "What was erased.", formats: []string{"json"}, of: "Erasure"}},
		},
		{
			name: Document, method: http.MethodGet, path: "/v1/openapi.json", serve: (*Handler).document,
			summary: "This document",
			answers: []reply{{status: http.StatusOK, about: "An OpenAPI 3.1 document.", formats: []string{"json"}, of: "Object"}},
		},
		{
			name: Metrics, method: http.MethodGet, path: "/metrics", lenient: true,
			serve:   func(h *Handler, w http.ResponseWriter, r *http.Request, _ given) error { return h.metrics.serve(w, r) },
			summary: "Metrics, as Prometheus reads them",
			answers: []reply{{status: http.StatusOK, about: "The metrics.", formats: []string{"text/plain"}}},
		},
		{
			name: Health, method: http.MethodGet, path: "/healthz", lenient: true, serve: (*Handler).healthz,
			summary: "Whether requests are served",
			answers: []reply{{status: http.StatusOK, about: "They are.", formats: []string{"text/plain"}}},
		},
	}
}

func formats(known ...string) parameter {
	return parameter{name: "format", kind: text, values: known, about: "The form of the answer; " + known[0] + " if it is left out."}
}

func grainNames() []string {
	var names []string
	for _, g := range definition.Grains() {
		names = append(names, string(g))
	}
	return names
}
