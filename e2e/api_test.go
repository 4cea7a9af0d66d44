//go:build e2e

package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	signer "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/watershed-data/watershed/internal/deployment"
)

// answersOverHTTP asks the API as any program does.
func (s *stack) answersOverHTTP(t *testing.T, e *engine) {
	t.Helper()
	forger := aws.Credentials{AccessKeyID: s.user.AccessKeyID, SecretAccessKey: "guessed"}
	for _, c := range []struct {
		name, path string          // asked for
		by         aws.Credentials // that the request is signed with; none: it is not
		status     int
		says       string
	}{
		{"a view", "/v1/query?view=sales_by_product&by=product&every=none", s.user, http.StatusOK, `"rows":[`},
		{"attributes of a lookup", "/v1/query?view=sales_by_product&by=product.category&every=none", s.user, http.StatusOK, `"tea"`},
		{"a condition with signs of its own", "/v1/query?view=sales_by_product&every=none&where=" + url.QueryEscape("product in ['product1', 'product 2&3']"), s.user, http.StatusOK, `"product1"`},
		{"its description", "/v1/openapi.json", s.user, http.StatusOK, `"/v1/query"`},
		{"an unknown view", "/v1/query?view=sales", s.user, http.StatusNotFound, "sales_by_product"},
		{"a grain that there is not", "/v1/query?view=sales_by_product&every=2h", s.user, http.StatusBadRequest, `"field":"every"`},
		{"what it cannot do", "/v1/verify", s.user, http.StatusNotImplemented, `"message"`},
		{"nobody's request", "/v1/query?view=sales_by_product", aws.Credentials{}, http.StatusForbidden, ""},
		{"what its policy does not allow", "/v1/query?view=sales_by_product", e.user, http.StatusForbidden, ""},
		{"what a forger signs", "/v1/query?view=sales_by_product", forger, http.StatusForbidden, ""},
	} {
		status, body := s.get(t, c.path, c.by)
		if status != c.status || !strings.Contains(body, c.says) {
			t.Errorf("asking for %s: %d %s, want %d and %s", c.name, status, body, c.status, c.says)
		}
	}
}

// get asks the API at its own address, which the recorder answers for.
func (s *stack) get(t *testing.T, path string, by aws.Credentials) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.TrimSuffix(s.outputs[deployment.EndpointOutput], "/")+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if by.HasKeys() {
		empty := sha256.Sum256(nil)
		if err := signer.NewSigner().SignHTTP(t.Context(), by, request, hex.EncodeToString(empty[:]), "execute-api", region, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	through, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{Proxy: http.ProxyURL(through)}
	defer transport.CloseIdleConnections()
	reply, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply.StatusCode, string(text)
}
