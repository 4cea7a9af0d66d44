package stream_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watershed-data/watershed/internal/aws/stream"
	"github.com/watershed-data/watershed/internal/memory"
	"github.com/watershed-data/watershed/internal/protocol"
)

const day = 24 * time.Hour

// puts puts plain records into a shard and gives their positions.
func puts(t *testing.T, p *plant, shard string, n int) (out []protocol.Position) {
	t.Helper()
	for i := range n {
		seq, err := p.Put(t.Context(), shard, false, protocol.Record{PartitionKey: "k", Data: fmt.Append(nil, i)})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, protocol.Position{Seq: seq})
	}
	return out
}

// trim lets go of a shard's records.
func trim(t *testing.T, p *plant, shard string, through protocol.Position) {
	t.Helper()
	if err := p.local.Trim(t.Context(), shard, through); err != nil {
		t.Fatal(err)
	}
}

func first(t *testing.T, p *plant) string {
	t.Helper()
	shards, err := p.Shards(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return shards[0].ID
}

// What lies directly behind a record that is gone is known by the latest look at the
// tip there, for as long as the stream kept records then, and keeps them now.
func TestWhatProvesThatNothingIsMissing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		looked bool          // at the tip, behind the record that goes
		note   *stream.Note  // in place of what was noted then, but for its position
		wait   time.Duration // until the next event
		kept   time.Duration // by the stream now
		want   error
	}{
		{"nobody looked", false, nil, 25 * time.Hour, day, protocol.ErrExpired},
		{"somebody looked lately", true, nil, 22 * time.Hour, day, nil},
		{"somebody looked, but what came since may have gone", true, nil, 24 * time.Hour, day, protocol.ErrExpired},
		{"the stream keeps records for longer", true, nil, 6 * day, 7 * day, nil},
		{"and now it does, but it did not then", true, &stream.Note{Keep: day.Milliseconds()}, 6 * day, 7 * day, protocol.ErrExpired},
		{"and it did then, but does not now", true, &stream.Note{Keep: (7 * day).Milliseconds()}, 6 * day, day, protocol.ErrExpired},
		{"somebody looked at another stream of the same name", true, &stream.Note{Keep: (7 * day).Milliseconds(), At: 1}, time.Hour, 7 * day, protocol.ErrExpired},
		{"the shard had ended", true, &stream.Note{Ended: true}, 30 * day, day, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPlant(t, 1, c.kept, nil)
			shard := first(t, p)
			last := puts(t, p, shard, 1)[0]
			if c.looked {
				if page, err := p.Read(t.Context(), shard, last, 1); err != nil || !page.AtTip {
					t.Fatalf("the tip reads %+v: %v", page, err)
				}
			}
			if c.note != nil {
				n := p.notes.of[shard]
				n.Keep, n.Ended = c.note.Keep, c.note.Ended
				if c.note.At != 0 {
					n.At = p.notes.born.Add(-time.Hour).UnixMilli() // before the stream was made
				}
				p.notes.of[shard] = n
			}
			p.clock.forward(c.wait)
			next := puts(t, p, shard, 1)[0]
			trim(t, p, shard, last)
			for process, log := range map[string]*stream.Log{"the same process": p.Log, "a new process": p.reader()} {
				if process == "the same process" && c.note != nil {
					continue // it knows what it noted
				}
				page, err := log.Read(t.Context(), shard, last, 1)
				if !errors.Is(err, c.want) || err == nil && page.Events[0].Position != next {
					t.Errorf("%s reads %+v: %v, want %v", process, page, err, c.want)
				}
				if err != nil && !strings.Contains(err.Error(), "docs/runbook.md") {
					t.Errorf("it does not say what to do: %v", err)
				}
			}
		})
	}
}

