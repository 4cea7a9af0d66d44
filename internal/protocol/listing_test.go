package protocol_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/watershed-data/watershed/internal/protocol"
)

// Without this, a query reads a child's row and does not know that it is one.
func TestAShardWithARowIsListed(t *testing.T) {
	t.Parallel()
	listed, asked := []protocol.Shard{{ID: "a"}}, 0
	var failure error
	now := time.Unix(0, 0)
	l := &protocol.Listing{
		Shards: func(context.Context) ([]protocol.Shard, error) { asked++; return listed, failure },
		For:    10 * time.Second, Now: func() time.Time { return now },
	}
	look := func(times int, want []string, rows ...string) {
		t.Helper()
		of := map[string]protocol.Row{}
		for _, id := range rows {
			of[id] = protocol.Row{}
		}
		got, err := l.Lineage(t.Context(), of)
		if err != nil {
			t.Fatal(err)
		}
		if asked != times || len(got.Shards) != len(want) {
			t.Errorf("the stream was asked %d times and lists %v, want %d times and %v", asked, got.Shards, times, want)
		}
	}
	look(1, []string{"a"}, "a", "gone") // "gone" expired before the pipeline's reader began
	look(1, []string{"a"}, "a", "gone", "load-x")
	listed = []protocol.Shard{{ID: "a"}, {ID: "b", Parents: []string{"a"}}, {ID: "c", Parents: []string{"a"}}}
	look(1, []string{"a"}, "a", "gone")
	look(2, []string{"a", "b", "c"}, "a", "b", "gone") // a child has a row
	look(2, []string{"a", "b", "c"}, "a", "b", "c", "gone")
	now = now.Add(9 * time.Second)
	look(2, []string{"a", "b", "c"}, "a", "b", "gone")
	now = now.Add(time.Second)
	look(3, []string{"a", "b", "c"}, "a", "b", "gone") // a shard without a row would be new
	failure = errors.New("throttled")
	if _, err := l.Lineage(t.Context(), map[string]protocol.Row{"d": {}}); err == nil {
		t.Error("a shard that is not known is passed over")
	}
}
