package definition

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/watershed-data/watershed/internal/column"
)

// MaxItemBytes is the most that a real-time item takes in any store: DynamoDB
// holds no larger one. A definition in which an item could be larger is refused,
// so that no event can ever make one.
const MaxItemBytes = 400_000

// MaxText is the most bytes that a text may have in a column that is a
// dimension, or that min or max are taken of. Row logic rejects an event with a
// longer one.
const MaxText = 4096

// itemOverhead is what an item has besides dimensions and states: the names of
// view, generation and shard, two positions, and what a store adds.
const itemOverhead = 2_000

// The magnitudes of floats that quantiles tell apart, besides zero. Row logic
// rejects an event with another one in a column that quantiles are taken of.
const (
	MinQuantileFloat = 1e-18
	MaxQuantileFloat = 1e18
)

// part is something that takes room in an item.
type part struct {
	what   string
	bytes  int
	remedy string
}

// itemParts lists what an item of the view holds at its largest.
func (v View) itemParts(typeOf func(column string) column.Type) []part {
	parts := []part{{"the item itself", itemOverhead, "ask for fewer measures"}}
	for _, name := range v.By {
		parts = append(parts, part{"the dimension " + name, dimensionBytes(typeOf(name)), "group by fewer texts"})
	}
	for _, m := range v.Measures {
		remedy := "ask for fewer measures over texts"
		switch m.Func {
		case Distinct:
			remedy = "keep fewer hashes, or move the measure to a view of its own"
		case Quantiles:
			remedy = "allow a larger error, or move the measure to a view of its own"
		}
		// An item keeps the state after its last batch and the one before.
		parts = append(parts, part{"the measure " + m.Name, 2 * m.StateBytes(), remedy})
	}
	return parts
}

// dimensionBytes is the most that an encoded dimension takes: of a text, every
// byte may be a NUL, which takes two.
func dimensionBytes(t column.Type) int {
	if t.Kind == column.String {
		return 2*MaxText + 3
	}
	return 9
}

// StateBytes is the most that the encoded state of the measure takes.
func (m Measure) StateBytes() int {
	const (
		integer = 10 // of 64 bits, in base 128
		length  = 5  // of a text or a list
		// A bucket that follows the one before it, and a count below 2^35: at the
		// megabyte a second that a shard takes, one bucket would need days of events
		// of ten bytes to pass that, and a thousand buckets years.
		bucket = 1 + 5
	)
	switch m.Func {
	case Count:
		return integer
	case Sum, Avg:
		return 3 * integer
	case Distinct:
		return length + 8*m.K
	case Quantiles:
		return length + integer + bucket*m.maxBuckets()
	}
	if m.Type.Kind == column.String {
		return 1 + length + MaxText
	}
	return 1 + integer
}

// maxBuckets is the most buckets that values of the measure's type fall into: for
// either sign the magnitudes' ln(largest/smallest) / ln((1+e)/(1-e)), and zero.
// ln((1+e)/(1-e)) is more than 2e.
func (m Measure) maxBuckets() int {
	const millionthsOfLn10 = 2_302_586
	digits := 19 // an int is below 10^19
	switch m.Type.Kind {
	case column.Decimal:
		digits = m.Type.Precision
	case column.Float:
		digits = 36
	}
	tenThousandths, err := strconv.Atoi((strings.TrimPrefix(m.Error, "0.") + "0000")[:4])
	if err != nil || tenThousandths == 0 {
		panic(fmt.Sprintf("measure %s has the relative error %q", m.Name, m.Error)) // no checked definition has
	}
	return 2*(digits*millionthsOfLn10/(200*tenThousandths)+2) + 1
}

// fitsItem refuses a view whose items could grow too large for a store.
func (c *checker) fitsItem(e entry, v View) {
	parts := v.itemParts(func(name string) column.Type { return c.types[name] })
	sum, largest := 0, parts[0]
	for _, p := range parts {
		sum += p.bytes
		if p.bytes > largest.bytes {
			largest = p
		}
	}
	if sum > MaxItemBytes {
		c.fail(e.key, fmt.Sprintf("most is %s with %d bytes: %s", largest.what, largest.bytes, largest.remedy),
			"an item of view %s could have %d bytes, and stores take %d", v.Name, sum, MaxItemBytes)
	}
}
