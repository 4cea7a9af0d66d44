//go:build clients

package aws_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/watershed-data/watershed/internal/aws"
	"github.com/watershed-data/watershed/internal/standin"
)

// faults is a way to a stand-in on which requests meet with accidents.
type faults struct {
	mu     sync.Mutex
	meet   func(r *http.Request, n int) accident // n counts the requests of the same operation, from 1
	counts map[string]int
}

// accident is what happens to a request.
type accident int

const (
	none        accident = iota
	replyLost            // it lands, and the reply does not come back
	reset                // it does not land
	throttled            // the service says that there are too many
	unprocessed          // the service does half of a batch
	brokenOff            // half of the reply comes back
)

// operation names what a request asks for: DynamoDB's in a header, S3's by method.
func operation(r *http.Request) string {
	if _, name, ok := strings.Cut(r.Header.Get("X-Amz-Target"), "."); ok {
		return name
	}
	return r.Method
}

func (f *faults) Do(r *http.Request) (*http.Response, error) {
	op := operation(r)
	f.mu.Lock()
	if f.counts == nil {
		f.counts = map[string]int{}
	}
	f.counts[op]++
	what := f.meet(r, f.counts[op])
	f.mu.Unlock()
	switch what {
	case reset:
		return nil, errors.New("connection reset")
	case throttled:
		body := `{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"slow down"}`
		return answer(r, http.StatusBadRequest, body), nil
	case unprocessed:
		return f.half(r, op)
	}
	reply, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	switch what {
	case replyLost:
		_, _ = io.Copy(io.Discard, reply.Body)
		_ = reply.Body.Close()
		return nil, errors.New("connection reset after the request")
	case brokenOff:
		reply.Body = &torn{reply.Body, reply.ContentLength / 2}
	}
	return reply, nil
}

// torn is a reply that ends early.
type torn struct {
	io.ReadCloser
	left int64
}

func (t *torn) Read(p []byte) (int, error) {
	if t.left <= 0 {
		return 0, errors.New("connection reset within the reply")
	}
	n, err := t.ReadCloser.Read(p[:min(int64(len(p)), t.left)])
	t.left -= int64(n)
	return n, err
}

func answer(r *http.Request, status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}

// half sends on the first half of a batch, and gives the rest back as unprocessed;
// of one request it does nothing.
func (f *faults) half(r *http.Request, op string) (*http.Response, error) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var in map[string]json.RawMessage
	var tables map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(text, &in), json.Unmarshal(in["RequestItems"], &tables)); err != nil {
		return nil, err
	}
	field := map[string]string{"BatchGetItem": "UnprocessedKeys", "BatchWriteItem": "UnprocessedItems"}[op]
	for table, content := range tables {
		var of map[string]json.RawMessage // a read names its keys, a write is the list
		list := content
		if op == "BatchGetItem" {
			if err := json.Unmarshal(content, &of); err != nil {
				return nil, err
			}
			list = of["Keys"]
		}
		var all []json.RawMessage
		if err := json.Unmarshal(list, &all); err != nil {
			return nil, err
		}
		wrap := func(part []json.RawMessage) json.RawMessage {
			encoded, _ := json.Marshal(part)
			if op == "BatchGetItem" {
				of["Keys"] = encoded
				encoded, _ = json.Marshal(of)
			}
			whole, _ := json.Marshal(map[string]json.RawMessage{table: encoded})
			return whole
		}
		left := wrap(all[len(all)/2:])
		out := map[string]json.RawMessage{}
		if n := len(all) / 2; n > 0 {
			in["RequestItems"] = wrap(all[:n])
			body, _ := json.Marshal(in)
			forward := r.Clone(r.Context())
			forward.Body, forward.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			reply, err := http.DefaultTransport.RoundTrip(forward)
			if err != nil {
				return nil, err
			}
			defer reply.Body.Close()
			if err := json.NewDecoder(reply.Body).Decode(&out); err != nil || reply.StatusCode != http.StatusOK {
				return nil, errors.Join(errors.New("the half was refused"), err)
			}
		} else if op == "BatchGetItem" {
			out["Responses"] = json.RawMessage("{}")
		}
		out[field] = left
		body, _ := json.Marshal(out)
		return answer(r, http.StatusOK, string(body)), nil
	}
	return nil, errors.New("the batch is empty")
}

// over opens stores to which requests go with accidents.
func over(t *testing.T, endpoint string, o aws.Options, meet func(r *http.Request, n int) accident) *aws.Store {
	t.Helper()
	c := standin.Config(endpoint)
	c.HTTPClient = &faults{meet: meet}
	s, err := aws.Open(c, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
