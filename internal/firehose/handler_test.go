package firehose_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/deployment"
	"github.com/watershed-data/watershed/internal/firehose"
	"github.com/watershed-data/watershed/internal/kpl"
	"github.com/watershed-data/watershed/internal/kpl/kpltest"
	"github.com/watershed-data/watershed/internal/memory"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
)

const orders = `
pipeline: orders
events:
  format: json
  columns:
    id: {type: string, optional: true}
    n:  {type: "decimal(12,2)"}
    at: {type: timestamp}
  time: at
  id: id
clean:
  - require: "n >= 0"
    reason: negative
views:
  v: {by: [id], every: 1h, where: "n > 1", measures: {events: count, total: sum(n), kinds: distinct(id)}}
`

func load(t testing.TB) *definition.Definition {
	t.Helper()
	def, err := definition.Parse("orders.yaml", []byte(orders))
	if err != nil {
		t.Fatal(err)
	}
	return def
}

// source is a log as the stream that Firehose reads.
type source struct{ *memory.Log }

func (s source) Record(ctx context.Context, shard, seq string) (out protocol.Record, ok bool, err error) {
	page, err := s.Read(ctx, shard, protocol.Position{Seq: seq, Sub: -1}, 1)
	var parts []kpl.Record
	for _, e := range page.Events {
		if e.Position.Seq == seq {
			out, ok = protocol.Record{PartitionKey: e.PartitionKey, Data: e.Data}, true
			parts = append(parts, kpl.Record{PartitionKey: e.PartitionKey, Data: e.Data})
		}
	}
	if ok && page.Events[0].Aggregated {
		out = protocol.Record{PartitionKey: "a", Data: kpltest.Join(parts...)}
	}
	return out, ok, err
}

