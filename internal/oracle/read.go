package oracle

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
)

// read gives a column's value in an event. Missing and null are one.
func read(c definition.Column, object map[string]any) (column.Value, error) {
	var at any = object
	for _, name := range c.From {
		if at == nil {
			return column.Null, nil
		}
		inner, ok := at.(map[string]any)
		if !ok {
			return column.Null, errType
		}
		at = inner[name]
	}
	if at == nil {
		return column.Null, nil
	}
	text, isText := at.(string)
	number, isNumber := at.(json.Number)
	if isNumber {
		text = number.String()
	}
	if field, ok := at.(plain); ok { // no JSON: whatever the column is, its text says it
		text, isText, isNumber = string(field), true, true
		if c.Type.Kind == column.Bool {
			return readBool(text)
		}
	}
	switch k := c.Type.Kind; {
	case k == column.String && (isText || isNumber):
		return column.Value{Str: text}, nil
	case k == column.Int && isNumber:
		return readInt(text)
	case k == column.Decimal && (isText || isNumber):
		return readDecimal(c.Type, text)
	case k == column.Timestamp && (isText || isNumber):
		return readTimestamp(text, c.Zone)
	case k == column.Date && isText:
		return readDate(text)
	case k == column.Float && isNumber:
		return readFloat(text)
	case k == column.Bool && at == true:
		return column.Value{Int: 1}, nil
	case k == column.Bool && at == false:
		return column.Value{}, nil
	}
	return column.Null, errType
}

var (
	errType  = errors.New("the column does not take this JSON type")
	errValue = errors.New("the column's type cannot hold this value exactly")
)

var numeral = regexp.MustCompile(`^([+-]?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$`)

// scaled gives the number that text writes times 10^scale, if that is whole and
// has at most 30 digits. It never computes 10^exponent of a hostile exponent.
func scaled(text string, scale int) (*big.Int, error) {
	m := numeral.FindStringSubmatch(text)
	if m == nil {
		return nil, errValue
	}
	digits := strings.TrimLeft(m[2]+m[3], "0")
	if digits == "" {
		return new(big.Int), nil
	}
	exponent := int64(0)
	if m[4] != "" {
		var err error
		if exponent, err = strconv.ParseInt(m[4], 10, 32); err != nil {
			return nil, errValue // neither whole nor small
		}
	}
	short := strings.TrimRight(digits, "0")
	zeros := exponent + int64(scale) - int64(len(m[3])) + int64(len(digits)-len(short))
	if zeros < 0 || int64(len(short))+zeros > 30 {
		return nil, errValue
	}
	n, _ := new(big.Int).SetString(m[1]+short+strings.Repeat("0", int(zeros)), 10)
	return n, nil
}

func readBool(text string) (column.Value, error) {
	switch text {
	case "true":
		return column.Value{Int: 1}, nil
	case "false":
		return column.Value{}, nil
	}
	return column.Null, errValue
}

func readInt(text string) (column.Value, error) {
	n, err := scaled(text, 0)
	if err != nil || !n.IsInt64() {
		return column.Null, errValue
	}
	return column.Value{Int: n.Int64()}, nil
}

func readDecimal(t column.Type, text string) (column.Value, error) {
	n, err := scaled(text, t.Scale)
	if err != nil || n.CmpAbs(power(t.Precision)) >= 0 {
		return column.Null, errValue
	}
	return column.Value{Int: n.Int64()}, nil
}

func readFloat(text string) (column.Value, error) {
	if !numeral.MatchString(text) {
		return column.Null, errValue // strconv reads NaN, hexadecimals and underscores too
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return column.Null, errValue
	}
	if f == 0 {
		f = 0 // no negative zero
	}
	return column.Value{Float: f}, nil
}

func readDate(text string) (column.Value, error) {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil || t.Year() < 1 {
		return column.Null, errValue
	}
	return column.Value{Int: t.Unix() / 86400}, nil
}

var (
	civil       = regexp.MustCompile(`^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,6})0*)?(Z|[+-](?:[01]\d|2[0-3]):\d\d)?$`)
	firstMoment = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	lastMoment  = time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
)

// readTimestamp reads a time in microseconds since 1970-01-01 UTC. A text that
// names no zone is a time of the column's, of UTC if it has none.
func readTimestamp(text string, zone *time.Location) (column.Value, error) {
	t, err := moment(text, zone)
	if err != nil || t.Before(firstMoment) || t.After(lastMoment) {
		return column.Null, errValue
	}
	return column.Value{Int: t.UnixMicro()}, nil
}

func moment(text string, zone *time.Location) (time.Time, error) {
	m := civil.FindStringSubmatch(strings.ToUpper(text))
	if m == nil {
		return epoch(text)
	}
	fraction, _ := strconv.Atoi((m[3] + "000000")[:6])
	micros := time.Duration(fraction) * time.Microsecond
	if m[4] != "" {
		t, err := time.Parse("2006-01-02 15:04:05Z07:00", m[1]+" "+m[2]+m[4])
		return t.Add(micros), wrongYear(m[1], err)
	}
	wall, err := time.Parse(time.DateTime, m[1]+" "+m[2])
	if err := wrongYear(m[1], err); err != nil {
		return wall, err
	}
	if zone == nil {
		zone = time.UTC
	}
	for p := range periods(wall, zone) {
		// The earliest moment at which the zone's clocks show this time.
		if t := wall.Add(-p.offset); p.holds(t) {
			return t.Add(micros), nil
		}
	}
	return time.Time{}, errValue // the clocks skip it
}

// wrongYear refuses the year 0, which time.Parse reads.
func wrongYear(date string, err error) error {
	if err == nil && strings.HasPrefix(date, "0000") {
		return errValue
	}
	return err
}

// epoch reads seconds, or milliseconds from 10^11 on.
func epoch(text string) (time.Time, error) {
	micros, err := scaled(text, 6)
	if err == nil && micros.CmpAbs(power(17)) < 0 {
		return time.UnixMicro(micros.Int64()), nil
	}
	if micros, err = scaled(text, 3); err == nil && micros.CmpAbs(power(17)) < 0 {
		return time.UnixMicro(micros.Int64()), nil
	}
	return time.Time{}, errValue
}

// power gives 10^n, n up to 38. It must not be changed.
func power(n int) *big.Int { return powers[n] }

var powers = func() (p [39]*big.Int) {
	p[0] = big.NewInt(1)
	for n := 1; n < len(p); n++ {
		p[n] = new(big.Int).Mul(p[n-1], big.NewInt(10))
	}
	return p
}()
