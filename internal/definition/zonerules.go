package definition

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"sort"
	"sync"
	"time"
)

// The years whose clock changes count in a zone's rules.
const (
	rulesFrom = 1900
	rulesTo   = 2100
)

// knownRules holds the rules of the zones that were asked for, by zone.
var knownRules sync.Map

// zoneRules names a zone with the rules that this machine knows for it. The
// rules of a zone change with the time-zone database: what was filed under the
// old ones must not be mixed with the new ones, so they are part of the
// generation. UTC has none.
func zoneRules(zone *time.Location) string {
	if zone == time.UTC || zone.String() == "UTC" {
		return "UTC"
	}
	if rules, ok := knownRules.Load(zone); ok {
		return rules.(string)
	}
	h := sha256.New()
	write := func(at, offset int64) {
		_ = binary.Write(h, binary.LittleEndian, [2]int64{at, offset}) // a hash takes everything
	}
	offset := func(at int64) int64 {
		_, seconds := time.Unix(at, 0).In(zone).Zone()
		return int64(seconds)
	}
	const step = 6 * 3600 // no zone changes its clock and back within it
	at := time.Date(rulesFrom, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	end := time.Date(rulesTo, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	now := offset(at)
	write(at, now)
	for ; at < end; at += step {
		next := offset(at + step)
		if next == now {
			continue
		}
		change := at + 1 + int64(sort.Search(step, func(i int) bool { return offset(at+1+int64(i)) != now }))
		write(change, next)
		now = next
	}
	rules := zone.String() + "@" + hex.EncodeToString(h.Sum(nil)[:8])
	knownRules.Store(zone, rules)
	return rules
}
