package rowlogic

import (
	"encoding/binary"
	"fmt"

	"github.com/zeebo/xxh3"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
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
		if ids.Nulls[i] || !b.Accepted(i) {
			continue
		}
		e := &b.Events[i]
		// One piece with lengths, so that no two identities have the same bytes. The
		// id is last: no length tells where it ends.
		text = binary.LittleEndian.AppendUint32(text[:0], uint32(len(e.PartitionKey)))
		text = append(text, e.PartitionKey...)
		shard := ""
		if e.Stray {
			// Its producer chose the shard, and nothing says that an event of the same
			// identity in another shard comes before it or after it.
			shard = b.Shard
		}
		text = binary.LittleEndian.AppendUint32(text, uint32(len(shard)))
		text = append(text, shard...)
		text = append(append(text, l.idType...), 0)
		if ids.Type.Kind == column.String {
			text = append(text, ids.Str[i]...)
		} else {
			text = column.AppendText(text, ids.Type, ids.At(i))
		}
		h := xxh3.Hash128(text)
		if b.ID[i] = (Identity{Hi: h.Hi, Lo: h.Lo}); b.ID[i].IsZero() {
			b.ID[i].Lo = 1 // zero says that there is none
		}
	}
}