func newHandler(t testing.TB, log firehose.Stream, logs io.Writer) *firehose.Handler {
	t.Helper()
	h, err := firehose.NewHandler(load(t), log, slog.New(slog.NewTextHandler(logs, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// record is one of an invocation. metadata nil: it was put past the stream.
type record struct {
	id       string
	data     []byte
	metadata map[string]any
}

func invocation(t testing.TB, records ...record) []byte {
	t.Helper()
	var out []map[string]any
	for _, r := range records {
		in := map[string]any{"recordId": r.id, "approximateArrivalTimestamp": 1507217624302, "data": base64.StdEncoding.EncodeToString(r.data)}
		if r.metadata != nil {
			in["kinesisRecordMetadata"] = r.metadata
		}
		out = append(out, in)
	}
	text, err := json.Marshal(map[string]any{
		"invocationId": "00540a87-5050-496a-84e4-e7d92bbaf5e2", "region": "eu-central-1", "records": out,
		"deliveryStreamArn":      "arn:aws:firehose:eu-central-1:123456789012:deliverystream/orders",
		"sourceKinesisStreamArn": "arn:aws:kinesis:eu-central-1:123456789012:stream/orders",
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func metadata(shard string, e protocol.Event, sub any) map[string]any {
	return map[string]any{"shardId": shard, "partitionKey": e.PartitionKey, "sequenceNumber": e.Position.Seq,
		"subsequenceNumber": sub, "approximateArrivalTimestamp": e.Arrival}
}

// answer is a record of a response.
type answer struct {
	RecordID string `json:"recordId"`
	Result   string `json:"result"`
	Data     []byte `json:"data"`
}

func invoke(t testing.TB, h *firehose.Handler, payload []byte) []answer {
	t.Helper()
	text, err := h.Invoke(context.Background(), payload)
	if err != nil {
		t.Fatal(err)
	}
	var out struct{ Records []answer }
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatalf("%v in %.200s", err, text)
	}
	return out.Records
}

// stream is a log of two shards with plain records, aggregates and strays.
func stream(random *rand.Rand) *memory.Log {
	log := memory.NewLog(2)
	for i := range 150 {
		n := 1 + random.IntN(4)
		aggregated := n > 1 || random.IntN(3) == 0
		var events []protocol.Record
		for range n {
			data := fmt.Appendf(nil, `{"id":"i%d","n":%d.5,"at":%d}`, random.IntN(9), random.IntN(9)-2, random.IntN(1e6))
			if aggregated && random.IntN(20) == 0 { // an aggregate inside of another is an event like any other
				data = kpltest.Join(kpl.Record{PartitionKey: "x", Data: data})
			}
			events = append(events, protocol.Record{PartitionKey: fmt.Sprint("p", random.IntN(9)), Data: data})
		}
		log.Put(memory.ShardID(random.IntN(2)), 1_700_000_000_000+int64(i), aggregated, events...)
	}
	return log
}

// TestRowsAreTheArchives: Firehose's way into the master dataset gives the rows that
// the archive writes, whatever the bounds of the invocations are, and whether
// aggregates come apart or whole.
func TestRowsAreTheArchives(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		whole := seed%3 == 0 // this Firehose does not take aggregates apart
		random := rand.New(rand.NewPCG(seed, 1))
		log := stream(random)
		want, events := archived(t, log)
		records := fromStream(events, whole, random)
		random.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
		h, got := newHandler(t, source{log}, io.Discard), map[string]string{}
		for len(records) > 0 {
			n := min(1+random.IntN(40), len(records))
			for i, a := range invoke(t, h, invocation(t, records[:n]...)) {
				if a.Result != "Ok" || a.RecordID != records[i].id {
					t.Fatalf("record %s is answered by %s %s", records[i].id, a.RecordID, a.Result)
				}
				rows(t, a.Data, got)
			}
			records = records[n:]
		}
		if !maps.Equal(got, want) {
			for k := range want {
				if got[k] != want[k] {
					t.Fatalf("seed %d, %s:\n%s\nwant\n%s", seed, k, got[k], want[k])
				}
			}
			t.Fatalf("seed %d: %d rows, want %d", seed, len(got), len(want))
		}
	}
}

// archived gives what the archive would store, by position.
func archived(t *testing.T, log *memory.Log) (map[string]string, map[string][]protocol.Event) {
	t.Helper()
	def, out, all := load(t), map[string]string{}, map[string][]protocol.Event{}
	logic, err := rowlogic.New(def)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		shard := memory.ShardID(i)
		page, err := log.Read(t.Context(), shard, protocol.Position{}, 1000)
		if err != nil || !page.AtTip {
			t.Fatal(err)
		}
		all[shard] = page.Events
		appendRow, err := archive.NewJSON(def).Rows(logic.Run(shard, page.Events))
		if err != nil {
			t.Fatal(err)
		}
		for i := range page.Events {
			rows(t, appendRow(nil, i), out)
		}
	}
	return out, all
}

// rows adds rows by position. Whether an event came in an aggregate is left out
// where nothing depends on it, since Firehose does not say it.
func rows(t *testing.T, text []byte, to map[string]string) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	for {
		var row map[string]any
		err := d.Decode(&row)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if row[archive.StrayColumn] == false {
			delete(row, archive.AggregateColumn)
		}
		line, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		place := fmt.Sprint(row[archive.ShardColumn], row[archive.PositionColumn])
		if to[place] != "" {
			t.Errorf("%s has two rows", place)
		}
		to[place] = string(line)
	}
}

// fromStream gives the records that Firehose reads of a stream.
func fromStream(events map[string][]protocol.Event, whole bool, random *rand.Rand) (out []record) {
	for _, shard := range slices.Sorted(maps.Keys(events)) {
		var parts []kpl.Record
		for _, e := range events[shard] {
			id := fmt.Sprint(shard, e.Position)
			parts = append(parts, kpl.Record{PartitionKey: e.PartitionKey, Data: e.Data})
			if whole && e.Aggregated {
				if e.Last {
					e.PartitionKey = "a"
					out = append(out, record{id, kpltest.Join(parts...), metadata(shard, e, []any{"", 0}[random.IntN(2)])})
					parts = nil
				}
				continue
			}
			parts = nil
			subs := []any{e.Position.Sub, fmt.Sprint(e.Position.Sub)}
			if e.Position.Sub == 0 {
				subs = append(subs, "", nil)
			}
			out = append(out, record{id, e.Data, metadata(shard, e, subs[random.IntN(len(subs))])})
		}
	}
	return out
}

// TestOneRecordDoesNotFailTheOthers is what keeps a single record from taking a
// whole buffer of Firehose under the error prefix.
func TestOneRecordDoesNotFailTheOthers(t *testing.T) {
	t.Parallel()
	log := memory.NewLog(1)
	data := []byte(`{"id":"i","n":2,"at":0}`)
	seq := log.Append(memory.ShardID(0), "p", 1_700_000_000_123, data)
	e := protocol.Event{Position: protocol.Position{Seq: seq}, PartitionKey: "p", Arrival: 1_700_000_000_123}
	good := func() map[string]any { return metadata(memory.ShardID(0), e, 0) }
	with := func(key string, value any) map[string]any {
		m := good()
		if m[key] = value; value == nil {
			delete(m, key)
		}
		return m
	}
	for _, c := range []struct {
		name     string
		metadata map[string]any
		data     []byte
		logged   string // "": it becomes a row
	}{
		{"a good one", good(), data, ""},
		{"not JSON", good(), []byte("{"), ""},
		{"no bytes", good(), nil, ""},
		{"a date", with("approximateArrivalTimestamp", "2023-11-14T22:13:20.123Z"), data, ""},
		{"past the stream", nil, data, "put into Firehose past the stream"},
		{"no shard", with("shardId", nil), data, "no shardId"},
		{"a shard that is not there", with("shardId", "shardId-000000000009"), data, "no such shard"},
		{"no partition key", with("partitionKey", nil), data, "no partitionKey"},
		{"no sequence number", with("sequenceNumber", nil), data, "not a position"},
		{"a sequence number of letters", with("sequenceNumber", "x"), data, "not a position"},
		{"a sequence number of another type", with("sequenceNumber", 7), data, "sequenceNumber"},
		{"a negative sub-sequence number", with("subsequenceNumber", -1), data, "not a position"},
		{"no arrival", with("approximateArrivalTimestamp", nil), data, "approximateArrivalTimestamp"},
		{"half a millisecond", with("approximateArrivalTimestamp", 1700000000123.5), data, "approximateArrivalTimestamp"},
		{"a date with microseconds", with("approximateArrivalTimestamp", "2023-11-14T22:13:20.123456Z"), data, "approximateArrivalTimestamp"},
		{"an aggregate that is not in the stream", good(), kpltest.Join(kpl.Record{PartitionKey: "q", Data: data}), "other bytes"},
		{"an aggregate at a place that the stream does not have", with("sequenceNumber", "99999999"), kpltest.Join(kpl.Record{PartitionKey: "q", Data: data}), "does not hold the record"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var logs bytes.Buffer
			got := invoke(t, newHandler(t, source{log}, &logs), invocation(t, record{"1", data, good()}, record{"2", c.data, c.metadata}, record{"3", data, good()}))
			want := "Ok"
			if c.logged != "" {
				want = "ProcessingFailed"
			}
			if len(got) != 3 || got[0].Result != "Ok" || got[1].Result != want || got[2].Result != "Ok" || got[1].RecordID != "2" {
				t.Fatalf("got %+v, want the second %s", got, want)
			}
			if !strings.Contains(logs.String(), c.logged) || (c.logged == "") != (logs.Len() == 0) {
				t.Errorf("logged %q, want %q", logs.String(), c.logged)
			}
			if bytes.Contains(logs.Bytes(), data) {
				t.Error("the log quotes an event")
			}
		})
	}
}

// brokenStream is a stream that does not answer.
type brokenStream struct{ source }

var errThrottled = errors.New("throttled")

func (brokenStream) Shards(context.Context) ([]protocol.Shard, error) { return nil, errThrottled }

// What may be better in a moment fails the invocation, which Firehose tries again.
// counts keeps what was put.
type counts []map[string]float64

func (c *counts) Put(of map[string]float64) { *c = append(*c, of) }

// An alarm goes by the count of rejected events: a bad event among good ones, and not
// what is no event of the stream.
func TestRejectedEventsAreCounted(t *testing.T) {
	t.Parallel()
	log := memory.NewLog(1)
	var records []record
	for i, data := range []string{`{"id":"a","n":1,"at":1}`, `{"id":"a","n":-1,"at":1}`, `{`} {
		seq := log.Put(memory.ShardID(0), 1_700_000_000_000, false, protocol.Record{PartitionKey: "k", Data: []byte(data)})
		e := protocol.Event{Position: protocol.Position{Seq: seq}, PartitionKey: "k", Arrival: 1_700_000_000_000}
		records = append(records, record{id: fmt.Sprint(i), data: []byte(data), metadata: metadata(memory.ShardID(0), e, 0)})
	}
	records = append(records, record{id: "past the stream", data: []byte("{")})
	var got counts
	h := newHandler(t, source{log}, io.Discard)
	h.Metrics = &got
	invoke(t, h, invocation(t, records[:1]...))
	if len(got) > 0 {
		t.Errorf("with a good event, %v is counted", got)
	}
	invoke(t, h, invocation(t, records...))
	if len(got) != 1 || len(got[0]) != 1 || got[0][deployment.RejectedMetric] != 2 {
		t.Errorf("%v is counted, want two rejected events", got)
	}
}

func TestAStreamThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	log := memory.NewLog(1)
	e := protocol.Event{Position: protocol.Position{Seq: "1"}, PartitionKey: "p", Arrival: 1}
	_, err := newHandler(t, brokenStream{source{log}}, io.Discard).Invoke(t.Context(), invocation(t, record{"1", nil, metadata(memory.ShardID(0), e, 0)}))
	if !errors.Is(err, errThrottled) {
		t.Errorf("got %v", err)
	}
}

func TestPayloadsThatAreNone(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "unexpected end", `{}`: "no records", `{"Records":[{"eventSource":"aws:kinesis"}]}`: "recordId", `{"records":[{"data":""}]}`: "record 1 has no recordId",
	} {
		if _, err := newHandler(t, source{memory.NewLog(1)}, io.Discard).Invoke(t.Context(), []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// Lambda refuses an answer over 6 MB, and with it every record of the invocation.
func TestAnAnswerFitsLambda(t *testing.T) {
	t.Parallel()
	log := memory.NewLog(1)
	var records []record
	for i := range 300 {
		e := protocol.Event{Position: protocol.Position{Seq: fmt.Sprint(1000 + i)}, PartitionKey: "p", Arrival: 1}
		records = append(records, record{fmt.Sprint(i), bytes.Repeat([]byte("x"), 14_000), metadata(memory.ShardID(0), e, 0)})
	}
	var logs bytes.Buffer
	h, payload := newHandler(t, source{log}, &logs), invocation(t, records...)
	text, err := h.Invoke(t.Context(), payload)
	if err != nil || len(text) > 6<<20 {
		t.Fatalf("an answer of %d bytes: %v", len(text), err)
	}
	results := map[string]int{}
	for i, a := range invoke(t, h, payload) {
		if a.RecordID != fmt.Sprint(i) || (a.Result == "Ok") != (len(a.Data) > 0) {
			t.Fatalf("record %d is answered by %s %s with %d bytes", i, a.RecordID, a.Result, len(a.Data))
		}
		results[a.Result]++
	}
	if len(text) < 5<<20 || results["Ok"] < 150 || results["ProcessingFailed"] == 0 || !strings.Contains(logs.String(), "smaller buffer") {
		t.Errorf("%d bytes, %v", len(text), results)
	}
}

// A buffer as Firehose is to have it fits into an answer, with events that are small.
func TestABufferFitsIntoAnAnswer(t *testing.T) {
	t.Parallel()
	var records []record
	for bytes := 0; float64(bytes) < firehose.BufferMiB*(1<<20); {
		e := protocol.Event{Position: protocol.Position{Seq: fmt.Sprintf("495903382714902566085596925%029d", bytes)}, PartitionKey: "a partition key", Arrival: 1_700_000_000_000}
		data := fmt.Appendf(nil, `{"id":"%07d","n":12.25,"at":1700000000}`, bytes)
		records = append(records, record{fmt.Sprintf("%056d", bytes), data, metadata(memory.ShardID(0), e, 0)})
		bytes += len(data)
	}
	for _, a := range invoke(t, newHandler(t, source{memory.NewLog(1)}, io.Discard), invocation(t, records...)) {
		if a.Result != "Ok" {
			t.Fatalf("of %d records, %s is answered by %s", len(records), a.RecordID, a.Result)
		}
	}
}
