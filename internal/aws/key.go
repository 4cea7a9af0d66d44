package aws

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/watershed-data/watershed/internal/protocol"
)

// digits is how many hexadecimal digits a time, an epoch and a hash take.
const (
	digits     = 16
	hashDigits = 2 * sha256.Size
)

// bucketKey names a partition of items.
func bucketKey(generation, shard string, bucket int) string {
	return generation + "#" + shard + "#" + strconv.Itoa(bucket)
}

// itemKey gives the sort key of an item, and its bucket of so many.
func itemKey(id protocol.ItemID, buckets int) (sk string, bucket int) {
	hash := sha256.Sum256([]byte(id.Dims))
	sk = timeKey(id.View, id.Time) + "#" + hex.EncodeToString(hash[:]) + "#" + hex16(uint64(id.Epoch))
	return sk, int(binary.BigEndian.Uint64(hash[:]) % uint64(buckets))
}

// timeKey gives what the sort keys of a view's items of a time begin with.
func timeKey(view string, time int64) string { return view + "#" + hex16(uint64(time)^1<<63) }

// hex16 gives digits that sort as the numbers do.
func hex16(n uint64) string { return fmt.Sprintf("%0*x", digits, n) }

// parseItemKey is the inverse of itemKey but for the dimension values.
func parseItemKey(sk string) (id protocol.ItemID, err error) {
	const tail = 1 + digits + 1 + hashDigits + 1 + digits
	n := len(sk) - tail
	if n < 0 || sk[n] != '#' {
		return id, fmt.Errorf("%w: %q is not an item's key", errDamaged, sk)
	}
	t, timeErr := strconv.ParseUint(sk[n+1:n+1+digits], 16, 64)
	e, epochErr := strconv.ParseUint(sk[len(sk)-digits:], 16, 64)
	if timeErr != nil || epochErr != nil {
		return id, fmt.Errorf("%w: %q is not an item's key", errDamaged, sk)
	}
	id.View, id.Time, id.Epoch = sk[:n], int64(t^1<<63), int64(e)
	return id, nil
}

func segmentsKey(generation, shard string) string { return generation + "#" + shard + "#segments" }

// segmentKey gives the sort key of a segment: texts sort by position, then part.
func segmentKey(id protocol.SegmentID) string {
	return fmt.Sprintf("%s#%010d", id.Through.Key(), id.Part)
}

func parseSegmentKey(shard, sk string) (id protocol.SegmentID, err error) {
	position, part, _ := strings.Cut(sk, "#")
	id.Shard = shard
	if id.Through, err = protocol.ParseKey(position); err == nil {
		id.Part, err = strconv.Atoi(part)
	}
	if err != nil {
		return id, fmt.Errorf("%w: %q is not a segment's key", errDamaged, sk)
	}
	return id, nil
}
