package kinesis_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

func TestLoopbackGuard(t *testing.T) {
	t.Parallel()
	e := serve(t, options{})
	for _, tt := range []struct {
		name   string
		header []string
		status int
	}{
		{"a program", nil, 200},
		{"by name", []string{"Host", "localhost:4580"}, 200},
		{"by IPv6", []string{"Host", "[::1]:4580"}, 200},
		{"without a port", []string{"Host", "127.0.0.1"}, 200},
		{"a page of this machine", []string{"Origin", "http://localhost:3000"}, 200},
		{"a rebound name", []string{"Host", "evil.example:4580"}, 403},
		{"a name that looks local", []string{"Host", "localhost.evil.example"}, 403},
		{"a number that looks local", []string{"Host", "127.0.0.1.evil.example"}, 403},
		{"a foreign page", []string{"Origin", "https://evil.example"}, 403},
		{"a page without an origin", []string{"Origin", "null"}, 403},
		{"a page that hides its origin", []string{"Sec-Fetch-Site", "cross-site"}, 403},
	} {
		got := e.call(t, "ListStreams", jsonType, []byte("{}"), tt.header...)
		if got.status != tt.status {
			t.Errorf("%s: %d, want %d: %s", tt.name, got.status, tt.status, got.body)
		}
	}
}

const token = "correct-horse-battery"

// signed gives the headers of a request that was signed at a time with a secret,
// as an SDK does it.
func signed(t *testing.T, e *endpoint, operation, body, id, secret, service string, at time.Time) []string {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, e.url+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", jsonType)
	r.Header.Set("X-Amz-Target", "Kinesis_20131202."+operation)
	sum := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: id, SecretAccessKey: secret}, r, hex.EncodeToString(sum[:]), service, "eu-west-1", at); err != nil {
		t.Fatal(err)
	}
	return []string{"Authorization", r.Header.Get("Authorization"), "X-Amz-Date", r.Header.Get("X-Amz-Date")}
}

func TestTokenGuard(t *testing.T) {
	t.Parallel()
	e := serve(t, options{token: token})
	now := time.Now()
	sign := func(operation, body, id, secret, service string, at time.Time) []string {
		return signed(t, e, operation, body, id, secret, service, at)
	}
	good := sign("ListStreams", "{}", "watershed", token, "kinesis", now)
	broken := func(old, new string) []string {
		return []string{"Authorization", strings.Replace(good[1], old, new, 1), "X-Amz-Date", good[3]}
	}
	for _, tt := range []struct {
		name   string
		header []string
		status int
		code   string
	}{
		{"signed", good, 200, ""},
		{"signed, from afar", append(sign("ListStreams", "{}", "watershed", token, "kinesis", now), "Origin", "https://app.example"), 200, ""},
		{"the token", []string{"Authorization", "Bearer " + token}, 200, ""},
		{"nothing", nil, 401, "MissingAuthenticationTokenException"},
		{"another token", []string{"Authorization", "Bearer " + token + "x"}, 401, "UnrecognizedClientException"},
		{"no token", []string{"Authorization", "Bearer "}, 401, "UnrecognizedClientException"},
		{"another scheme", []string{"Authorization", "Basic d2F0ZXJzaGVk"}, 401, "IncompleteSignatureException"},
		{"another secret", sign("ListStreams", "{}", "watershed", "guess", "kinesis", now), 403, "InvalidSignatureException"},
		{"another id", sign("ListStreams", "{}", "AKIDEXAMPLE", token, "kinesis", now), 403, "UnrecognizedClientException"},
		{"another operation", sign("DescribeLimits", "{}", "watershed", token, "kinesis", now), 403, "InvalidSignatureException"},
		{"another body", sign("ListStreams", "{ }", "watershed", token, "kinesis", now), 403, "InvalidSignatureException"},
		{"another service", sign("ListStreams", "{}", "watershed", token, "s3", now), 403, "IncompleteSignatureException"},
		{"an old signature", sign("ListStreams", "{}", "watershed", token, "kinesis", now.Add(-6*time.Minute)), 403, "InvalidSignatureException"},
		{"a signature to come", sign("ListStreams", "{}", "watershed", token, "kinesis", now.Add(6*time.Minute)), 403, "InvalidSignatureException"},
		{"an operation that is not signed", broken(";x-amz-target", ""), 403, "IncompleteSignatureException"},
		{"a host that is not signed", broken(";host", ""), 403, "IncompleteSignatureException"},
		{"another region", broken("eu-west-1", "us-east-1"), 403, "InvalidSignatureException"},
		{"no signature", broken("Signature=", "Signature=,x="), 403, "IncompleteSignatureException"},
		{"nothing but the scheme", []string{"Authorization", "AWS4-HMAC-SHA256 "}, 403, "IncompleteSignatureException"},
	} {
		got := e.call(t, "ListStreams", jsonType, []byte("{}"), tt.header...)
		if tt.code != "" {
			checkError(t, tt.name, got, tt.status, tt.code)
		} else if got.status != tt.status {
			t.Errorf("%s: %d, want %d: %s", tt.name, got.status, tt.status, got.body)
		}
		if strings.Contains(string(got.body), token) {
			t.Errorf("%s: the answer tells the token", tt.name)
		}
	}
	if logged := e.logs.String(); strings.Contains(logged, token) {
		t.Error("the log tells the token")
	}
}

func TestSDKSigns(t *testing.T) {
	t.Parallel()
	e := serve(t, options{token: token})
	put := func(c *sdk.Client) error {
		_, err := c.PutRecords(t.Context(), &sdk.PutRecordsInput{StreamName: aws.String(stream), Records: []types.PutRecordsRequestEntry{{Data: []byte("x"), PartitionKey: aws.String("k")}}})
		return err
	}
	if err := put(e.client(token)); err != nil {
		t.Errorf("with the token: %v", err)
	}
	if err := put(e.client("guess")); err == nil || !code("InvalidSignatureException")(err) {
		t.Errorf("with another secret: got %v, want InvalidSignatureException", err)
	}
}

func TestGuardAnswersPeopleInTheirForm(t *testing.T) {
	t.Parallel()
	e := serve(t, options{token: token})
	res, err := http.Get(e.url + "/v1/query")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 401 || res.Header.Get("WWW-Authenticate") != "Bearer" || res.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%s %v", res.Status, fmt.Sprint(res.Header))
	}
}
