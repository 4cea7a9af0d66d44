package speed

import (
	"math/bits"
	"math/rand/v2"

	"github.com/watershed-data/watershed/internal/rowlogic"
)

// table keeps the last sighting of every identity: a hash table with open
// addressing, in which a lookup and the change that follows it touch one slot.
// Identities are never taken out: they are forgotten with their segments, and
// the slots they hold are left behind when the table moves.
type table struct {
	slots []slot
	used  int    // slots that hold an identity, forgotten ones too
	mix   uint64 // odd and random: nobody can send ids that all fall together
}

type slot struct {
	id rowlogic.Identity // zero: the slot is free
	sighting
}

// sighting is the last event of an identity.
type sighting struct {
	arrival int64
	segment int64 // the number of the segment that holds it; 0: none does
}

const (
	minSlots = 64
	fullAt   = 7.0 / 8 // of the slots
)

func newTable(identities int) table {
	return table{slots: make([]slot, max(minSlots, 2*identities)), mix: rand.Uint64() | 1}
}

// find gives the slot of an identity, the free one to put it into if there is
// none.
func (t *table) find(id rowlogic.Identity) *slot {
	at, _ := bits.Mul64(id.Lo*t.mix, uint64(len(t.slots)))
	for i := int(at); ; {
		s := &t.slots[i]
		if s.id == id || s.id.IsZero() {
			return s
		}
		if i++; i == len(t.slots) {
			i = 0
		}
	}
}

// put replaces the last sighting of an identity and gives the one before. What
// is in segments before the first is forgotten.
func (t *table) put(id rowlogic.Identity, now sighting, first int64) (before sighting) {
	s := t.find(id)
	if s.id.IsZero() {
		if float64(t.used+1) > fullAt*float64(len(t.slots)) {
			t.move(first)
			s = t.find(id)
		}
		s.id = id
		t.used++
	}
	before, s.sighting = s.sighting, now
	return before
}

// move moves to new slots, twice as many as there is something to move. So the
// table has about 64 bytes for an identity, and each is moved about once for
// every new one.
func (t *table) move(first int64) {
	live := 0
	for i := range t.slots {
		if t.slots[i].segment >= first {
			live++
		}
	}
	old := t.slots
	t.slots, t.used = make([]slot, max(minSlots, 2*live)), live
	for i := range old {
		if old[i].segment >= first {
			*t.find(old[i].id) = old[i]
		}
	}
}