// The beginning of a shard is certain while it is young, and as long as somebody
// looks at it while it is empty.
func TestWhereAShardBegins(t *testing.T) {
	t.Parallel()
	p := newPlant(t, 1, day, nil)
	parent := first(t, p)
	p.clock.forward(10 * day)
	if _, err := p.Read(t.Context(), parent, protocol.Position{}, 1); !errors.Is(err, protocol.ErrExpired) {
		t.Errorf("a shard that nobody read in ten days: %v", err)
	}
	if err := p.Split(t.Context(), parent); err != nil {
		t.Fatal(err)
	}
	shards, err := p.Shards(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	child, other := shards[1].ID, shards[2].ID
	p.clock.forward(20 * time.Hour)
	if page, err := p.Read(t.Context(), child, protocol.Position{}, 1); err != nil || !page.AtTip {
		t.Errorf("a young shard reads %+v: %v", page, err)
	}
	p.clock.forward(20 * time.Hour)
	want := puts(t, p, child, 1)[0]
	puts(t, p, other, 1)
	if page, err := p.reader().Read(t.Context(), child, protocol.Position{}, 1); err != nil || len(page.Events) != 1 || page.Events[0].Position != want {
		t.Errorf("a shard that was empty when it was read reads %+v: %v", page, err)
	}
	if _, err := p.Read(t.Context(), other, protocol.Position{}, 1); !errors.Is(err, protocol.ErrExpired) {
		t.Errorf("a shard that nobody read in its first day: %v", err)
	}
	p.clock.forward(10 * day)
	if _, err := p.Read(t.Context(), parent, protocol.Position{}, 1); !errors.Is(err, protocol.ErrExpired) {
		t.Errorf("a shard that was closed long ago: %v", err)
	}
}

// A pipeline on a stream that others have used begins with what is not about to
// expire. Where its row begins, the first record proves for as long as it is there.
func TestGenesisOnAnOlderStream(t *testing.T) {
	t.Parallel()
	p := newPlant(t, 1, 7*day, nil)
	shard := first(t, p)
	old := puts(t, p, shard, 3)
	p.clock.forward(3 * day)
	p.notes.born = p.clock.now()
	events := func(positions ...protocol.Position) (out []protocol.Event) {
		for _, at := range positions {
			out = append(out, protocol.Event{Position: at, Arrival: p.clock.now().Add(-3 * day).UnixMilli()})
		}
		return out
	}
	if _, begun, err := p.Genesis(t.Context(), shard, events(old...)); begun || err != nil {
		t.Errorf("a shard that only holds what is old begins: %v %v", begun, err)
	}
	if _, _, err := p.Genesis(t.Context(), shard, []protocol.Event{{Position: old[0], Arrival: p.clock.now().UnixMilli()}}); !errors.Is(err, protocol.ErrBusy) {
		t.Errorf("an event of today, which the stream does not show, is passed over: %v", err)
	}
	fresh := puts(t, p, shard, 2)
	from, begun, err := p.Genesis(t.Context(), shard, events(old...))
	if err != nil || !begun || !from.After(old[2]) || !fresh[0].After(from) {
		t.Fatalf("the shard begins at %v %v: %v", from, begun, err)
	}
	p.clock.forward(2 * day)
	trim(t, p, shard, old[2])
	if page, err := p.Read(t.Context(), shard, from, 5); err != nil || len(page.Events) != 2 {
		t.Errorf("from its beginning, the shard reads %+v: %v", page, err)
	}
	trim(t, p, shard, fresh[0])
	if _, err := p.Read(t.Context(), shard, from, 5); !errors.Is(err, protocol.ErrExpired) {
		t.Errorf("the first event is gone: %v", err)
	}
}

func TestHorizon(t *testing.T) {
	t.Parallel()
	p := newPlant(t, 1, day, nil)
	shard := first(t, p)
	all := puts(t, p, shard, 3)
	for i, gone := range all {
		horizon, err := p.Horizon(t.Context(), shard)
		if err != nil || !all[i].After(horizon) || i > 0 && !horizon.After(all[i-1]) {
			t.Errorf("with %d records gone, the log begins behind %v: %v", i, horizon, err)
		}
		if page, err := p.Read(t.Context(), shard, horizon, 5); err != nil || len(page.Events) != len(all)-i {
			t.Errorf("with %d records gone, %d are read behind the horizon: %v", i, len(page.Events), err)
		}
		trim(t, p, shard, gone)
	}
	if horizon, err := p.Horizon(t.Context(), shard); err != nil || !horizon.After(all[2]) {
		t.Errorf("with everything gone, the log begins behind %v: %v", horizon, err)
	}
}

// The codes of replies for which the connection breaks, before and within them.
const (
	broken    = 0
	brokenOff = 1
)

// meddle lets a test change requests and replies by operation.
func meddle(change func(operation string, in map[string]any), reply func(operation string, w *httptest.ResponseRecorder)) func(http.Handler) http.Handler {
	return func(to http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			operation := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "Kinesis_20131202.")
			body, _ := io.ReadAll(r.Body)
			var in map[string]any
			_ = json.Unmarshal(body, &in)
			if change != nil {
				change(operation, in)
			}
			body, _ = json.Marshal(in)
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			out := httptest.NewRecorder()
			to.ServeHTTP(out, r)
			if reply != nil {
				reply(operation, out)
			}
			for name, values := range out.Header() {
				if name != "Content-Length" {
					w.Header()[name] = values
				}
			}
			switch out.Code {
			case broken:
				panic(http.ErrAbortHandler)
			case brokenOff:
				w.Header().Set("Content-Length", strconv.Itoa(out.Body.Len()))
				_, _ = w.Write(out.Body.Bytes()[:out.Body.Len()/2])
				panic(http.ErrAbortHandler)
			}
			w.WriteHeader(out.Code)
			_, _ = w.Write(out.Body.Bytes())
		})
	}
}

