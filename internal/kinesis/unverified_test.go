package kinesis

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// reads gives the body of one request as the guard reads it.
func reads(t *testing.T, u *unverified, announced int64, body io.Reader) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", body)
	r.ContentLength = announced
	got, release, err := u.read(httptest.NewRecorder(), r)
	defer release()
	if err != nil || announced >= 0 && int64(len(got)) != announced {
		t.Errorf("%d bytes of %d: %v", len(got), announced, err)
	}
}

// Without this, a few clients that announce much and send nothing keep everybody
// else out, before anyone has shown a token.
func TestSlowUploadsHoldNothing(t *testing.T) {
	t.Parallel()
	u := newUnverified()
	var slow sync.WaitGroup
	var ends []*io.PipeWriter
	begun := make(chan struct{})
	for range 50 {
		body, end := io.Pipe()
		ends = append(ends, end)
		slow.Go(func() {
			r := httptest.NewRequest(http.MethodPost, "/", &signalling{body, begun, sync.Once{}})
			r.ContentLength = maxBody
			_, release, err := u.read(httptest.NewRecorder(), r)
			release()
			if err == nil {
				t.Error("a body that broke off was read")
			}
		})
	}
	for range ends {
		<-begun // it is being read, and holds what it ever will
	}
	reads(t, u, maxBody, bytes.NewReader(make([]byte, maxBody)))
	if len(u.beyond) > 0 {
		t.Error("the budget is spent on what has not arrived")
	}
	for _, end := range ends {
		_ = end.CloseWithError(io.ErrUnexpectedEOF)
	}
	slow.Wait()
	if !u.budget.TryAcquire(unverifiedBudget) {
		t.Error("the memory is not given back")
	}
}

// signalling tells that somebody has begun to read.
type signalling struct {
	io.Reader
	begun chan<- struct{}
	once  sync.Once
}

func (s *signalling) Read(b []byte) (int, error) {
	s.once.Do(func() { s.begun <- struct{}{} })
	return s.Reader.Read(b)
}

// Bodies that spend the budget together wait for each other, and all end.
func TestUploadsBeyondTheBudgetTakeTurns(t *testing.T) {
	t.Parallel()
	u := newUnverified()
	if !u.budget.TryAcquire(unverifiedBudget - 3*unverifiedPiece) {
		t.Fatal("the budget is spent")
	}
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() { reads(t, u, 1<<20, bytes.NewReader(make([]byte, 1<<20))) })
		all.Go(func() { reads(t, u, -1, bytes.NewReader(make([]byte, 100_000))) })
	}
	all.Wait()
	if !u.budget.TryAcquire(3*unverifiedPiece) || len(u.beyond) > 0 {
		t.Error("the memory is not given back")
	}
}
