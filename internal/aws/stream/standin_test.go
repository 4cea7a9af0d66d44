//go:build clients

package stream_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	client "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/watershed-data/watershed/internal/aws/stream"
	"github.com/watershed-data/watershed/internal/conform"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/standin"
)

// kinesisLocal is the URL of kinesis-local, whose sequence numbers have 56 digits.
var kinesisLocal string

func TestMain(m *testing.M) {
	os.Exit(standin.Main(m.Run, standin.Needed{URL: &kinesisLocal, Start: standin.Kinesis}))
}

// foreign is a stream of kinesis-local behind a shim, which does what kinesis-local
// does not: it lets go of records, and it tells the truth about closed shards.
type foreign struct {
	*stream.Log
	name   string
	clock  *clock
	client *client.Client
	shim   *shim
}

func newForeign(t *testing.T, shards int) *foreign {
	t.Helper()
	c := newClock()
	s := &shim{clock: c, created: c.now(), seen: map[string]time.Time{}, last: map[string]string{}, hidden: map[string]bool{}}
	to, err := url.Parse(kinesisLocal)
	if err != nil {
		t.Fatal(err)
	}
	s.proxy = httputil.NewSingleHostReverseProxy(to)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	config := standin.Config(server.URL)
	f := &foreign{name: "s-" + rand.Text(), clock: c, client: client.NewFromConfig(config), shim: s}
	if _, err := f.client.CreateStream(t.Context(), &client.CreateStreamInput{StreamName: &f.name, ShardCount: sdk.Int32(int32(shards))}); err != nil {
		t.Fatal(err)
	}
	if err := f.active(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = f.client.DeleteStream(context.Background(), &client.DeleteStreamInput{StreamName: &f.name})
	})
	of, err := stream.New(config, f.name)
	if err != nil {
		t.Fatal(err)
	}
	f.Log = stream.NewLog(of, stream.Options{Notes: newNotes(c.now()), Noting: true, Now: c.now, Logger: slog.New(slog.DiscardHandler)})
	c.forward(2 * time.Hour)
	return f
}

// active waits until the stream has done what was asked of it.
func (f *foreign) active(ctx context.Context) error {
	return client.NewStreamExistsWaiter(f.client, func(o *client.StreamExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = 5*time.Millisecond, 50*time.Millisecond
	}).
		Wait(ctx, &client.DescribeStreamInput{StreamName: &f.name}, time.Minute)
}

func (f *foreign) Put(ctx context.Context, shard string, aggregated bool, events ...protocol.Record) (string, error) {
	f.clock.forward(between)
	return put(ctx, f.client, f.name, f, shard, aggregated, events...)
}

func (f *foreign) Split(ctx context.Context, shard string) error {
	of, err := find(ctx, f, shard)
	if err != nil {
		return err
	}
	key := middle(of)
	if _, err := f.client.SplitShard(ctx, &client.SplitShardInput{StreamName: &f.name, ShardToSplit: &shard, NewStartingHashKey: &key}); err != nil {
		return err
	}
	return f.active(ctx)
}

// Merge gives kinesis-local the lower shard first: it takes no other order.
func (f *foreign) Merge(ctx context.Context, shard, adjacent string) error {
	a, err := find(ctx, f, shard)
	if err != nil {
		return err
	}
	b, err := find(ctx, f, adjacent)
	if err != nil {
		return err
	}
	if (protocol.Position{Seq: a.HashFrom}).After(protocol.Position{Seq: b.HashFrom}) {
		shard, adjacent = adjacent, shard
	}
	if _, err := f.client.MergeShards(ctx, &client.MergeShardsInput{StreamName: &f.name, ShardToMerge: &shard, AdjacentShardToMerge: &adjacent}); err != nil {
		return err
	}
	return f.active(ctx)
}

