package local

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/watershed-data/watershed/internal/protocol"
)

// A sequence number is 56 digits: the stream's base, then the record's number in
// the stream. So they grow over all shards, as reshards will need.
const (
	baseDigits   = 36
	numberDigits = 20
)

// newBase gives the base of a new stream. It looks like Kinesis's, and streams
// made at different times differ, so that a position is not taken for another
// stream's.
func newBase(createdMillis int64) string {
	base := fmt.Sprintf("49%013d", createdMillis)
	return base + strings.Repeat("0", baseDigits-len(base))
}

// sequence gives the sequence number of a record's number.
func (l *Log) sequence(n uint64) string { return l.sequences(n, 1)[0] }

// sequences gives count consecutive sequence numbers, in one piece of memory.
func (l *Log) sequences(first uint64, count int) []string {
	digits := make([]byte, 0, count*(baseDigits+numberDigits))
	for i := range uint64(count) {
		digits = appendSequence(digits, l.base, first+i)
	}
	return cutEqual(string(digits), count)
}

func appendSequence(to []byte, base string, n uint64) []byte {
	to = append(to, base...)
	var digits [numberDigits]byte
	for i := numberDigits - 1; i >= 0; i-- {
		digits[i] = '0' + byte(n%10)
		n /= 10
	}
	return append(to, digits[:]...)
}

// cutEqual cuts a text of count sequence numbers.
func cutEqual(text string, count int) []string {
	parts := make([]string, count)
	for i := range parts {
		parts[i] = text[i*(baseDigits+numberDigits) : (i+1)*(baseDigits+numberDigits)]
	}
	return parts
}

// number is the inverse of sequence.
func (l *Log) number(seq string) (uint64, error) {
	digits, ok := strings.CutPrefix(seq, l.base)
	if ok && len(digits) == numberDigits {
		if n, err := strconv.ParseUint(digits, 10, 64); err == nil {
			return n, nil
		}
	}
	return 0, errors.New("it is not a sequence number of this stream")
}

// recordKey orders a shard's records by number.
func recordKey(shard uint32, n uint64) []byte {
	key := make([]byte, 0, 13)
	key = append(key, keyLog)
	key = binary.BigEndian.AppendUint32(key, shard)
	return binary.BigEndian.AppendUint64(key, n)
}

// arrivalKey orders a shard's latest arrivals.
func arrivalKey(shard uint32, arrival int64) []byte {
	key := make([]byte, 0, 13)
	key = append(key, keyArrival)
	key = binary.BigEndian.AppendUint32(key, shard)
	return binary.BigEndian.AppendUint64(key, uint64(arrival))
}

func numberBytes(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// A stored record is a byte that says how it is stored, its arrival, the length
// of its partition key, the key and the data.
const plainRecord = 0

// setRecord adds a record to a batch, without a copy in between.
func setRecord(batch *pebble.Batch, shard uint32, n uint64, arrival int64, r *protocol.Record) error {
	var head [1 + 8 + binary.MaxVarintLen32]byte
	head[0] = plainRecord
	binary.BigEndian.PutUint64(head[1:], uint64(arrival))
	size := 9 + binary.PutUvarint(head[9:], uint64(len(r.PartitionKey)))

	op := batch.SetDeferred(13, size+len(r.PartitionKey)+len(r.Data))
	op.Key[0] = keyLog
	binary.BigEndian.PutUint32(op.Key[1:], shard)
	binary.BigEndian.PutUint64(op.Key[5:], n)
	rest := op.Value[copy(op.Value, head[:size]):]
	copy(rest[copy(rest, r.PartitionKey):], r.Data)
	return op.Finish()
}

// pageBuilder gathers the records of one page in a few pieces of memory.
type pageBuilder struct {
	heads []recordHead
	keys  []byte // partition keys, one after the other
	data  []byte
}

type recordHead struct {
	number  uint64
	arrival int64
	key     int // where its partition key ends in keys
	data    int // where its data ends in data
}

func (b *pageBuilder) records() int { return len(b.heads) }
func (b *pageBuilder) size() int    { return len(b.keys) + len(b.data) }

// add takes a copy of a stored record.
func (b *pageBuilder) add(n uint64, value []byte) error {
	if len(value) > 9 && value[0] == plainRecord {
		size, w := binary.Uvarint(value[9:])
		if rest := value[9+max(w, 0):]; w > 0 && size <= uint64(len(rest)) {
			b.keys = append(b.keys, rest[:size]...)
			b.data = append(b.data, rest[size:]...)
			b.heads = append(b.heads, recordHead{n, int64(binary.BigEndian.Uint64(value[1:])), len(b.keys), len(b.data)})
			return nil
		}
	}
	return fmt.Errorf("record %d is damaged", n)
}

// events gives the records, one Event each.
func (b *pageBuilder) events(base string) []protocol.Event {
	digits := make([]byte, 0, len(b.heads)*(baseDigits+numberDigits))
	for i := range b.heads {
		digits = appendSequence(digits, base, b.heads[i].number)
	}
	seqs, keys := cutEqual(string(digits), len(b.heads)), string(b.keys)
	events := make([]protocol.Event, len(b.heads))
	var last recordHead
	for i, h := range b.heads {
		events[i] = protocol.Event{
			Position:     protocol.Position{Seq: seqs[i]},
			PartitionKey: keys[last.key:h.key],
			Arrival:      h.arrival,
			Data:         b.data[last.data:h.data:h.data],
			Last:         true,
		}
		last = h
	}
	return events
}
