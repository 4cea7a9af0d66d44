package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/watershed-data/watershed/internal/batch"
)

// outcomes gives how many events there are of each outcome.
func outcomes(t *testing.T, p *pipelineProcess) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, row := range rows(t, p, "query", "ws_outcomes", "--format", "json") {
		out[row["ws_outcome"].(string)] += int(row["events"].(float64))
	}
	return out
}

// An id, and then a partition key, are erased: from the stream's events and a load's,
// from rows that are archived and rows that are not. What comes later of an id is
// new, but for repetitions within the window. At every moment verify agrees.
func TestErasedEventsAreGone(t *testing.T) {
	t.Parallel()
	var sent strings.Builder
	for i := range 300 {
		fmt.Fprintf(&sent, `{"order_id":%d,"product":"p%d","sold_at":1414870541}`+"\n", i, i%3)
	}
	file := write(t, "orders.ndjson", sent.String())
	history := write(t, "history.ndjson", `{"order_id":7,"product":"old","sold_at":1414870541}`+"\n"+`{"order_id":70,"product":"old","sold_at":1414870541}`+"\n")
	one := write(t, "one.ndjson", `{"order_id":8,"product":"p2","sold_at":1414870541}`+"\n")
	data := filepath.Join(t.TempDir(), "data")
	p := startPipeline(t, write(t, "pipeline.yaml", ordersDefinition), data, "--shards", "2")
	tell := func(args ...string) string {
		t.Helper()
		r := p.told(t, args...)
		if r.code != 0 {
			t.Fatalf("%v: %s", args, r.err)
		}
		return r.out
	}
	want := func(when string, accepted, duplicate, erased int) {
		t.Helper()
		tell("verify")
		got := outcomes(t, p)
		if got["accepted"] != accepted || got["duplicate"] != duplicate || got["erased"] != erased {
			t.Errorf("%s: %v; want %d accepted, %d duplicate and %d erased", when, got, accepted, duplicate, erased)
		}
	}
	tell("send", file)
	tell("load", history)
	tell("batch")
	tell("send", file) // every one a second time
	waitForTip(t, p)
	want("before", 302, 300, 0)
	if out := tell("erase", "--where", "order_id in [7, 8]"); !strings.HasPrefix(out, "5 events to erase") {
		t.Errorf("without --yes it says %s", out)
	}
	want("when they were only counted", 302, 300, 0)
	var done batch.EraseReport
	if err := json.Unmarshal([]byte(tell("erase", "--where", "order_id in [7, 8]", "--yes", "--format", "json")), &done); err != nil || done.Events != 5 || done.Version == "" {
		t.Errorf("it erased %+v, %v", done, err)
	}
	want("after two ids", 299, 298, 5)
	tell("erase", "--partition-key", "70", "--yes")
	want("after a partition key", 298, 297, 7)
	wantNothingOf(t, data, "7", "8") // 70 of the load has no partition key and stays

	tell("send", one)
	waitForTip(t, p)
	want("after a repetition", 298, 298, 7)
	tell("batch")
	want("in the batch views", 298, 298, 7)
	if r := p.told(t, "erase", "--where", "product == 'p2'"); r.code != 1 || !strings.Contains(r.err, "only the event id, order_id") {
		t.Errorf("another column gave %d: %s", r.code, r.err)
	}
}

// wantNothingOf fails if the master dataset has an event of a partition key, or an
// event with an id of that number.
func wantNothingOf(t *testing.T, data string, keys ...string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(data, "master", "*", "*", "*.parquet"))
	if err != nil || len(found) == 0 {
		t.Fatal(found, err)
	}
	for _, path := range found {
		type row struct {
			Key string `parquet:"ws_partition_key"`
			Raw string `parquet:"ws_raw"`
			ID  *int64 `parquet:"order_id"`
		}
		rows, err := parquet.ReadFile[row](path)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			raw, err := base64.StdEncoding.DecodeString(r.Raw)
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range keys {
				if r.Key == key || strings.Contains(string(raw), `"order_id":`+key+",") || r.ID != nil && fmt.Sprint(*r.ID) == key {
					t.Errorf("%s still has %s", path, raw)
				}
			}
		}
	}
	if left, _ := filepath.Glob(filepath.Join(data, "master", "*", "*.swap")); len(left) > 0 {
		t.Errorf("replacements are not complete: %v", left)
	}
}

