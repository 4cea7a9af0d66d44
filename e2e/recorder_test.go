//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/watershed-data/watershed/internal/deployment/access"
)

// recorder stands between the stand-in and everybody who calls it, functions as
// well as clients, and remembers who did what. It is also the end of TLS, as far as
// the stand-in knows: the buckets' policies refuse anything else.
//
// As a proxy for HTTP it takes requests to the API's own host name, which no
// resolver knows.
type recorder struct {
	url      string
	listener net.Listener

	mu    sync.Mutex
	calls map[call]int
	said  map[call]string // of refused calls: the end of the first answer
}

// call is one kind of call, as it was answered.
type call struct {
	key       string // access key of the caller
	service   string // as in IAM
	operation string
	status    int
}

func (c call) action() string { return access.Action(c.service, c.operation) }

// newRecorder gives a recorder, whose place is known before what it stands before is
// started.
func newRecorder(t *testing.T) *recorder {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return &recorder{url: "http://" + listener.Addr().String(), listener: listener, calls: map[call]int{}, said: map[call]string{}}
}

// passTo begins to pass on requests.
func (r *recorder) passTo(t *testing.T, target string) {
	t.Helper()
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(to)
			p.Out.Host = p.In.Host // it is part of what was signed
			p.Out.Header.Set("X-Forwarded-Proto", "https")
		},
		ModifyResponse: r.note,
	}}
	go func() { _ = server.Serve(r.listener) }()
	t.Cleanup(func() { _ = server.Close() })
}

// note remembers a call that was signed; the others are not calls of AWS.
func (r *recorder) note(reply *http.Response) error {
	made, ok := identify(reply.Request)
	if !ok {
		return nil
	}
	made.status = reply.StatusCode
	var said string
	if reply.StatusCode >= http.StatusBadRequest {
		body, err := io.ReadAll(reply.Body)
		if err != nil {
			return err
		}
		reply.Body = io.NopCloser(bytes.NewReader(body))
		said = string(body[:min(len(body), 500)])
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.calls[made]++; r.calls[made] == 1 {
		r.said[made] = said
	}
	return nil
}

// of gives the calls that were made with an access key, with how often, and what
// was answered if they were refused.
func (r *recorder) of(key string) (calls map[call]int, said map[call]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	calls, said = map[call]int{}, map[call]string{}
	for c, n := range r.calls {
		if c.key == key {
			calls[c], said[c] = n, r.said[c]
		}
	}
	return calls, said
}

var credential = regexp.MustCompile(`Credential=([A-Za-z0-9]+)/\d+/[a-z0-9-]+/([a-z0-9-]+)/aws4_request`)

// identify reads who calls what from a request's signature and its form.
func identify(r *http.Request) (call, bool) {
	found := credential.FindStringSubmatch(r.Header.Get("Authorization"))
	if found == nil {
		return call{}, false
	}
	c := call{key: found[1], service: found[2]}
	if _, operation, ok := strings.Cut(r.Header.Get("X-Amz-Target"), "."); ok {
		c.operation = operation
	} else if c.service == "s3" {
		c.operation = s3Operation(r)
	} else if _, operation, ok := strings.Cut(r.URL.Path, "/operation/"); ok { // smithy's CBOR
		c.operation = operation
	} else {
		c.operation = r.Method + " " + r.URL.Path
	}
	return c, true
}

// s3Operation names the operation of a request to S3 by path.
func s3Operation(r *http.Request) string {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	query := r.URL.Query()
	switch {
	case bucket == "":
		return "ListBuckets"
	case key == "" && r.Method == http.MethodGet && query.Has("list-type"):
		return "ListObjectsV2"
	case key == "" && r.Method == http.MethodPost && query.Has("delete"):
		return "DeleteObjects"
	case key == "" && r.Method == http.MethodHead:
		return "HeadBucket"
	case key == "":
		return fmt.Sprintf("%s bucket ?%s", r.Method, r.URL.RawQuery)
	case query.Has("uploads"):
		return "CreateMultipartUpload"
	case query.Has("partNumber"):
		return "UploadPart"
	case query.Has("uploadId") && r.Method == http.MethodPost:
		return "CompleteMultipartUpload"
	case query.Has("uploadId"):
		return "AbortMultipartUpload"
	case len(query) > 0 && !query.Has("x-id"):
		return fmt.Sprintf("%s object ?%s", r.Method, r.URL.RawQuery)
	}
	return map[string]string{"GET": "GetObject", "HEAD": "HeadObject", "PUT": "PutObject", "DELETE": "DeleteObject"}[r.Method]
}
