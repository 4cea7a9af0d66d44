package archive_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
	"github.com/watershed-data/watershed/internal/view"
)

// BenchmarkWrite measures turning rows like those of the flights into a file.
func BenchmarkWrite(b *testing.B) {
	def, rows := flights(20_000)
	for b.Loop() {
		if err := archive.Write(io.Discard, def, rows, rows, rows, rows, rows); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*100_000/b.Elapsed().Seconds(), "rows/s")
}

func flights(n int) (*definition.Definition, *rowlogic.Batch) {
	text, count, at := column.Type{Kind: column.String}, column.Type{Kind: column.Int}, column.Type{Kind: column.Timestamp}
	def := &definition.Definition{
		Generation: "bench",
		Columns: []definition.Column{
			{Name: "carrier", Type: text}, {Name: "origin", Type: text}, {Name: "dest", Type: text}, {Name: "tailnum", Type: text},
			{Name: "dep_delay", Type: count}, {Name: "arr_delay", Type: count}, {Name: "distance", Type: count}, {Name: "scheduled", Type: at},
		},
		Views: []definition.View{{Name: "hourly", Every: definition.Hour}, {Name: "daily", Every: definition.Day}},
	}
	b := &rowlogic.Batch{
		Shard: "shardId-000000000000", Events: make([]protocol.Event, n), Outcome: make([]rowlogic.Outcome, n),
		Reason: make([]string, n), Detail: make([]string, n), Hash: make([]uint64, n),
		Times: map[definition.Grain]*column.Vector{definition.Hour: column.NewVector(at, n), definition.Day: column.NewVector(at, n)},
	}
	for _, c := range def.Columns {
		b.Columns = append(b.Columns, column.NewVector(c.Type, n))
	}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		e := &b.Events[i]
		*e = protocol.Event{Position: protocol.Position{Seq: fmt.Sprintf("495%053d", i)}, PartitionKey: fmt.Sprintf("%016x", r.Uint64()), Arrival: 1_700_000_000_000 + int64(i)}
		t := 1_356_998_400_000_000 + int64(i)*89_000_000
		values := []column.Value{
			{Str: []string{"UA", "AA", "DL", "B6", "EV"}[r.IntN(5)]}, {Str: []string{"EWR", "LGA", "JFK"}[r.IntN(3)]}, {Str: fmt.Sprintf("D%02d", r.IntN(100))},
			{Str: fmt.Sprintf("N%05d", r.IntN(4000))}, {Int: r.Int64N(200) - 20}, {Int: r.Int64N(200) - 30}, {Int: r.Int64N(2500)}, {Int: t},
		}
		for k, v := range values {
			b.Columns[k].Set(i, v)
		}
		for g, v := range b.Times {
			v.Set(i, column.Value{Int: view.Bucket(g, time.UTC, t)})
		}
		e.Data = fmt.Appendf(nil, `{"year":2013,"month":1,"day":1,"carrier":%q,"flight":%d,"tailnum":%q,"origin":%q,"dest":%q,"dep_delay":%d,"arr_delay":%d,"distance":%d,"time_hour":"2013-01-01T05:00:00Z"}`,
			values[0].Str, i, values[3].Str, values[1].Str, values[2].Str, values[4].Int, values[5].Int, values[6].Int)
		b.Outcome[i], b.Hash[i] = rowlogic.Accepted, protocol.Hash(b.Shard, e)
	}
	return def, b
}