// However an erasure is cut off, giving the command again completes it, and until
// then answers are those from before or those without the events.
func TestErasingKilled(t *testing.T) {
	t.Parallel()
	var sent strings.Builder
	for i := range 4000 {
		fmt.Fprintf(&sent, `{"order_id":%d,"product":"p","sold_at":1414870541}`+"\n", i)
	}
	definition, data := write(t, "pipeline.yaml", ordersDefinition), filepath.Join(t.TempDir(), "data")
	p := startPipeline(t, definition, data)
	if r := p.told(t, "send", write(t, "orders.ndjson", sent.String())); r.code != 0 {
		t.Fatal(r.err)
	}
	if r := p.told(t, "batch"); r.code != 0 {
		t.Fatal(r.err)
	}
	erased := 0
	for round := range 4 {
		keys := make([]string, 50)
		for i := range keys {
			keys[i] = fmt.Sprint(round*1000 + i)
		}
		command := []string{"erase", "--where", "order_id in [" + strings.Join(keys, ",") + "]", "--yes"}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			p.told(t, command...)
		}()
		select { // somewhere in it
		case <-ended:
		case <-time.After(time.Duration(40+60*round) * time.Millisecond):
		}
		p.kill(t)
		<-ended
		p = startPipeline(t, definition, data)
		if n := outcomes(t, p)["erased"]; n != erased && n != erased+50 {
			t.Errorf("round %d: %d events are erased, want %d or %d", round, n, erased, erased+50)
		}
		erased += 50
		if r := p.told(t, command...); r.code != 0 {
			t.Fatal(r.err)
		}
		if r := p.told(t, "verify"); r.code != 0 {
			t.Errorf("round %d: %s%s", round, r.out, r.err)
		}
		if n := outcomes(t, p)["erased"]; n != erased {
			t.Errorf("round %d: %d events are erased, want %d", round, n, erased)
		}
		wantNothingOf(t, data, keys...)
	}
}

// A file of the master dataset is lost, and what it held is written again from the
// log, which still has the bytes of what was erased: that stays erased.
func TestErasedEventsStayGoneWhenFilesAreLost(t *testing.T) {
	t.Parallel()
	var sent strings.Builder
	for i := range 200 {
		fmt.Fprintf(&sent, `{"order_id":%d,"product":"p","sold_at":1414870541}`+"\n", i)
	}
	definition, data := write(t, "pipeline.yaml", ordersDefinition), filepath.Join(t.TempDir(), "data")
	file := write(t, "orders.ndjson", sent.String())
	p := startPipeline(t, definition, data)
	tell := func(args ...string) {
		t.Helper()
		if r := p.told(t, args...); r.code != 0 {
			t.Fatalf("%v: %s%s", args, r.out, r.err)
		}
	}
	tell("send", file)
	tell("erase", "--where", "order_id in [7, 8]", "--yes")
	tell("send", file) // repetitions, of the erased ones too: those are duplicates of what is not known any more
	waitForTip(t, p)
	tell("batch")
	before := outcomes(t, p)
	if before["erased"] != 2 || before["accepted"] != 198 || before["duplicate"] != 200 {
		t.Errorf("before, there are %v", before)
	}
	tell("erase", "--partition-key", "8", "--yes")
	p.stop(t)
	lost, err := filepath.Glob(filepath.Join(data, "master", "*", "shardId-*", "*.parquet"))
	if err != nil || len(lost) == 0 {
		t.Fatal(lost, err)
	}
	for _, path := range lost {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	p = startPipeline(t, definition, data)
	tell("batch", "--full")
	tell("verify")
	if after := outcomes(t, p); after["erased"] != 3 || after["accepted"] != 198 || after["duplicate"] != 199 {
		t.Errorf("then, there are %v; before, %v", after, before)
	}
	wantNothingOf(t, data, "8")
}
