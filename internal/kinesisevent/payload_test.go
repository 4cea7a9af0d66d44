package kinesisevent_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/kpl"
	"github.com/watershed-data/watershed/internal/kpl/kpltest"
)

// sent is one record as it lies in a stream.
type sent struct {
	seq        string
	key        string
	arrival    int64
	aggregated bool
	events     []kpl.Record
}

// payload writes records as Lambda does.
func payload(t testing.TB, shard string, records ...sent) []byte {
	t.Helper()
	type object = map[string]any
	var out []object
	for _, r := range records {
		data := r.events[0].Data
		if r.aggregated {
			data = kpltest.Join(r.events...)
		}
		out = append(out, object{
			"eventSource": "aws:kinesis", "eventVersion": "1.0", "eventName": "aws:kinesis:record",
			"eventID": shard + ":" + r.seq, "awsRegion": "eu-central-1",
			"invokeIdentityArn": "arn:aws:iam::123456789012:role/speed",
			"eventSourceARN":    "arn:aws:kinesis:eu-central-1:123456789012:stream/sales",
			"kinesis": object{
				"kinesisSchemaVersion": "1.0", "partitionKey": r.key, "sequenceNumber": r.seq,
				"data": base64.StdEncoding.EncodeToString(data), "approximateArrivalTimestamp": json.Number(seconds(r.arrival)),
			},
		})
	}
	text, err := json.Marshal(object{"Records": out})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// seconds writes milliseconds as Lambda does: without zeros at the end.
func seconds(millis int64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%d.%03d", millis/1000, millis%1000), "0"), ".")
}
