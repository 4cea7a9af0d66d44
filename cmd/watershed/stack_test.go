package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

// cloud is an account with one stack, whose stream and API are those of a pipeline in
// local mode. Runs go on by themselves there.
type cloud struct {
	*httptest.Server
	asked  atomic.Int32 // how often a run was asked for
	last   string       // what a run answers that is asked for the third time
	refuse atomic.Int32 // the status with which API Gateway answers by itself; 0: it does not
}

func newCloud(t *testing.T, pipeline string) *cloud {
	t.Helper()
	at, err := url.Parse(pipeline)
	if err != nil {
		t.Fatal(err)
	}
	c := &cloud{}
	through := httputil.NewSingleHostReverseProxy(at)
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		signed := r.Header.Get("Authorization")
		switch {
		case r.Header.Get("X-Amz-Target") != "": // Kinesis
			if !strings.Contains(signed, "/eu-central-1/kinesis/aws4_request") {
				t.Errorf("Kinesis was asked by %q", signed)
			}
			r.Header.Del("Authorization") // it is of another account than local mode's
			through.ServeHTTP(w, r)
		case r.URL.Path == "/": // CloudFormation
			c.describe(t, w, r)
		case !strings.Contains(signed, "/eu-central-1/execute-api/aws4_request"):
			t.Errorf("the API was asked by %q", signed)
		case c.refuse.Load() != 0:
			w.WriteHeader(int(c.refuse.Load()))
			fmt.Fprint(w, `{"message":"Forbidden"}`)
		case r.URL.Path == "/v1/batch":
			c.batch(w, r)
		default:
			r.Header.Del("Authorization")
			through.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *cloud) describe(t *testing.T, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || !bytes.Contains(body, []byte("Action=DescribeStacks")) {
		t.Errorf("CloudFormation was asked %s (%v)", body, err)
	}
	w.Header().Set("Content-Type", "text/xml")
	const space = `xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"`
	if !bytes.Contains(body, []byte("StackName=watershed-sales")) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `<ErrorResponse %s><Error><Code>ValidationError</Code><Message>Stack with id x does not exist</Message></Error></ErrorResponse>`, space)
		return
	}
	fmt.Fprintf(w, `<DescribeStacksResponse %s><DescribeStacksResult><Stacks><member><StackName>watershed-sales</StackName><StackStatus>CREATE_COMPLETE</StackStatus>`+
		`<Outputs><member><OutputKey>Endpoint</OutputKey><OutputValue>%s</OutputValue></member><member><OutputKey>StreamName</OutputKey><OutputValue>sales</OutputValue></member></Outputs>`+
		`</member></Stacks></DescribeStacksResult></DescribeStacksResponse>`, space, c.URL)
}

// batch begins a run, which ends when it is asked for the second time.
func (c *cloud) batch(w http.ResponseWriter, r *http.Request) {
	const running = `{"run":"r1","state":"running","began":"2026-11-23T00:00:00Z","ended":null}`
	w.Header().Set("Content-Type", "application/json")
	switch {
	case r.Method == http.MethodPost:
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprint(w, running)
	case r.URL.Query().Get("run") != "r1":
		w.WriteHeader(http.StatusNotFound)
	case c.asked.Add(1) < 2:
		fmt.Fprint(w, running)
	default:
		fmt.Fprint(w, c.last)
	}
}

// told runs a client command against the stack.
func (c *cloud) told(t *testing.T, args ...string) result {
	t.Helper()
	cmd := process(t.Context(), append(args, "--stack", "watershed-sales")...)
	nowhere := t.TempDir() + "/none"
	cmd.Env = append(cmd.Env, "AWS_ENDPOINT_URL="+c.URL, "AWS_REGION=eu-central-1", "AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=secret",
		"AWS_CONFIG_FILE="+nowhere, "AWS_SHARED_CREDENTIALS_FILE="+nowhere, "AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1")
	return finish(t, cmd)
}

