package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/watershed-data/watershed/examples/sales"
)

// How `watershed send` sends.
const (
	callEvents = 500 // per PutRecords call
	inFlight   = 4   // calls
)

// put makes one PutRecords call under random partition keys and gives the last
// position of its events in each shard.
func (p *pipeline) put(ctx context.Context, events [][]byte) (positions, error) {
	records := make([]types.PutRecordsRequestEntry, len(events))
	for i, e := range events {
		key := strconv.FormatUint(rand.Uint64(), 36)
		records[i] = types.PutRecordsRequestEntry{Data: e, PartitionKey: &key}
	}
	out, err := p.kinesis.PutRecords(ctx, &kinesis.PutRecordsInput{StreamName: &p.name, Records: records})
	if err != nil {
		return nil, err
	}
	last := positions{}
	for _, r := range out.Records {
		if r.ErrorCode != nil {
			return nil, fmt.Errorf("putting a record: %s: %s", *r.ErrorCode, *r.ErrorMessage)
		}
		last.raise(*r.ShardId, *r.SequenceNumber)
	}
	return last, nil
}

// load puts the events as fast as they go and gives the last position in each
// shard.
func (p *pipeline) load(ctx context.Context, events [][]byte) (positions, error) {
	calls := make(chan [][]byte)
	var mu sync.Mutex
	var failure error
	last := positions{}
	var workers sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for range inFlight {
		workers.Go(func() {
			for call := range calls {
				reached, err := p.put(ctx, call)
				mu.Lock()
				for shard, sequence := range reached {
					last.raise(shard, sequence)
				}
				if err != nil && failure == nil {
					failure = err
					cancel()
				}
				mu.Unlock()
			}
		})
	}
	for len(events) > 0 && ctx.Err() == nil {
		n := min(callEvents, len(events))
		calls <- events[:n]
		events = events[n:]
	}
	close(calls)
	workers.Wait()
	if failure == nil {
		failure = ctx.Err()
	}
	return last, failure
}

// The steady stream of measurements that are not about speed.
const (
	steadyRate = 2000 // events a second
	steadyCall = 20   // events per PutRecords call
)

// call is one PutRecords call of the steady stream.
type call struct {
	due   time.Time // when it was to be sent
	acked time.Time
	last  positions
}

// steady puts events at the steady rate until they end or ctx does, and tells
// of every call that is acknowledged, from several goroutines. A call that is
// slow delays no other.
func (p *pipeline) steady(ctx context.Context, events [][]byte, acknowledged func(call)) error {
	var calls sync.WaitGroup
	defer calls.Wait()
	failed := make(chan error, 1)
	start := time.Now()
	for i := 0; (i+1)*steadyCall <= len(events); i++ {
		due := start.Add(time.Duration(i) * time.Second * steadyCall / steadyRate)
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case <-time.After(time.Until(due)):
		}
		calls.Go(func() {
			last, err := p.put(context.WithoutCancel(ctx), events[i*steadyCall:(i+1)*steadyCall])
			if err != nil {
				select {
				case failed <- err:
				default:
				}
				return
			}
			acknowledged(call{due: due, acked: time.Now(), last: last})
		})
	}
	calls.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// makeSales makes events of the whitepaper's producer.
func makeSales(n int) [][]byte {
	producer := sales.New(1)
	events := make([][]byte, n)
	for i := range events {
		events[i] = producer.Next()
	}
	return events
}
