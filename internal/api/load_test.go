package api_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/watershed-data/watershed/internal/api"
	"github.com/watershed-data/watershed/internal/load"
	"github.com/watershed-data/watershed/internal/memory"
	"github.com/watershed-data/watershed/internal/rowlogic"
)

// newLoads is a server that takes loads and brings none into a master dataset.
func newLoads(t *testing.T) *httptest.Server { return newPatientLoads(t, 0) }

// newPatientLoads waits for so long when a sender pauses.
func newPatientLoads(t *testing.T, timeout time.Duration) *httptest.Server {
	t.Helper()
	p := newPipeline(t)
	logic, err := rowlogic.New(p.def)
	if err != nil {
		t.Fatal(err)
	}
	o := p.options()
	o.Loads = load.New(load.Options{Definition: p.def, Logic: logic, Loads: memory.NewLoads(), Ledger: p.ledger, Now: o.Now})
	o.BodyTimeout = timeout
	s := httptest.NewServer(api.New(o))
	t.Cleanup(s.Close)
	return s
}

// Senders that stop in the middle and do not leave are told so, and lose their
// places: others can load.
func TestSendersThatStop(t *testing.T) {
	t.Parallel()
	s := newPatientLoads(t, 50*time.Millisecond)
	for _, head := range []string{
		"POST /v1/load HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{}\n",
		"POST /v1/load HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{}\n\r\n",
		"POST /v1/load HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\nContent-Type: " + api.FramesType + "\r\n\r\n\x01\x02{}",
		"POST /v1/load HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n",
		"POST /v1/erase HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nwhere=",
	} {
		stopped, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer stopped.Close()
		if _, err := io.WriteString(stopped, head); err != nil {
			t.Fatal(err)
		}
		defer func() { // when all of them are on their way
			resp, err := http.ReadResponse(bufio.NewReader(stopped), nil)
			if err != nil {
				t.Error(err)
				return
			}
			text, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode != 400 || !strings.Contains(string(text), "nothing came for 50ms") {
				t.Errorf("%q: %d %s", head, resp.StatusCode, text)
			}
		}()
	}
	if status, text := post(t, s, "", "application/x-ndjson", strings.NewReader(history), nil); status != 200 {
		t.Errorf("another load: %d %s", status, text)
	}
}

// post sends a body as a load and gives status and answer.
func post(t *testing.T, s *httptest.Server, params, kind string, body io.Reader, trailer http.Header) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/v1/load?"+params, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	req.Trailer = trailer
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func sha(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

const history = `{"product":"tea","at":"2013-01-01T00:00:00Z"}` + "\n\n" + `{"product":"tea","at":"2014-01-01T00:00:00Z"}` + "\n"

func TestLinesAndFramesOfOneContentAreOneLoad(t *testing.T) {
	t.Parallel()
	s := newLoads(t)
	status, text := post(t, s, url.Values{"name": {"../tea.ndjson"}, "before": {"2014-01-01"}}.Encode(), "application/x-ndjson", strings.NewReader(history), nil)
	var r load.Report
	if err := json.Unmarshal([]byte(text), &r); err != nil || status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	if r.Content != sha(history) || r.Name != "tea.ndjson" || r.Events != 1 || r.Newer != 1 || r.Already || *r.Before != "2014-01-01T00:00:00Z" || *r.Accepted != "2014-12-01T00:00:00Z" {
		t.Errorf("accepted %s", text)
	}

	var frames bytes.Buffer
	w := load.NewFrameWriter(&frames)
	for i, line := range strings.Split(history, "\n") {
		if line != "" {
			_ = w.Write(load.Event{Line: int64(i + 1), Data: []byte(line)})
		}
	}
	_ = w.Close()
	whole := frames.Bytes()
	for name, c := range map[string]struct {
		params, hash string
		body         []byte
		status       int
		want         string
	}{
		"the same content":       {"before=2014-01-01", sha(history), whole, 200, `"already":true`},
		"another time":           {"", sha(history), whole, 409, `"field":"before"`},
		"no hash":                {"before=2014-01-01", "", whole, 400, "is not the SHA-256"},
		"a hash that is none":    {"before=2014-01-01", "tea", whole, 400, "is not the SHA-256"},
		"a body that breaks off": {"before=2014-01-01", sha("other"), whole[:len(whole)-1], 400, "break off"},
		"a time that is none":    {"before=noon", sha("other"), whole, 400, `"field":"before"`},
		"a name that beeps":      {"name=tea%07.ndjson", sha("other"), whole, 400, `"field":"name"`},
		"a name without end":     {"name=" + strings.Repeat("n", 256), sha("other"), whole, 400, `"field":"name"`},
		"an unknown parameter":   {"after=2014-01-01", sha("other"), whole, 400, `"field":"after"`},
	} {
		// The body's type hides its length, so that trailers follow it.
		body := struct{ io.Reader }{bytes.NewReader(c.body)}
		status, text := post(t, s, c.params, api.FramesType, body, http.Header{api.ContentTrailer: {c.hash}})
		if status != c.status || !strings.Contains(text, c.want) {
			t.Errorf("%s: %d %s; want %d, %s", name, status, text, c.status, c.want)
		}
	}

	for _, c := range []struct {
		query  string
		status int
		want   string
	}{
		{"", 200, `{"loads":[{"load":"` + r.Load + `"`},
		{"?load=" + r.Load, 200, `"loaded":null`},
		{"?load=load-0", 404, "no such load"},
	} {
		resp, err := s.Client().Get(s.URL + "/v1/load" + c.query)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != c.status || !strings.Contains(string(text), c.want) {
			t.Errorf("GET /v1/load%s: %d %s", c.query, resp.StatusCode, text)
		}
	}
}
