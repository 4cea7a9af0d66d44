package oracle

import (
	"encoding/binary"

	"github.com/zeebo/xxh3"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/protocol"
)

// eraseAt notes where an erased event was, if it can still make a later one a
// duplicate.
func (l *Log) eraseAt(ev protocol.Event) {
	if ev.Erased.IDHigh == 0 && ev.Erased.IDLow == 0 {
		return
	}
	l.advance(ev.Arrival)
	l.recent[halves(ev.Erased.IDHigh, ev.Erased.IDLow)] = ev.Arrival
}

// storedIdentity is what the master dataset stores of an identity, by the words of
// its format: the 128-bit xxh3 of the partition key and the shard, each after its
// length in four bytes, little end first, then the id's type, a zero byte and the id
// as text. The shard is there only if nothing orders the event against others of
// its identity elsewhere.
func (l *Log) storedIdentity(ev protocol.Event, id column.Value) identity {
	col, _ := l.oracle.def.Column(l.oracle.def.Events.ID)
	var text []byte
	add := func(s string) {
		text = append(binary.LittleEndian.AppendUint32(text, uint32(len(s))), s...)
	}
	add(ev.PartitionKey)
	if ev.Stray || protocol.IsLoad(l.shard) {
		add(l.shard)
	} else {
		add("")
	}
	as := Text(col.Type, id)
	if col.Type.Kind == column.String {
		as = id.Str // without quotes
	}
	text = append(append(append(text, col.Type.String()...), 0), as...)
	sum := xxh3.Hash128(text)
	if sum.Hi == 0 && sum.Lo == 0 {
		sum.Lo = 1
	}
	return halves(sum.Hi, sum.Lo)
}

func halves(high, low uint64) (out identity) {
	binary.BigEndian.PutUint64(out[:8], high)
	binary.BigEndian.PutUint64(out[8:], low)
	return out
}
