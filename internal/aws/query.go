package aws

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"github.com/watershed-data/watershed/internal/protocol"
)

// part is one partition of items, and how far a query has read it.
type part struct {
	Shard  string `json:"s"`
	Bucket int    `json:"b"`
	After  string `json:"a,omitempty"` // the last sort key that was read; "": none
}

// token says where the next page of a query goes on: first in the open parts, then
// in those behind the last one, by shard and bucket.
type token struct {
	Open []part `json:"o,omitempty"`
	Last part   `json:"l"`
}

func (t token) String() (string, error) {
	encoded, err := json.Marshal(t)
	return base64.RawURLEncoding.EncodeToString(encoded), err
}

func parseToken(text string) (t token, err error) {
	encoded, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(encoded, &t)
	}
	if err != nil {
		return t, fmt.Errorf("%q is not a page token: %w", text, err)
	}
	return t, nil
}

func (p part) compare(q part) int {
	if c := strings.Compare(p.Shard, q.Shard); c != 0 {
		return c
	}
	return p.Bucket - q.Bucket
}

// parts lists all partitions of items, by shard and bucket. It is read anew each
// time: a shard that is not listed would be a hole in the answer.
func (r *RealTime) parts(ctx context.Context) (out []part, err error) {
	err = r.table.query(ctx, &dynamodb.QueryInput{
		KeyConditionExpression:    str("pk = :pk"),
		ExpressionAttributeValues: record{":pk": text(r.shards())},
	}, func(found record) error {
		shard := textOf(found, sorting)
		n, err := r.remember(shard, found)
		for b := range n {
			out = append(out, part{Shard: shard, Bucket: b})
		}
		return err
	})
	return out, err
}

// Query implements protocol.RealTime. It reads several partitions at a time, one
// reply of at most a megabyte of each, until the page is full.
func (r *RealTime) Query(ctx context.Context, view string, from, to int64, after string) (protocol.ItemPage, error) {
	page, err := r.page(ctx, view, from, to, after)
	if err != nil {
		return protocol.ItemPage{}, fmt.Errorf("reading real-time items of view %s: %w", view, err)
	}
	return page, nil
}

func (r *RealTime) page(ctx context.Context, view string, from, to int64, after string) (page protocol.ItemPage, err error) {
	if from >= to {
		return page, nil
	}
	todo, early, err := r.begin(ctx, view, from, to, after == "")
	if err != nil {
		return page, err
	}
	var t token
	if after != "" {
		if t, err = parseToken(after); err != nil {
			return page, err
		}
		begun := func(p part) bool { return p.compare(t.Last) <= 0 }
		todo = append(t.Open, slices.DeleteFunc(todo, begun)...)
	}
	last := t.Last // that was begun, by this page or an earlier one
	for size := 0; len(todo) > 0 && size < protocol.ItemPageBytes; {
		round := todo[:min(len(todo), parallelReads)]
		replies := early
		if early != nil {
			round, early = todo[:len(early)], nil
		} else if replies, err = r.replies(ctx, round, view, from, to); err != nil {
			return page, err
		}
		var open []part
		full := false
		for i, reply := range replies {
			// What does not fit any more is read again for the next page.
			if full = full || size > 0 && size+reply.size > protocol.ItemPageBytes; full {
				open = append(open, round[i])
				continue
			}
			page.Items = append(page.Items, reply.items...)
			size += reply.size
			if reply.last != "" {
				round[i].After = reply.last
				open = append(open, round[i])
			}
		}
		last = slices.MaxFunc(append([]part{last}, round...), part.compare)
		rest := todo[len(round):]
		todo = append(open, rest...)
		if full || size >= protocol.ItemPageBytes {
			page.Next, err = next(open, rest, last)
			return page, err
		}
	}
	return page, nil
}

// begin lists all partitions. For a first page it asks those that it knows of
// meanwhile: they are the first of the list then, with what they gave.
func (r *RealTime) begin(ctx context.Context, view string, from, to int64, first bool) (all []part, early []reply, err error) {
	var known []part
	if first {
		known = r.knownParts()
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		all, err = r.parts(ctx)
		return err
	})
	if len(known) > 0 {
		g.Go(func() (err error) {
			early, err = r.replies(ctx, known, view, from, to)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, nil, err
	}
	rest := slices.DeleteFunc(all, func(p part) bool { return slices.Contains(known, p) })
	return append(known, rest...), early, nil
}

// knownParts gives the partitions that this process knows of, as many as it may ask at
// a time, by shard and bucket. A shard's never change.
func (r *RealTime) knownParts() (out []part) {
	r.known.Range(func(shard, n any) bool {
		for b := range n.(int) {
			out = append(out, part{Shard: shard.(string), Bucket: b})
		}
		return true
	})
	slices.SortFunc(out, part.compare)
	return out[:min(len(out), parallelReads)]
}

// next gives the token of what is left: open parts up to the last one that was
// begun, and the rest behind it; "" if that is nothing.
func next(open, rest []part, last part) (string, error) {
	for len(rest) > 0 && rest[0].compare(last) <= 0 { // open since an earlier page
		open, rest = append(open, rest[0]), rest[1:]
	}
	if len(open) == 0 && len(rest) == 0 {
		return "", nil
	}
	return token{Open: open, Last: last}.String()
}

// reply is what one partition gave.
type reply struct {
	items []protocol.Item
	size  int    // of the items, in bytes
	last  string // the sort key to go on behind; "": it is read to its end
}

// replies asks all of the parts at the same time, once each.
func (r *RealTime) replies(ctx context.Context, parts []part, view string, from, to int64) ([]reply, error) {
	out := make([]reply, len(parts))
	g, ctx := errgroup.WithContext(ctx)
	for i, p := range parts {
		g.Go(func() (err error) {
			out[i], err = r.ask(ctx, p, view, from, to)
			return err
		})
	}
	return out, g.Wait()
}

func (r *RealTime) ask(ctx context.Context, p part, view string, from, to int64) (out reply, err error) {
	pk := bucketKey(r.generation, p.Shard, p.Bucket)
	in := &dynamodb.QueryInput{
		TableName: &r.table.name, ConsistentRead: sdk.Bool(true),
		KeyConditionExpression: str("pk = :pk AND sk BETWEEN :from AND :to"),
		// A key is longer than what it begins with, so :to itself is none.
		ExpressionAttributeValues: record{":pk": text(pk), ":from": text(timeKey(view, from)), ":to": text(timeKey(view, to))},
	}
	if p.After != "" {
		in.ExclusiveStartKey = key(pk, p.After)
	}
	got, err := r.table.client.Query(ctx, in)
	if err != nil {
		return out, err
	}
	for _, found := range got.Items {
		it, err := itemOf(found, p.Shard)
		if err != nil {
			return out, err
		}
		out.items = append(out.items, it)
		out.size += it.Size()
	}
	if got.LastEvaluatedKey != nil {
		out.last = textOf(got.LastEvaluatedKey, sorting)
	}
	return out, nil
}

// itemOf reads a record of which nothing was known.
func itemOf(found map[string]types.AttributeValue, shard string) (it protocol.Item, err error) {
	if it.ItemID, err = parseItemKey(textOf(found, sorting)); err != nil {
		return it, err
	}
	values, _ := bytesOf(found, dims)
	it.Shard, it.Dims = shard, string(values)
	return it, parseItem(found, &it)
}
