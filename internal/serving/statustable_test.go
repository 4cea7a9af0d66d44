package serving_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/serving"
)

// Without this, the status of a stream that is resharded every day scrolls away;
// and what is not drained must not hide among what is.
func TestDrainedShardsTakeOneLine(t *testing.T) {
	t.Parallel()
	since := "2026-11-01T00:00:00Z"
	s := serving.Status{Complete: true, Shards: []serving.ShardStatus{
		{ID: "open", State: serving.Open, Events: 5},
		{ID: "behind", State: serving.Closed, Behind: true, LagSeconds: 2},
		{ID: "pending", State: serving.Closed, PendingSince: &since},
	}}
	for i := range 40 {
		state := serving.Closed
		if i%2 == 0 {
			state = serving.Gone
		}
		s.Shards = append(s.Shards, serving.ShardStatus{ID: fmt.Sprint("old", i), State: state, Events: 100})
	}
	var text strings.Builder
	must(t, s.WriteTable(&text))
	for _, want := range []string{"\nopen ", "\nbehind ", "\npending ", "\n40 shards"} {
		if strings.Count(text.String(), want) != 1 {
			t.Errorf("there is no line of%q:\n%s", want, &text)
		}
	}
	if strings.Contains(text.String(), "old") || !strings.Contains(text.String(), "4000") {
		t.Errorf("the drained shards are not one line with their events:\n%s", &text)
	}
}

// A change of the definition tells how far it is, and what is wrong with it.
func TestStatusOfAChange(t *testing.T) {
	t.Parallel()
	change := serving.Change{From: "aa", To: "bb", Since: "2026-11-01T00:00:00Z", Answering: true, Phase: "recomputing rows", Rows: 50, Of: 200}
	for _, c := range []struct {
		edit func(*serving.Change)
		want string
	}{
		{func(*serving.Change) {}, "change      to generation bb since 2026-11-01T00:00:00Z: recomputing rows\n            50 of 200 rows recomputed (25%)\n"},
		{func(c *serving.Change) { c.Error = "no\x1b space" }, "the last try FAILED and is repeated: \"no\\x1b space\""},
		{func(c *serving.Change) { c.Answering = false }, "generation aa cannot be run by this program: queries are refused"},
		{func(c *serving.Change) { c.Rows, c.Of = 0, 0 }, "0 of 0 rows"},
	} {
		of := change
		c.edit(&of)
		var text strings.Builder
		must(t, (&serving.Status{Change: &of}).WriteTable(&text))
		if !strings.Contains(text.String(), c.want) || strings.Contains(text.String(), "\x1b") {
			t.Errorf("the status does not say %q:\n%s", c.want, &text)
		}
	}
}
