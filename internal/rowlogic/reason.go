package rowlogic

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/delimited"
	"github.com/watershed-data/watershed/internal/protocol"
)

// problem is why a row is rejected: a reason of the bounded set, and the detail
// for people.
type problem struct {
	reason string
	detail string
}

// Reasons that every definition has.
const (
	reasonEmpty = "empty"
	reasonUTF8  = "invalid UTF-8"
	reasonStray = "wrong shard"
)

// Reasons that the format gives.
const (
	reasonFields    = "wrong number of fields"
	reasonNotJSON   = "not JSON"
	reasonNotObject = "not an object"
	reasonDuplicate = "duplicate name"
	reasonDeep      = "nested too deeply"
)

// reasonBroken is that of an event which is no record of its format.
func reasonBroken(f delimited.Format) string { return "not " + f.String() }

// wrongShard is the problem of an event in a KPL aggregate that the producer
// will send again: it made the aggregate before a split or merge.
func wrongShard(e *protocol.Event) problem {
	return problem{reasonStray, "the partition key " + quote(e.PartitionKey) + " of this event in a KPL aggregate belongs to another shard, to which the producer sends it again"}
}

func reasonMissing(column string) string { return "missing " + column }

func reasonFailed(text string) string { return "expression failed: " + printable(text) }

// Reasons gives every reason that a rejected row can have, sorted. A definition
// has some reasons of its own per column and per step, so the set is small.
func (l *Logic) Reasons() []string {
	out := append([]string{reasonEmpty, reasonUTF8, reasonStray}, l.formatReasons...)
	for _, s := range l.sources {
		out = append(out, s.reasonType, s.reasonValue)
	}
	for _, s := range l.steps {
		switch s.Kind {
		case definition.Require:
			out = append(out, s.Reason, s.reasonFailed)
		case definition.Drop:
			out = append(out, s.reasonFailed)
		case definition.Set:
			for _, a := range s.assigns {
				out = append(out, a.reasonFailed, a.reasonUnfit)
			}
		}
	}
	for _, c := range l.needed {
		out = append(out, reasonMissing(l.columns[c].Name))
	}
	for _, f := range l.fences {
		out = append(out, f.reason)
	}
	for _, c := range l.choices {
		out = append(out, c.reasonFailed)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

const (
	maxDetail = 200 // bytes of a detail
	maxQuoted = 40  // bytes of a value within it, before quoting
)

// quote shows bytes of an event, or a value made from it, as a short Go string.
func quote[T []byte | string](value T) string {
	if len(value) <= maxQuoted {
		return strconv.Quote(string(value))
	}
	return strconv.Quote(string(value[:cut(value, maxQuoted)])) + "..."
}

// printable gives a text of at most maxDetail bytes on one line that is safe to
// show anywhere: valid UTF-8 and no control characters.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
	if len(text) <= maxDetail {
		return text
	}
	const more = "..."
	return text[:cut(text, maxDetail-len(more))] + more
}

// cut gives the largest length up to most that does not cut a character. The
// value is longer than most.
func cut[T []byte | string](value T, most int) int {
	n := most
	for n > 0 && n > most-utf8.UTFMax && !utf8.RuneStart(value[n]) {
		n--
	}
	return n
}
