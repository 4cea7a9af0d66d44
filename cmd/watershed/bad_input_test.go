package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

const strictDefinition = `
pipeline: strict
events:
  format: json
  columns:
    product: {type: string}
    price:   {type: decimal(6,2)}
    n:       {type: int, optional: true}
    sold_at: {type: timestamp}
  time: sold_at
clean:
  - require: "price >= 0"
    reason: negative price
  - drop: "product == 'test'"
views:
  by_product:
    by: [product]
    every: 1d
    measures: {sales: count, revenue: sum(price)}
`

// Whatever a producer sends is kept and counted, and only what is right is in
// the views, in both layers.
func TestBadEventsAreKeptCountedAndInNoView(t *testing.T) {
	t.Parallel()
	big := `{"product":"p","price":1,"sold_at":"2014-11-01T00:00:00Z","note":"` + strings.Repeat("x", 1<<20-120) + `"}`
	events := []struct{ event, reason string }{
		{`{"product":"p","price":1.50,"sold_at":"2014-11-01 19:35:41.158"}`, "accepted"},
		{`{"product":"p","price":"2.50","sold_at":1414870541158}`, "accepted"},
		{big, "accepted"},
		{`{"product":"test","price":1,"sold_at":"2014-11-01T00:00:00Z"}`, "dropped"},
		{`{"product":"p","price":-1,"sold_at":"2014-11-01T00:00:00Z"}`, "negative price"},
		{``, "empty"},
		{`{"product":"p","price":1,"sold_`, "not JSON"},
		{`{"product":"p","price":1,"sold_at":"2014-11-01T00:00:00Z"} {}`, "not JSON"},
		{"{\"product\":\"p\x00\",\"price\":1,\"sold_at\":\"2014-11-01T00:00:00Z\"}", "not JSON"},
		{"{\"product\":\"\xff\",\"price\":1,\"sold_at\":\"2014-11-01T00:00:00Z\"}", "invalid UTF-8"},
		{`[1,2]`, "not an object"},
		{`{"product":"p","product":"q","price":1,"sold_at":"2014-11-01T00:00:00Z"}`, "duplicate name"},
		{strings.Repeat("[", 1<<19), "nested too deeply"},
		{`{"price":1,"sold_at":"2014-11-01T00:00:00Z"}`, "missing product"},
		{`{"product":7.50,"price":true,"sold_at":"2014-11-01T00:00:00Z"}`, "price: wrong type"},
		{`{"product":"p","price":12345.67,"sold_at":"2014-11-01T00:00:00Z"}`, "price: not a decimal(6,2)"},
		{`{"product":"p","price":1.005,"sold_at":"2014-11-01T00:00:00Z"}`, "price: not a decimal(6,2)"},
		{`{"product":"p","price":1,"sold_at":"2014-02-30T00:00:00Z"}`, "sold_at: not a timestamp"},
		{`{"product":"p","price":1,"n":"1","sold_at":"2014-11-01T00:00:00Z"}`, "n: wrong type"},
		{`{"product":"p","price":1,"n":1.5,"sold_at":"2014-11-01T00:00:00Z"}`, "n: not an int"},
		{`{"product":"p","price":1,"n":9223372036854775808,"sold_at":"2014-11-01T00:00:00Z"}`, "n: not an int"},
	}
	p := startPipeline(t, write(t, "pipeline.yaml", strictDefinition), filepath.Join(t.TempDir(), "data"))
	want := map[string]int64{}
	var records []types.PutRecordsRequestEntry
	for i, e := range events {
		want[e.reason]++
		records = append(records, types.PutRecordsRequestEntry{PartitionKey: aws.String(string(rune('a' + i))), Data: []byte(e.event)})
	}
	client := streamClient(p.url)
	put, err := client.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: aws.String("strict"), Records: records})
	if err != nil || *put.FailedRecordCount > 0 {
		t.Fatalf("put: %v %+v", err, put)
	}
	waitForTip(t, p)
	check := func(when string) {
		t.Helper()
		got := map[string]int64{}
		for _, row := range rows(t, p, "query", "ws_outcomes", "--format", "json") {
			name, _ := row["ws_outcome"].(string)
			if reason, ok := row["ws_reason"].(string); ok {
				name = reason
			}
			got[name] += int64(row["events"].(float64))
		}
		if len(got) != len(want) {
			t.Errorf("%s: reasons %v, want %v", when, got, want)
		}
		for reason, n := range want {
			if got[reason] != n {
				t.Errorf("%s: %d events are %q, want %d", when, got[reason], reason, n)
			}
		}
		cells := rows(t, p, "query", "by_product", "--format", "json")
		if len(cells) != 1 || cells[0]["sales"] != 3.0 || cells[0]["revenue"] != "5.00" {
			t.Errorf("%s: the view holds %v", when, cells)
		}
		if r := p.told(t, "verify"); r.code != 0 {
			t.Errorf("%s: verify: %s%s", when, r.out, r.err)
		}
	}
	check("from the speed layer")
	if r := p.told(t, "batch"); r.code != 0 {
		t.Fatal(r.err)
	}
	check("from the batch layer")
	checkBytes(t, client, put, records)
}

