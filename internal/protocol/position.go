package protocol

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/zeebo/xxh3"
)

// Position says where an event lies in its shard's log. Seq is the record's
// sequence number, in decimal without leading zeros; Sub tells apart the events
// of one KPL aggregate, which share Seq. The zero Position is before every event.
type Position struct {
	Seq string
	Sub int64
}

// Compare orders positions of one shard; sequence numbers compare as numbers of
// any length.
func (p Position) Compare(q Position) int {
	if c := cmp.Compare(len(p.Seq), len(q.Seq)); c != 0 {
		return c
	}
	if c := strings.Compare(p.Seq, q.Seq); c != 0 {
		return c
	}
	return cmp.Compare(p.Sub, q.Sub)
}

// After reports whether p lies after q.
func (p Position) After(q Position) bool { return p.Compare(q) > 0 }

// IsZero reports whether p is before every event.
func (p Position) IsZero() bool { return p.Seq == "" }

// Before gives the position directly before a record: behind every event that lies
// before the record, and before its own. No event lies there.
func Before(seq string) Position {
	digits := []byte(seq)
	i := len(digits) - 1
	for ; i >= 0 && digits[i] == '0'; i-- {
		digits[i] = '9'
	}
	if i < 0 {
		return Position{} // nothing comes before number 0
	}
	digits[i]--
	if digits[0] == '0' && len(digits) > 1 {
		digits = digits[1:]
	}
	return Position{Seq: string(digits), Sub: maxSub}
}

// Follower gives the sequence number of the record that a position of Before lies
// before; false if the position is of another kind.
func (p Position) Follower() (seq string, ok bool) {
	if p.Sub != maxSub {
		return "", false
	}
	digits := []byte(p.Seq)
	i := len(digits) - 1
	for ; i >= 0 && digits[i] == '9'; i-- {
		digits[i] = '0'
	}
	if i < 0 {
		return "1" + string(digits), true
	}
	digits[i]++
	return string(digits), true
}

// String gives the form users see, "sequence:sub"; the zero Position is "".
func (p Position) String() string {
	if p.IsZero() {
		return ""
	}
	return p.Seq + ":" + strconv.FormatInt(p.Sub, 10)
}

// Key gives a text whose byte order is the order of positions, in every store
// and SQL engine: a 3-digit length, the digits, a dot, ten digits of Sub.
func (p Position) Key() string {
	if p.IsZero() {
		return ""
	}
	return string(p.AppendKey(make([]byte, 0, len(p.Seq)+keyExtra)))
}

// maxSub is the largest sub-sequence number that a key holds. No record has as many
// events.
const maxSub = 9_999_999_999

// keyExtra is how many bytes a key has besides the sequence number's digits.
const keyExtra = 14

// AppendKey appends Key to dst.
func (p Position) AppendKey(dst []byte) []byte {
	if p.IsZero() {
		return dst
	}
	n := len(p.Seq)
	dst = append(dst, byte('0'+n/100%10), byte('0'+n/10%10), byte('0'+n%10))
	dst = append(append(dst, p.Seq...), '.')
	sub := p.Sub
	dst = append(dst, "0000000000"...)
	for i := len(dst) - 1; sub > 0; i-- {
		dst[i] = byte('0' + sub%10)
		sub /= 10
	}
	return dst
}

// ParseKey is the inverse of Key.
func ParseKey(key string) (Position, error) {
	if key == "" {
		return Position{}, nil
	}
	if len(key) > 3 {
		if n, err := strconv.Atoi(key[:3]); err == nil && n > 0 && len(key) == 3+n+11 && key[3+n] == '.' {
			if sub, err := strconv.ParseInt(key[4+n:], 10, 64); err == nil && digits(key[3:3+n]) {
				return Position{Seq: key[3 : 3+n], Sub: sub}, nil
			}
		}
	}
	return Position{}, fmt.Errorf("%q is not a position key", key)
}

// ParsePosition is the inverse of String.
func ParsePosition(text string) (Position, error) {
	if text == "" {
		return Position{}, nil
	}
	seq, rest, ok := strings.Cut(text, ":")
	sub, err := strconv.ParseInt(rest, 10, 64)
	if !ok || err != nil || sub < 0 || sub > maxSub || len(seq) > 999 || !digits(seq) {
		return Position{}, fmt.Errorf("%q is not a position: want sequence:sub", text)
	}
	return Position{Seq: seq, Sub: sub}, nil
}

func digits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != "" && (s[0] != '0' || s == "0")
}

// Event is one record as its producer sent it, where it lies, and what the log
// says of it.
type Event struct {
	Position     Position
	PartitionKey string
	Arrival      int64 // milliseconds since 1970-01-01 UTC; approximate and not monotone
	Data         []byte
	Last         bool    // the last event of its record; false only inside a KPL aggregate
	Aggregated   bool    // it came in a KPL aggregate
	Stray        bool    // its partition key hashes outside the shard's range of hash keys
	Erased       *Erased // nil: it is as it came
}

// Sum is the checksum of a set of events: the sum, modulo 2^64 each, of the
// upper and the lower halves of their hashes. The halves are kept apart so that
// SQL engines can add them up in 64 and 128-bit integers.
type Sum struct {
	Hi uint64 `json:"hi"`
	Lo uint64 `json:"lo"`
}

// Add gives the sum with one more event's hash.
func (s Sum) Add(hash uint64) Sum {
	return Sum{Hi: s.Hi + hash>>32, Lo: s.Lo + hash&0xffffffff}
}

// Plus adds two sums.
func (s Sum) Plus(t Sum) Sum { return Sum{Hi: s.Hi + t.Hi, Lo: s.Lo + t.Lo} }

// Hash is an event's mixing 64-bit hash over shard, position, partition key,
// arrival and raw bytes. It must mix: under a hash that is linear in the
// position, the loss of one event and the doubling of another can cancel.
//
// An erased event keeps the hash that it had.
func Hash(shard string, e *Event) uint64 {
	if e.Erased != nil {
		return e.Erased.Hash
	}
	h := hashers.Get().(*hasher)
	defer hashers.Put(h)
	// One piece with lengths, so that no two events have the same bytes.
	b := h.buffer[:0]
	b = append(binary.LittleEndian.AppendUint32(b, uint32(len(shard))), shard...)
	b = e.Position.AppendKey(append(b, byte(len(e.Position.Seq)), byte(len(e.Position.Seq)>>8)))
	b = append(binary.LittleEndian.AppendUint32(b, uint32(len(e.PartitionKey))), e.PartitionKey...)
	b = binary.LittleEndian.AppendUint64(b, uint64(e.Arrival))
	h.buffer = b
	h.xx.Reset()
	_, _ = h.xx.Write(b)
	_, _ = h.xx.Write(e.Data)
	return h.xx.Sum64()
}

type hasher struct {
	xx     *xxh3.Hasher
	buffer []byte
}

var hashers = sync.Pool{New: func() any { return &hasher{xx: xxh3.New()} }}
