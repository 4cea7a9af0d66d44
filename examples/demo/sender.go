package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
)

const (
	sendEvents  = 100 // per PutRecords call
	sendTimeout = 5 * time.Second
	retryAfter  = 50 * time.Millisecond
)

// sender puts events into a stream with the AWS SDK, as any Kinesis producer
// does, and knows what it does not know: which events lost their
// acknowledgement. It retries by itself; the SDK's own retries are off, since
// they would hide just that.
type sender struct {
	client *kinesis.Client
	stream string

	acknowledged atomic.Int64 // events
	unsure       atomic.Int64 // events sent again although an earlier attempt may have stored them

	mu   sync.Mutex
	last map[string]string // by shard, the highest acknowledged sequence number
}

func newSender(endpoint, stream string) *sender {
	return &sender{
		stream: stream,
		last:   map[string]string{},
		client: kinesis.New(kinesis.Options{
			BaseEndpoint: &endpoint,
			Region:       "us-east-1",
			Credentials:  credentials.NewStaticCredentialsProvider("demo", "demo", ""),
			Retryer:      aws.NopRetryer{},
		}),
	}
}

// send puts the events into the stream and returns when all are acknowledged.
// first is the number of the first event among all of the demo's.
func (s *sender) send(ctx context.Context, first int, events [][]byte) error {
	left := make([]types.PutRecordsRequestEntry, len(events))
	for i, e := range events {
		left[i] = types.PutRecordsRequestEntry{Data: e, PartitionKey: aws.String(strconv.Itoa(first + i))}
	}
	for {
		refused, err := s.attempt(ctx, left)
		switch {
		case err == nil:
			s.acknowledged.Add(int64(len(left) - len(refused)))
			left = refused
		case ctx.Err() != nil:
			return fmt.Errorf("sending events to %s: %w (%w)", s.stream, ctx.Err(), err)
		case neverArrived(err):
		case mayBeStored(err):
			s.unsure.Add(int64(len(left)))
		default:
			return fmt.Errorf("sending events to %s: %w", s.stream, err)
		}
		if len(left) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(retryAfter):
		}
	}
}

// attempt makes one PutRecords call and gives the records that it refused.
func (s *sender) attempt(ctx context.Context, records []types.PutRecordsRequestEntry) ([]types.PutRecordsRequestEntry, error) {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	out, err := s.client.PutRecords(ctx, &kinesis.PutRecordsInput{StreamName: &s.stream, Records: records})
	if err != nil {
		return nil, err
	}
	if len(out.Records) != len(records) {
		return nil, fmt.Errorf("%d results for %d records", len(out.Records), len(records))
	}
	var refused []types.PutRecordsRequestEntry
	for i, r := range out.Records {
		if r.ErrorCode != nil {
			refused = append(refused, records[i])
			continue
		}
		s.acknowledge(*r.ShardId, *r.SequenceNumber)
	}
	return refused, nil
}

func (s *sender) acknowledge(shard, sequence string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if later(sequence, s.last[shard]) {
		s.last[shard] = sequence
	}
}

// reached reports whether the committed positions ("sequence:sub" by shard) are
// at or past everything acknowledged.
func (s *sender) reached(committed map[string]string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for shard, sequence := range s.last {
		if at, _, _ := strings.Cut(committed[shard], ":"); later(sequence, at) {
			return false
		}
	}
	return true
}

// later reports whether the sequence number a comes after b. They are numbers
// of any length.
func later(a, b string) bool {
	return len(a) > len(b) || len(a) == len(b) && a > b
}

// neverArrived reports whether no connection was made, so nothing was stored.
func neverArrived(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// mayBeStored reports whether the answer was lost, or the server failed before
// it gave one: the records may be in the log.
func mayBeStored(err error) bool {
	var call *smithy.OperationError
	var refusal smithy.APIError
	return errors.As(err, &call) && (!errors.As(err, &refusal) || refusal.ErrorFault() == smithy.FaultServer)
}
