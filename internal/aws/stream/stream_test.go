package stream_test

import (
	"errors"
	"log/slog"
	"net/http/httptest"
	"slices"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/watershed-data/watershed/internal/aws/stream"
	"github.com/watershed-data/watershed/internal/kinesis"
	"github.com/watershed-data/watershed/internal/kpl"
	"github.com/watershed-data/watershed/internal/kpl/kpltest"
	"github.com/watershed-data/watershed/internal/local"
	"github.com/watershed-data/watershed/internal/protocol"
)

// open serves a stream of two shards by the local endpoint, and gives it as the
// SDK sees it.
func open(t *testing.T) (*local.Log, *stream.Stream) {
	t.Helper()
	store, err := local.Open(t.TempDir(), local.Options{Pipeline: "sales", Shards: 2})
	if err != nil {
		t.Fatal(err)
	}
	handler := kinesis.New(kinesis.Options{Stream: "sales", Log: store.Log(), Logger: slog.New(slog.DiscardHandler)})
	server := httptest.NewServer(handler)
	t.Cleanup(func() {
		server.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	s, err := stream.New(sdk.Config{
		Region: "us-east-1", BaseEndpoint: sdk.String(server.URL),
		Credentials: credentials.NewStaticCredentialsProvider(kinesis.AccessKeyID, "any", ""),
	}, "sales")
	if err != nil {
		t.Fatal(err)
	}
	return store.Log(), s
}

// Functions see the ranges and the lineage that the log has, so that both sides
// agree about strays.
func TestShardsAreTheLogs(t *testing.T) {
	t.Parallel()
	log, s := open(t)
	before, err := log.Shards(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Merge(t.Context(), before[0].ID, before[1].ID); err != nil {
		t.Fatal(err)
	}
	want, err := log.Shards(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Shards(t.Context())
	if err != nil || len(got) != 3 || len(want) != 3 {
		t.Fatalf("%d shards: %v", len(got), err)
	}
	for i := range want {
		g, w := got[i], want[i]
		if g.ID != w.ID || !slices.Equal(g.Parents, w.Parents) || g.HashFrom != w.HashFrom || g.HashTo != w.HashTo || g.FirstSeq != w.FirstSeq || g.Closed() != w.Closed() {
			t.Errorf("shard %d is %+v, want %+v", i, g, w)
		}
	}
}

// A record comes as it was put, an aggregate whole, whatever lies around it.
func TestRecordsComeAsTheyWerePut(t *testing.T) {
	t.Parallel()
	log, s := open(t)
	puts := []protocol.Record{
		{PartitionKey: "é", Data: []byte("plain")},
		{PartitionKey: "a", Data: kpltest.Join(kpl.Record{PartitionKey: "x", Data: []byte("1")}, kpl.Record{PartitionKey: "y", Data: []byte("2")})},
		{PartitionKey: "b", Data: []byte{0, 255}},
	}
	placed, err := log.Append(t.Context(), puts)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range placed {
		got, ok, err := s.Record(t.Context(), p.Shard, p.Seq)
		if err != nil || !ok || got.PartitionKey != puts[i].PartitionKey || string(got.Data) != string(puts[i].Data) {
			t.Errorf("record %d is %q %v %v", i, got, ok, err)
		}
	}
	shards, err := log.Shards(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, shard := range shards { // another shard has no record of that number
		if shard.ID == placed[0].Shard {
			continue
		}
		if got, ok, err := s.Record(t.Context(), shard.ID, placed[0].Seq); ok || err != nil {
			t.Errorf("%s gives %q %v %v", shard.ID, got, ok, err)
		}
	}
	if _, _, err := s.Record(t.Context(), "shardId-000000000099", placed[0].Seq); !errors.Is(err, protocol.ErrNoShard) {
		t.Errorf("a shard that is not there: %v", err)
	}
}

func TestAStreamHasAName(t *testing.T) {
	t.Parallel()
	if _, err := stream.New(sdk.Config{}, ""); err == nil {
		t.Error("a stream without a name was made")
	}
}
