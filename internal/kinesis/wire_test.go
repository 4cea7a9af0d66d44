package kinesis_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
)

const (
	jsonType = "application/x-amz-json-1.1"
	cborType = "application/x-amz-cbor-1.1"
)

// epoch is a time as the AWS SDK for Java writes it in CBOR.
func epoch(at time.Time) cbor.Tag { return cbor.Tag{Number: 1, Content: at.UnixMilli()} }

// callCBOR sends a request in CBOR and reads the answer.
func (e *endpoint) callCBOR(t *testing.T, operation string, in map[string]any, want int) map[string]any {
	t.Helper()
	body, err := cbor.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	got := e.call(t, operation, cborType, body)
	if got.status != want || got.header.Get("Content-Type") != cborType {
		t.Fatalf("%s: status %d of type %s, want %d: %q", operation, got.status, got.header.Get("Content-Type"), want, got.body)
	}
	mode, err := cbor.DecOptions{DefaultMapType: reflect.TypeFor[map[string]any]()}.DecMode()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	if err := mode.Unmarshal(got.body, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestCBOR(t *testing.T) {
	t.Parallel()
	clock := newClock()
	e := serve(t, options{shards: 1, clock: clock})
	e.callCBOR(t, "PutRecord", map[string]any{"StreamName": stream, "Data": []byte{0, 0xff}, "PartitionKey": "k"}, 200)
	clock.forward(time.Second)
	put := e.callCBOR(t, "PutRecords", map[string]any{"StreamName": stream, "Records": []any{
		map[string]any{"Data": []byte("second"), "PartitionKey": "k", "ExplicitHashKey": "17", "Unknown": []any{1, "x"}},
		map[string]any{"Data": []byte{}, "PartitionKey": "k"},
	}}, 200)
	if put["FailedRecordCount"] != uint64(0) {
		t.Errorf("PutRecords gave %v", put)
	}
	it := e.callCBOR(t, "GetShardIterator", map[string]any{"StreamName": stream, "ShardId": "shardId-000000000000",
		"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": epoch(clock.now())}, 200)
	out := e.callCBOR(t, "GetRecords", map[string]any{"ShardIterator": it["ShardIterator"]}, 200)
	records, _ := out["Records"].([]any)
	if len(records) != 2 {
		t.Fatalf("GetRecords gave %v", out)
	}
	first, _ := records[0].(map[string]any)
	if data, _ := first["Data"].([]byte); string(data) != "second" {
		t.Errorf("data came back as %v, want bytes", first["Data"])
	}
	// The decoder takes the tag's content for seconds; the AWS SDKs, for milliseconds.
	if at, ok := first["ApproximateArrivalTimestamp"].(time.Time); !ok || at.Unix() != clock.now().UnixMilli() {
		t.Errorf("the record arrived at %v, want a tagged %d", first["ApproximateArrivalTimestamp"], clock.now().UnixMilli())
	}
	failed := e.callCBOR(t, "DescribeStream", map[string]any{"StreamName": "other"}, 400)
	if failed["__type"] != "ResourceNotFoundException" {
		t.Errorf("error is %v", failed)
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	clock := newClock()
	e := serve(t, options{shards: 1, clock: clock})
	got := e.call(t, "PutRecord", jsonType, []byte(`{"StreamName":"sales","Data":"AAE=","PartitionKey":"\u00e9\ud83d\ude00","Unknown":{"a":[1]}}`))
	if got.status != 200 || !regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`).MatchString(got.header.Get("x-amzn-RequestId")) {
		t.Fatalf("%d %v %s", got.status, got.header, got.body)
	}
	for _, at := range []string{"1795400000.123", "1.795400000123E9", "1795400000", "1795400000.1230001"} {
		var it struct{ ShardIterator string }
		got = e.call(t, "GetShardIterator", jsonType, fmt.Appendf(nil, `{"StreamName":"sales","ShardId":"shardId-000000000000","ShardIteratorType":"AT_TIMESTAMP","Timestamp":%s}`, at))
		if err := json.Unmarshal(got.body, &it); err != nil || got.status != 200 {
			t.Fatalf("%s: %s", at, got.body)
		}
		got = e.call(t, "GetRecords", jsonType, fmt.Appendf(nil, `{"ShardIterator":%q}`, it.ShardIterator))
		if want := `"ApproximateArrivalTimestamp":1795400000.123,"Data":"AAE=","PartitionKey":"é😀","EncryptionType":"NONE"`; !strings.Contains(string(got.body), want) {
			t.Errorf("from %s: %s\nlacks %s", at, got.body, want)
		}
	}
}

func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	e := serve(t, options{})
	for _, tt := range []struct {
		name, operation, contentType, body string
		status                             int
		code                               string
	}{
		{"cut short", "PutRecord", jsonType, `{"StreamName":"sa`, 400, "SerializationException"},
		{"nothing", "PutRecord", jsonType, ``, 400, "SerializationException"},
		{"an array", "PutRecord", jsonType, `[]`, 400, "SerializationException"},
		{"no base64", "PutRecord", jsonType, `{"StreamName":"sales","Data":"?","PartitionKey":"k"}`, 400, "SerializationException"},
		{"records that are none", "PutRecords", jsonType, `{"StreamName":"sales","Records":{"a":1}}`, 400, "SerializationException"},
		{"a null record", "PutRecords", jsonType, `{"StreamName":"sales","Records":[null]}`, 400, "ValidationException"},
		{"no records", "PutRecords", jsonType, `{"StreamName":"sales","Records":null}`, 400, "ValidationException"},
		{"no data", "PutRecord", jsonType, `{"StreamName":"sales","PartitionKey":"k"}`, 400, "ValidationException"},
		{"a million empty records", "PutRecords", jsonType, `{"StreamName":"sales","Records":[` + strings.Repeat("{},", 1e6) + `{}]}`, 400, "ValidationException"},
		{"a time that is none", "GetShardIterator", jsonType, `{"StreamName":"sales","Timestamp":-1}`, 400, "SerializationException"},
		{"CBOR cut short", "PutRecord", cborType, "\xa1", 400, "SerializationException"},
		{"CBOR nested deep", "PutRecord", cborType, strings.Repeat("\x81", 1000) + "\x00", 400, "SerializationException"},
		{"CBOR with a huge array", "PutRecords", cborType, "\xa1\x67Records\x9b\x00\x00\x00\x7f\xff\xff\xff\xff", 400, "SerializationException"},
		{"another content type", "PutRecord", "text/plain", `{}`, 400, "UnknownOperationException"},
		{"another operation", "Destroy", jsonType, `{}`, 400, "UnknownOperationException"},
		{"another operation of Kinesis", "SubscribeToShard", jsonType, `{}`, 400, "UnsupportedOperationException"},
		{"another operation of Kinesis in CBOR", "SubscribeToShard", cborType, "\xa0", 400, "UnsupportedOperationException"},
		{"too large", "PutRecords", jsonType, strings.Repeat(" ", 20<<20+1), 413, "RequestEntityTooLargeException"},
	} {
		got := e.call(t, tt.operation, tt.contentType, []byte(tt.body))
		checkError(t, tt.name, got, tt.status, tt.code)
	}
	if logged := e.logs.String(); logged != "" {
		t.Errorf("clients' mistakes fill the log: %s", logged)
	}
}

// checkError makes sure that an answer is an error as the SDKs read it.
func checkError(t *testing.T, name string, got answer, status int, code string) {
	t.Helper()
	var e struct {
		Type    string `json:"__type" cbor:"__type"`
		Message string `json:"message" cbor:"message"`
	}
	decode := json.Unmarshal
	if got.header.Get("Content-Type") == cborType {
		decode = cbor.Unmarshal
	}
	if err := decode(got.body, &e); err != nil {
		t.Errorf("%s: %v: %q", name, err, got.body)
	}
	if got.status != status || e.Type != code || e.Message == "" || got.header.Get("x-amzn-RequestId") == "" {
		t.Errorf("%s: %d %s, want %d %s: %q", name, got.status, e.Type, status, code, e.Message)
	}
}

func TestOnlyPost(t *testing.T) {
	t.Parallel()
	e := serve(t, options{})
	res, err := http.Get(e.url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 400 {
		t.Errorf("GET gave %s, want 400", res.Status)
	}
}