// Expire lets a day pass, but not a day since the last note.
func (f *foreign) Expire(ctx context.Context, shard string, through protocol.Position) error {
	records, err := f.client.GetShardIterator(ctx, &client.GetShardIteratorInput{StreamName: &f.name, ShardId: &shard, ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	if err != nil {
		return err
	}
	page, err := f.client.GetRecords(ctx, &client.GetRecordsInput{ShardIterator: records.ShardIterator})
	if err != nil {
		return err
	}
	for _, r := range page.Records {
		if !(protocol.Position{Seq: *r.SequenceNumber}).After(through) {
			f.shim.hide(*r.SequenceNumber)
		}
	}
	f.clock.forward(22 * time.Hour)
	return nil
}

// The stand-in's sequence numbers have 56 digits, as Kinesis's have.
func TestLogOnAStandInConforms(t *testing.T) {
	t.Parallel()
	conform.Log(t, func(t *testing.T, shards int) conform.Stream { return newForeign(t, shards) })
}

// shim stands before kinesis-local.
type shim struct {
	proxy   *httputil.ReverseProxy
	clock   *clock
	created time.Time // the stream

	mu     sync.Mutex
	seen   map[string]time.Time // when a shard was listed first
	last   map[string]string    // the last record of each shard
	hidden map[string]bool      // the sequence numbers of records that are gone
	asked  int                  // how often one of those was asked for
}

type object = map[string]any

func (s *shim) hide(seq string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hidden[seq] = true
}

func (s *shim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	var in object
	_ = json.Unmarshal(body, &in)
	operation := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "Kinesis_20131202.")
	filter, _ := in["ShardFilter"].(object)
	delete(in, "ShardFilter")
	// Kinesis has been seen to refuse a record that is gone, and to go on with the first
	// one that is left. Here it takes turns.
	if seq, _ := in["StartingSequenceNumber"].(string); s.hidden[seq] {
		s.asked++
		if s.asked%2 == 0 {
			w.WriteHeader(http.StatusBadRequest)
			_ = json.NewEncoder(w).Encode(object{"__type": "InvalidArgumentException", "message": "StartingSequenceNumber " + seq + " is invalid because it has expired"})
			return
		}
		in["ShardIteratorType"] = "TRIM_HORIZON"
		delete(in, "StartingSequenceNumber")
	}
	body, _ = json.Marshal(in)
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.Header.Del("Accept-Encoding")
	reply := httptest.NewRecorder()
	s.proxy.ServeHTTP(reply, r)
	out := reply.Body.Bytes()
	if reply.Code == http.StatusOK {
		out = s.rewrite(operation, filter, out)
	}
	reply.Header().Del("Content-Length")
	maps.Copy(w.Header(), reply.Header())
	w.WriteHeader(reply.Code)
	_, _ = w.Write(out)
}

// rewrite makes a reply what Kinesis would say.
func (s *shim) rewrite(operation string, filter object, reply []byte) []byte {
	var out object
	if json.Unmarshal(reply, &out) != nil {
		return reply
	}
	switch operation {
	case "GetRecords":
		records := out["Records"].([]any)
		out["Records"] = slices.DeleteFunc(records, func(r any) bool { return s.hidden[r.(object)["SequenceNumber"].(string)] })
	case "DescribeStreamSummary":
		out["StreamDescriptionSummary"].(object)["StreamCreationTimestamp"] = float64(s.created.UnixMilli()) / 1000
	case "PutRecord":
		s.last[out["ShardId"].(string)] = out["SequenceNumber"].(string)
	case "ListShards":
		out["Shards"] = s.shards(out["Shards"].([]any), filter)
	default:
		return reply
	}
	reply, _ = json.Marshal(out)
	return reply
}

// shards gives closed shards an end, and merged ones a beginning: kinesis-local says
// that all end at the same small number, and begin where a parent began. It filters
// by the time of the test.
func (s *shim) shards(all []any, filter object) []any {
	byID, closed := map[string]object{}, map[string]time.Time{}
	for _, shard := range all { // parents first
		shard := shard.(object)
		id, numbers := shard["ShardId"].(string), shard["SequenceNumberRange"].(object)
		byID[id] = numbers
		if s.seen[id].IsZero() {
			s.seen[id] = s.clock.now()
			if shard["ParentShardId"] == nil {
				s.seen[id] = s.created
			}
		}
		for _, name := range []string{"ParentShardId", "AdjacentParentShardId"} {
			parent, ok := shard[name].(string)
			if !ok {
				continue
			}
			closed[parent] = s.seen[id]
			end := next(cmp.Or(s.last[parent], byID[parent]["StartingSequenceNumber"].(string)))
			byID[parent]["EndingSequenceNumber"] = end
			if shard["AdjacentParentShardId"] != nil && !(protocol.Position{Seq: numbers["StartingSequenceNumber"].(string)}).After(protocol.Position{Seq: end}) {
				numbers["StartingSequenceNumber"] = next(end)
			}
		}
	}
	return slices.DeleteFunc(all, func(shard any) bool {
		if filter == nil {
			return false
		}
		id, at := shard.(object)["ShardId"].(string), time.UnixMilli(int64(filter["Timestamp"].(float64)*1000))
		end, over := closed[id]
		return over && end.Before(at) || filter["Type"] == "AT_TIMESTAMP" && s.seen[id].After(at)
	})
}

// next gives the number after a decimal one.
func next(number string) string {
	n, _ := new(big.Int).SetString(number, 10)
	return n.Add(n, big.NewInt(1)).String()
}
