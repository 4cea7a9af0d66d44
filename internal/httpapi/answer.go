package httpapi

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
)

var errTooLarge = errors.New("the answer is larger than Lambda takes")

// plainBytes is up to which size a body is not compressed.
const plainBytes = 4 << 10

// answer gathers a response. A body that is not small is compressed on its way, if
// the caller takes that: so more of it fits, and memory holds no more than that.
type answer struct {
	header http.Header
	most   int  // bytes of the body as the result holds it
	gzip   bool // the caller takes gzip
	head   bool // the caller wants no body

	status int
	body   bytes.Buffer
	zip    *gzip.Writer // nil: the body is plain
	over   bool
}

func newAnswer(r *http.Request, most int) *answer {
	return &answer{header: http.Header{}, most: most, gzip: takesGzip(r), head: r.Method == http.MethodHead}
}

// takesGzip reports whether gzip is among the encodings that a request accepts.
func takesGzip(r *http.Request) bool {
	for accepted := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, weight, _ := strings.Cut(strings.TrimSpace(accepted), ";")
		if strings.TrimSpace(name) != "gzip" {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(weight), "q="), 64)
		return weight == "" || err == nil && q > 0
	}
	return false
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write implements http.ResponseWriter. It fails once the body cannot fit any more.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.head {
		return len(p), nil
	}
	if a.over {
		return 0, errTooLarge
	}
	if err := a.take(p); err != nil {
		return 0, err
	}
	if a.held() > a.most {
		a.over = true
		a.body.Reset()
		return 0, errTooLarge
	}
	return len(p), nil
}

func (a *answer) take(p []byte) error {
	if a.zip == nil && a.gzip && a.body.Len()+len(p) > plainBytes {
		begun := bytes.Clone(a.body.Bytes())
		a.body.Reset()
		a.zip, _ = gzip.NewWriterLevel(&a.body, gzip.BestSpeed) // which is a level
		if _, err := a.zip.Write(begun); err != nil {
			return err
		}
	}
	if a.zip != nil {
		_, err := a.zip.Write(p)
		return err
	}
	_, err := a.body.Write(p)
	return err
}

// held is the least that the body takes in the result so far, in bytes.
func (a *answer) held() int {
	if a.zip != nil {
		return base64.StdEncoding.EncodedLen(a.body.Len())
	}
	return a.body.Len()
}

// result gives what the function returns; false if it is too large.
func (a *answer) result() (out events.APIGatewayV2HTTPResponse, fits bool) {
	a.WriteHeader(http.StatusOK)
	if a.zip != nil {
		if err := a.zip.Close(); err != nil { // into memory: it cannot fail
			return out, false
		}
		a.header.Set("Content-Encoding", "gzip")
	}
	if a.gzip {
		a.header.Add("Vary", "Accept-Encoding")
	}
	out.StatusCode = a.status
	out.Headers = map[string]string{}
	for name, values := range a.header {
		if name == "Set-Cookie" {
			out.Cookies = values
			continue
		}
		out.Headers[name] = strings.Join(values, ", ")
	}
	size := 0
	out.Body, out.IsBase64Encoded, size = encode(a.body.Bytes())
	return out, !a.over && size <= a.most
}

// encode gives a body as the result holds it, and at most how many bytes it takes
// there: text as it is, with what JSON escapes, or anything in base64, whichever is
// smaller.
func encode(body []byte) (text string, isBase64 bool, size int) {
	inBase64 := base64.StdEncoding.EncodedLen(len(body))
	if utf8.Valid(body) {
		text = string(body)
		if escaped, err := json.Marshal(text); err == nil && len(escaped) <= max(inBase64, plainBytes) {
			return text, false, len(escaped)
		}
	}
	return base64.StdEncoding.EncodeToString(body), true, inBase64
}
