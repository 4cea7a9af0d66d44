//go:build e2e

package e2e

import (
	"bytes"
	"crypto/md5"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/watershed-data/watershed/examples/sales"
	"github.com/watershed-data/watershed/internal/deployment"
	"github.com/watershed-data/watershed/internal/oracle"
	"github.com/watershed-data/watershed/internal/protocol"
)

// events is what was sent, in the order of sending.
type events struct {
	tills []*sales.Producer
	made  int
	sent  []protocol.Event
}

// newEvents makes sales of today, and of years ago, which are kept by the day.
func newEvents() *events {
	return &events{tills: []*sales.Producer{sales.New(6), sales.NewFrom(7, time.Now().Add(-time.Hour).Truncate(time.Minute))}}
}

// record is one record for the stream: an event, or those of an aggregate.
type record []part

type part struct {
	Key  string `json:"key"`
	Data []byte `json:"data"`
}

// sale is the next sale, with a number of its own.
func (e *events) sale() part {
	e.made++
	key := fmt.Sprintf("o-%d", e.made)
	line := e.tills[e.made%len(e.tills)].Next()
	return part{key, fmt.Appendf(nil, `{"order_id":"%s",%s`, key, line[1:])}
}

// half is which of two shards a partition key belongs to.
func half(key string) byte { return md5.Sum([]byte(key))[0] >> 7 }

// plain gives records of one event each: sales, some of them twice, and what counts
// in no view.
func (e *events) plain(n int) []record {
	var out []record
	for i := range n {
		p := e.sale()
		out = append(out, record{p})
		if i%10 == 3 { // the producer tries again
			out = append(out, record{p})
		}
	}
	odd := []string{
		"", "not JSON", "\x00\xff", `{"price":1}`, `{"order_id":"o-odd","price":"much"}`,
		`{"ProductName":"product1","price":-1,"timestamp":"2014-11-01 00:00:00"}`,
		`{"ProductName":" Test","price":1,"timestamp":"2014-11-01 00:00:00"}`,
	}
	for i, text := range odd {
		out = append(out, record{{fmt.Sprintf("odd-%d", i), []byte(text)}})
	}
	e.note(out)
	return out
}

// aggregated gives aggregates of sales as the KPL makes them: of one shard each. In
// each, one sale is there twice; and one event of the last belongs to the other
// shard, as after a split.
func (e *events) aggregated(n, size int) []record {
	out := make([]record, n)
	for i := range out {
		for len(out[i]) < size {
			p := e.sale()
			stray := len(out[i]) > 0 && half(p.Key) != half(out[i][0].Key)
			if stray == (i == n-1 && len(out[i]) == 1) {
				out[i] = append(out[i], p)
			}
		}
		out[i] = append(out[i], out[i][0])
	}
	e.note(out)
	return out
}

// lines gives sales as a file for `watershed send`, which makes the partition key
// of the event's id.
func (e *events) lines(n int) []byte {
	var file []byte
	for range n {
		p := e.sale()
		if !json.Valid(p.Data) { // a truncated line has no id, so nobody knows its key: but then it matters to nobody
			p.Key = "-"
		}
		e.note([]record{{p}})
		file = append(append(file, p.Data...), '\n')
	}
	return file
}

// note remembers what is sent.
func (e *events) note(records []record) {
	for i, r := range records {
		for sub, p := range r {
			e.sent = append(e.sent, protocol.Event{
				Position: protocol.Position{Seq: fmt.Sprint(len(e.sent) + 1), Sub: int64(sub)}, PartitionKey: p.Key,
				Arrival: time.Now().UnixMilli(), Data: bytes.Clone(p.Data), Last: sub == len(r)-1,
				Aggregated: len(r) > 1, Stray: half(p.Key) != half(records[i][0].Key),
			})
		}
	}
}

// send puts records with the clients that others use.
func (s *stack) send(t *testing.T, records []record) {
	t.Helper()
	var in bytes.Buffer
	for _, r := range records {
		if err := json.NewEncoder(&in).Encode(r); err != nil {
			t.Fatal(err)
		}
	}
	producer := s.as(s.command(needed(t, pythonVariable), "e2e/testdata/produce.py", s.outputs[deployment.StreamOutput]))
	producer.Stdin = &in
	must(t, producer)
}

// oracle computes what answers must be over all events that were sent. sealed is
// the watershed of the version that answers; zero if there is none.
func (e *events) oracle(t *testing.T, s *stack, sealed time.Time) *oracle.Oracle {
	o := oracle.New(s.definition)
	if !sealed.IsZero() {
		o.SealedAt(sealed)
	}
	log := o.Log("all")
	for _, ev := range e.sent {
		log.Add(ev)
	}
	for _, outcome := range []oracle.Outcome{oracle.Accepted, oracle.Rejected, oracle.Dropped, oracle.Duplicate} {
		if o.Outcomes()[outcome] == 0 {
			t.Errorf("nothing that was sent is %s, so this test does not test it", outcome)
		}
	}
	return o
}
