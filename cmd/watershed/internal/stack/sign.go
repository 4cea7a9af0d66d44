package stack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// service is what requests to API Gateway are signed for.
const service = "execute-api"

// Transport sends requests to the stack's API, signed with the account's credentials
// (Signature Version 4).
func (s *Stack) Transport() http.RoundTripper {
	base := http.DefaultTransport.(*http.Transport).Clone()
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	base.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, local(address))
	}
	return &signing{account: s.Account, signer: v4.NewSigner(), base: base, now: time.Now}
}

// local gives the loopback address for names under localhost, which are this machine
// (RFC 6761) and which not every resolver knows: stand-ins for AWS have such names.
func local(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil || !strings.HasSuffix(host, ".localhost") {
		return address
	}
	return net.JoinHostPort("127.0.0.1", port)
}

// signing signs requests on their way.
type signing struct {
	account aws.Config
	signer  *v4.Signer
	base    http.RoundTripper
	now     func() time.Time
}

// RoundTrip implements http.RoundTripper.
func (s *signing) RoundTrip(r *http.Request) (*http.Response, error) {
	credentials, err := s.account.Credentials.Retrieve(r.Context())
	if err != nil {
		return nil, noCredentials(r.Context(), err)
	}
	hash, err := bodyHash(r)
	if err != nil {
		return nil, err
	}
	signed := r.Clone(r.Context()) // a transport leaves its request as it was
	if err := s.signer.SignHTTP(r.Context(), credentials, signed, hash, service, s.account.Region, s.now()); err != nil {
		return nil, fmt.Errorf("signing a request: %w", err)
	}
	return s.base.RoundTrip(signed)
}

// bodyHash gives the SHA-256 of a request's body, in hexadecimal digits.
func bodyHash(r *http.Request) (string, error) {
	sum := sha256.New()
	if r.Body != nil && r.Body != http.NoBody {
		if r.GetBody == nil {
			return "", fmt.Errorf("signing a request to %s: its body can be read only once", r.URL.Path)
		}
		body, err := r.GetBody()
		if err != nil {
			return "", fmt.Errorf("signing a request: %w", err)
		}
		defer body.Close()
		if _, err := io.Copy(sum, body); err != nil {
			return "", fmt.Errorf("signing a request: %w", err)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
