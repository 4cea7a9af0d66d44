package column

import (
	"errors"
	"fmt"
	"time"
)

const (
	microsPerSecond = 1_000_000
	secondsPerDay   = 86_400

	firstSecond = -62_135_596_800 // 0001-01-01T00:00:00Z
	lastSecond  = 253_402_300_799 // 9999-12-31T23:59:59Z
)

var errYears = errors.New("its year is outside 0001 to 9999")

func parseDate(text string) (Value, error) {
	if !looksLikeDate(text) || len(text) != 10 {
		return Null, fmt.Errorf("%s is not a date; a date is YYYY-MM-DD", quote(text))
	}
	days, err := civilDays(text)
	if err != nil {
		return Null, fmt.Errorf("%s is no date: %w", quote(text), err)
	}
	return Value{Int: days}, nil
}

func parseTimestamp(text string, zone *time.Location) (Value, error) {
	if looksLikeDate(text) {
		micros, err := parseCivil(text, zone)
		if err != nil {
			return Null, fmt.Errorf("%s is no timestamp: %w", quote(text), err)
		}
		return Value{Int: micros}, nil
	}
	n, ok := scanNumber(text)
	if !ok {
		return Null, fmt.Errorf("%s is not a timestamp", quote(text))
	}
	micros, err := n.epochMicros()
	if err != nil {
		return Null, fmt.Errorf("%s is no timestamp: %w", quote(text), err)
	}
	return Value{Int: micros}, nil
}

// epochMicros reads epoch seconds or milliseconds, told apart by magnitude:
// seconds reach the year 5138, milliseconds begin in 1973.
func (n number) epochMicros() (int64, error) {
	scale := 6
	switch whole := n.digits + n.exp; { // digits before the point
	case n.digits > 0 && whole > 14:
		return 0, errors.New("it is too large for epoch milliseconds")
	case n.digits > 0 && whole > 11:
		scale = 3
	}
	micros, fit := n.scaled(scale)
	if fit != exact {
		return 0, errors.New("it is finer than a microsecond")
	}
	return micros, checkYears(floorDiv(micros, microsPerSecond))
}

func checkYears(second int64) error {
	if second < firstSecond || second > lastSecond {
		return errYears
	}
	return nil
}

// looksLikeDate tells a date from a number: it begins with NNNN-.
func looksLikeDate(text string) bool {
	return len(text) > 4 && isDigits(text[:4]) && text[4] == '-'
}

func isDigits(text string) bool {
	for i := range len(text) {
		if text[i]-'0' > 9 {
			return false
		}
	}
	return true
}

func twoDigits(text string) int { return int(text[0]-'0')*10 + int(text[1]-'0') }

var errForm = errors.New("want YYYY-MM-DDThh:mm:ss, a fraction and an offset if there are any")

// parseCivil reads YYYY-MM-DD?hh:mm:ss[.fraction][Z|+hh:mm|-hh:mm] as
// microseconds since 1970-01-01 UTC.
func parseCivil(text string, zone *time.Location) (int64, error) {
	if len(text) < 19 || !isSeparator(text[10]) || text[13] != ':' || text[16] != ':' ||
		!isDigits(text[11:13]) || !isDigits(text[14:16]) || !isDigits(text[17:19]) {
		return 0, errForm
	}
	days, err := civilDays(text[:10])
	if err != nil {
		return 0, err
	}
	h, m, s := twoDigits(text[11:]), twoDigits(text[14:]), twoDigits(text[17:])
	if h > 23 || m > 59 || s > 59 {
		return 0, fmt.Errorf("there is no time %s", text[11:19])
	}
	second := days*secondsPerDay + int64(h*3600+m*60+s)

	rest := text[19:]
	micros, width, err := parseFraction(rest)
	if err != nil {
		return 0, err
	}
	rest = rest[width:]
	if rest == "" {
		second, err = localSecond(second, zone)
	} else {
		var offset int64
		offset, err = parseOffset(rest)
		second -= offset
	}
	if err == nil {
		err = checkYears(second)
	}
	if err != nil {
		return 0, err
	}
	return second*microsPerSecond + micros, nil
}

func isSeparator(c byte) bool { return c == 'T' || c == ' ' || c == 't' }

// parseFraction reads an optional fraction of a second as microseconds.
func parseFraction(text string) (micros int64, width int, err error) {
	if text == "" || text[0] != '.' {
		return 0, 0, nil
	}
	unit := int64(microsPerSecond)
	for width = 1; width < len(text) && text[width]-'0' <= 9; width++ {
		d := int64(text[width] - '0')
		unit /= 10
		if unit == 0 && d != 0 {
			return 0, 0, errors.New("it is finer than a microsecond")
		}
		micros += d * unit
	}
	if width == 1 {
		return 0, 0, errForm
	}
	return micros, width, nil
}