// Records that go between two pages of one read are missed.
func TestRecordsThatGoBetweenPages(t *testing.T) {
	t.Parallel()
	var p *plant
	var shard string
	var all []protocol.Position
	var pages atomic.Int32
	p = newPlant(t, 1, day, meddle(func(operation string, in map[string]any) {
		if operation == "GetRecords" && all != nil {
			in["Limit"] = 1
			if pages.Add(1) == 2 {
				trim(t, p, shard, all[1])
			}
		}
	}, nil))
	shard = first(t, p)
	all = puts(t, p, shard, 3)
	if page, err := p.Read(t.Context(), shard, all[0], 5); !errors.Is(err, protocol.ErrExpired) {
		t.Errorf("it reads %+v: %v", page, err)
	}
	if pages.Load() < 3 {
		t.Errorf("%d pages were read, which shows nothing", pages.Load())
	}
}

// Kinesis counts how far a page is from the tip in milliseconds, and several records
// arrive in one.
func TestAPageThatIsFullIsNotTheTip(t *testing.T) {
	t.Parallel()
	p := newPlant(t, 1, day, meddle(nil, func(operation string, w *httptest.ResponseRecorder) {
		if operation == "GetRecords" {
			var out map[string]any
			_ = json.Unmarshal(w.Body.Bytes(), &out)
			out["MillisBehindLatest"] = 0
			w.Body.Reset()
			_ = json.NewEncoder(w.Body).Encode(out)
		}
	}))
	shard := first(t, p)
	const more = 10_003 // than GetRecords gives
	if _, err := p.local.Append(t.Context(), slices.Repeat([]protocol.Record{{PartitionKey: "k", Data: []byte("x")}}, more)); err != nil {
		t.Fatal(err)
	}
	seen, at := 0, protocol.Position{}
	for {
		page, err := p.Read(t.Context(), shard, at, 20_000)
		if err != nil {
			t.Fatal(err)
		}
		seen += len(page.Events)
		if page.AtTip {
			break
		}
		at = page.Events[len(page.Events)-1].Position
	}
	if seen != more {
		t.Errorf("%d of %d events lie before the tip", seen, more)
	}
}

