//go:build clients

package catalog_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/watershed-data/watershed/athena"
	"github.com/watershed-data/watershed/examples/flights"
	"github.com/watershed-data/watershed/examples/sales"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/protocol"
)

func example(t *testing.T, name string) *definition.Definition {
	t.Helper()
	def, err := definition.Load(filepath.Join("..", "..", "..", "examples", name, "pipeline.yaml"))
	must(t, err)
	return def
}

// arrived is when the events of the tests begin to arrive, and sealed when versions
// are sealed.
var (
	arrived = time.Date(2014, 11, 9, 12, 0, 0, 0, time.UTC)
	sealed  = arrived.Add(30 * time.Minute)
)

// split puts events into two shards by their partition keys, at positions of their
// own.
func split(data [][]byte) (a, b []protocol.Event) {
	for i, d := range data {
		e := protocol.Event{
			Position:     protocol.Position{Seq: fmt.Sprint(90 + i)}, // 100 comes behind 99
			PartitionKey: fmt.Sprint("key", i%5), Arrival: arrived.UnixMilli() + int64(i)*1000, Data: d, Last: true,
		}
		if i%5 < 2 {
			b = append(b, e)
		} else {
			a = append(a, e)
		}
	}
	return a, b
}

// follow stores events a part at a time, and compares before the first version and
// behind the second one, which has replaced the first.
func (l *lake) follow(data [][]byte) {
	l.t.Helper()
	const one, two, child = "shardId-000000000000", "shardId-000000000001", "shardId-000000000002" // the last one is a child of the one before
	a, b := split(data)
	quarter := func(list []protocol.Event, n int) []protocol.Event { return list[len(list)*n/4 : len(list)*(n+1)/4] }
	l.store(map[string][]protocol.Event{one: quarter(a, 0), two: quarter(b, 0)})
	l.store(map[string][]protocol.Event{one: quarter(a, 1)})
	l.store(map[string][]protocol.Event{one: quarter(a, 1)}) // Firehose tries again
	l.compare("before the first version", nil)

	end := func(list []protocol.Event, n int) protocol.Position {
		part := quarter(list, n)
		return part[len(part)-1].Position
	}
	l.publish(map[string]protocol.Position{one: quarter(a, 0)[1].Position}, sealed)
	l.store(map[string][]protocol.Event{one: quarter(a, 2), two: quarter(b, 1)})
	l.store(map[string][]protocol.Event{two: quarter(b, 1)}) // a repair writes what was late
	// The cut lies inside of what is stored for one shard, and the child is not in it.
	m := l.publish(map[string]protocol.Position{one: quarter(a, 1)[2].Position, two: end(b, 0)}, sealed.Add(time.Hour))
	l.store(map[string][]protocol.Event{one: quarter(a, 3), two: quarter(b, 2), child: quarter(b, 3)})
	l.compare("behind the second version", &m)
}

// Without this, whoever asks Athena gets another answer than whoever asks the API.
func TestMergedViewsAreTheOraclesForSales(t *testing.T) {
	t.Parallel()
	producer := sales.New(7)
	var data [][]byte
	for range 600 {
		data = append(data, producer.Next())
	}
	newLake(t, example(t, "sales")).follow(data)
}

func TestMergedViewsAreTheOraclesForFlights(t *testing.T) {
	t.Parallel()
	data, err := flights.Events()
	must(t, err)
	newLake(t, example(t, "flights")).follow(data[:3000])
}

