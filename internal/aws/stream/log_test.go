package stream_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	client "github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/watershed-data/watershed/internal/aws/stream"
	"github.com/watershed-data/watershed/internal/conform"
	"github.com/watershed-data/watershed/internal/kinesis"
	"github.com/watershed-data/watershed/internal/kpl"
	"github.com/watershed-data/watershed/internal/kpl/kpltest"
	"github.com/watershed-data/watershed/internal/local"
	"github.com/watershed-data/watershed/internal/protocol"
)

// clock is a clock that only tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Now().Truncate(time.Millisecond)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// notes keeps notes in memory.
type notes struct {
	mu   sync.Mutex
	born time.Time
	of   map[string]stream.Note
}

func newNotes(born time.Time) *notes { return &notes{born: born, of: map[string]stream.Note{}} }

func (n *notes) Born(context.Context) (time.Time, error) { return n.born, nil }

func (n *notes) Note(_ context.Context, shard string) (stream.Note, bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	note, ok := n.of[shard]
	return note, ok, nil
}

func (n *notes) PutNote(_ context.Context, shard string, note stream.Note) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if was, ok := n.of[shard]; !ok || !was.Ended && was.At < note.At {
		n.of[shard] = note
	}
	return nil
}

// plant is a stream of the local endpoint, which lets go of records as Kinesis does,
// and its log as the SDK reads it. Time passes with every record.
type plant struct {
	*stream.Log
	clock  *clock
	notes  *notes
	local  *local.Log
	stream *stream.Stream
	client *client.Client
}

// between is how much time passes with every record: more than between two notes.
const between = 2 * time.Minute

func newPlant(t *testing.T, shards int, kept time.Duration, wrap func(http.Handler) http.Handler) *plant {
	t.Helper()
	c := newClock()
	store, err := local.Open(t.TempDir(), local.Options{Pipeline: "sales", Shards: shards, Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	var handler http.Handler = kinesis.New(kinesis.Options{Stream: "sales", Log: store.Log(), Retention: kept, Now: c.now, Logger: slog.New(slog.DiscardHandler)})
	if wrap != nil {
		handler = wrap(handler)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(func() {
		server.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	config := sdk.Config{
		Region: "us-east-1", BaseEndpoint: sdk.String(server.URL),
		Credentials: credentials.NewStaticCredentialsProvider(kinesis.AccessKeyID, rand.Text(), ""),
	}
	s, err := stream.New(config, "sales")
	if err != nil {
		t.Fatal(err)
	}
	p := &plant{clock: c, notes: newNotes(c.now()), local: store.Log(), stream: s, client: client.NewFromConfig(config)}
	p.Log = p.reader()
	return p
}

// reader is a new process that reads the log.
func (p *plant) reader() *stream.Log {
	return stream.NewLog(p.stream, stream.Options{Notes: p.notes, Noting: true, Now: p.clock.now, Logger: slog.New(slog.DiscardHandler)})
}

func (p *plant) Put(ctx context.Context, shard string, aggregated bool, events ...protocol.Record) (string, error) {
	p.clock.forward(between)
	return put(ctx, p.client, "sales", p, shard, aggregated, events...)
}

// put puts a record into a shard, whatever the hash of its partition key.
func put(ctx context.Context, c *client.Client, name string, log protocol.Lister, shard string, aggregated bool, events ...protocol.Record) (string, error) {
	of, err := find(ctx, log, shard)
	if err != nil {
		return "", err
	}
	data := events[0].Data
	if aggregated {
		var users []kpl.Record
		for _, e := range events {
			users = append(users, kpl.Record{PartitionKey: e.PartitionKey, Data: e.Data})
		}
		data = kpltest.Join(users...)
	}
	out, err := c.PutRecord(ctx, &client.PutRecordInput{
		StreamName: &name, PartitionKey: &events[0].PartitionKey, ExplicitHashKey: &of.HashFrom, Data: data,
	})
	if err != nil {
		return "", err
	}
	if *out.ShardId != shard {
		return "", fmt.Errorf("the record went to %s, not to %s", *out.ShardId, shard)
	}
	return *out.SequenceNumber, nil
}

func find(ctx context.Context, log protocol.Lister, id string) (protocol.Shard, error) {
	shards, err := log.Shards(ctx)
	if err != nil {
		return protocol.Shard{}, err
	}
	shard, ok := protocol.NewLineage(shards).Shard(id)
	if !ok {
		return protocol.Shard{}, protocol.ErrNoShard
	}
	return shard, nil
}

// middle gives the hash key in the middle of a shard's range.
func middle(of protocol.Shard) string {
	from, _ := new(big.Int).SetString(of.HashFrom, 10)
	to, _ := new(big.Int).SetString(of.HashTo, 10)
	return from.Rsh(from.Add(from, to), 1).String()
}

func (p *plant) Split(ctx context.Context, shard string) error {
	of, err := find(ctx, p, shard)
	if err != nil {
		return err
	}
	return p.local.Split(ctx, shard, middle(of))
}

func (p *plant) Merge(ctx context.Context, shard, adjacent string) error {
	return p.local.Merge(ctx, shard, adjacent)
}

// Expire lets a day pass, but not a day since the last note.
func (p *plant) Expire(ctx context.Context, shard string, through protocol.Position) error {
	p.clock.forward(22 * time.Hour)
	return p.local.Trim(ctx, shard, through)
}

func TestLogConforms(t *testing.T) {
	t.Parallel()
	conform.Log(t, func(t *testing.T, shards int) conform.Stream {
		p := newPlant(t, shards, day, nil)
		p.clock.forward(2 * time.Hour)
		return p
	})
}
