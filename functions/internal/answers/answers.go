// Package answers is what the query function serves: the API over the stores of a
// stack. It knows the serving layer, its neighbours and the adapter to API Gateway, and
// nothing of an account.
package answers

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/watershed-data/watershed/functions/internal/runs"
	"github.com/watershed-data/watershed/internal/api"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/doubleentry"
	"github.com/watershed-data/watershed/internal/httpapi"
	"github.com/watershed-data/watershed/internal/lookup"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rejects"
	"github.com/watershed-data/watershed/internal/rowlogic"
	"github.com/watershed-data/watershed/internal/serving"
)

// Options are the parts of a stack that answers are made of.
type Options struct {
	Definition *definition.Definition
	Reader     *protocol.Reader // its Lineage is set here
	Shards     func(ctx context.Context) ([]protocol.Shard, error)
	Tips       protocol.Tips // what is known of the log beyond what is committed
	Master     protocol.Master
	Runs       *runs.Runs
	// Journal gives what the batch layer noted of itself last; nothing at first.
	Journal func(ctx context.Context) ([]byte, error)
	// Ready says why nothing can be answered; it is asked before each request.
	Ready  func(ctx context.Context) error
	Logger *slog.Logger
	Now    func() time.Time
	// MemoryMiB is the function's memory, which bounds what an answer is made of; 0: it
	// is not known.
	MemoryMiB int
}

// groupsPerMiB is how many groups an answer may be made of for each MiB of memory: half
// of it, at two or three kilobytes a group.
const groupsPerMiB = 200

// listed is for how long the stream's shards are remembered.
const listed = 10 * time.Second

// queryTimeout leaves time to say that it took too long: API Gateway waits for 30
// seconds and says nothing.
const queryTimeout = 25 * time.Second

// How far a search for examples of rejected events goes: each file is some requests
// to S3.
const (
	rejectedFiles = 300
	rejectedRows  = 500_000
)

// instead says what to do in the place of what a stack does not serve.
var instead = map[api.Operation]string{
	api.Load:    "a stack takes no loads yet: put the events into its stream with `watershed send --stack`",
	api.Loads:   "a stack takes no loads yet",
	api.Verify:  "every version of a stack was compared with its ledger before it was published, and `watershed status --stack` shows the figures; the oracle runs in local mode",
	api.Erase:   "a stack does not erase events yet",
	api.Metrics: "the metrics of a stack are in CloudWatch, in the dashboard that it made",
}

// New makes the function's handler. It asks nothing of the stores yet.
func New(o Options) (*httpapi.Handler, error) {
	lookups, err := lookup.Open(o.Definition, o.Logger)
	if err != nil {
		return nil, err
	}
	logic, err := rowlogic.New(o.Definition)
	if err != nil {
		return nil, fmt.Errorf("preparing row logic: %w", err)
	}
	millis := func() int64 { return o.Now().UnixMilli() }
	o.Reader.Lineage = (&protocol.Listing{Shards: o.Shards, For: listed, Now: o.Now}).Lineage
	limits := serving.Limits{Groups: min(o.MemoryMiB*groupsPerMiB, serving.DefaultGroups)}
	service := serving.New(o.Definition, o.Reader, millis, limits)
	service.Lookups = lookups
	service.Tips = o.Tips
	service.Batch = o.standing
	v1 := api.New(api.Options{
		Service: service,
		Instead: instead,
		Batch:   func(ctx context.Context, full bool) (any, error) { return o.Runs.Begin(ctx, full) },
		Run:     o.Runs.Run,
		Rejects: func(ctx context.Context, reason string) (api.Report, error) {
			return rejects.Find(ctx, rejects.Options{Service: service, Logic: logic, Master: o.Master, Files: rejectedFiles, Rows: rejectedRows}, reason)
		},
		Logger: o.Logger, Now: millis, QueryTimeout: queryTimeout,
	})
	return &httpapi.Handler{Serve: o.guarded(v1), TooLarge: http.HandlerFunc(tooLarge)}, nil
}

// guarded answers nothing while the stores are not those of the definition.
func (o Options) guarded(v1 http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := o.Ready(r.Context()); err != nil {
			o.Logger.Error("the function cannot answer", "error", err)
			api.Unavailable(w, "unavailable", "the stack cannot answer now; the log of its query function says why")
			return
		}
		v1.ServeHTTP(w, r)
	})
}

func tooLarge(w http.ResponseWriter, _ *http.Request) {
	api.Refuse(w, string(serving.TooLarge), "limit", "the answer is larger than the 6 MB that a function on AWS may give; ask for pages with --limit (limit), for fewer rows with --from, --to and --where, or for fewer columns with --by and --measures")
}

// standing reads the batch layer's journal.
func (o Options) standing(ctx context.Context) (s doubleentry.Standing, err error) {
	text, err := o.Journal(ctx)
	if err == nil && len(text) > 0 {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		return s, fmt.Errorf("reading the batch layer's journal: %w", err)
	}
	return s, nil
}
