package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

// fake is a stream of one shard that misbehaves as told.
type fake struct {
	stored []string
	calls  int
	// before decides what becomes of a call: refuse records by index, or drop the
	// connection before or after the records are stored.
	before func(call int) (refuse []int, dropBefore, dropAfter bool)
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.calls++
	refuse, dropBefore, dropAfter := f.before(f.calls)
	if dropBefore {
		panic(http.ErrAbortHandler)
	}
	var request struct{ Records []struct{ Data string } }
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	results := make([]map[string]any, len(request.Records))
	for i, record := range request.Records {
		if slices.Contains(refuse, i) {
			results[i] = map[string]any{"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slow down"}
			continue
		}
		data, _ := base64.StdEncoding.DecodeString(record.Data)
		f.stored = append(f.stored, string(data))
		results[i] = map[string]any{"ShardId": "shardId-000000000000", "SequenceNumber": fmt.Sprint(98 + len(f.stored))}
	}
	if dropAfter {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	_ = json.NewEncoder(w).Encode(map[string]any{"FailedRecordCount": len(refuse), "Records": results})
}

func TestSend(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		before func(call int) ([]int, bool, bool)
		stored []string
		unsure int64
	}{
		{"all is well", func(int) ([]int, bool, bool) { return nil, false, false }, []string{"a", "b", "c"}, 0},
		{"refused records are sent again, alone", func(n int) ([]int, bool, bool) {
			if n == 1 {
				return []int{1}, false, false
			}
			return nil, false, false
		}, []string{"a", "c", "b"}, 0},
		{"a lost call is sent again", func(n int) ([]int, bool, bool) { return nil, n == 1, false }, []string{"a", "b", "c"}, 3},
		{"a lost acknowledgement doubles events", func(n int) ([]int, bool, bool) { return nil, false, n == 1 },
			[]string{"a", "b", "c", "a", "b", "c"}, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := &fake{before: c.before}
			server := httptest.NewServer(f)
			defer server.Close()
			s := newSender(server.URL, "sales")
			if err := s.send(t.Context(), 0, [][]byte{[]byte("a"), []byte("b"), []byte("c")}); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(f.stored, c.stored) {
				t.Errorf("the stream holds %q, want %q", f.stored, c.stored)
			}
			if got := s.unsure.Load(); got != c.unsure {
				t.Errorf("%d events count as perhaps doubled, want %d", got, c.unsure)
			}
			if got := s.acknowledged.Load(); got != 3 {
				t.Errorf("%d events are acknowledged, want 3", got)
			}
			last := fmt.Sprint(98 + len(c.stored))
			if s.reached(map[string]string{"shardId-000000000000": "98:0"}) || !s.reached(map[string]string{"shardId-000000000000": last + ":0"}) {
				t.Errorf("visible means committed up to %s, not before", last)
			}
		})
	}
}

// A stream that was never there must end the demo, not hang it.
func TestSendStopsAtAWrongStream(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Amzn-ErrorType", "ResourceNotFoundException")
		w.WriteHeader(http.StatusBadRequest)
	}))
	defer server.Close()
	if err := newSender(server.URL, "sales").send(context.Background(), 0, [][]byte{[]byte("a")}); err == nil {
		t.Error("sending to a stream that does not exist succeeds")
	}
}

func TestThousands(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", -1234567: "-1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d) = %s, want %s", n, got, want)
		}
	}
}
