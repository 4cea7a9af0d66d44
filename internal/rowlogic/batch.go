package rowlogic

import (
	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/protocol"
)

// Outcome says what became of an event.
type Outcome string

// The outcomes. Only accepted rows are in the user's views; all rows are in
// the master dataset.
//
// Duplicate is not row logic's to find: whether an event is one depends on the
// events before it. A row in the master dataset has the outcome it would have if
// it were the first of its identity; whoever adds rows up decides about
// duplicates, by the rows' identities.
const (
	Accepted  Outcome = "accepted"
	Rejected  Outcome = "rejected"
	Dropped   Outcome = "dropped"
	Duplicate Outcome = "duplicate"
	Erased    Outcome = "erased"
)

// An erased event stays one, whatever came before it: nothing else is known of it.

// Batch is the rows of a batch of events of one shard, column by column. Row i
// is event i.
//
// A rejected row, and an erased one, is null in every column, also in those that were read before
// its problem was found: no view and no query can see half a row, and what a
// rejected row looks like does not depend on how far it came. A dropped row
// keeps the values it had when it was dropped.
type Batch struct {
	Shard   string
	Events  []protocol.Event
	Columns []*column.Vector // as definition.Columns; all null in a rejected row
	Outcome []Outcome
	Reason  []string                            // why a row was rejected, from a small set; "" for others
	Detail  []string                            // what exactly was wrong with it, for people; "" for others
	Hash    []uint64                            // protocol.Hash of each event
	ID      []Identity                          // what duplicates are found by; nil if the definition has no event id
	Times   map[definition.Grain]*column.Vector // per grain that a view uses: the start of the event time's bucket; null in a rejected row, but 0 in every row for None
	Inputs  map[string]*column.Vector           // by name; see definition.Definition.Inputs; null in rows that are not accepted
	index   map[string]int                      // column name -> index in Columns
}

// Accepted reports whether row i is in the user's views.
func (b *Batch) Accepted(i int) bool { return b.Outcome[i] == Accepted }

// MarkDuplicate makes row i a duplicate, whatever else it was.
func (b *Batch) MarkDuplicate(i int) {
	b.Outcome[i], b.Reason[i], b.Detail[i] = Duplicate, "", ""
}

// Vector gives a column by name; nil if there is none. It is what expr.Eval and
// the dimensions of views read: definition.OutcomeColumn and
// definition.ReasonColumn are columns too, and the reason of a row that was not
// rejected is null. The caller must not change the vector.
func (b *Batch) Vector(name string) *column.Vector {
	if i, ok := b.index[name]; ok {
		return b.Columns[i]
	}
	if v, ok := b.Inputs[name]; ok {
		return v
	}
	switch name {
	case definition.OutcomeColumn:
		return b.vectorOf(func(i int) string { return string(b.Outcome[i]) })
	case definition.ReasonColumn:
		return b.vectorOf(func(i int) string { return b.Reason[i] })
	}
	return nil
}

// vectorOf makes a string column; the empty text is null.
func (b *Batch) vectorOf(at func(i int) string) *column.Vector {
	v := column.NewVector(column.Type{Kind: column.String}, len(b.Events))
	for i := range v.Str {
		v.Str[i] = at(i)
		v.Nulls[i] = v.Str[i] == ""
	}
	return v
}

// reject makes row i a rejected one. Its columns are nulled when all steps are
// through.
func (b *Batch) reject(i int, p problem) {
	b.Outcome[i], b.Reason[i], b.Detail[i] = Rejected, p.reason, printable(p.detail)
}
