package erasure_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/erasure"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
)

func open(t *testing.T, idType, id string) (*definition.Definition, *rowlogic.Logic) {
	t.Helper()
	def, err := definition.Parse("p.yaml", fmt.Appendf(nil, `
pipeline: p
events:
  format: json
  columns:
    order: {type: %q}
    who: {type: string, optional: true}
%s
clean:
  - default: {who: "?"}
views:
  v: {by: [], every: none, measures: {n: count}}
`, idType, id))
	if err != nil {
		t.Fatal(err)
	}
	logic, err := rowlogic.New(def)
	if err != nil {
		t.Fatal(err)
	}
	return def, logic
}

// TestMatch: whatever a row is, and wherever it lies, it is found by the id that its
// event had, or by its partition key.
func TestMatch(t *testing.T) {
	t.Parallel()
	const byOrder = "  id: order\n  dedupe_within: 1m"
	load := protocol.LoadShard(strings.Repeat("ab", 32))
	for name, c := range map[string]struct {
		idType  string
		request erasure.Request
		want    []string // events that are meant
	}{
		"an id":           {"string", erasure.Request{Where: "order == '7'"}, []string{`k {"order":"7"}`, `k {"order":7}`, `l {"order":"7","who":7}`}},
		"ids":             {"string", erasure.Request{Where: "order in ['7', '8']"}, []string{`k {"order":"7"}`, `k {"order":7}`, `k {"order":"8"}`, `l {"order":"7","who":7}`}},
		"a whole number":  {"int", erasure.Request{Where: "7 == order"}, []string{`k {"order":7}`}},
		"a partition key": {"string", erasure.Request{PartitionKey: "l"}, []string{`l {"order":"7","who":7}`, `l no JSON`}},
		"nobody":          {"string", erasure.Request{Where: "order == '07'"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			def, logic := open(t, c.idType, byOrder)
			meant, err := erasure.Match(def, logic, c.request)
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range []string{`k {"order":"7"}`, `k {"order":7}`, `k {"order":"8"}`, `l {"order":"7","who":7}`, `l no JSON`, `k {"order":null}`} {
				key, data, _ := strings.Cut(text, " ")
				want := false
				for _, w := range c.want {
					want = want || w == text
				}
				for _, shard := range []string{"s", load} {
					for _, stray := range []bool{false, true} {
						row := erasure.Row{Shard: shard, PartitionKey: key, Stray: stray}
						row.ID = logic.Run(shard, []protocol.Event{{Position: protocol.Position{Seq: "1"}, PartitionKey: key, Data: []byte(data), Stray: stray}}).ID[0]
						if got := meant(row); got != want {
							t.Errorf("%s in %s, stray %t: meant is %t", text, shard, stray, got)
						}
					}
				}
			}
		})
	}
}

// TestWhatIsRefused: a condition that could leave half of an identity, or that
// cannot be understood; the text says what to do.
func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	const byOrder = "  id: order\n  dedupe_within: 1m"
	for name, c := range map[string]struct {
		idType, id string
		request    erasure.Request
		want       string
	}{
		"nothing":              {"string", byOrder, erasure.Request{}, "give a condition on the event id, or a partition key"},
		"both":                 {"string", byOrder, erasure.Request{Where: "order == '7'", PartitionKey: "k"}, "by one of them"},
		"another column":       {"string", byOrder, erasure.Request{Where: "who == 'x'"}, "only the event id, order"},
		"a part of the events": {"string", byOrder, erasure.Request{Where: "order == '7' && 1 == 1"}, "write order == value"},
		"a range":              {"int", byOrder, erasure.Request{Where: "order > 7"}, "write order == value"},
		"too many ids":         {"int", byOrder, erasure.Request{Where: "order in [" + strings.Repeat("7, ", 1000) + "8]"}, "at most 1000 at a time"},
		"another type":         {"string", byOrder, erasure.Request{Where: "order == 7"}, "order"},
		"no id":                {"string", "", erasure.Request{Where: "order == '7'"}, "erase by partition key"},
		"an id of a date":      {"date", byOrder, erasure.Request{Where: "order == '2014-11-01'"}, "erase by partition key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			def, logic := open(t, c.idType, c.id)
			_, err := erasure.Match(def, logic, c.request)
			var told *erasure.RequestError
			if !errors.As(err, &told) || !strings.Contains(told.Message, c.want) {
				t.Errorf("it gave %v, want %q in it", err, c.want)
			}
		})
	}
}
