package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// How events are put together and sent. Memory is bounded by inFlight + 2
// batches.
const (
	batchEvents = 500
	batchBytes  = 5 << 20
	inFlight    = 4
	linger      = 50 * time.Millisecond // how long an event waits for others to go with it

	requestTimeout = 30 * time.Second
	firstPause     = 50 * time.Millisecond
	longestPause   = 3 * time.Second
)

// accessKeyID is what producers call themselves; the secret is the token.
const accessKeyID = "watershed"

// sender puts events into the stream, several batches at a time. send is called
// by one goroutine.
type sender struct {
	kinesis  *kinesis.Client
	stream   string
	rate     float64 // events a second; 0: as fast as it goes
	patience time.Duration

	acknowledged atomic.Int64
	retried      atomic.Int64 // events that were not taken at first
	resent       atomic.Int64 // events that were sent again after a lost answer

	events  chan *event
	ended   chan struct{} // closed when send is called no more, or in vain
	batches chan []*event
	stopped chan struct{} // closed when sending is over early
	workers sync.WaitGroup
	sent    int64 // events that send has taken
	begun   time.Time

	mu      sync.Mutex
	failure error
	acked   map[int]*lines // by file
	open    map[int]*lines // sent without an answer that says what became of them
}

// lines are those of one file.
type lines struct {
	name   string
	ranges ranges
}

func newSender(c *client, stream string, rate float64, patience time.Duration) *sender {
	return &sender{
		stream: stream, rate: rate, patience: patience,
		events: make(chan *event, 16), ended: make(chan struct{}), batches: make(chan []*event), stopped: make(chan struct{}),
		acked: map[int]*lines{}, open: map[int]*lines{},
		kinesis: c.kinesis(),
	}
}

// kinesis makes a client of the endpoint's own Kinesis API, or of AWS's for a stack.
func (c *client) kinesis() *kinesis.Client {
	account := aws.Config{Region: "us-east-1"} // nothing depends on it
	if c.stack != nil {
		account = c.stack.Account
	} else {
		secret := c.token
		if secret == "" {
			secret = "none"
		}
		account.BaseEndpoint = aws.String(c.endpoint.String())
		account.Credentials = credentials.NewStaticCredentialsProvider(accessKeyID, secret, "")
	}
	return kinesis.NewFromConfig(account, func(o *kinesis.Options) {
		o.Retryer = aws.NopRetryer{} // retries are ours: they count what may be stored twice
		o.HTTPClient = wholeRequests{awshttp.NewBuildableClient().WithTimeout(requestTimeout).WithTransportOptions(func(t *http.Transport) {
			t.MaxIdleConnsPerHost = inFlight
		})}
	})
}

// wholeRequests hides from net/http that the SDK's request bodies have a
// WriteTo: once an answer has begun the SDK closes the body, and WriteTo of a
// closed one is an error (smithy-go 1.28). If net/http asks for more of the body
// only then, it cuts the connection, and the answer is lost.
type wholeRequests struct{ client aws.HTTPClient }

// Do implements aws.HTTPClient.
func (c wholeRequests) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return c.client.Do(r)
}

// start begins to send. Once the context ends no batch is begun or tried again;
// those on their way are waited for.
func (s *sender) start(ctx context.Context) {
	s.begun = time.Now()
	s.workers.Go(func() { s.gather() })
	for range inFlight {
		s.workers.Go(func() {
			for batch := range s.batches {
				if ctx.Err() == nil && s.error() == nil {
					s.put(ctx, batch)
				}
			}
		})
	}
}

// send takes an event. It waits while enough are on their way, and for the rate.
func (s *sender) send(ctx context.Context, e *event) error {
	if s.rate > 0 {
		due := s.begun.Add(time.Duration(float64(s.sent) / s.rate * float64(time.Second)))
		if wait := time.Until(due); wait > 0 {
			timer := time.NewTimer(wait)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-ctx.Done():
				return ctx.Err()
			case <-s.stopped:
				return s.error()
			}
		}
	}
	select {
	case s.events <- e:
		s.sent++
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stopped:
		return s.error()
	}
}

// finish waits until everything that was taken before is acknowledged or has
// failed.
func (s *sender) finish() error {
	close(s.ended)
	s.workers.Wait()
	return s.error()
}

func (s *sender) error() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}

func (s *sender) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure == nil {
		s.failure = err
		close(s.stopped)
	}
}

// gather puts events together until a batch is full or its first event has
// waited long enough.
func (s *sender) gather() {
	defer close(s.batches)
	timer := time.NewTimer(linger)
	timer.Stop()
	var batch []*event
	bytes := 0
	flush := func() {
		if len(batch) > 0 {
			s.batches <- batch
		}
		batch, bytes = nil, 0
		timer.Stop()
	}
	take := func(e *event) {
		size := len(e.data) + len(e.key)
		if bytes+size > batchBytes {
			flush()
		}
		if len(batch) == 0 {
			timer.Reset(linger)
		}
		batch = append(batch, e)
		if bytes += size; len(batch) == batchEvents {
			flush()
		}
	}
	for {
		select {
		case e := <-s.events:
			take(e)
		case <-timer.C:
			flush()
		case <-s.ended:
			for range len(s.events) {
				take(<-s.events)
			}
			flush()
			return
		}
	}
}

