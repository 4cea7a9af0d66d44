package kinesis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"
)

const targetPrefix = "Kinesis_20131202."

// Bounds on what requests hold in memory. A body is decoded, copied into a batch
// and written, so it weighs several times its size.
const (
	maxBody     = 20 << 20 // 10 MiB in base64, the keys and the rest with room to spare
	bodyWeight  = 3
	putBudget   = 256 << 20
	pageWeight  = 4 * maxPageBytes
	pageBudget  = 160 << 20
	smallWeight = 64 << 10

	bodyTimeout   = time.Minute      // for a client to send its request
	answerTimeout = time.Minute      // for a client to take its response
	budgetTimeout = 20 * time.Second // for a request to wait for memory
)

// Options says what an endpoint serves.
type Options struct {
	// Stream is the stream's name.
	Stream string
	// Log is the stream.
	Log Log
	// Throttle holds every shard to Kinesis's rates: 1,000 records and 1 MiB per
	// second in; 5 calls of GetRecords and 2 MiB per second out.
	Throttle bool
	// Retention is how long the log keeps a record at least; 0 is Kinesis's 24 hours.
	// Clients see whole hours of it.
	Retention time.Duration
	// Logger takes what the endpoint has to say; nil is slog.Default.
	Logger *slog.Logger
	// Now is the clock for iterators and rates; nil is time.Now.
	Now func() time.Time
}

// Handler is the endpoint.
type Handler struct {
	stream    string
	log       Log
	throttle  *throttle // nil: no rates
	logger    *slog.Logger
	now       func() time.Time
	retention time.Duration // as clients are told, in whole hours
	actions   map[string]action
	puts      *semaphore.Weighted // memory of requests, in bytes
	pages     *semaphore.Weighted // memory of GetRecords' pages, in bytes
}

// action decodes a request, does it and gives the response.
type action func(ctx context.Context, c codec, body []byte) (any, error)

// New gives the endpoint of a stream. It serves POST / with the header
// X-Amz-Target; guard it with Guard.
func New(o Options) *Handler {
	h := &Handler{
		stream: o.Stream,
		log:    o.Log,
		logger: o.Logger,
		now:    o.Now,
		puts:   semaphore.NewWeighted(putBudget),
		pages:  semaphore.NewWeighted(pageBudget),
	}
	if o.Retention == 0 {
		o.Retention = 24 * time.Hour
	}
	h.retention = o.Retention
	if h.logger == nil {
		h.logger = slog.Default()
	}
	if h.now == nil {
		h.now = time.Now
	}
	if o.Throttle {
		h.throttle = newThrottle(h.log, h.now)
	}
	h.actions = map[string]action{
		"CreateStream":          act(h.createStream),
		"DescribeLimits":        act(h.describeLimits),
		"DescribeStream":        act(h.describeStream),
		"DescribeStreamSummary": act(h.describeStreamSummary),
		"GetRecords":            act(h.getRecords),
		"GetShardIterator":      act(h.getShardIterator),
		"ListShards":            act(h.listShards),
		"ListStreams":           act(h.listStreams),
		"ListTagsForStream":     act(h.listTagsForStream),
		"MergeShards":           act(h.mergeShards),
		"PutRecord":             act(h.putRecord),
		"PutRecords":            act(h.putRecords),
		"SplitShard":            act(h.splitShard),
		"UpdateShardCount":      act(h.updateShardCount),
	}
	return h
}

func act[In, Out any](do func(context.Context, *In) (*Out, error)) action {
	return func(ctx context.Context, c codec, body []byte) (any, error) {
		in := new(In)
		if err := c.decode(body, in); err != nil {
			return nil, fault("SerializationException", "%s", err)
		}
		return do(ctx, in)
	}
}

// ServeHTTP answers one call of the API.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := newRequestID()
	c, _ := codecOf(r.Header.Get("Content-Type"))
	out, release, err := h.serve(w, r)
	defer release() // what is being written still is in memory
	if err != nil {
		e, known := asAPIError(err)
		if !known {
			h.logger.Error("kinesis endpoint failed", "target", r.Header.Get("X-Amz-Target"), "request", id, "error", err)
		}
		writeError(w, c, id, e)
		return
	}
	body, err := c.encode(out)
	if err != nil {
		h.logger.Error("kinesis endpoint failed", "request", id, "error", err)
		e, _ := asAPIError(err)
		writeError(w, c, id, e)
		return
	}
	write(w, c, id, http.StatusOK, body)
}

// serve finds the action, reads the request within its bounds and does it.
// release, never nil, gives back the memory that request and response weigh.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request) (out any, release func(), err error) {
	release = func() {}
	do, err := h.find(r)
	if err != nil {
		return nil, release, err
	}
	c, ok := codecOf(r.Header.Get("Content-Type"))
	if !ok {
		return nil, release, fault("UnknownOperationException", "The Content-Type %.64q is not %s or %s.", r.Header.Get("Content-Type"), jsonType, cborType)
	}
	if release, err = h.admit(r); err != nil {
		return nil, release, err
	}
	body, err := readBody(w, r)
	if err != nil {
		return nil, release, err
	}
	out, err = do(r.Context(), c, body)
	return out, release, err
}

