package rowlogic

import (
	"encoding/binary"
	"fmt"

	"github.com/zeebo/xxh3"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/protocol"
)

// Identity stands for an event's partition key and id: a 128-bit hash of them,
// so that every layer finds the same duplicates by comparing two integers. The
// zero Identity is that of an event which takes no part in finding duplicates.
type Identity struct {
	Hi, Lo uint64
}

// IsZero reports whether the event takes no part in finding duplicates.
func (id Identity) IsZero() bool { return id == Identity{} }

// prepareID finds the id's column.
func (l *Logic) prepareID(def *definition.Definition) error {
	l.id = -1
	if def.Events.ID == "" {
		return nil
	}
	at, ok := l.index[def.Events.ID]
	if !ok || l.columns[at].Derived || l.columns[at].Type.Kind == column.Float {
		return fmt.Errorf("preparing row logic: the event id %s is not a column of the events that can identify one", def.Events.ID)
	}
	l.id, l.idType = at, l.columns[at].Type.String()
	return nil
}

// identify gives the identities of the events that were decoded, by the ids as
// the events have them: it goes before the steps of clean.
func (l *Logic) identify(b *Batch) {
	if l.id < 0 {
		return
	}
	b.ID = make([]Identity, len(b.Events))
	ids := b.Columns[l.id]
	var text []byte
	for i := range b.Events {
		e := &b.Events[i]
		if e.Erased != nil {
			b.ID[i] = Identity{Hi: e.Erased.IDHigh, Lo: e.Erased.IDLow}
		}
		if ids.Nulls[i] || !b.Accepted(i) {
			continue
		}
		text = l.appendPlace(text[:0], b.Shard, e.PartitionKey, e.Stray)
		if ids.Type.Kind == column.String {
			text = append(text, ids.Str[i]...)
		} else {
			text = column.AppendText(text, ids.Type, ids.At(i))
		}
		b.ID[i] = digest(text)
	}
}

// IdentityOf gives the identity that an event has by its id, a value of the id's
// type, where and under which partition key it lies, and whether it is a stray.
// The definition has an event id.
func (l *Logic) IdentityOf(shard, partitionKey string, stray bool, id column.Value) Identity {
	text := l.appendPlace(nil, shard, partitionKey, stray)
	return digest(column.AppendText(text, l.columns[l.id].Type, id))
}

// appendPlace appends what stands before the id. All is one piece with lengths, so
// that no two identities have the same bytes; the id is last: no length tells where
// it ends.
func (l *Logic) appendPlace(text []byte, shard, partitionKey string, stray bool) []byte {
	text = binary.LittleEndian.AppendUint32(text, uint32(len(partitionKey)))
	text = append(text, partitionKey...)
	if !stray && !protocol.IsLoad(shard) {
		// Of a stray its producer chose the shard, and nothing says that an event of
		// the same identity in another shard comes before it or after it. Of a load,
		// nothing says how it lies to the stream. Any other has one place in the log.
		shard = ""
	}
	text = binary.LittleEndian.AppendUint32(text, uint32(len(shard)))
	text = append(text, shard...)
	return append(append(text, l.idType...), 0)
}

func digest(text []byte) Identity {
	h := xxh3.Hash128(text)
	id := Identity{Hi: h.Hi, Lo: h.Lo}
	if id.IsZero() {
		id.Lo = 1 // zero says that there is none
	}
	return id
}
