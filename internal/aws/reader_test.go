package aws_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/watershed-data/watershed/internal/aws"
	"github.com/watershed-data/watershed/internal/protocol"
)

// objects serves objects as S3 does, as far as reading goes, and breaks off every so
// many replies.
type objects struct {
	content  map[string][]byte // by the end of the key
	tear     int64             // every so many; 0: none
	requests atomic.Int64
	bytes    atomic.Int64
}

func (o *objects) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := o.requests.Add(1)
	for name, content := range o.content {
		if !strings.HasSuffix(r.URL.Path, "/"+name) {
			continue
		}
		if len(content) == 0 && r.Header.Get("Range") != "" {
			refuse(w, http.StatusRequestedRangeNotSatisfiable, "InvalidRange")
			return
		}
		out := &counted{ResponseWriter: w, bytes: &o.bytes}
		if o.tear > 0 && n%o.tear == 0 {
			out.tear = true
		}
		http.ServeContent(out, r, "", time.Time{}, bytes.NewReader(content))
		return
	}
	refuse(w, http.StatusNotFound, "NoSuchKey")
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>no</Message></Error>", code)
}

type counted struct {
	http.ResponseWriter
	bytes *atomic.Int64
	tear  bool
}

func (c *counted) Write(p []byte) (int, error) {
	if c.tear {
		_, _ = c.ResponseWriter.Write(p[:len(p)/2])
		panic(http.ErrAbortHandler)
	}
	c.bytes.Add(int64(len(p)))
	return c.ResponseWriter.Write(p)
}

func (o *objects) views(t *testing.T, cache int) *aws.Views {
	t.Helper()
	server := httptest.NewServer(o)
	t.Cleanup(server.Close)
	s, err := aws.Open(sdk.Config{Region: "us-east-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")},
		aws.Options{Items: "i", Ledger: "l", Master: "m", Views: "v", PathStyle: true, CacheBytes: cache})
	if err != nil {
		t.Fatal(err)
	}
	return s.Views("g")
}

func noise(n int) []byte {
	out, random := make([]byte, n), rand.New(rand.NewPCG(1, 2))
	for i := range out {
		out[i] = byte(random.Uint32())
	}
	return out
}

const mib = 1 << 20

// However it is read, by how many at once, and whatever breaks off: the bytes are the
// object's.
func TestReadsGiveTheObject(t *testing.T) {
	t.Parallel()
	content := noise(9*mib + 12_345)
	for name, c := range map[string]struct {
		tear  int64
		cache int
	}{"at rest": {0, 0}, "replies break off": {5, 0}, "with a cache that is too small": {7, 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := &objects{content: map[string][]byte{"a": content}, tear: c.tear}
			views := o.views(t, c.cache)
			r, size, err := views.Open(t.Context(), "v", "a")
			if err != nil || size != int64(len(content)) {
				t.Fatal(size, err)
			}
			defer r.Close()
			var readers sync.WaitGroup
			for i := range 4 {
				readers.Go(func() {
					random := rand.New(rand.NewPCG(3, uint64(i)))
					for range 40 {
						from := random.IntN(len(content))
						length := []int{1, 100, mib / 4, mib, 5 * mib}[random.IntN(5)]
						if random.IntN(3) == 0 {
							if err := r.(protocol.Fetcher).Fetch([]protocol.Bytes{{From: int64(from), To: int64(from + length)}, {From: 0, To: 10}, {From: size, To: size + 5}}); err != nil {
								t.Error(err)
							}
						}
						got := make([]byte, length)
						n, err := r.ReadAt(got, int64(from))
						want := content[from:min(from+length, len(content))]
						if !bytes.Equal(got[:n], want) || (err == nil) != (len(want) == length) || err != nil && !errors.Is(err, io.EOF) {
							t.Errorf("%d bytes at %d: %d came, %v", length, from, n, err)
						}
					}
				})
			}
			readers.Wait()
		})
	}
}

// Without this, a query of a view costs a request to S3 for each page of each column,
// one after the other, each time.
func TestReadsShareRequests(t *testing.T) {
	t.Parallel()
	content := noise(9 * mib)
	o := &objects{content: map[string][]byte{"a": content, "empty": nil}}
	views := o.views(t, 0)
	open := func() protocol.ReadAtCloser {
		r, _, err := views.Open(t.Context(), "v", "a")
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := open()
	small := make([]byte, 8)
	for i := range 100 { // the footer is there
		if _, err := r.ReadAt(small, int64(len(content)-1000+i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := o.requests.Load(); n != 1 {
		t.Errorf("opening and reading the footer took %d requests, want 1", n)
	}
	parts := []protocol.Bytes{{From: 0, To: 100}, {From: 200, To: mib}, {From: 3 * mib, To: 3*mib + 1}, {From: 5 * mib, To: 7 * mib}}
	if err := r.(protocol.Fetcher).Fetch(parts); err != nil {
		t.Fatal(err)
	}
	if n := o.requests.Load(); n != 4 {
		t.Errorf("three stretches took %d requests, want 3", n-1)
	}
	before := o.requests.Load()
	again := open()
	for _, p := range parts {
		if _, err := again.ReadAt(make([]byte, p.To-p.From), p.From); err != nil {
			t.Fatal(err)
		}
	}
	if n := o.requests.Load() - before; n != 1 {
		t.Errorf("reading again took %d requests, want 1: the opening", n)
	}
	if r, size, err := views.Open(t.Context(), "v", "empty"); err != nil || size != 0 {
		t.Errorf("an empty object: %d, %v", size, err)
	} else if n, err := r.ReadAt(small, 0); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("an empty object gives %d bytes, %v", n, err)
	}
	if _, _, err := views.Open(t.Context(), "v", "nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an object that is not there: %v", err)
	}
}

// Without this, a function runs out of memory on large views.
func TestWhatIsKeptIsBounded(t *testing.T) {
	t.Parallel()
	content := noise(24 * mib)
	o := &objects{content: map[string][]byte{"a": content}}
	r, _, err := o.views(t, 8*mib).Open(t.Context(), "v", "a")
	if err != nil {
		t.Fatal(err)
	}
	read := func(from, to int) int64 {
		before := o.bytes.Load()
		for at := from; at < to; at += mib / 4 {
			if _, err := r.ReadAt(make([]byte, 10), int64(at)); err != nil {
				t.Fatal(err)
			}
		}
		return o.bytes.Load() - before
	}
	read(0, 24*mib)
	if n := read(17*mib, 24*mib); n != 0 {
		t.Errorf("%d bytes of what was read last came again", n)
	}
	if n := read(0, 4*mib); n != 4*mib {
		t.Errorf("%d bytes of what was read first came again, want all of it", n)
	}
}
