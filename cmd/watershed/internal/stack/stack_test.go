package stack_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/watershed-data/watershed/cmd/watershed/internal/stack"
)

var credentials = aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret", SessionToken: "session/+="}

// account sets an account up whose CloudFormation is at an endpoint.
func account(t *testing.T, endpoint string) {
	t.Helper()
	nowhere := t.TempDir() + "/none"
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": credentials.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY": credentials.SecretAccessKey, "AWS_SESSION_TOKEN": credentials.SessionToken,
		"AWS_CONFIG_FILE": nowhere, "AWS_SHARED_CREDENTIALS_FILE": nowhere, "AWS_PROFILE": "", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_MAX_ATTEMPTS": "1",
	} {
		t.Setenv(name, value)
	}
}

// answer is CloudFormation's to DescribeStacks.
func answer(outputs map[string]string) string {
	var members strings.Builder
	for key, value := range outputs {
		fmt.Fprintf(&members, "<member><OutputKey>%s</OutputKey><OutputValue>%s</OutputValue></member>", key, value)
	}
	return `<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStacksResult><Stacks><member>` +
		`<StackName>watershed-sales</StackName><StackStatus>CREATE_COMPLETE</StackStatus><CreationTime>2026-11-23T00:00:00Z</CreationTime>` +
		`<Outputs>` + members.String() + `</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>`
}

func refusal(code, message string) string {
	return `<ErrorResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><Error><Type>Sender</Type><Code>` + code + `</Code><Message>` + message + `</Message></Error><RequestId>x</RequestId></ErrorResponse>`
}

func cloudFormation(t *testing.T, status int, text string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		form, parse := url.ParseQuery(string(body))
		if err != nil || parse != nil || form.Get("Action") != "DescribeStacks" || form.Get("StackName") != "watershed-sales" {
			t.Errorf("CloudFormation was asked %s (%v, %v)", body, err, parse)
		}
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// Without this, a user does not know which of the many ways to be wrong it is.
func TestStacksThatAreNotFound(t *testing.T) {
	whole := answer(map[string]string{"Endpoint": "https://a.execute-api.eu-central-1.amazonaws.com/", "StreamName": "sales"})
	for _, c := range []struct {
		name   string
		status int
		text   string
		change map[string]string // of the environment
		says   []string          // none: it is found
	}{
		{"it is there", 200, whole, nil, nil},
		{"no such stack", 400, refusal("ValidationError", "Stack with id watershed-sales does not exist"), nil, []string{"no stack watershed-sales in eu-central-1", "AWS_REGION"}},
		{"not allowed", 403, refusal("AccessDenied", "User: x is not authorized"), nil, []string{"cloudformation:DescribeStacks"}},
		{"old credentials", 403, refusal("ExpiredToken", "The security token included in the request is expired"), nil, []string{"sign in again"}},
		{"another error", 400, refusal("Throttling", "Rate exceeded"), nil, []string{"Throttling: Rate exceeded"}},
		{"no outputs", 200, answer(nil), nil, []string{"no output Endpoint", "create_complete", "Watershed pipeline"}},
		{"no stream", 200, answer(map[string]string{"Endpoint": "https://a"}), nil, []string{"no output StreamName"}},
		{"a damaged endpoint", 200, answer(map[string]string{"Endpoint": "a b", "StreamName": "sales"}), nil, []string{"no URL"}},
		{"no credentials", 200, whole, map[string]string{"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": ""}, []string{"no AWS credentials were found", "aws sso login"}},
		{"no region", 200, whole, map[string]string{"AWS_REGION": ""}, []string{"AWS_REGION"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			account(t, cloudFormation(t, c.status, c.text))
			for name, value := range c.change {
				t.Setenv(name, value)
			}
			s, err := stack.Find(t.Context(), "watershed-sales")
			if c.says == nil {
				if err != nil || s.Endpoint.String() != "https://a.execute-api.eu-central-1.amazonaws.com" || s.Stream != "sales" || s.Account.Region != "eu-central-1" {
					t.Errorf("got %+v, %v", s, err)
				}
				return
			}
			for _, part := range c.says {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("got %v, which does not say %q", err, part)
				}
			}
		})
	}
}

// expected gives the signature that a request has if it was signed for the API with
// the account's credentials.
func expected(r *http.Request, body []byte) (string, error) {
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		return "", err
	}
	again := &http.Request{Method: r.Method, URL: r.URL, Host: r.Host, Header: http.Header{}, ContentLength: r.ContentLength}
	sum := sha256.Sum256(body)
	err = v4.NewSigner().SignHTTP(context.Background(), credentials, again, hex.EncodeToString(sum[:]), "execute-api", "eu-central-1", at)
	return again.Header.Get("Authorization"), err
}

// Without this, API Gateway refuses what is asked for: every byte of the address and
// the body is part of the signature.
func TestRequestsAreSigned(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		want, err := expected(r, body)
		if err != nil || r.Header.Get("Authorization") != want || r.Header.Get("X-Amz-Security-Token") != credentials.SessionToken {
			w.WriteHeader(http.StatusForbidden)
		}
		fmt.Fprint(w, r.URL.Query().Get("where"), "|", string(body))
	}))
	defer api.Close()
	// A name under localhost, as stand-ins for API Gateway have them.
	at := strings.Replace(api.URL, "127.0.0.1", "a1b2.execute-api.localhost", 1)
	account(t, cloudFormation(t, 200, answer(map[string]string{"Endpoint": at, "StreamName": "sales"})))
	s, err := stack.Find(t.Context(), "watershed-sales")
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: s.Transport()}
	const condition = "product == 'café & tea' || a+b > 1 && x/y == \"~*'()\" "
	query := "?" + url.Values{"where": {condition}, "from": {"2014-11-01T00:00:00+01:00"}, "by": {""}}.Encode()
	for _, c := range []struct{ method, query, body string }{
		{"GET", query, ""}, {"POST", "?full=true", ""}, {"POST", "", "a body"}, {"HEAD", "", ""},
	} {
		var body io.Reader
		if c.body != "" {
			body = strings.NewReader(c.body)
		}
		r, err := http.NewRequestWithContext(t.Context(), c.method, s.Endpoint.String()+"/v1/query"+c.query, body)
		if err != nil {
			t.Fatal(err)
		}
		reply, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(reply.Body)
		if err != nil || reply.Body.Close() != nil {
			t.Fatal(err)
		}
		if reply.StatusCode != http.StatusOK {
			t.Errorf("%s %s: the signature does not hold", c.method, c.query)
		}
		if want := r.URL.Query().Get("where") + "|" + c.body; c.method != "HEAD" && string(got) != want {
			t.Errorf("%s: the API got %q, want %q", c.method, got, want)
		}
	}
}
