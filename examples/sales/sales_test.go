package sales

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"testing"
)

// clean is an event as the whitepaper's producer writes it.
var clean = regexp.MustCompile(`^\{"zipcode":\d{5},"ProductName":"product\d+","price":\d+,"timestamp":"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}"\}$`)

func events(seed uint64, n int) []string {
	p := New(seed)
	out := make([]string, n)
	for i := range out {
		out[i] = string(p.Next())
	}
	return out
}

// The answers in README.md are those of seed 1.
func TestEventsAreTheSameEverywhere(t *testing.T) {
	t.Parallel()
	h := sha256.New()
	for _, e := range events(1, 10_000) {
		fmt.Fprintln(h, e)
	}
	const want = "445a57cf92444e903a0325cd999ce7834fd88f86173cbd09f0bf5546bf50df3d"
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("10,000 events of seed 1 hash to %s, want %s: the README's answers are no longer true", got, want)
	}
}

func TestSeedsDiffer(t *testing.T) {
	t.Parallel()
	if one, two := events(1, 10), events(2, 10); fmt.Sprint(one) == fmt.Sprint(two) {
		t.Errorf("seeds 1 and 2 give the same events: %s", one)
	}
}

// Cleaning has work, and most of the data is clean.
func TestDirt(t *testing.T) {
	t.Parallel()
	counts := map[string]int{}
	for _, e := range events(1, 10_000) {
		var fields map[string]any
		switch err := json.Unmarshal([]byte(e), &fields); {
		case clean.MatchString(e):
			counts["clean"]++
		case err != nil:
			counts["truncated"]++
		case fields["zipcode"] == nil:
			counts["no zipcode"]++
		case fields["ProductName"] == "test":
			counts["test"]++
		case fields["price"].(float64) < 0:
			counts["negative price"]++
		default:
			counts["untidy name"]++
		}
	}
	if counts["clean"] < 9_500 {
		t.Errorf("%d of 10,000 events are clean, want at least 9,500", counts["clean"])
	}
	for _, dirt := range []string{"truncated", "no zipcode", "test", "negative price", "untidy name"} {
		if n := counts[dirt]; n == 0 || n > 200 {
			t.Errorf("%s: %d of 10,000 events, want a few", dirt, n)
		}
	}
}
