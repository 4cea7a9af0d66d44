package httpapi

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-lambda-go/events"
)

// defaultStage is the stage whose name is not part of paths.
const defaultStage = "$default"

// request makes the request of an event.
//
// Only rawQueryString tells repeated parameters apart from one that holds a comma, so
// queryStringParameters is not read. rawPath is decoded already.
func request(ctx context.Context, event events.APIGatewayV2HTTPRequest) (*http.Request, error) {
	about := event.RequestContext.HTTP
	if event.Version != "2.0" || about.Method == "" {
		return nil, fmt.Errorf("reading the event: it is of payload format %q, and the integration has to be of 2.0", event.Version)
	}
	body := []byte(event.Body)
	if event.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(event.Body); err != nil {
			return nil, fmt.Errorf("reading the event: its body is no base64: %w", err)
		}
	}
	r, err := http.NewRequestWithContext(ctx, about.Method, "/", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("reading the event: %w", err)
	}
	r.URL = &url.URL{Path: pathOf(event), RawQuery: event.RawQueryString}
	r.RequestURI = r.URL.RequestURI()
	for name, value := range event.Headers { // those that came twice are joined by commas
		r.Header.Set(name, value)
	}
	if len(event.Cookies) > 0 {
		r.Header.Set("Cookie", strings.Join(event.Cookies, "; "))
	}
	r.Host = event.RequestContext.DomainName
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
		r.Header.Del("Host") // as net/http does
	}
	r.RemoteAddr = about.SourceIP
	return r, nil
}

// pathOf gives the path without the stage, which is its first part unless it is the
// default one.
func pathOf(event events.APIGatewayV2HTTPRequest) string {
	path := event.RawPath
	if stage := event.RequestContext.Stage; stage != "" && stage != defaultStage {
		if rest, ok := strings.CutPrefix(path, "/"+stage); ok && (rest == "" || rest[0] == '/') {
			path = rest
		}
	}
	if path == "" {
		return "/"
	}
	return path
}
