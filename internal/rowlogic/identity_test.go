package rowlogic

import (
	"fmt"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/protocol"
)

// ordered has every type of column that can be an id, and clean rules that must
// not touch identities.
func ordered(t testing.TB, id string) *definition.Definition {
	t.Helper()
	def := parse(t, `default: {zipcode: "00000"}`, `set: {zipcode: "'x' + zipcode", price: "price + 1"}`,
		`{require: "price >= 0", reason: negative price}`, `drop: "product == 'test'"`)
	def.Events.ID, def.Events.DedupeWithin = id, 900e9
	return def
}

func identityOf(t testing.TB, def *definition.Definition, shard string, e protocol.Event) Identity {
	t.Helper()
	return newLogic(t, def).Run(shard, []protocol.Event{e}).ID[0]
}

// Events that a person would call the same have one identity, and no others.
func TestIdentities(t *testing.T) {
	t.Parallel()
	const whole = `{"ProductName":"tea","price":1,"timestamp":0,`
	cases := []struct {
		id, one, other string // other without a key has the one's
		keys           [2]string
		same           bool
	}{
		{id: "zipcode", one: `"zipcode":"7"`, other: `"zipcode":"7"`, same: true},
		{id: "zipcode", one: `"zipcode":"7"`, other: `"zipcode":7`, same: true}, // a JSON number is read as its text
		{id: "zipcode", one: `"zipcode":"7"`, other: `"zipcode":"7 "`},
		{id: "zipcode", one: `"zipcode":"7"`, other: `"zipcode":"7.0"`},
		{id: "zipcode", one: `"zipcode":""`, other: `"zipcode":"\u0000"`},
		{id: "zipcode", one: `"zipcode":"7"`, other: `"zipcode":"7","amount":3`, same: true},
		{id: "zipcode", one: `"zipcode":"7"`, other: `"zipcode":"7"`, keys: [2]string{"k", "l"}},
		{id: "zipcode", one: `"zipcode":"ab"`, other: `"zipcode":"b"`, keys: [2]string{"k", "ka"}},
		{id: "amount", one: `"zipcode":"1","amount":100`, other: `"zipcode":"2","amount":1e2`, same: true},
		{id: "amount", one: `"zipcode":"1","amount":100`, other: `"zipcode":"1","amount":-100`},
		{id: "price", one: `"zipcode":"1"`, other: `"zipcode":"2"`, same: true},
		{id: "sold_at", one: `"zipcode":"1"`, other: `"zipcode":"2"`, same: true},
	}
	for _, c := range cases {
		def := ordered(t, c.id)
		var ids [2]Identity
		for i, data := range []string{c.one, c.other} {
			ids[i] = identityOf(t, def, "shard", protocol.Event{PartitionKey: c.keys[i], Data: []byte(whole + data + "}")})
			if ids[i].IsZero() {
				t.Errorf("%s of %s gives no identity", c.id, data)
			}
		}
		if same := ids[0] == ids[1]; same != c.same {
			t.Errorf("by %s, %s under %q and %s under %q are the same: %v", c.id, c.one, c.keys[0], c.other, c.keys[1], same)
		}
	}
	// The type is part of it: another type is another pipeline's.
	e := protocol.Event{Data: []byte(whole + `"zipcode":"5","amount":5}`)}
	if identityOf(t, ordered(t, "zipcode"), "shard", e) == identityOf(t, ordered(t, "amount"), "shard", e) {
		t.Error("the text 5 and the number 5 have one identity")
	}
}

