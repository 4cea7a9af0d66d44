package aws

import (
	"context"
	"errors"
	"fmt"
	"sync"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"github.com/watershed-data/watershed/internal/aws/tries"
	"github.com/watershed-data/watershed/internal/protocol"
)

// RealTime holds the real-time items and dedup segments of one generation in a
// table.
//
// The items of a shard lie in partitions of their own, spread by the hash of the
// dimension values, and those of a view lie there by time. So a query asks each
// partition for one range, and discarding reads and deletes in the partitions of
// one shard: no index, which would lag behind, and no scan. Which shards have
// items says a record per shard, which is there before the first of them and
// stays, as ledger rows do.
type RealTime struct {
	table      *table
	generation string
	spread     int      // buckets of a shard that has none yet
	known      sync.Map // shard -> its buckets, which never change
}

// RealTime gives the items of a generation.
func (s *Store) RealTime(generation string) *RealTime {
	return &RealTime{table: &table{s.dynamo, s.options.Items}, generation: generation, spread: s.options.Buckets}
}

// The attributes of an item besides its key.
const (
	dims        = "d"
	epoch       = "e"
	cur         = "c"
	through     = "t" // the position's key
	prev        = "p" // not there: the item did not exist
	prevThrough = "q"
	buckets     = "n" // of a shard's record
)

// How many requests are under way at a time, and the service's limits.
const (
	parallelWrites = 32
	parallelReads  = 16
	mostRead       = 100 // keys in a BatchGetItem
	mostWritten    = 25  // requests in a BatchWriteItem
)

func (r *RealTime) shards() string { return r.generation + "#shards" }

// buckets gives in how many buckets a shard's items lie; 0 if it has none.
func (r *RealTime) buckets(ctx context.Context, shard string) (int, error) {
	if n, ok := r.known.Load(shard); ok {
		return n.(int), nil
	}
	found, err := r.table.get(ctx, r.shards(), shard)
	if found == nil || err != nil {
		return 0, err
	}
	return r.remember(shard, found)
}

func (r *RealTime) remember(shard string, found record) (int, error) {
	n, err := numberOf(found, buckets)
	if err != nil || n < 1 {
		return 0, errors.Join(fmt.Errorf("the record of shard %s: %w", shard, errDamaged), err)
	}
	r.known.Store(shard, int(n))
	return int(n), nil
}

// register gives a shard's buckets, and makes its record if need be. It comes
// before the first item, so a reader who may see an item sees the record.
func (r *RealTime) register(ctx context.Context, shard string) (int, error) {
	if n, err := r.buckets(ctx, shard); n > 0 || err != nil {
		return n, err
	}
	mine := key(r.shards(), shard)
	mine[buckets] = number(int64(r.spread))
	stored, there, err := r.table.putIf(ctx, mine, absent)
	if err != nil {
		return 0, err
	}
	if stored {
		there = mine
	}
	return r.remember(shard, there)
}

