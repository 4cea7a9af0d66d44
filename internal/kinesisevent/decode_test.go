package kinesisevent_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/kinesisevent"
	"github.com/watershed-data/watershed/internal/kpl"
	"github.com/watershed-data/watershed/internal/memory"
	"github.com/watershed-data/watershed/internal/protocol"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestPayloads reads payloads as Lambda sends them; beside each lies what is to be
// read of it.
func TestPayloads(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) < 3 {
		t.Fatalf("only %d payloads were found: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			golden := strings.TrimSuffix(file, ".json") + ".events"
			got := describe(t, text)
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("it holds\n%swant\n%s", got, want)
			}
		})
	}
}

// describe tells the events of a payload to a stream of two shards.
func describe(t *testing.T, text []byte) string {
	t.Helper()
	records, err := kinesisevent.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	batches, err := kinesisevent.Batches(t.Context(), records, &protocol.HashRanges{Log: memory.NewLog(2)})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, batch := range batches {
		fmt.Fprintf(&b, "%s\n", batch.Shard)
		for _, e := range batch.Events {
			fmt.Fprintf(&b, "  %s key %q arrival %d aggregated %v stray %v last %v hash %016x\n    %q\n",
				e.Position, e.PartitionKey, e.Arrival, e.Aggregated, e.Stray, e.Last, protocol.Hash(batch.Shard, &e), e.Data)
		}
	}
	return b.String()
}

// TestRoundTrip: what is written as Lambda writes it is read as it was.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	var want []sent
	for i, arrival := range []int64{0, 1, 999, 1000, 1_700_000_000_000, 1_700_000_000_010, 1_700_000_000_123, 99_999_999_999_999} {
		want = append(want, sent{seq: fmt.Sprint(100 + i), key: `é "\ 💧`, arrival: arrival, events: []kpl.Record{{Data: []byte{0, 255, byte(i)}}}})
	}
	records, err := kinesisevent.Decode(payload(t, "shardId-000000000007", want...))
	if err != nil || len(records) != len(want) {
		t.Fatal(len(records), err)
	}
	for i, r := range records {
		w := want[i]
		if r.Shard != "shardId-000000000007" || r.Seq != w.seq || r.PartitionKey != w.key || r.Arrival != w.arrival || string(r.Data) != string(w.events[0].Data) {
			t.Errorf("record %d is read as %+v, want %+v", i, r, w)
		}
	}
}

// one is a payload with one record, with something in the place of something else.
func one(old, new string) string {
	text := `{"Records":[{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":"p","sequenceNumber":"1007","data":"e30=","approximateArrivalTimestamp":1545084650.987},` +
		`"eventSource":"aws:kinesis","eventID":"shardId-000000000000:1007"}]}`
	if !strings.Contains(text, old) {
		panic(old)
	}
	return strings.Replace(text, old, new, 1)
}

// TestArrivals: Lambda's seconds are Kinesis's milliseconds, whatever way a number
// is written.
func TestArrivals(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"1545084650.987": 1545084650987, "1545084650.98": 1545084650980, "1545084650.9": 1545084650900, "1545084650": 1545084650000,
		"1545084650.0": 1545084650000, "1.545084650987E9": 1545084650987, "1.545084650987e+9": 1545084650987, "1545084650987e-3": 1545084650987,
		"0": 0, "0.001": 1, "0.0": 0, "1e3": 1000000, "1545084650.987000": 1545084650987,
		// No float64 of seconds lies at these: a conversion would give a millisecond less.
		"1491587454.578": 1491587454578, "4503599627370.497": -1,
		"1545084650.9875": -1, "-1": -1, "1e20": -1, "1e-9": -1, "1e999999999999": -1, `""`: -1, "null": -1, `"x"`: -1,
	} {
		records, err := kinesisevent.Decode([]byte(one("1545084650.987", text)))
		switch {
		case want < 0 && err == nil:
			t.Errorf("%s is read as %d", text, records[0].Arrival)
		case want >= 0 && (err != nil || records[0].Arrival != want):
			t.Errorf("%s is not read as %d: %v %v", text, want, records, err)
		}
	}
}

// TestBadPayloads: a payload that is not understood stops the shard. To pass a
// record over would be a hole.
func TestBadPayloads(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", "unexpected end"},
		{"another function's", `{"version":"2.0"}`, "no Records"},
		{"no records", `{"Records":[]}`, "no Records"},
		{"another source", one("aws:kinesis", "aws:sqs"), "aws:sqs"},
		{"no data", one(`"data":"e30=",`, ""), "no data"},
		{"no partition key", one(`"partitionKey":"p",`, ""), "no partitionKey"},
		{"no shard", one("shardId-000000000000:1007", "1007"), "eventID"},
		{"an empty shard", one("shardId-000000000000:1007", ":1007"), "eventID"},
		{"two sequence numbers", one(`:1007"`, `:1008"`), "1007"},
		{"no number", strings.ReplaceAll(one("p", "p"), "1007", "10x7"), "10x7"},
		{"a leading zero", strings.ReplaceAll(one("p", "p"), "1007", "01007"), "01007"},
		{"a number too long", strings.ReplaceAll(one("p", "p"), "1007", strings.Repeat("1", 1000)), "eventID"},
		{"no base64", one("e30=", "e3"), "base64"},
		{"no arrival", one(`,"approximateArrivalTimestamp":1545084650.987`, ""), "approximateArrivalTimestamp"},
	} {
		if _, err := kinesisevent.Decode([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// recorder is a speed layer that fails as told.
type recorder struct {
	err     map[string]error
	batches []protocol.Batch
}

func (r *recorder) Apply(_ context.Context, b protocol.Batch) error {
	r.batches = append(r.batches, b)
	return r.err[b.Shard]
}

// TestInvoke: the event source hears of success only if everything is committed.
func TestInvoke(t *testing.T) {
	t.Parallel()
	full := errors.New("full")
	record := func(seq string) sent { return sent{seq: seq, key: "p", events: []kpl.Record{{Data: []byte("{}")}}} }
	a, b := memory.ShardID(0), memory.ShardID(1)
	for _, c := range []struct {
		name string
		text []byte
		err  map[string]error
		want error // nil: any error, if fails
		runs int
		ok   bool
	}{
		{"all is well", payload(t, a, record("1"), record("2")), nil, nil, 1, true},
		{"an ancestor is not through", payload(t, a, record("1")), map[string]error{a: protocol.ErrNotYet}, protocol.ErrNotYet, 1, false},
		{"the store is full", payload(t, b, record("1")), map[string]error{b: full}, full, 1, false},
		{"an unknown shard", payload(t, memory.ShardID(9), record("1")), nil, protocol.ErrNoShard, 0, false},
		{"out of order", payload(t, a, record("2"), record("1")), nil, nil, 0, false},
		{"a record twice", payload(t, a, record("1"), record("1")), nil, nil, 0, false},
	} {
		speed := &recorder{err: c.err}
		h := &kinesisevent.Handler{Speed: speed, Ranges: &protocol.HashRanges{Log: memory.NewLog(2)}}
		_, err := h.Invoke(t.Context(), c.text)
		if (err == nil) != c.ok || c.want != nil && !errors.Is(err, c.want) || len(speed.batches) != c.runs {
			t.Errorf("%s: %v after %d batches", c.name, err, len(speed.batches))
		}
	}
}