// parseOffset reads Z, +hh:mm or -hh:mm as seconds east of UTC.
func parseOffset(text string) (int64, error) {
	if text == "Z" || text == "z" {
		return 0, nil
	}
	if len(text) != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':' || !isDigits(text[1:3]) || !isDigits(text[4:6]) {
		return 0, errForm
	}
	h, m := twoDigits(text[1:]), twoDigits(text[4:])
	if h > 23 || m > 59 {
		return 0, fmt.Errorf("there is no offset %s", text)
	}
	offset := int64(h*3600 + m*60)
	if text[0] == '-' {
		offset = -offset
	}
	return offset, nil
}

// localSecond turns a local time of the zone, in seconds as if it were UTC,
// into seconds since 1970-01-01 UTC.
//
// It asks the zone for offsets only. time.Date does not promise which instant a
// repeated or skipped time is, and Time.ZoneBounds ends a period at itself on
// the last day of leap years after the zone's table (2040 and on).
func localSecond(local int64, zone *time.Location) (int64, error) {
	if zone == nil || zone == time.UTC {
		return local, nil
	}
	const widest = 16 * 3600 // no offset reaches this far, and no zone changes twice within double of it
	before, after := offsetAt(local-widest, zone), offsetAt(local+widest, zone)
	if before == after {
		return local - before, nil
	}
	for _, offset := range [...]int64{max(before, after), min(before, after)} { // the larger is the earlier instant
		if second := local - offset; offsetAt(second, zone) == offset {
			return second, nil
		}
	}
	return 0, fmt.Errorf("the clocks of %s skip this time", zone)
}

// offsetAt gives the zone's offset at an instant, in seconds east of UTC.
func offsetAt(second int64, zone *time.Location) int64 {
	_, offset := time.Unix(second, 0).In(zone).Zone()
	return int64(offset)
}

// civilDays reads YYYY-MM-DD as days since 1970-01-01.
func civilDays(text string) (int64, error) {
	if text[7] != '-' || !isDigits(text[5:7]) || !isDigits(text[8:10]) {
		return 0, errForm
	}
	y, m, d := twoDigits(text)*100+twoDigits(text[2:]), twoDigits(text[5:]), twoDigits(text[8:])
	if y == 0 {
		return 0, errYears
	}
	if m < 1 || m > 12 {
		return 0, fmt.Errorf("there is no month %02d", m)
	}
	if d < 1 || d > daysIn(y, m) {
		return 0, fmt.Errorf("there is no day %s", text)
	}
	return daysFromCivil(int64(y), int64(m), int64(d)), nil
}

func daysIn(y, m int) int {
	switch m {
	case 2:
		if y%4 == 0 && (y%100 != 0 || y%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// daysFromCivil counts days since 1970-01-01 in the proleptic Gregorian
// calendar. Years are taken to begin in March, so that a leap day ends one.
func daysFromCivil(y, m, d int64) int64 {
	if m <= 2 {
		y--
	}
	era := floorDiv(y, 400)
	yearOfEra := y - era*400
	dayOfYear := (153*((m+9)%12)+2)/5 + d - 1
	dayOfEra := yearOfEra*365 + yearOfEra/4 - yearOfEra/100 + dayOfYear
	return era*146_097 + dayOfEra - 719_468
}

// civilFromDays is the inverse of daysFromCivil.
func civilFromDays(days int64) (y, m, d int64) {
	days += 719_468
	era := floorDiv(days, 146_097)
	dayOfEra := days - era*146_097
	yearOfEra := (dayOfEra - dayOfEra/1460 + dayOfEra/36_524 - dayOfEra/146_096) / 365
	dayOfYear := dayOfEra - (365*yearOfEra + yearOfEra/4 - yearOfEra/100)
	shifted := (5*dayOfYear + 2) / 153
	d = dayOfYear - (153*shifted+2)/5 + 1
	m = (shifted+2)%12 + 1
	y = yearOfEra + era*400
	if m <= 2 {
		y++
	}
	return y, m, d
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func appendDate(dst []byte, days int64) []byte {
	y, m, d := civilFromDays(days)
	if y < 0 || y > 9999 {
		return fmt.Appendf(dst, "%d-%02d-%02d", y, m, d) // not made by ParseText
	}
	dst = appendDigits(dst, uint64(y), 4)
	dst = append(dst, '-')
	dst = appendDigits(dst, uint64(m), 2)
	dst = append(dst, '-')
	return appendDigits(dst, uint64(d), 2)
}

func appendTimestamp(dst []byte, micros int64) []byte {
	second := floorDiv(micros, microsPerSecond)
	fraction := uint64(micros - second*microsPerSecond)
	days := floorDiv(second, secondsPerDay)
	ofDay := uint64(second - days*secondsPerDay)

	dst = append(appendDate(dst, days), 'T')
	dst = append(appendDigits(dst, ofDay/3600, 2), ':')
	dst = append(appendDigits(dst, ofDay/60%60, 2), ':')
	dst = appendDigits(dst, ofDay%60, 2)
	switch {
	case fraction == 0:
	case fraction%1000 == 0:
		dst = appendDigits(append(dst, '.'), fraction/1000, 3)
	default:
		dst = appendDigits(append(dst, '.'), fraction, 6)
	}
	return append(dst, 'Z')
}
