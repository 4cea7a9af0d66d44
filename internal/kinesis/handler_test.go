package kinesis

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/watershed-data/watershed/internal/protocol"
)

// memoryLog is a stream after a split: the first shard is closed, with two
// records in it, and has two children. What is put is dropped.
type memoryLog struct{ fail error }

func (m *memoryLog) Shards(context.Context) ([]protocol.Shard, error) {
	return []protocol.Shard{
		{ID: "shardId-000000000000", HashFrom: "0", HashTo: largestHashKey, FirstSeq: "100", LastSeq: "105", CreatedAt: 1_000},
		{ID: "shardId-000000000001", Parents: []string{"shardId-000000000000"}, HashFrom: "0", HashTo: "99", FirstSeq: "106", CreatedAt: 2_000},
		{ID: "shardId-000000000002", Parents: []string{"shardId-000000000000"}, HashFrom: "100", HashTo: largestHashKey, FirstSeq: "107", CreatedAt: 2_000},
	}, m.fail
}

func (m *memoryLog) Append(_ context.Context, records []protocol.Record) ([]protocol.Placed, error) {
	return slices.Repeat([]protocol.Placed{{Shard: "shardId-000000000001", Seq: "108"}}, len(records)), m.fail
}

func (m *memoryLog) ReadRecords(_ context.Context, shard, seq string, at bool, limit, _ int) (protocol.Page, error) {
	page := protocol.Page{AtTip: true}
	if shard == "shardId-000000000000" {
		for _, s := range []string{"101", "102"} {
			if s > seq || at && s == seq {
				page.Events = append(page.Events, protocol.Event{Position: protocol.Position{Seq: s}, PartitionKey: "k", Data: []byte(s)})
			}
		}
		page.AtTip = len(page.Events) <= limit
		page.Ended = page.AtTip
		page.Events = page.Events[:min(limit, len(page.Events))]
	}
	return page, m.fail
}

func (m *memoryLog) Since(context.Context, string, int64) (string, bool, error) {
	return "", false, m.fail
}

func (m *memoryLog) Split(context.Context, string, string) error { return m.fail }
func (m *memoryLog) Merge(context.Context, string, string) error { return m.fail }
func (m *memoryLog) Scale(context.Context, int) error            { return m.fail }

func (m *memoryLog) Tip(context.Context) (string, error) { return "110", m.fail }

func memoryHandler(log *memoryLog, logs *bytes.Buffer) *Handler {
	return New(Options{Stream: "sales", Log: log, Logger: slog.New(slog.NewTextHandler(logs, nil))})
}