// Without this, the command talks to a stack in another way than to local mode, or not
// at all.
func TestAStackIsAskedAsLocalModeIs(t *testing.T) {
	t.Parallel()
	p := startPipeline(t, "../../examples/sales/pipeline.yaml", t.TempDir())
	c := newCloud(t, p.url)
	events := write(t, "sales.ndjson", `{"zipcode":"12345","ProductName":"tea","price":"2.50","timestamp":"2014-11-01T10:00:00Z","order_id":"a"}`+"\n")
	for _, s := range []struct {
		args []string
		says string
	}{
		{[]string{"send", events}, "acknowledged 1 event "},
		{[]string{"status"}, "pipeline    sales"},
		{[]string{"rejects"}, "rejected"},
		{[]string{"query", "ws_outcomes", "--format", "csv"}, "ws_outcome,ws_reason,events"},
	} {
		if r := c.told(t, s.args...); r.code != 0 || !strings.Contains(r.out, s.says) {
			t.Errorf("%v: exit code %d\n%s%s", s.args, r.code, r.out, r.err)
		}
	}
}

// Without this, `batch --stack` ends before its run, or does not say how that ended.
func TestARunOfAStackIsFollowed(t *testing.T) {
	t.Parallel()
	for _, s := range []struct {
		name, last string
		args       []string
		code       int
		says       string
	}{
		{"done", `{"run":"r1","state":"done","report":{"version":"v00000001-x","watershed":"2026-11-23T00:00:00Z","events":7}}`, nil, 0, "published version v00000001-x"},
		{"as JSON", `{"run":"r1","state":"done","report":{"version":"v00000001-x","watershed":"2026-11-23T00:00:00Z","events":7}}`, []string{"--format", "json"}, 0, `{"version":"v00000001-x",`},
		{"failed", `{"run":"r1","state":"failed","error":"4 events in the ledger and 3 in the master dataset"}`, nil, 1, "run r1 failed: 4 events in the ledger"},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t, "http://127.0.0.1:1")
			c.last = s.last
			if r := c.told(t, append([]string{"batch"}, s.args...)...); r.code != s.code || !strings.Contains(r.out+r.err, s.says) || c.asked.Load() != 2 {
				t.Errorf("exit code %d after %d questions\n%s%s", r.code, c.asked.Load(), r.out, r.err)
			}
		})
	}
}

// Without this, a user of a stack reads a message about local mode.
func TestWhatAStackDoesNotDo(t *testing.T) {
	t.Parallel()
	c := newCloud(t, "http://127.0.0.1:1")
	file := write(t, "a.ndjson", "{}\n")
	for _, s := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"load", file}, 1, "load does not work with a stack on AWS yet; put the events into its stream"},
		{[]string{"verify"}, 1, "verify does not work with a stack"},
		{[]string{"erase", "--partition-key", "k"}, 1, "erase does not work with a stack"},
		{[]string{"status", "--endpoint", c.URL}, 2, "--stack and --endpoint"},
	} {
		if r := c.told(t, s.args...); r.code != s.code || !strings.Contains(r.err, s.says) {
			t.Errorf("%v: exit code %d\n%s%s", s.args, r.code, r.out, r.err)
		}
	}
	c.refuse.Store(http.StatusForbidden)
	if r := c.told(t, "status"); r.code != 1 || !strings.Contains(r.err, "execute-api:Invoke") {
		t.Errorf("without a permission: exit code %d\n%s", r.code, r.err)
	}
	c.refuse.Store(http.StatusInternalServerError)
	if r := c.told(t, "status"); r.code != 1 || !strings.Contains(r.err, "the log of its query function says why") {
		t.Errorf("with a function that fails: exit code %d\n%s", r.code, r.err)
	}
	if r := c.told(t, "status", "--stack", "another"); r.code != 1 || strings.Contains(r.err, "watershed run") {
		t.Errorf("exit code %d\n%s", r.code, r.err)
	}
}
