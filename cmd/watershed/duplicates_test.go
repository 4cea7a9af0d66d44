package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
)

const ordersDefinition = `
pipeline: orders
events:
  format: json
  columns:
    order_id: {type: int}
    product:  {type: string}
    sold_at:  {type: timestamp}
  time: sold_at
  id: order_id
clean:
  - drop: "product == 'test'"
views:
  by_product:
    by: [product]
    every: 1d
    measures: {sales: count}
`

// What a producer sends again counts once: whichever layer has seen the first,
// after a kill, and when its shard has split in between. send chooses the id as
// the partition key by itself.
func TestEventsSentAgainCountOnce(t *testing.T) {
	t.Parallel()
	const orders = 500
	var ndjson, csv strings.Builder
	csv.WriteString("order_id,product,sold_at\n")
	for i := range orders {
		product := []string{"tea", "coffee", "test"}[i%3]
		fmt.Fprintf(&ndjson, `{"order_id":%d,"product":"%s","sold_at":1414870541}`+"\n", i, product)
		fmt.Fprintf(&csv, "%d,%s,1414870541\n", i, product)
	}
	asLines, asTable := write(t, "orders.ndjson", ndjson.String()), write(t, "orders.csv", csv.String())
	definition, data := write(t, "pipeline.yaml", ordersDefinition), filepath.Join(t.TempDir(), "data")
	p := startPipeline(t, definition, data, "--shards", "1")
	sent := 0
	send := func(file string) {
		t.Helper()
		if r := p.told(t, "send", file); r.code != 0 {
			t.Fatal(r.err)
		}
		sent++
		waitForTip(t, p)
	}
	check := func(when string) {
		t.Helper()
		got := map[any]any{}
		for _, row := range rows(t, p, "query", "ws_outcomes", "--format", "json") {
			got[row["ws_outcome"]] = row["events"]
		}
		for outcome, n := range map[string]int{"accepted": orders - orders/3, "dropped": orders / 3, "duplicate": (sent - 1) * orders} {
			if n > 0 && got[outcome] != float64(n) {
				t.Errorf("%s: %v events are %s, want %d", when, got[outcome], outcome, n)
			}
		}
		if r := p.told(t, "verify"); r.code != 0 {
			t.Errorf("%s: verify: %s%s", when, r.out, r.err)
		}
	}
	send(asLines)
	check("once")
	send(asTable)
	check("twice")
	if r := p.told(t, "batch"); r.code != 0 {
		t.Fatal(r.err)
	}
	check("in the batch views")
	p.kill(t)
	p = startPipeline(t, definition, data)
	send(asLines)
	check("after a kill")
	middle := "170141183460469231731687303715884105728"
	_, err := streamClient(p.url).SplitShard(t.Context(), &kinesis.SplitShardInput{
		StreamName: aws.String("orders"), ShardToSplit: aws.String("shardId-000000000000"), NewStartingHashKey: &middle,
	})
	if err != nil {
		t.Fatal(err)
	}
	send(asTable)
	check("in the children")
	if r := p.told(t, "batch"); r.code != 0 {
		t.Fatal(r.err)
	}
	check("in the children's batch views")
}