// Empty pages, throttling, iterators that expire, and replies that break off are
// normal, and nobody hears of them.
func TestReadingGoesOn(t *testing.T) {
	t.Parallel()
	failure := func(w *httptest.ResponseRecorder, code int, kind string) {
		w.Code = code
		w.Body.Reset()
		fmt.Fprintf(w.Body, `{"__type":%q,"message":"it happens"}`, kind)
	}
	for name, fail := range map[string]func(w *httptest.ResponseRecorder){
		"empty pages": func(w *httptest.ResponseRecorder) {
			var out map[string]any
			_ = json.Unmarshal(w.Body.Bytes(), &out)
			// As if the iterator that was given were where this page began.
			out["Records"], out["MillisBehindLatest"] = []any{}, 1000
			if again, ok := out["again"]; ok {
				out["NextShardIterator"] = again
			}
			w.Body.Reset()
			_ = json.NewEncoder(w.Body).Encode(out)
		},
		"throttled":             func(w *httptest.ResponseRecorder) { failure(w, 400, "ProvisionedThroughputExceededException") },
		"the iterator expired":  func(w *httptest.ResponseRecorder) { failure(w, 400, "ExpiredIteratorException") },
		"the service fails":     func(w *httptest.ResponseRecorder) { failure(w, 500, "InternalFailureException") },
		"the connection breaks": func(w *httptest.ResponseRecorder) { w.Code = broken },
		"the reply breaks off":  func(w *httptest.ResponseRecorder) { w.Code = brokenOff },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var reads atomic.Int32
			var iterator string
			p := newPlant(t, 1, day, meddle(func(operation string, in map[string]any) {
				if operation == "GetRecords" {
					iterator = in["ShardIterator"].(string)
				}
			}, func(operation string, w *httptest.ResponseRecorder) {
				if operation != "GetRecords" || reads.Add(1)%3 == 0 {
					return
				}
				if name == "empty pages" {
					var out map[string]any
					_ = json.Unmarshal(w.Body.Bytes(), &out)
					out["again"] = iterator
					w.Body.Reset()
					_ = json.NewEncoder(w.Body).Encode(out)
				}
				fail(w)
			}))
			shard := first(t, p)
			all := puts(t, p, shard, 4)
			page, err := p.Read(t.Context(), shard, all[0], 10)
			if err != nil || len(page.Events) != 3 || !page.AtTip {
				t.Errorf("after %d reads: %+v: %v", reads.Load(), page, err)
			}
			if reads.Load() < 3 {
				t.Errorf("only %d reads were made: nothing failed", reads.Load())
			}
		})
	}
}

// A tip is noted where a ledger ends, also of shards that have no row yet, at most
// once a minute, and never by a reader that may not.
func TestAttend(t *testing.T) {
	t.Parallel()
	var reads atomic.Int32
	p := newPlant(t, 2, day, meddle(func(operation string, _ map[string]any) {
		if operation == "GetRecords" {
			reads.Add(1)
		}
	}, nil))
	shard := first(t, p)
	last := puts(t, p, shard, 2)[1]
	ledger := memory.NewLedger()
	if _, err := ledger.Create(t.Context(), shard, protocol.Row{Through: last}); err != nil {
		t.Fatal(err)
	}
	silent := stream.NewLog(p.stream, stream.Options{Notes: p.notes, Now: p.clock.now})
	if err := silent.AttendAll(t.Context(), ledger); err != nil || len(p.notes.of) > 0 {
		t.Errorf("a log that does not note has noted %v: %v", p.notes.of, err)
	}
	reads.Store(0)
	for range 3 {
		if err := p.AttendAll(t.Context(), ledger); err != nil {
			t.Fatal(err)
		}
	}
	if len(p.notes.of) != 2 || p.notes.of[shard].Through != last || reads.Load() != 2 {
		t.Errorf("after %d reads, the notes are %+v", reads.Load(), p.notes.of)
	}
	noted := p.notes.of[shard].At
	p.clock.forward(time.Hour)
	if err := p.Attend(t.Context(), shard, last); err != nil || p.notes.of[shard].At <= noted {
		t.Errorf("an hour later the note is of %d, before it was of %d: %v", p.notes.of[shard].At, noted, err)
	}
	p.clock.forward(time.Hour)
	puts(t, p, shard, 1)
	noted = p.notes.of[shard].At
	if err := p.Attend(t.Context(), shard, last); err != nil || p.notes.of[shard].At != noted {
		t.Errorf("with an event behind it, the position is noted as the tip: %v", err)
	}
}
