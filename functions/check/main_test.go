package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/cfn"

	"github.com/watershed-data/watershed/internal/deployment"
)

const summary = `{"StreamDescriptionSummary": {"StreamName": "theirs", "StreamARN": "arn:aws:kinesis:us-east-1:123456789012:stream/theirs",
"StreamStatus": "ACTIVE", "RetentionPeriodHours": 24, "StreamCreationTimestamp": 1700000000, "EnhancedMonitoring": [], "OpenShardCount": 1, "MaxRecordSizeInKiB": %SIZE%}}`

// A deployment over a stream that cannot be a log fails and says what to set; and
// whatever became of the stream, the stack can be deleted.
func TestWhatCloudFormationIsTold(t *testing.T) {
	size := "10240"
	kinesis := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("X-Amz-Target"); got != "Kinesis_20131202.DescribeStreamSummary" {
			t.Errorf("the check calls %s", got)
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_, _ = io.WriteString(w, strings.Replace(summary, "%SIZE%", size, 1))
	}))
	defer kinesis.Close()
	var told struct{ Status, Reason, PhysicalResourceId string }
	answer := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if err := json.NewDecoder(r.Body).Decode(&told); err != nil {
			t.Error(err)
		}
	}))
	defer answer.Close()
	for name, value := range map[string]string{
		deployment.Stream: "theirs", "AWS_ENDPOINT_URL": kinesis.URL, "AWS_REGION": "us-east-1",
		"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
	} {
		t.Setenv(name, value)
	}
	check, err := wire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		request     cfn.RequestType
		size        string
		status, why string
	}{
		{cfn.RequestCreate, "1024", "SUCCESS", ""},
		{cfn.RequestCreate, "10240", "FAILED", "set its maximum record size to 1024 KiB"},
		{cfn.RequestUpdate, "10240", "FAILED", "theirs"},
		{cfn.RequestDelete, "10240", "SUCCESS", ""},
	} {
		size = c.size
		if _, err := check(context.Background(), cfn.Event{RequestType: c.request, ResponseURL: answer.URL, RequestID: "1", StackID: "s", LogicalResourceID: "l", PhysicalResourceID: "theirs"}); err != nil {
			t.Fatal(err)
		}
		if told.Status != c.status || !strings.Contains(told.Reason, c.why) || told.PhysicalResourceId != "theirs" {
			t.Errorf("%s with records of up to %s KiB: CloudFormation is told %+v, want %s, %q", c.request, c.size, told, c.status, c.why)
		}
	}
}
