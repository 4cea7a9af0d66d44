package kinesis

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"
)

// iteratorLife is how long an iterator can be used.
const iteratorLife = 5 * time.Minute

// iterator says where in a shard a consumer reads on. It holds no secret and
// grants nothing, so its check guards against mistakes only, and it outlives a
// restart of the endpoint.
type iterator struct {
	issued int64 // milliseconds since 1970-01-01 UTC
	shard  string
	seq    string // "": before the first record
	at     bool   // from seq on, not after it
}

const iteratorVersion = 1

// encode gives the iterator's text for consumers of a stream.
func (it iterator) encode(stream string) string {
	b := []byte{iteratorVersion, 0}
	if it.at {
		b[1] = 1
	}
	b = binary.BigEndian.AppendUint64(b, uint64(it.issued))
	b = append(b, it.shard+"\x00"+it.seq...)
	return base64.StdEncoding.EncodeToString(append(b, iteratorCheck(stream, b)...))
}

// decodeIterator is the inverse of encode; false if the text is not an iterator
// of the stream.
func decodeIterator(stream, text string) (iterator, bool) {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(b) < 10+8 || b[0] != iteratorVersion {
		return iterator{}, false
	}
	b, check := b[:len(b)-8], b[len(b)-8:]
	if string(check) != string(iteratorCheck(stream, b)) {
		return iterator{}, false
	}
	shard, seq, ok := strings.Cut(string(b[10:]), "\x00")
	return iterator{issued: int64(binary.BigEndian.Uint64(b[2:])), shard: shard, seq: seq, at: b[1] == 1}, ok
}

func iteratorCheck(stream string, content []byte) []byte {
	sum := sha256.Sum256(append([]byte(stream+"\x00"), content...))
	return sum[:8]
}
