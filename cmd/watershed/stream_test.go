package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// stream is a pipeline as far as producers see it: its status, and a stream
// that takes records and can refuse them.
type stream struct {
	*httptest.Server
	format  string // of events
	fields  []string
	columns []pipelineColumn
	// refuse tells what becomes of the n-th call, from 1: nil is that all is well.
	refuse func(n int, w http.ResponseWriter, entries []entry) *answer

	mu      sync.Mutex
	calls   int
	records []entry // stored
	tokens  []string
}

type entry struct {
	Data         []byte
	PartitionKey string
}

// answer is another answer than that all records are stored.
type answer struct {
	status int    // not 0: an error of the whole call
	code   string // of the error
	failed map[int]string
	drop   bool // store everything, and cut the connection instead of answering
}

func newStream(t *testing.T) *stream {
	t.Helper()
	s := &stream{format: "json", columns: []pipelineColumn{
		{Name: "product", Type: "string", From: []string{"ProductName"}},
		{Name: "price", Type: "decimal(12,2)", From: []string{"price"}},
		{Name: "pieces", Type: "int", From: []string{"item", "pieces"}},
		{Name: "paid", Type: "bool", From: []string{"paid"}},
	}}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *stream) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.URL.Path == "/v1/status" {
		s.tokens = append(s.tokens, r.Header.Get("Authorization"))
		_ = json.NewEncoder(w).Encode(pipeline{Name: "sales", Format: s.format, Fields: s.fields, Columns: s.columns})
		return
	}
	var in struct {
		StreamName string
		Records    []entry
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.StreamName != "sales" || r.Header.Get("X-Amz-Target") != "Kinesis_20131202.PutRecords" {
		http.Error(w, "not a call of PutRecords for the stream sales", http.StatusBadRequest)
		return
	}
	s.calls++
	var a *answer
	if s.refuse != nil {
		a = s.refuse(s.calls, w, in.Records)
	}
	if a == nil {
		a = &answer{}
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if a.status != 0 {
		w.WriteHeader(a.status)
		fmt.Fprintf(w, `{"__type":%q,"message":"it is so"}`, a.code)
		return
	}
	type placed struct{ SequenceNumber, ShardId, ErrorCode, ErrorMessage string }
	out := struct {
		FailedRecordCount int
		Records           []placed
	}{FailedRecordCount: len(a.failed)}
	for i, e := range in.Records {
		if code := a.failed[i]; code != "" {
			out.Records = append(out.Records, placed{ErrorCode: code, ErrorMessage: "slow down"})
			continue
		}
		s.records = append(s.records, e)
		out.Records = append(out.Records, placed{SequenceNumber: fmt.Sprint(len(s.records)), ShardId: "shardId-000000000000"})
	}
	if a.drop {
		panic(http.ErrAbortHandler)
	}
	_ = json.NewEncoder(w).Encode(out)
}

// stored counts the events in the stream by their text.
func (s *stream) stored() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]int{}
	for _, e := range s.records {
		out[string(e.Data)]++
	}
	return out
}

// lines makes NDJSON of n events.
func ndjson(n int) string {
	var out strings.Builder
	for i := range n {
		fmt.Fprintf(&out, "{\"n\":%d}\n", i)
	}
	return out.String()
}
