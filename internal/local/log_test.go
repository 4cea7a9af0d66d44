package local

import (
	"fmt"
	"testing"

	"github.com/watershed-data/watershed/internal/protocol"
)

var _ protocol.Log = (*Log)(nil)

// openStore opens a directory and closes it with the test.
func openStore(t testing.TB, dir string, options Options) *Store {
	t.Helper()
	if options.Pipeline == "" {
		options.Pipeline = "sales"
	}
	s, err := Open(dir, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return s
}

func TestAppendRead(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir(), Options{Shards: 3})
	ctx := t.Context()
	var records []protocol.Record
	for i := range 10 {
		records = append(records, protocol.Record{Data: fmt.Appendf(nil, "event %d", i), PartitionKey: fmt.Sprint(i)})
	}
	placed, err := s.Log().Append(ctx, records)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(placed[0])
	for i := range 3 {
		page, err := s.Log().Read(ctx, shardID(uint32(i)), protocol.Position{}, 2)
		if err != nil {
			t.Fatal(err)
		}
		t.Log(page)
	}
}
