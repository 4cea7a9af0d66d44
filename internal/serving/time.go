package serving

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/view"
)

const dateLength = len("2013-01-01")

// ParseTime reads a time as users of queries write it: RFC 3339, the same
// without an offset, or a date alone, which is the first instant of that day.
// What names no offset is a local time of the zone. The result is in
// microseconds since 1970-01-01 UTC. Unlike event times, plain numbers are
// refused: 2013 would be a second of 1970.
func ParseTime(text string, zone *time.Location) (int64, error) {
	if len(text) < dateLength || text[4] != '-' {
		return 0, fmt.Errorf("%s is not a time; write 2013-01-31, \"2013-01-31 05:00:00\" or 2013-01-31T05:00:00Z", quote(text))
	}
	if len(text) > dateLength {
		v, err := column.ParseText(column.Type{Kind: column.Timestamp}, text, zone)
		return v.Int, err
	}
	v, err := column.ParseText(column.Type{Kind: column.Date}, text, zone)
	if err != nil {
		return 0, err
	}
	noon := time.Unix(v.Int*86400, 0).UTC().Add(12 * time.Hour)
	y, m, d := noon.Date()
	return view.Bucket(definition.Day, zone, time.Date(y, m, d, 12, 0, 0, 0, zone).UnixMicro()), nil
}

// ParseTime reads a time as users write it, in the pipeline's zone; see the
// function of that name.
func (s *Service) ParseTime(text string) (int64, error) { return ParseTime(text, s.def.Zone) }

// unbounded is the widest range of bucket starts.
var unbounded = struct{ from, to int64 }{math.MinInt64, math.MaxInt64}

// reach is at least the longest distance between a bucket's start and the last
// finer bucket inside it.
var reach = map[definition.Grain]time.Duration{
	definition.Day: 3 * 24 * time.Hour, definition.Week: 10 * 24 * time.Hour, definition.Month: 34 * 24 * time.Hour,
}

// kept gives the range of the view's own buckets that may lie in the asked
// buckets. It may be wider than they are: inRange decides on each bucket.
func (p *plan) kept() (from, to int64) {
	from, to = p.from, p.to
	coarsest := p.grain
	if p.asKept {
		grains := p.view.Grains()
		coarsest = grains[len(grains)-1]
	}
	if p.view.Every == coarsest || p.grain == definition.None || to == unbounded.to {
		return from, to
	}
	r, ok := reach[coarsest]
	if !ok {
		r = 24 * time.Hour
	}
	return from, to + r.Microseconds()
}

// inRange reports whether a bucket of the view that lies in the asked bucket is
// part of the answer.
func (p *plan) inRange(own, asked int64) bool {
	start := asked
	if p.grain == definition.None {
		start = own // the one asked bucket has no start to choose by
	}
	return p.from <= start && (start < p.to || p.to == unbounded.to)
}

// timeZone prints bucket starts.
type timeZone struct{ *time.Location }

// format gives RFC 3339 with the zone's offset. Offsets with seconds, which
// zones had before about 1930, have no form in RFC 3339: such times are in UTC.
func (z timeZone) format(micros int64) string { return string(z.append(nil, micros)) }

func (z timeZone) append(dst []byte, micros int64) []byte {
	if z.Location == time.UTC {
		return column.AppendText(dst, column.Type{Kind: column.Timestamp}, column.Value{Int: micros})
	}
	at := time.UnixMicro(micros).In(z.Location)
	if _, offset := at.Zone(); offset%60 != 0 {
		at = at.UTC()
	}
	return at.AppendFormat(dst, "2006-01-02T15:04:05.999999Z07:00")
}

// instant prints milliseconds since 1970-01-01 UTC as RFC 3339 in UTC.
func instant(millis int64) string {
	return column.FormatText(column.Type{Kind: column.Timestamp}, column.Value{Int: millis * 1000})
}

// quote makes a value that a user wrote safe and short enough for a message.
func quote(text string) string {
	const most = 60
	if len(text) > most {
		return strconv.Quote(text[:most]) + "..."
	}
	return strconv.Quote(text)
}
