package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// readBack gives every event of the stream, through the Kinesis endpoint.
func (s *sender) readBack(ctx context.Context, each func(event []byte)) error {
	shards, err := s.client.ListShards(ctx, &kinesis.ListShardsInput{StreamName: &s.stream})
	if err != nil {
		return fmt.Errorf("listing shards: %w", err)
	}
	for _, shard := range shards.Shards {
		iterator, err := s.client.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{
			StreamName: &s.stream, ShardId: shard.ShardId, ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
		})
		if err != nil {
			return fmt.Errorf("reading shard %s: %w", *shard.ShardId, err)
		}
		for next := iterator.ShardIterator; next != nil; {
			page, err := s.client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: next})
			if err != nil {
				return fmt.Errorf("reading shard %s: %w", *shard.ShardId, err)
			}
			for _, r := range page.Records {
				each(r.Data)
			}
			next = page.NextShardIterator
			if page.MillisBehindLatest != nil && *page.MillisBehindLatest == 0 {
				break
			}
		}
	}
	return nil
}

// A handmade answer is what a loop over the events gives, written without a
// line of Watershed's code: cells by group, as text.
type handmade map[string][]string

// salesByHand gives sales and revenue per product of one day ("2014-11-01").
func salesByHand(day string) (add func([]byte), result func() handmade) {
	type total struct{ sales, revenue int64 }
	totals := map[string]total{}
	add = func(event []byte) {
		var e struct {
			ProductName, Timestamp string
			Price                  int64
		}
		if json.Unmarshal(event, &e) != nil || e.Price < 0 || !strings.HasPrefix(e.Timestamp, day) {
			return
		}
		product := strings.ToLower(strings.TrimSpace(e.ProductName))
		if product == "test" {
			return
		}
		t := totals[product]
		totals[product] = total{t.sales + 1, t.revenue + e.Price}
	}
	return add, func() handmade {
		h := handmade{}
		for product, t := range totals {
			h[product] = []string{fmt.Sprint(t.sales), fmt.Sprintf("%d.00", t.revenue)}
		}
		return h
	}
}

// flightsByHand gives flights, cancelled flights and the worst departure delay
// per carrier of one day ("2013-01-30").
func flightsByHand(day string) (add func([]byte), result func() handmade) {
	type total struct{ flights, departed, worst int64 }
	totals := map[string]*total{}
	add = func(event []byte) {
		var e struct {
			Sched, Carrier string
			Distance       int64
			AirTime        *int64 `json:"air_time"`
			DepDelay       *int64 `json:"dep_delay"`
		}
		if json.Unmarshal(event, &e) != nil || !strings.HasPrefix(e.Sched, day) {
			return
		}
		if e.AirTime != nil && e.Distance*60 > *e.AirTime*550 {
			return
		}
		t := totals[e.Carrier]
		if t == nil {
			t = &total{worst: -1 << 62}
			totals[e.Carrier] = t
		}
		t.flights++
		if e.DepDelay != nil {
			t.departed++
			t.worst = max(t.worst, *e.DepDelay)
		}
	}
	return add, func() handmade {
		h := handmade{}
		for carrier, t := range totals {
			worst := "" // over no value: null
			if t.departed > 0 {
				worst = fmt.Sprint(t.worst)
			}
			h[carrier] = []string{fmt.Sprint(t.flights), fmt.Sprint(t.flights - t.departed), worst}
		}
		return h
	}
}

// cells gives an answer's rows in the form of a handmade one.
func (a answer) cells(group string, measures ...string) handmade {
	h := handmade{}
	for _, row := range a.Rows {
		cells := make([]string, len(measures))
		for i, m := range measures {
			if v := row[m]; v != nil {
				cells[i] = fmt.Sprint(v)
			}
		}
		h[fmt.Sprint(row[group])] = cells
	}
	return h
}

// equal reports whether two answers agree in every cell.
func (h handmade) equal(other handmade) bool {
	return maps.EqualFunc(h, other, slices.Equal[[]string])
}
