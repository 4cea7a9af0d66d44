package kinesis

import (
	"encoding/json"
	"reflect"
	"testing"
)

// plain are requests in the forms that SDKs write; scan must not leave them to
// the slow way.
var plain = []string{
	`{"Records": [{"Data": "aGVsbG8=", "PartitionKey": "k"}], "StreamName": "sales"}`,
	`{"StreamARN":"arn:aws:kinesis:us-east-1:000000000000:stream/sales","Records":[{"PartitionKey":"é","Data":"","ExplicitHashKey":"17"},{"Data":"AA==","PartitionKey":"k"}]}`,
	" {\n\t\"StreamName\" : \"sales\" , \"Records\" : [ { \"Data\" : \"AAAA\" , \"PartitionKey\" : \"k\" } ] }\r\n",
}

// unusual are requests that scan must not take, or take as encoding/json does.
var unusual = []string{
	`{"Records":[],"StreamName":"sales"}`,
	`{"Records":[{"Data":"aGVs\nbG8=","PartitionKey":"k"}]}`,
	"{\"Records\":[{\"Data\":\"aGVs\nbG8=\",\"PartitionKey\":\"k\"}]}",
	`{"Records":[{"Data":"aGVsbG8","PartitionKey":"k"}]}`,
	`{"Records":[{"Data":"aGVsbG8=","PartitionKey":"\u00e9"}]}`,
	`{"Records":[{"Data":"aGVsbG8=","PartitionKey":"a\"b"}]}`,
	`{"Records":[{"Data":null,"PartitionKey":"k"}]}`,
	`{"Records":[{"Data":"AA==","Data":"AAA=","PartitionKey":"k"}]}`,
	`{"Records":[{"Data":"AA==","PartitionKey":"k"},]}`,
	`{"Records":[{"Data":"AA==","PartitionKey":"k"}]} x`,
	`{"Records":[{"Data":"AA==","PartitionKey":"k"}],"StreamName":"sales","DryRun":true}`,
	"{\"Records\":[{\"Data\":\"AA==\",\"PartitionKey\":\"\xff\"}]}",
	`{"records":[{"data":"AA==","partitionKey":"k"}]}`,
	`{}`, `[]`, `null`, ``,
}

func TestScanTakesWhatSDKsWrite(t *testing.T) {
	t.Parallel()
	for _, text := range plain {
		if in := new(putRecordsIn); !in.scan([]byte(text)) {
			t.Errorf("scan leaves this to the slow way: %s", text)
		}
	}
}

// FuzzScan: what scan takes, it reads as encoding/json does.
func FuzzScan(f *testing.F) {
	for _, text := range append(plain, unusual...) {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var fast, slow putRecordsIn
		if !fast.scan(text) {
			return
		}
		if err := json.Unmarshal(text, &slow); err != nil {
			t.Fatalf("scan takes what is an error: %v: %q", err, text)
		}
		if !reflect.DeepEqual(fast, slow) {
			t.Fatalf("scan reads %q as\n%+v, want\n%+v", text, fast, slow)
		}
	})
}