// Who takes part: every event that decodes and has an id, before clean.
func TestWhoHasAnIdentity(t *testing.T) {
	t.Parallel()
	const id = `"zipcode":"7","timestamp":0`
	for _, c := range []struct {
		name, data string
		event      protocol.Event
		outcome    Outcome
		has        bool
	}{
		{name: "accepted", data: `{` + id + `,"ProductName":"tea","price":1}`, outcome: Accepted, has: true},
		{name: "dropped", data: `{` + id + `,"ProductName":"test","price":1}`, outcome: Dropped, has: true},
		{name: "rejected by a rule", data: `{` + id + `,"ProductName":"tea","price":-9}`, outcome: Rejected, has: true},
		{name: "rejected for a missing column", data: `{"zipcode":"7","price":1}`, outcome: Rejected, has: true},
		{name: "null until clean", data: `{"zipcode":null,"timestamp":0,"ProductName":"tea","price":1}`, outcome: Accepted},
		{name: "missing until clean", data: `{"timestamp":0,"ProductName":"tea","price":1}`, outcome: Accepted},
		{name: "no JSON", data: `{` + id + `,"ProductName":"tea","price":1`, outcome: Rejected},
		{name: "a value that does not fit", data: `{` + id + `,"ProductName":"tea","price":"dear"}`, outcome: Rejected},
		{name: "in an aggregate", data: `{` + id + `,"ProductName":"tea","price":1}`, event: protocol.Event{Aggregated: true}, outcome: Accepted, has: true},
		{name: "a plain stray", data: `{` + id + `,"ProductName":"tea","price":1}`, event: protocol.Event{Stray: true}, outcome: Accepted, has: true},
		{name: "a stray in an aggregate", data: `{` + id + `,"ProductName":"tea","price":1}`, event: protocol.Event{Aggregated: true, Stray: true}, outcome: Rejected},
		{name: "a broken stray in an aggregate", data: `{`, event: protocol.Event{Aggregated: true, Stray: true}, outcome: Rejected},
	} {
		logic := newLogic(t, ordered(t, "zipcode"))
		c.event.Data = []byte(c.data)
		b := logic.Run("shard", []protocol.Event{c.event})
		if b.Outcome[0] != c.outcome || b.ID[0].IsZero() == c.has {
			t.Errorf("%s: it is %s (%s) and its identity is %x", c.name, b.Outcome[0], b.Reason[0], b.ID[0])
		}
		if strings.Contains(c.name, "stray in") && b.Reason[0] != "wrong shard" {
			t.Errorf("%s: it is rejected for %q", c.name, b.Reason[0])
		}
		checkRow(t, b, 0, reasonSet(logic))
	}
}

// Nothing orders the events of two shards that a producer chose itself.
func TestStraysAreTheSameInTheirShardOnly(t *testing.T) {
	t.Parallel()
	def := ordered(t, "zipcode")
	e := protocol.Event{PartitionKey: "k", Data: []byte(`{"zipcode":"7"}`)}
	stray := e
	stray.Stray = true
	seen := map[Identity]string{}
	for _, shard := range []string{"a", "b"} {
		for _, e := range []protocol.Event{e, stray} {
			id := identityOf(t, def, shard, e)
			what := fmt.Sprintf("stray %v in %s", e.Stray, shard)
			if before, ok := seen[id]; ok && (e.Stray || strings.HasPrefix(before, "stray true")) {
				t.Errorf("%s is the same as %s", what, before)
			}
			seen[id] = what
		}
	}
	if len(seen) != 3 {
		t.Errorf("one event, in its own shards and astray in two, has %d identities", len(seen))
	}
}

// An identity outlives releases: the speed layer stores them. If this fails,
// undo the change or raise definition.RowLogicVersion.
func TestIdentitiesAreStable(t *testing.T) {
	t.Parallel()
	e := protocol.Event{PartitionKey: "key", Data: []byte(`{"zipcode":"7"}`)}
	got := fmt.Sprintf("%x", identityOf(t, ordered(t, "zipcode"), "shard", e))
	if want := "{713d62c8e7adef44 407edcb4378f65e4}"; got != want {
		t.Errorf("the identity is %s, want %s", got, want)
	}
}

func TestNoIDNoIdentities(t *testing.T) {
	t.Parallel()
	if b := newLogic(t, sales(t)).Run("shard", events(`{}`)); b.ID != nil {
		t.Errorf("a definition without an event id gives identities %v", b.ID)
	}
}