// Items implements protocol.RealTime.
func (r *RealTime) Items(ctx context.Context, ids []protocol.ItemID) ([]protocol.Item, error) {
	out := make([]protocol.Item, len(ids))
	wanted := map[[2]string][]int{} // indices by key: the service refuses to hear of a key twice
	var keys []record
	for i, id := range ids {
		out[i].ItemID = id
		n, err := r.buckets(ctx, id.Shard)
		if err != nil {
			return nil, fmt.Errorf("reading real-time items: %w", err)
		}
		if n == 0 {
			continue
		}
		sk, bucket := itemKey(id, n)
		at := [2]string{bucketKey(r.generation, id.Shard, bucket), sk}
		if wanted[at] == nil {
			keys = append(keys, key(at[0], at[1]))
		}
		wanted[at] = append(wanted[at], i)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallelReads)
	for len(keys) > 0 {
		part := keys[:min(len(keys), mostRead)]
		keys = keys[len(part):]
		g.Go(func() error {
			return r.readKeys(ctx, part, func(found record) error {
				for _, i := range wanted[[2]string{textOf(found, partition), textOf(found, sorting)}] {
					if err := parseItem(found, &out[i]); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("reading real-time items: %w", err)
	}
	return out, nil
}

// readKeys visits the records of at most mostRead keys that are there.
func (r *RealTime) readKeys(ctx context.Context, keys []record, visit func(record) error) error {
	for try := 1; ; try++ {
		out, err := r.table.client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
			RequestItems: map[string]types.KeysAndAttributes{r.table.name: {Keys: keys, ConsistentRead: sdk.Bool(true)}},
		})
		if err != nil {
			return err
		}
		for _, found := range out.Responses[r.table.name] {
			if err := visit(found); err != nil {
				return err
			}
		}
		left := out.UnprocessedKeys[r.table.name].Keys
		if len(left) == 0 {
			return nil
		}
		// A reply ends at 16 MB, so some keys may be left without any throttling.
		if len(left) < len(keys) {
			try = 1
		}
		keys = left
		if err := again(ctx, try, len(left)); err != nil {
			return err
		}
	}
}

// again waits before requests that the service left unprocessed are sent another
// time, or gives up.
func again(ctx context.Context, try, left int) error {
	if try == tries.Most {
		return fmt.Errorf("the table left %d requests unprocessed %d times: %w", left, try, protocol.ErrBusy)
	}
	return tries.Pause(ctx, try)
}

// Put implements protocol.RealTime. An item whose reply was lost may be said not
// to be stored though it is; who reads it again sees that.
func (r *RealTime) Put(ctx context.Context, puts []protocol.Put) ([]bool, error) {
	for i := range puts {
		if err := puts[i].Item.Fits(); err != nil {
			return nil, err
		}
	}
	out := make([]bool, len(puts))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallelWrites)
	for i := range puts {
		n, err := r.register(ctx, puts[i].Item.Shard)
		if err != nil {
			_ = g.Wait()
			return nil, fmt.Errorf("storing real-time items of %s: %w", puts[i].Item.Shard, err)
		}
		g.Go(func() (err error) {
			out[i], err = r.put(ctx, &puts[i], n)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("storing real-time items: %w", err)
	}
	return out, nil
}

func (r *RealTime) put(ctx context.Context, p *protocol.Put, n int) (bool, error) {
	it := &p.Item
	sk, bucket := itemKey(it.ItemID, n)
	stored := key(bucketKey(r.generation, it.Shard, bucket), sk)
	stored[dims], stored[epoch] = blob([]byte(it.Dims)), number(it.Epoch)
	stored[cur], stored[through] = blob(it.Cur), text(it.Through.Key())
	if it.Prev != nil {
		stored[prev], stored[prevThrough] = blob(it.Prev), text(it.PrevThrough.Key())
	}
	in := &dynamodb.PutItemInput{TableName: &r.table.name, Item: stored, ConditionExpression: &absent.expression}
	if !p.Expect.IsZero() {
		in.ConditionExpression = str("t = :expect")
		in.ExpressionAttributeValues = record{":expect": text(p.Expect.Key())}
	}
	_, err := r.table.client.PutItem(ctx, in)
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return false, nil
	}
	return err == nil, err
}

// parseItem reads what the id of an item does not say.
func parseItem(found record, it *protocol.Item) (err error) {
	if d, ok := bytesOf(found, dims); !ok || string(d) != it.Dims {
		return fmt.Errorf("an item of view %s: %w: its dimension values are not those of its key", it.View, errDamaged)
	}
	if it.Through, err = protocol.ParseKey(textOf(found, through)); err == nil {
		it.PrevThrough, err = protocol.ParseKey(textOf(found, prevThrough))
	}
	if err != nil {
		return fmt.Errorf("an item of view %s: %w: %w", it.View, errDamaged, err)
	}
	var ok bool
	if it.Cur, ok = bytesOf(found, cur); !ok {
		return fmt.Errorf("an item of view %s: %w: it has no state", it.View, errDamaged)
	}
	it.Prev, _ = bytesOf(found, prev)
	return nil
}