// admit waits for the memory that a request and its response weigh. release,
// never nil, gives back what it took.
func (h *Handler) admit(r *http.Request) (release func(), err error) {
	release = func() {}
	ctx, cancel := context.WithTimeout(r.Context(), budgetTimeout)
	defer cancel()
	size := r.ContentLength
	if size < 0 {
		size = maxBody
	}
	if size > maxBody {
		return release, tooLarge()
	}
	weight := max(bodyWeight*size, smallWeight)
	if err := h.puts.Acquire(ctx, weight); err != nil {
		return release, unavailable()
	}
	release = func() { h.puts.Release(weight) }
	if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".GetRecords") {
		if err := h.pages.Acquire(ctx, pageWeight); err != nil {
			return release, unavailable()
		}
		release = func() {
			h.puts.Release(weight)
			h.pages.Release(pageWeight)
		}
	}
	return release, nil
}

// find gives the action that a request names.
func (h *Handler) find(r *http.Request) (action, error) {
	name, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), targetPrefix)
	if !ok || r.Method != http.MethodPost {
		return nil, fault("UnknownOperationException", "Want a POST with the header X-Amz-Target: %s and the name of an operation.", targetPrefix)
	}
	if do := h.actions[name]; do != nil {
		return do, nil
	}
	if when, ok := unsupportedActions[name]; ok {
		return nil, unsupported("the operation " + name + when)
	}
	return nil, fault("UnknownOperationException", "Kinesis has no operation %.64q.", name)
}

// readBody reads a request's body within its bounds.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	// Not every writer has deadlines; the bound on the body holds without.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
	limited := http.MaxBytesReader(w, r.Body, maxBody)
	var body []byte
	var err error
	if r.ContentLength >= 0 {
		body = make([]byte, r.ContentLength)
		_, err = io.ReadFull(limited, body)
	} else {
		body, err = io.ReadAll(limited)
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, tooLarge()
	case err != nil:
		return nil, fault("SerializationException", "The request ended before its body did.")
	}
	return body, nil
}

func tooLarge() error {
	return &apiError{http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException", fmt.Sprintf("The request is larger than %d bytes.", maxBody)}
}

func writeError(w http.ResponseWriter, c codec, id string, e *apiError) {
	body, err := c.encode(errorOut{e.code, e.message})
	if err != nil { // two strings always encode
		body = nil
	}
	w.Header().Set("x-amzn-ErrorType", e.code)
	write(w, c, id, e.status, body)
}

func write(w http.ResponseWriter, c codec, id string, status int, body []byte) {
	header := w.Header()
	header.Set("Content-Type", c.contentType)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("x-amzn-RequestId", id)
	w.WriteHeader(status)
	// Who stops reading must not hold a page in memory. Not every writer has
	// deadlines.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTimeout))
	_, _ = w.Write(body) // a client that is gone needs no answer
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
}

// newRequestID gives a random UUID, as AWS does.
func newRequestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// unsupportedActions are Kinesis's other operations, and what to say about some.
var unsupportedActions = map[string]string{
	"SubscribeToShard":                       "; read with GetRecords",
	"DeleteStream":                           ": its stream lives as long as the pipeline's data directory",
	"ListTagsForResource":                    "; ListTagsForStream works",
	"RegisterStreamConsumer":                 "; read with GetRecords",
	"DeregisterStreamConsumer":               "; read with GetRecords",
	"DescribeStreamConsumer":                 "; read with GetRecords",
	"ListStreamConsumers":                    "; read with GetRecords",
	"StartStreamEncryption":                  "",
	"StopStreamEncryption":                   "",
	"EnableEnhancedMonitoring":               "",
	"DisableEnhancedMonitoring":              "",
	"AddTagsToStream":                        "",
	"RemoveTagsFromStream":                   "",
	"TagResource":                            "",
	"UntagResource":                          "",
	"UpdateStreamMode":                       "",
	"UpdateMaxRecordSize":                    "",
	"UpdateStreamWarmThroughput":             "",
	"DescribeAccountSettings":                "",
	"UpdateAccountSettings":                  "",
	"GetResourcePolicy":                      "",
	"PutResourcePolicy":                      "",
	"DeleteResourcePolicy":                   "",
	"CreateChannel":                          "",
	"DeleteChannel":                          "",
	"DescribeChannel":                        "",
	"ListChannels":                           "",
	"UpdateChannel":                          "",
	"IncreaseStreamRetentionPeriod":          ": `watershed run` takes it as --retention",
	"DecreaseStreamRetentionPeriod":          ": `watershed run` takes it as --retention",
	"UpdateStreamRecordDistributionStrategy": ": it goes by partition keys",
}