// everything makes events of every type, some of them twice.
func everything(seed uint64, n int) (data [][]byte) {
	r := rand.New(rand.NewPCG(seed, 1))
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	for range n {
		e := map[string]json.RawMessage{
			"id":     json.RawMessage(strconv.Quote(fmt.Sprint("id", r.IntN(n/2)))),
			"at":     json.RawMessage(strconv.Quote(time.Date(2014, 11, 1, 0, 0, 0, r.IntN(1e6)*1000, time.UTC).Add(time.Duration(r.IntN(200*3600)) * time.Second).Format(time.RFC3339Nano))),
			"word":   json.RawMessage(pick(`"a"`, `"A"`, `"it's"`, `"é"`, `"日本"`, `"😀"`, `"\uffff"`, `""`, `"x"`, `"drop"`, strconv.Quote(fmt.Sprint("word", r.IntN(3000))))),
			"select": json.RawMessage(pick(`"a"`, `"b"`, `"--"`)),
			"n":      json.RawMessage(pick("0", "1", "2", "3", "13", "-7", "9223372036854775807", "-9223372036854775808", fmt.Sprint(r.Int64N(1000)-500))),
			"price":  json.RawMessage(pick(`"0.01"`, `"-0.01"`, `"9999999999.99"`, `"-9999999999.99"`, fmt.Sprintf(`"%d.%02d"`, r.IntN(3), r.IntN(100)))),
			"part":   json.RawMessage(pick(`"0.999999999999999999"`, `"-0.999999999999999999"`, `"0.000000000000000001"`, fmt.Sprintf(`"0.%d"`, r.IntN(1000)))),
			"whole":  json.RawMessage(pick(`"999999999999999999"`, `"-999999999999999999"`, `"1"`, fmt.Sprintf(`"%d"`, r.IntN(10)))),
			"ok":     json.RawMessage(pick("true", "false")),
			"day":    json.RawMessage(pick(`"0001-01-01"`, `"9999-12-31"`, `"1969-12-31"`, `"2014-11-02"`)),
			"heat":   json.RawMessage(pick("0", "1e17", "-1e17", "0.1", "-0.1", "1e-17", fmt.Sprint(r.NormFloat64()))),
			"seen":   json.RawMessage(pick(`"0001-01-01T00:00:00.000001Z"`, `"9999-12-31T23:59:59.999999Z"`, `"1969-12-31T23:59:59.999999Z"`, fmt.Sprintf(`"2014-11-02T00:00:00.%06dZ"`, r.IntN(4)))),
		}
		for name := range e {
			if name != "at" && r.IntN(8) == 0 {
				e[name] = json.RawMessage("null")
			}
		}
		line, _ := json.Marshal(e) // of valid JSON
		data = append(data, line)
	}
	return data
}

// halves makes events whose averages lie in the middle of two that can be shown: of
// 128 values all but one are zero.
func halves() (data [][]byte) {
	for i, one := range []string{"1", "3", "-1", "-3", "5"} {
		for n := range 128 {
			value := "0"
			if n == 0 {
				value = one
			}
			data = append(data, fmt.Appendf(nil, `{"at":"2014-11-09T11:00:00Z","select":"half %d","ok":true,"n":%s,"whole":%s,"price":"%s.00"}`, i, value, value, value))
		}
	}
	return data
}

func TestMergedViewsAreTheOraclesForEveryTypeAndMeasure(t *testing.T) {
	t.Parallel()
	def, err := definition.Load(filepath.Join("testdata", "everything.yaml"))
	must(t, err)
	l := newLake(t, def)
	l.follow(append(halves(), everything(3, 1500)...))
	for outcome, least := range map[string]string{"accepted": "1000", "rejected": "50", "dropped": "50", "duplicate": "50"} {
		if got := l.query("SELECT sum(events) >= " + least + " FROM ws_outcomes WHERE ws_outcome = '" + outcome + "'"); got[0][0] != "true" {
			t.Errorf("fewer than %s events are %s: too few to find a mistake by", least, outcome)
		}
	}
}

// Without this, a query that the workgroup offers is an error message.
func TestNamedQueriesRun(t *testing.T) {
	t.Parallel()
	def := example(t, "sales")
	l := newLake(t, def)
	l.store(map[string][]protocol.Event{"shardId-000000000000": {
		{Position: protocol.Position{Seq: "1"}, Arrival: time.Now().UnixMilli(), Data: []byte(`{"zipcode":1,"ProductName":"tea","price":-1,"timestamp":"2014-11-01 19:35:41"}`), Last: true},
	}})
	queries, err := athena.Queries(def)
	must(t, err)
	for _, q := range queries {
		rows := l.query(q.SQL)
		switch q.Name {
		case "Rejects by reason":
			if len(rows) != 1 || rows[0][0] != "negative price" || rows[0][1] != "1" || !strings.Contains(rows[0][4], "tea") {
				t.Errorf("%s gives %q", q.Name, rows)
			}
		case "Double entry by shard", "Freshness":
			if len(rows) != 1 || rows[0][0] != "shardId-000000000000" || rows[0][1] != "1" {
				t.Errorf("%s gives %q", q.Name, rows)
			}
		}
	}
}
