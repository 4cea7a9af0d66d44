package aws

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/watershed-data/watershed/internal/aws/tries"
	"github.com/watershed-data/watershed/internal/protocol"
)

// Loads remembers the loads of all generations in the ledger's table, and keeps
// each spool as an object under loads/.
type Loads struct {
	table  *table
	bucket *bucket
}

// Loads gives the loads.
func (s *Store) Loads() *Loads {
	return &Loads{table: &table{s.dynamo, s.options.Ledger}, bucket: s.bucket(s.options.Views)}
}

// loadsKey is the partition of all loads. No generation is empty.
const loadsKey = "#loads"

func spoolKey(name string) string { return "loads/" + name }

// Spool implements protocol.Loads.
func (l *Loads) Spool(ctx context.Context, write func(io.Writer) error) (string, error) {
	name := rand.Text()
	if _, err := l.bucket.write(ctx, spoolKey(name), write); err != nil {
		return "", fmt.Errorf("storing the events of a load: %w", err)
	}
	return name, nil
}

// OpenSpool implements protocol.Loads.
func (l *Loads) OpenSpool(ctx context.Context, name string) (io.ReadCloser, error) {
	key := spoolKey(name)
	out, err := l.bucket.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &l.bucket.name, Key: &key})
	if err != nil {
		return nil, fmt.Errorf("opening the events of a load: %w", missing(key, err))
	}
	return out.Body, nil
}

// DeleteSpool implements protocol.Loads.
func (l *Loads) DeleteSpool(ctx context.Context, name string) error {
	if err := l.bucket.delete(ctx, []string{spoolKey(name)}); err != nil {
		return fmt.Errorf("deleting the events of a load: %w", err)
	}
	return nil
}

// PutLoad implements protocol.Loads.
func (l *Loads) PutLoad(ctx context.Context, load protocol.Load) (protocol.Load, error) {
	r := key(loadsKey, load.Shard())
	err := setBody(r, load)
	if err == nil {
		var stored bool
		var there record
		if stored, there, err = l.table.putIf(ctx, r, absent); err == nil && !stored {
			load = protocol.Load{}
			err = getBody(there, &load)
		}
	}
	if err != nil {
		return protocol.Load{}, fmt.Errorf("storing a load: %w", err)
	}
	return load, nil
}

// FinishLoad implements protocol.Loads.
func (l *Loads) FinishLoad(ctx context.Context, shard string, loaded int64) error {
	for range tries.Most {
		there, err := l.table.get(ctx, loadsKey, shard)
		var load protocol.Load
		switch {
		case err == nil && there == nil:
			return fmt.Errorf("finishing load %s: there is none", shard)
		case err == nil:
			err = getBody(there, &load)
		}
		load.Loaded = loaded
		r := key(loadsKey, shard)
		if err == nil {
			err = setBody(r, load)
		}
		stored := false
		if err == nil {
			stored, _, err = l.table.putIf(ctx, r, condition{"#body = :was", map[string]string{"#body": body}, record{":was": there[body]}})
		}
		if err != nil {
			return fmt.Errorf("finishing load %s: %w", shard, err)
		}
		if stored {
			return nil
		}
	}
	return fmt.Errorf("finishing load %s: %w", shard, protocol.ErrBusy)
}

// Load implements protocol.Loads.
func (l *Loads) Load(ctx context.Context, shard string) (load protocol.Load, ok bool, err error) {
	if ok, err = l.table.value(ctx, loadsKey, shard, &load); err != nil {
		return protocol.Load{}, false, fmt.Errorf("reading load %s: %w", shard, err)
	}
	return load, ok, nil
}

// Loads implements protocol.Loads.
func (l *Loads) Loads(ctx context.Context) (out []protocol.Load, err error) {
	err = l.table.query(ctx, &dynamodb.QueryInput{
		KeyConditionExpression:    str("pk = :pk"),
		ExpressionAttributeValues: record{":pk": text(loadsKey)},
	}, func(found record) error {
		var load protocol.Load
		if err := getBody(found, &load); err != nil {
			return err
		}
		out = append(out, load)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing loads: %w", err)
	}
	slices.SortFunc(out, func(a, b protocol.Load) int {
		return cmp.Or(cmp.Compare(a.Arrival, b.Arrival), strings.Compare(a.Content, b.Content))
	})
	return out, nil
}
