package httpapi_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"github.com/watershed-data/watershed/internal/httpapi"
)

var update = flag.Bool("update", false, "write the golden files anew")

// seen is a request as a handler sees it.
type seen struct {
	Method     string
	URI        string
	Path       string
	Parameters url.Values
	Host       string
	From       string
	Header     http.Header
	Body       []byte
}

func event(t *testing.T, file string) events.APIGatewayV2HTTPRequest {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var e events.APIGatewayV2HTTPRequest
	if err := json.Unmarshal(content, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

// Without this, a parameter that comes encoded or twice is another one behind API
// Gateway than at home.
func TestRequestsAreThoseOfTheCaller(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) < 6 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			var got []byte
			h := &httpapi.Handler{Serve: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				parameters, err := url.ParseQuery(r.URL.RawQuery)
				if err != nil {
					t.Error(err)
				}
				got, err = json.MarshalIndent(seen{r.Method, r.RequestURI, r.URL.Path, parameters, r.Host, r.RemoteAddr, r.Header, body}, "", "  ")
				if err != nil {
					t.Error(err)
				}
			})}
			if _, err := h.Invoke(t.Context(), event(t, file)); err != nil {
				t.Fatal(err)
			}
			golden := strings.TrimSuffix(file, ".json") + ".golden"
			if *update {
				if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(bytes.TrimSpace(want), got) {
				t.Errorf("the request is %s, want %s", got, want)
			}
		})
	}
}

// answering answers with one body, and fails as package api does if it cannot.
func answering(status int, body []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Add("Watershed-Next", "a")
		w.Header().Add("Watershed-Next", "b")
		w.WriteHeader(status)
		for part := range slices.Chunk(body, 1000) {
			if _, err := w.Write(part); err != nil {
				panic(http.ErrAbortHandler)
			}
		}
	})
}

// body gives what a caller of API Gateway reads.
func body(t *testing.T, out events.APIGatewayV2HTTPResponse) []byte {
	t.Helper()
	content := []byte(out.Body)
	if out.IsBase64Encoded {
		var err error
		if content, err = base64.StdEncoding.DecodeString(out.Body); err != nil {
			t.Fatal(err)
		}
	}
	if out.Headers["Content-Encoding"] != "gzip" {
		return content
	}
	zip, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	content, err = io.ReadAll(zip)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// Without this, an answer is changed on its way, or Lambda refuses one that fits.
func TestAnswersComeWhole(t *testing.T) {
	t.Parallel()
	const most = 20_000
	noise := make([]byte, 30_000) // does not compress
	for i, state := 0, uint32(1); i < len(noise); i++ {
		state = state*1664525 + 1013904223
		noise[i] = byte(state >> 24)
	}
	instead := answering(http.StatusBadRequest, []byte("ask for less"))
	for _, c := range []struct {
		name     string
		encoding string // that the caller accepts
		body     []byte
		fits     bool
		encoded  string // of the answer
	}{
		{"nothing", "", nil, true, ""},
		{"a small text", "gzip", []byte(`{"a":"é"}`), true, ""},
		{"a text that fits", "", bytes.Repeat([]byte("0123456789"), 1999), true, ""},
		{"a text that does not", "", bytes.Repeat([]byte("0123456789"), 2001), false, ""},
		{"a text that grows as JSON", "", bytes.Repeat([]byte(`"\`), 7_000), true, ""},
		{"a text that grows too much", "", bytes.Repeat([]byte(`"\`), 8_000), false, ""},
		{"a text that fits compressed", "deflate, gzip;q=0.5", bytes.Repeat([]byte("0123456789"), 100_000), true, "gzip"},
		{"gzip that is not wanted", "gzip;q=0", bytes.Repeat([]byte("0123456789"), 2001), false, ""},
		{"bytes that are no text", "", []byte{0, 255, 254}, true, ""},
		{"bytes that fit", "", noise[:14_000], true, ""},
		{"bytes that do not", "gzip", noise, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := event(t, "testdata/get.json")
			e.Headers["accept-encoding"] = c.encoding
			h := &httpapi.Handler{Serve: answering(http.StatusTeapot, c.body), TooLarge: instead, Most: most}
			out, err := h.Invoke(t.Context(), e)
			if err != nil {
				t.Fatal(err)
			}
			status, want := http.StatusTeapot, c.body
			if !c.fits {
				status, want = http.StatusBadRequest, []byte("ask for less")
			}
			if got := body(t, out); out.StatusCode != status || !bytes.Equal(got, want) {
				t.Errorf("got %d with %d bytes, want %d with %d", out.StatusCode, len(got), status, len(want))
			}
			if out.Headers["Watershed-Next"] != "a, b" || out.Headers["Content-Encoding"] != c.encoded {
				t.Errorf("the headers are %v", out.Headers)
			}
			encoded, err := json.Marshal(out.Body)
			if err != nil || len(encoded) > most+2 {
				t.Errorf("the body takes %d bytes in the result, where %d are taken (%v)", len(encoded), most, err)
			}
		})
	}
}

func TestHeadHasNoBody(t *testing.T) {
	t.Parallel()
	h := &httpapi.Handler{Serve: answering(http.StatusOK, make([]byte, 10)), Most: 5}
	out, err := h.Invoke(t.Context(), event(t, "testdata/head.json"))
	if err != nil || out.StatusCode != http.StatusOK || out.Body != "" || out.Headers["Content-Type"] != "text/plain" {
		t.Errorf("got %+v, %v", out, err)
	}
}

// Without this, half an answer looks like a whole one.
func TestWhatBreaksOffIsAnError(t *testing.T) {
	t.Parallel()
	h := &httpapi.Handler{Serve: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		panic(http.ErrAbortHandler)
	})}
	if out, err := h.Invoke(t.Context(), event(t, "testdata/get.json")); err == nil {
		t.Errorf("got %+v", out)
	}
	for name, change := range map[string]func(*events.APIGatewayV2HTTPRequest){
		"another format":      func(e *events.APIGatewayV2HTTPRequest) { e.Version = "1.0" },
		"no event of an API":  func(e *events.APIGatewayV2HTTPRequest) { e.RequestContext.HTTP.Method = "" },
		"a body of no base64": func(e *events.APIGatewayV2HTTPRequest) { e.Body, e.IsBase64Encoded = "?", true },
	} {
		e := event(t, "testdata/get.json")
		change(&e)
		if _, err := h.Invoke(t.Context(), e); err == nil || !strings.Contains(err.Error(), "reading the event") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