// put sends a batch until every event of it is acknowledged.
func (s *sender) put(ctx context.Context, batch []*event) {
	pause, until, refused := firstPause, time.Now().Add(s.patience), false
	for {
		rest, lost, err := s.try(ctx, batch)
		if len(rest) < len(batch) {
			until = time.Now().Add(s.patience) // it moves
		}
		if lost {
			s.note(s.open, rest)
		}
		if len(rest) == 0 {
			return
		}
		if err := s.givesUp(ctx, until, err); err != nil {
			s.fail(err)
			return
		}
		wait := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return
		case <-s.stopped:
			wait.Stop()
			return
		}
		pause = min(2*pause, longestPause)
		if lost {
			s.resent.Add(int64(len(rest)))
		} else if !refused {
			refused = true
			s.retried.Add(int64(len(rest)))
		}
		batch = rest
	}
}

// givesUp gives the error to stop with, nil to try again.
func (s *sender) givesUp(ctx context.Context, until time.Time, err error) error {
	var permanent *permanentError
	switch {
	case errors.As(err, &permanent):
		return fmt.Errorf("sending events: %w", permanent.cause)
	case ctx.Err() != nil:
		return errInterrupted
	case time.Now().After(until):
		return fmt.Errorf("sending events: gave up after trying for %s: %w", s.patience, err)
	}
	return nil
}

// permanentError is a refusal that trying again does not change.
type permanentError struct{ cause error }

func (e *permanentError) Error() string { return e.cause.Error() }

// try sends a batch once. It gives the events that are not acknowledged and
// why; lost says that they may have been stored all the same. A request that has
// left is waited for, also after an interrupt.
func (s *sender) try(ctx context.Context, batch []*event) (rest []*event, lost bool, err error) {
	in := &kinesis.PutRecordsInput{StreamName: &s.stream, Records: make([]types.PutRecordsRequestEntry, len(batch))}
	for i, e := range batch {
		in.Records[i] = types.PutRecordsRequestEntry{Data: e.data, PartitionKey: &e.key}
	}
	out, err := s.kinesis.PutRecords(context.WithoutCancel(ctx), in)
	if err != nil {
		return classify(batch, err)
	}
	if len(out.Records) != len(batch) {
		return batch, true, &permanentError{fmt.Errorf("the pipeline answered for %d events of %d", len(out.Records), len(batch))}
	}
	acked := batch[:0:0]
	for i, r := range out.Records {
		if code := aws.ToString(r.ErrorCode); code != "" {
			rest = append(rest, batch[i])
			err = fmt.Errorf("%s: %s", code, aws.ToString(r.ErrorMessage))
		} else {
			acked = append(acked, batch[i])
		}
	}
	s.note(s.acked, acked)
	s.acknowledged.Add(int64(len(acked)))
	return rest, false, err
}

// classify tells refusals, which stored nothing, from lost answers.
func classify(batch []*event, err error) ([]*event, bool, error) {
	var answered *awshttp.ResponseError
	var dial *net.OpError
	switch {
	case errors.As(err, &answered) && answered.HTTPStatusCode() >= http.StatusBadRequest:
		status := answered.HTTPStatusCode()
		var slow *types.ProvisionedThroughputExceededException
		if status < http.StatusInternalServerError && status != http.StatusTooManyRequests && !errors.As(err, &slow) {
			return batch, false, &permanentError{cause(err)}
		}
		// A server that fails may have stored the events before.
		return batch, status >= http.StatusInternalServerError, cause(err)
	case errors.As(err, &dial) && dial.Op == "dial", errors.Is(err, syscall.ECONNREFUSED):
		return batch, false, cause(err)
	}
	return batch, true, cause(err)
}

// cause takes the SDK's wrapping off an error.
func cause(err error) error {
	var api interface {
		error
		ErrorCode() string
		ErrorMessage() string
	}
	if errors.As(err, &api) {
		return fmt.Errorf("%s: %s", api.ErrorCode(), api.ErrorMessage())
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op
	}
	return err
}

// note adds the events' lines to an account.
func (s *sender) note(to map[int]*lines, events []*event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range events {
		of := to[e.file]
		if of == nil {
			of = &lines{name: e.name}
			to[e.file] = of
		}
		of.ranges.add(e.from, e.to)
	}
}

// account says which lines are acknowledged, and which were sent without an
// answer. Lines that it does not name were not stored.
func (s *sender) account() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := describe(s.acked, "acknowledged: ")
	if len(out) == 0 {
		out = []string{"acknowledged: nothing"}
	}
	for file, of := range s.open {
		if acked := s.acked[file]; acked != nil {
			of.ranges = of.ranges.without(acked.ranges)
		}
	}
	out = append(out, describe(s.open, "sent without an answer, may be stored: ")...)
	return append(out, "nothing else was stored")
}

func describe(files map[int]*lines, what string) []string {
	var order []int
	for file := range files {
		order = append(order, file)
	}
	slices.Sort(order)
	var out []string
	for _, file := range order {
		if of := files[file]; len(of.ranges) > 0 {
			out = append(out, what+of.name+" "+of.ranges.String())
		}
	}
	return out
}
