package kinesis_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/watershed-data/watershed/internal/kinesis"
	"github.com/watershed-data/watershed/internal/local"
)

const stream = "sales"

// clock is a clock that tests move.
type clock struct{ millis atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.millis.Store(1_795_400_000_123)
	return c
}

func (c *clock) now() time.Time          { return time.UnixMilli(c.millis.Load()) }
func (c *clock) forward(d time.Duration) { c.millis.Add(d.Milliseconds()) }

// options of an endpoint under test; zero values are the usual ones.
type options struct {
	shards   int
	throttle bool
	token    string
	clock    *clock
}

// endpoint is a server of the API over a log on disk.
type endpoint struct {
	url  string
	log  *local.Log
	logs *syncBuffer // what the endpoint logged
}

func serve(t testing.TB, o options) *endpoint {
	t.Helper()
	now := time.Now
	if o.clock != nil {
		now = o.clock.now
	}
	if o.shards == 0 {
		o.shards = 2
	}
	logs := &syncBuffer{}
	store, err := local.Open(t.TempDir(), local.Options{Pipeline: stream, Shards: o.shards, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	handler := kinesis.New(kinesis.Options{Stream: stream, Log: store.Log(), Throttle: o.throttle, Now: now, Logger: slog.New(slog.NewTextHandler(logs, nil))})
	server := httptest.NewServer(kinesis.Guard(o.token)(handler))
	t.Cleanup(func() {
		server.Close()
		if err := store.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	return &endpoint{url: server.URL, log: store.Log(), logs: logs}
}

// client is the AWS SDK's, unchanged, that tries once.
func (e *endpoint) client(secret string) *sdk.Client {
	return sdk.New(sdk.Options{
		Region:           "us-east-1",
		BaseEndpoint:     aws.String(e.url),
		Credentials:      credentials.NewStaticCredentialsProvider(kinesis.AccessKeyID, secret, ""),
		RetryMaxAttempts: 1,
	})
}

// answer is a raw response.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// call sends a raw request for an operation.
func (e *endpoint) call(t testing.TB, operation, contentType string, body []byte, header ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, e.url+"/", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("X-Amz-Target", "Kinesis_20131202."+operation)
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		} else {
			r.Header.Set(header[i], header[i+1])
		}
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, text}
}
