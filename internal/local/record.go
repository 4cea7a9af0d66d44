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

// A stored record is a byte that says how it came to its shard, its arrival, the
// length of its partition key, the key and the data.
const (
	placedRecord = 0 // by an explicit hash key, or we do not know
	routedRecord = 1 // by the hash of its partition key
)

// setRecord adds a record to a batch, without a copy in between.
func setRecord(batch *pebble.Batch, shard uint32, n uint64, arrival int64, r *protocol.Record) error {
	var head [1 + 8 + binary.MaxVarintLen32]byte
	head[0] = placedRecord
	if r.ExplicitHashKey == "" {
		head[0] = routedRecord
	}
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

// stored is a record as the database holds it; key and data are its memory.
type stored struct {
	routed  bool // it lies where the hash of its partition key belongs
	arrival int64
	key     []byte
	data    []byte
}

func parseRecord(value []byte) (stored, bool) {
	if len(value) <= 9 || value[0] > routedRecord {
		return stored{}, false
	}
	size, w := binary.Uvarint(value[9:])
	rest := value[9+max(w, 0):]
	if w <= 0 || size > uint64(len(rest)) {
		return stored{}, false
	}
	return stored{value[0] == routedRecord, int64(binary.BigEndian.Uint64(value[1:])), rest[:size], rest[size:]}, true
}
