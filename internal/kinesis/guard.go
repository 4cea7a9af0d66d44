package kinesis

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// AccessKeyID is what clients of the Kinesis API use as their access key id; the
// secret is the server's token.
const AccessKeyID = "watershed"

// Guard gives the middleware that decides who may talk to the server.
//
// Without a token the server listens on loopback, and only programs of this
// machine may talk to it: a request that a web page made the browser send is
// refused, by its Host (a foreign name that resolves to this machine) or its
// Origin. With a token every request must prove that it knows it: by a signature
// (AWS SigV4, with AccessKeyID and the token as the secret) or by the header
// Authorization: Bearer.
func Guard(token string) func(http.Handler) http.Handler {
	if token == "" {
		return guardLoopback
	}
	g := &tokenGuard{token: token, now: time.Now, unverified: newUnverified()}
	return g.wrap
}

func guardLoopback(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLoopback(r.Host) {
			refuse(w, r, accessDenied("The server listens on loopback only, and the request is for another host: use 127.0.0.1 or localhost."))
			return
		}
		for _, origin := range r.Header.Values("Origin") {
			if u, err := url.Parse(origin); err != nil || !isLoopback(u.Host) {
				refuse(w, r, accessDenied("The request comes from a web page of another origin."))
				return
			}
		}
		if r.Header.Get("Sec-Fetch-Site") == "cross-site" {
			refuse(w, r, accessDenied("The request comes from a web page of another site."))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isLoopback reports whether a host, with or without a port, names this machine's
// loopback.
func isLoopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// tokenGuard lets in who knows the token.
type tokenGuard struct {
	token      string
	now        func() time.Time
	unverified *unverified
}

func (g *tokenGuard) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := g.verify(w, r); err != nil {
			refuse(w, r, err)
			return
		}
		// What comes after has no use for it, and might write it down.
		r.Header.Del("Authorization")
		next.ServeHTTP(w, r)
	})
}

func (g *tokenGuard) verify(w http.ResponseWriter, r *http.Request) error {
	authorization := r.Header.Get("Authorization")
	scheme, rest, _ := strings.Cut(authorization, " ")
	switch {
	case authorization == "":
		return &apiError{http.StatusUnauthorized, "MissingAuthenticationTokenException", "The request has no Authorization: sign it with the access key id " + AccessKeyID + " and the server's token as the secret, or send the token as a Bearer token."}
	case strings.EqualFold(scheme, "Bearer"):
		if !sameSecret(strings.TrimSpace(rest), g.token) {
			return &apiError{http.StatusUnauthorized, "UnrecognizedClientException", "The Bearer token is not the server's token."}
		}
		return nil
	case scheme == signatureScheme:
		return g.verifySigned(w, r, rest)
	}
	return &apiError{http.StatusUnauthorized, "IncompleteSignatureException", "The Authorization is neither " + signatureScheme + " nor Bearer."}
}

// verifySigned reads the body, which the signature covers, and leaves it to be
// read again.
func (g *tokenGuard) verifySigned(w http.ResponseWriter, r *http.Request, fields string) error {
	s, err := parseSignature(r, fields, g.now())
	if err != nil {
		return err
	}
	body, release, err := g.unverified.read(w, r)
	defer release()
	if err != nil {
		return err
	}
	want, err := s.expect(r, g.token, sha256.Sum256(body))
	if err != nil {
		return err
	}
	if !hmac.Equal([]byte(want), []byte(s.signature)) {
		return forbidden("InvalidSignatureException", "The request signature we calculated does not match the signature you provided. Check your secret access key: it is the server's token.")
	}
	r.Body, r.ContentLength = bodyReader{bytes.NewReader(body)}, int64(len(body))
	return nil
}

// bodyReader is a body that is in memory already.
type bodyReader struct{ *bytes.Reader }

func (bodyReader) Close() error { return nil }

// sameSecret compares in constant time, whatever the lengths.
func sameSecret(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return hmac.Equal(x[:], y[:])
}

func forbidden(code, message string) error { return &apiError{http.StatusForbidden, code, message} }

func accessDenied(message string) error { return forbidden("AccessDeniedException", message) }

// refuse answers in the form that the client understands.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	e, _ := asAPIError(err)
	c, isAPI := codecOf(r.Header.Get("Content-Type"))
	if isAPI || r.Header.Get("X-Amz-Target") != "" {
		writeError(w, c, newRequestID(), e)
		return
	}
	body := must(json.Marshal(map[string]any{"error": map[string]string{"code": e.code, "message": e.message, "field": ""}}))
	w.Header().Set("Content-Type", "application/json")
	if e.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	w.WriteHeader(e.status)
	_, _ = w.Write(body)
}