// do sends a request to a handler.
func do(h http.Handler, operation, contentType, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("X-Amz-Target", targetPrefix+operation)
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestClosedShardEnds(t *testing.T) {
	t.Parallel()
	h := memoryHandler(&memoryLog{}, &bytes.Buffer{})
	it := iterator{shard: "shardId-000000000000", issued: time.Now().UnixMilli()}.encode("sales")
	get := func(limit int) (out getRecordsOut) {
		t.Helper()
		w := do(h, "GetRecords", jsonType, fmt.Sprintf(`{"ShardIterator":%q,"Limit":%d}`, it, limit))
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		return out
	}
	out := get(1)
	if out.NextShardIterator == "" || len(out.Records) != 1 || out.MillisBehindLatest == 0 || out.ChildShards != nil {
		t.Errorf("the first page is %+v", out)
	}
	it = out.NextShardIterator
	out = get(10)
	if out.NextShardIterator != "" || len(out.Records) != 1 || out.MillisBehindLatest != 0 {
		t.Errorf("the last page is %+v", out)
	}
	if len(out.ChildShards) != 2 || out.ChildShards[1].ShardId != "shardId-000000000002" || out.ChildShards[1].HashKeyRange.StartingHashKey != "100" {
		t.Errorf("a consumer would not find the children: %+v", out.ChildShards)
	}
}

func TestShardFilters(t *testing.T) {
	t.Parallel()
	h := memoryHandler(&memoryLog{}, &bytes.Buffer{})
	for filter, want := range map[string]string{
		`{"Type":"AT_LATEST"}`:                                       "12",
		`{"Type":"AT_TRIM_HORIZON"}`:                                 "0",
		`{"Type":"FROM_TRIM_HORIZON"}`:                               "012",
		`{"Type":"AT_TIMESTAMP","Timestamp":1.5}`:                    "0",
		`{"Type":"AT_TIMESTAMP","Timestamp":2}`:                      "12",
		`{"Type":"FROM_TIMESTAMP","Timestamp":1.5}`:                  "012",
		`{"Type":"FROM_TIMESTAMP","Timestamp":3}`:                    "12",
		`{"Type":"AFTER_SHARD_ID","ShardId":"shardId-000000000001"}`: "2",
		`{"Type":"AFTER_SHARD_ID"}`:                                  "InvalidArgumentException",
		`{"Type":"AT_TIMESTAMP"}`:                                    "InvalidArgumentException",
		`{"Type":"NEAR"}`:                                            "ValidationException",
	} {
		w := do(h, "ListShards", jsonType, `{"StreamName":"sales","ShardFilter":`+filter+`}`)
		var out struct {
			listShardsOut
			Type string `json:"__type"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
			t.Fatal(err)
		}
		got := out.Type
		for _, s := range out.Shards {
			got += s.ShardId[len(s.ShardId)-1:]
		}
		if got != want {
			t.Errorf("%s: %s, want %s", filter, got, want)
		}
	}
}

// What goes wrong inside is not for the client to read, but for the log.
func TestFailingLog(t *testing.T) {
	t.Parallel()
	var logs bytes.Buffer
	h := memoryHandler(&memoryLog{fail: errors.New("disk on fire")}, &logs)
	w := do(h, "PutRecord", jsonType, `{"StreamName":"sales","Data":"","PartitionKey":"k"}`)
	if w.Code != 500 || !strings.Contains(w.Body.String(), "InternalFailure") || strings.Contains(w.Body.String(), "fire") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if id := w.Header().Get("x-amzn-RequestId"); !strings.Contains(logs.String(), "disk on fire") || !strings.Contains(logs.String(), id) {
		t.Errorf("the log does not say what happened to %s: %s", id, &logs)
	}
}

// slowReader is a client that takes its response when it is told to.
type slowReader struct {
	*httptest.ResponseRecorder
	writing, proceed chan struct{}
}

func (w slowReader) Write(b []byte) (int, error) {
	w.writing <- struct{}{}
	<-w.proceed
	return w.ResponseRecorder.Write(b)
}

// Without this, any number of clients that do not read hold a page each.
func TestAPageWeighsUntilItIsWritten(t *testing.T) {
	t.Parallel()
	h := memoryHandler(&memoryLog{}, &bytes.Buffer{})
	it := iterator{shard: "shardId-000000000000", issued: time.Now().UnixMilli()}.encode("sales")
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(fmt.Sprintf(`{"ShardIterator":%q}`, it)))
	r.Header.Set("X-Amz-Target", targetPrefix+"GetRecords")
	r.Header.Set("Content-Type", jsonType)
	w := slowReader{httptest.NewRecorder(), make(chan struct{}), make(chan struct{})}
	ended := make(chan struct{})
	go func() { defer close(ended); h.ServeHTTP(w, r) }()
	<-w.writing
	if h.pages.TryAcquire(pageBudget) || h.puts.TryAcquire(putBudget) {
		t.Error("memory is given away that a response still takes")
	}
	close(w.proceed)
	<-ended
	if !h.pages.TryAcquire(pageBudget) || !h.puts.TryAcquire(putBudget) {
		t.Error("memory is not given back")
	}
}

func TestIteratorsAreChecked(t *testing.T) {
	t.Parallel()
	it := iterator{issued: 1, shard: "shardId-000000000000", seq: "101", at: true}
	text := it.encode("sales")
	if got, ok := decodeIterator("sales", text); !ok || got != it {
		t.Errorf("%+v came back as %+v", it, got)
	}
	if len(text) > 512 {
		t.Errorf("an iterator has %d characters, clients allow 512", len(text))
	}
	if _, ok := decodeIterator("flights", text); ok {
		t.Error("an iterator of another stream is taken")
	}
	for i := range text {
		broken := []byte(text)
		broken[i] ^= 1
		if _, ok := decodeIterator("sales", string(broken)); ok {
			t.Errorf("an iterator with byte %d changed is taken", i)
		}
	}
}

// requests are one of each kind, to be mutated.
var requests = map[string]string{
	"PutRecord":             `{"StreamName":"sales","Data":"aGVsbG8=","PartitionKey":"k","ExplicitHashKey":"17"}`,
	"PutRecords":            `{"StreamName":"sales","Records":[{"Data":"aGVsbG8=","PartitionKey":"k"},{"Data":"","PartitionKey":"l"}]}`,
	"ListStreams":           `{"Limit":10,"ExclusiveStartStreamName":"a"}`,
	"ListShards":            `{"StreamName":"sales","MaxResults":2,"ShardFilter":{"Type":"AT_TIMESTAMP","Timestamp":1.5}}`,
	"DescribeStreamSummary": `{"StreamARN":"arn:aws:kinesis:us-east-1:000000000000:stream/sales"}`,
	"DescribeStream":        `{"StreamName":"sales","Limit":1,"ExclusiveStartShardId":"shardId-000000000000"}`,
	"GetShardIterator":      `{"StreamName":"sales","ShardId":"shardId-000000000000","ShardIteratorType":"AT_SEQUENCE_NUMBER","StartingSequenceNumber":"101","Timestamp":1.25}`,
	"GetRecords":            `{"ShardIterator":"` + iterator{shard: "shardId-000000000000", issued: 4e12}.encode("sales") + `","Limit":3}`,
	"ListTagsForStream":     `{"StreamName":"sales"}`,
	"CreateStream":          `{"StreamName":"other","ShardCount":1}`,
	"DescribeLimits":        `{}`,
	"SplitShard":            `{"StreamName":"sales","ShardToSplit":"shardId-000000000002","NewStartingHashKey":"1000"}`,
	"MergeShards":           `{"StreamName":"sales","ShardToMerge":"shardId-000000000001","AdjacentShardToMerge":"shardId-000000000002"}`,
	"UpdateShardCount":      `{"StreamName":"sales","TargetShardCount":3,"ScalingType":"UNIFORM_SCALING"}`,
}

// checkWellFormed sends a request: whatever it is, the answer is a success or an
// error of the API, in the request's encoding.
func checkWellFormed(t *testing.T, h http.Handler, operation, contentType, body string) {
	t.Helper()
	w := do(h, operation, contentType, body)
	decode := json.Unmarshal
	if w.Header().Get("Content-Type") == cborType {
		decode = cbor.Unmarshal
	}
	var e errorOut
	if err := decode(w.Body.Bytes(), &e); err != nil {
		t.Fatalf("%s %q: %d %v: %q", operation, body, w.Code, err, w.Body)
	}
	switch {
	case w.Code == http.StatusOK && e.Type == "":
	case w.Code >= 400 && w.Code < 500 && e.Type != "" && e.Message != "":
	default:
		t.Fatalf("%s %q: %d %q", operation, body, w.Code, w.Body)
	}
}

// inCBOR gives a request in the other encoding.
func inCBOR(t testing.TB, body string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatal(err)
	}
	text, err := cbor.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestNoise(t *testing.T) {
	t.Parallel()
	h := memoryHandler(&memoryLog{}, &bytes.Buffer{})
	random := rand.New(rand.NewPCG(1, 2))
	for operation, body := range requests {
		for contentType, text := range map[string]string{jsonType: body, cborType: inCBOR(t, body)} {
			for range 500 {
				checkWellFormed(t, h, operation, contentType, mutate(random, text))
			}
		}
	}
}

// mutate changes, drops or doubles a few pieces of a text.
func mutate(random *rand.Rand, text string) string {
	b := []byte(text)
	for range 1 + random.IntN(3) {
		i := random.IntN(len(b))
		j := min(len(b), i+1+random.IntN(8))
		switch random.IntN(4) {
		case 0:
			b[i] = byte(random.Uint32())
		case 1:
			b = slices.Delete(b, i, j)
		case 2:
			b = slices.Insert(b, i, b[i:j]...)
		case 3:
			b[i] = `"{}[],:-0e\n`[random.IntN(11)]
		}
		if len(b) == 0 {
			break
		}
	}
	return string(b)
}

func FuzzHandler(f *testing.F) {
	for operation, body := range requests {
		f.Add(operation, false, body)
		f.Add(operation, true, inCBOR(f, body))
	}
	h := memoryHandler(&memoryLog{}, &bytes.Buffer{})
	f.Fuzz(func(t *testing.T, operation string, inCBOR bool, body string) {
		contentType := jsonType
		if inCBOR {
			contentType = cborType
		}
		if strings.ContainsAny(operation, "\r\n\x00") {
			return
		}
		checkWellFormed(t, h, operation, contentType, body)
	})
}
