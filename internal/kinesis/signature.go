package kinesis

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	signatureScheme = "AWS4-HMAC-SHA256"
	signatureTime   = "20060102T150405Z"
	// clockSkew is how far a client's clock may be off, as on AWS.
	clockSkew = 5 * time.Minute
)

// signature is what a request's Authorization header says.
type signature struct {
	region    string
	headers   []string // that are signed, in lower case
	signature string   // hex
	at        time.Time
}

// parseSignature reads the fields of an Authorization header and checks all that
// can be checked without the body.
func parseSignature(r *http.Request, fields string, now time.Time) (signature, error) {
	incomplete := func(format string, args ...any) (signature, error) {
		return signature{}, forbidden("IncompleteSignatureException", fmt.Sprintf(format, args...))
	}
	values := map[string]string{}
	for field := range strings.SplitSeq(fields, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		values[name] = value
	}
	s := signature{headers: strings.Split(values["SignedHeaders"], ";"), signature: values["Signature"]}
	scope := strings.Split(values["Credential"], "/")
	if len(scope) != 5 || scope[3] != "kinesis" || scope[4] != "aws4_request" || s.signature == "" {
		return incomplete("The Authorization needs Credential=%s/DATE/REGION/kinesis/aws4_request, SignedHeaders and Signature.", AccessKeyID)
	}
	s.region = scope[2]
	var err error
	if s.at, err = time.Parse(signatureTime, r.Header.Get("X-Amz-Date")); err != nil || !strings.HasPrefix(r.Header.Get("X-Amz-Date"), scope[1]) {
		return incomplete("The header X-Amz-Date is missing or is not the credential's date.")
	}
	if scope[0] != AccessKeyID {
		return signature{}, forbidden("UnrecognizedClientException", "The access key id is not "+AccessKeyID+".")
	}
	if off := now.Sub(s.at); off > clockSkew || off < -clockSkew {
		return signature{}, forbidden("InvalidSignatureException", fmt.Sprintf("Signature expired or not yet current: the request was signed %s from the server's time; at most %s is allowed.", off.Abs().Round(time.Second), clockSkew))
	}
	for _, name := range []string{"host", "x-amz-date", "x-amz-target"} {
		// What names the operation must not be changed on the way.
		if !slices.Contains(s.headers, name) && (name == "host" || r.Header.Get(name) != "") {
			return incomplete("The header %s is not among the signed headers.", name)
		}
	}
	return s, nil
}

// expect gives the signature that the request has if it was signed with the
// secret.
func (s signature) expect(r *http.Request, secret string, bodyHash [32]byte) (string, error) {
	signed := &http.Request{Method: r.Method, URL: r.URL, Host: r.Host, Header: http.Header{}}
	for _, name := range s.headers {
		switch name {
		case "host", "x-amz-date": // the signer sets them
		case "content-length":
			signed.ContentLength = r.ContentLength
		default:
			signed.Header[http.CanonicalHeaderKey(name)] = r.Header.Values(name)
		}
	}
	credentials := aws.Credentials{AccessKeyID: AccessKeyID, SecretAccessKey: secret}
	err := v4.NewSigner().SignHTTP(r.Context(), credentials, signed, hex.EncodeToString(bodyHash[:]), "kinesis", s.region, s.at)
	if err != nil {
		return "", fmt.Errorf("verifying a signature: %w", err)
	}
	_, want, _ := strings.Cut(signed.Header.Get("Authorization"), "Signature=")
	return want, nil
}