// rows runs a query and gives its rows.
func rows(t *testing.T, p *pipelineProcess, args ...string) []map[string]any {
	t.Helper()
	r := p.told(t, args...)
	if r.code != 0 {
		t.Fatal(r.err)
	}
	var answer struct{ Rows []map[string]any }
	if err := json.Unmarshal([]byte(r.out), &answer); err != nil {
		t.Fatalf("%v: %s", err, r.out)
	}
	return answer.Rows
}

// checkBytes reads every record back by its sequence number.
func checkBytes(t *testing.T, c *kinesis.Client, put *kinesis.PutRecordsOutput, records []types.PutRecordsRequestEntry) {
	t.Helper()
	for i, r := range put.Records {
		it, err := c.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{
			StreamName: aws.String("strict"), ShardId: r.ShardId, StartingSequenceNumber: r.SequenceNumber,
			ShardIteratorType: types.ShardIteratorTypeAtSequenceNumber,
		})
		if err != nil {
			t.Fatal(err)
		}
		page, err := c.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: it.ShardIterator, Limit: aws.Int32(1)})
		if err != nil || len(page.Records) != 1 || !bytes.Equal(page.Records[0].Data, records[i].Data) {
			t.Errorf("event %d comes back as %v (%v)", i, page, err)
		}
	}
}

// A data directory that is not this pipeline's is refused, and says why.
func TestADirectoryThatIsNotThePipelinesIsRefused(t *testing.T) {
	t.Parallel()
	definition, data := write(t, "pipeline.yaml", strictDefinition), filepath.Join(t.TempDir(), "data")
	p := startPipeline(t, definition, data)
	refused := func(file, dir, want string) {
		t.Helper()
		r := command(t, "run", file, "--data", dir, "--listen", "127.0.0.1:0")
		if r.code != exitError || !strings.Contains(r.err, want) || !strings.Contains(r.err, dir) {
			t.Errorf("exit %d, stderr %q: want one that names %s and says %q", r.code, r.err, dir, want)
		}
	}
	refused(definition, data, "another process")
	p.stop(t)
	refused(write(t, "pipeline.yaml", strings.Replace(strictDefinition, "pipeline: strict", "pipeline: other", 1)), data, `belongs to the pipeline "strict"`)
	foreign := t.TempDir()
	writeInto(t, foreign, "letter.txt", "dear")
	refused(definition, foreign, "not a data directory")
	writeInto(t, data, "FORMAT", `{"format":99,"pipeline":"strict","shards":2,"created":"2026-01-01T00:00:00Z"}`)
	refused(definition, data, "newer release")
	writeInto(t, data, "FORMAT", `{"form`)
	refused(definition, data, "damaged")
}
