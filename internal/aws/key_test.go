package aws

import (
	"math"
	"slices"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"

	"github.com/watershed-data/watershed/internal/protocol"
)

// Ranges of keys are ranges of time: without this, a query misses buckets.
func TestKeysSortByTime(t *testing.T) {
	t.Parallel()
	times := []int64{math.MinInt64, -1_000_000, -1, 0, 1, 15, 16, 1_700_000_000_000_000, math.MaxInt64}
	var keys []string
	for _, at := range times {
		keys = append(keys, timeKey("v", at))
	}
	if !slices.IsSorted(keys) {
		t.Errorf("the keys of growing times are %q", keys)
	}
}

func TestAnItemsKeySaysWhatItIs(t *testing.T) {
	t.Parallel()
	for _, id := range []protocol.ItemID{
		{Key: protocol.Key{View: "v", Time: -5}, Epoch: 3},
		{Key: protocol.Key{View: strings.Repeat("w", 63), Time: math.MaxInt64, Dims: strings.Repeat("long", 5000)}, Epoch: 1 << 40},
	} {
		sk, bucket := itemKey(id, 4)
		if bucket < 0 || bucket > 3 || len(sk) > 1024 {
			t.Errorf("%+v lies in bucket %d under a key of %d bytes", id, bucket, len(sk))
		}
		got, err := parseItemKey(sk)
		if got.Dims = id.Dims; err != nil || got != id {
			t.Errorf("%+v comes back as %+v (%v)", id, got, err)
		}
	}
	for _, bad := range []string{"", "v#", "v", strings.Repeat("x", 200)} {
		if id, err := parseItemKey(bad); err == nil {
			t.Errorf("%q is the key of %+v", bad, id)
		}
	}
}

// Without this, a page after the second one reads a partition from its start
// again, or not at all.
func TestATokenNamesEveryOpenPart(t *testing.T) {
	t.Parallel()
	at := func(shard, after string) part { return part{Shard: shard, After: after} }
	for name, c := range map[string]struct {
		open, rest []part
		last       part
		want       []part
	}{
		"one is open":                         {[]part{at("a", "k")}, nil, at("b", ""), []part{at("a", "k")}},
		"open ones of an earlier page remain": {[]part{at("a", "k")}, []part{at("b", "m"), at("c", ""), at("d", "")}, at("c", ""), []part{at("a", "k"), at("b", "m"), at("c", "")}},
		"the rest begins behind the last one": {nil, []part{at("d", "")}, at("c", ""), nil},
	} {
		text, err := next(c.open, c.rest, c.last)
		if err != nil || text == "" {
			t.Fatalf("%s: token %q, %v", name, text, err)
		}
		got, err := parseToken(text)
		if err != nil || got.Last != c.last || !slices.Equal(got.Open, c.want) {
			t.Errorf("%s: the token says %+v (%v)", name, got, err)
		}
	}
	if text, err := next(nil, nil, at("c", "")); text != "" || err != nil {
		t.Errorf("after everything the token is %q (%v)", text, err)
	}
	for _, bad := range []string{"!", "e30x"} {
		if _, err := parseToken(bad); err == nil {
			t.Errorf("%q is taken for a token", bad)
		}
	}
}

func TestStoresHaveNames(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{{}, {Ledger: "l", Master: "m", Views: "v"}, {Items: "i", Master: "m", Views: "v"}, {Items: "i", Ledger: "l", Views: "v"}, {Items: "i", Ledger: "l", Master: "m"}} {
		if _, err := Open(sdk.Config{}, o); err == nil {
			t.Errorf("stores were opened with %+v", o)
		}
	}
}
