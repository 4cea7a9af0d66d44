package column

import (
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// ParseText reads a value of type t from text, exactly: what does not fit the
// type without rounding is an error, never a nearby value. The error's text is
// what users see as a rejected event's detail; it quotes the value and does not
// name the column.
//
//   - string: the text itself, which the caller knows to be valid UTF-8.
//   - int: a sign or none and digits; 16.0 and 1e2 too, being whole numbers.
//   - decimal(p,s): as int, with at most s digits after the point that are not
//     trailing zeros, and a magnitude below 10^(p-s).
//   - bool: true or false.
//   - date: YYYY-MM-DD, years 0001 to 9999.
//   - timestamp: RFC 3339; the same without an offset and with a space or a T
//     in the middle, which is a local time of zone (nil is UTC); or a number:
//     below 10^11 in magnitude epoch seconds, below 10^14 epoch milliseconds.
//     Microseconds are the finest unit. A local time that the zone skips is an
//     error; of one that it repeats, the earlier instant is taken.
//   - float: a decimal number, rounded to the nearest 64-bit float; no NaN and
//     no infinity; -0 is 0.
//
// Blanks around the value are not skipped. The text is never null: callers
// decide what is.
func ParseText(t Type, text string, zone *time.Location) (Value, error) {
	switch t.Kind {
	case String:
		return Value{Str: text}, nil
	case Int:
		return parseInt(text)
	case Decimal:
		return parseDecimal(t, text)
	case Bool:
		switch text {
		case "true":
			return Value{Int: 1}, nil
		case "false":
			return Value{}, nil
		}
		return Null, fmt.Errorf("%s is not true or false", quote(text))
	case Date:
		return parseDate(text)
	case Timestamp:
		return parseTimestamp(text, zone)
	case Float:
		return parseFloat(text)
	}
	return Null, fmt.Errorf("a value of type %q cannot be read", t.Kind)
}

// FormatText writes a value as ParseText reads it: decimals with all digits of
// their scale, timestamps as RFC 3339 in UTC with 0, 3 or 6 digits of seconds'
// fraction, whichever is the shortest exact form. Null is the empty text.
func FormatText(t Type, v Value) string {
	if t.Kind == String || v.Null {
		return v.Str
	}
	var buf [40]byte
	return string(AppendText(buf[:0], t, v))
}

// AppendText appends what FormatText gives.
func AppendText(dst []byte, t Type, v Value) []byte {
	if v.Null {
		return dst
	}
	switch t.Kind {
	case String:
		return append(dst, v.Str...)
	case Int:
		return strconv.AppendInt(dst, v.Int, 10)
	case Decimal:
		return appendDecimal(dst, v.Int, t.Scale)
	case Bool:
		return strconv.AppendBool(dst, v.Int != 0)
	case Date:
		return appendDate(dst, v.Int)
	case Timestamp:
		return appendTimestamp(dst, v.Int)
	case Float:
		return strconv.AppendFloat(dst, v.Float, 'g', -1, 64)
	}
	return dst
}

// quote makes a value from outside safe and short enough for a message.
func quote(text string) string {
	const most = 40
	if len(text) <= most {
		return strconv.Quote(text)
	}
	cut := most
	for cut > most-utf8.UTFMax && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return strconv.Quote(text[:cut]) + "..."
}

func parseInt(text string) (Value, error) {
	if x, ok := plainInt(text); ok {
		return Value{Int: x}, nil
	}
	n, ok := scanNumber(text)
	if !ok {
		return Null, fmt.Errorf("%s is not a number", quote(text))
	}
	x, fit := n.scaled(0)
	switch fit {
	case inexact:
		return Null, fmt.Errorf("%s is not a whole number", quote(text))
	case tooLarge:
		return Null, fmt.Errorf("%s does not fit int: whole numbers have 64 bits", quote(text))
	}
	return Value{Int: x}, nil
}

// plainInt is the path nearly every int takes: up to 18 digits and a sign.
func plainInt(text string) (int64, bool) {
	digits, neg := text, false
	if len(text) > 0 && text[0] == '-' {
		digits, neg = text[1:], true
	}
	if len(digits) == 0 || len(digits) > 18 {
		return 0, false
	}
	var x int64
	for i := range len(digits) {
		d := digits[i] - '0'
		if d > 9 {
			return 0, false
		}
		x = x*10 + int64(d)
	}
	if neg {
		x = -x
	}
	return x, true
}

func parseDecimal(t Type, text string) (Value, error) {
	n, ok := scanNumber(text)
	if !ok {
		return Null, fmt.Errorf("%s is not a number", quote(text))
	}
	x, fit := n.scaled(t.Scale)
	if fit == exact && (x >= pow10[t.Precision] || x <= -pow10[t.Precision]) {
		fit = tooLarge
	}
	switch fit {
	case inexact:
		return Null, fmt.Errorf("%s does not fit %s: it has more than %s after the point", quote(text), t, plural(t.Scale, "digit"))
	case tooLarge:
		return Null, fmt.Errorf("%s does not fit %s: it has more than %s before the point", quote(text), t, plural(t.Precision-t.Scale, "digit"))
	}
	return Value{Int: x}, nil
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

func parseFloat(text string) (Value, error) {
	if _, ok := scanNumber(text); !ok {
		return Null, fmt.Errorf("%s is not a number", quote(text))
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) {
		return Null, fmt.Errorf("%s does not fit float: floats have 64 bits", quote(text))
	}
	if f == 0 {
		f = 0 // -0 and 0 are one value
	}
	return Value{Float: f}, nil
}

// pow10[i] is 10^i.
var pow10 = func() (p [19]int64) {
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = p[i-1] * 10
	}
	return p
}()

// number is a decimal number as written: mantissa * 10^exp. The mantissa has
// neither leading nor trailing zeros, so exp says at once whether the number is
// exact at a scale.
type number struct {
	negative bool
	mantissa uint64 // valid up to 19 digits
	digits   int    // of the mantissa; 0: the number is zero
	exp      int
}

// scanNumber reads [+-]digits[.digits][e[+-]digits], of any length.
func scanNumber(text string) (n number, ok bool) {
	i := 0
	if i < len(text) && (text[i] == '-' || text[i] == '+') {
		n.negative = text[i] == '-'
		i++
	}
	zeros := 0 // read since the last other digit, not in the mantissa yet
	digits := func(exp int) int {
		start := i
		for ; i < len(text); i++ {
			d := text[i] - '0'
			switch {
			case d > 9:
				return i - start
			case d == 0:
				if n.digits > 0 {
					zeros++
				}
			default:
				n.push(zeros, uint64(d))
				n.exp = exp * (i - start + 1)
				zeros = 0
			}
		}
		return i - start
	}

	whole := digits(0)
	if whole == 0 {
		return number{}, false
	}
	n.exp = zeros
	if n.digits == 0 {
		n.exp = 0
	}
	if i < len(text) && text[i] == '.' {
		i++
		if digits(-1) == 0 {
			return number{}, false
		}
	}
	if i < len(text) && (text[i] == 'e' || text[i] == 'E') {
		i++
		exp, width := scanExponent(text[i:])
		if width == 0 {
			return number{}, false
		}
		n.exp += exp
		i += width
	}
	return n, i == len(text)
}

// push appends zeros and one more digit to the mantissa.
func (n *number) push(zeros int, d uint64) {
	n.digits += zeros + 1
	if n.digits > 19 {
		return // too many for any type; only their count matters now
	}
	if zeros > 0 {
		n.mantissa *= uint64(pow10[zeros])
	}
	n.mantissa = n.mantissa*10 + d
}

// scanExponent reads [+-]digits; a width of 0 says there are none. A huge
// exponent is cut to one that no length of digits makes up for.
func scanExponent(text string) (exp, width int) {
	const most = 1 << 27
	i, sign := 0, 1
	if i < len(text) && (text[i] == '-' || text[i] == '+') {
		if text[i] == '-' {
			sign = -1
		}
		i++
	}
	start := i
	for ; i < len(text) && text[i]-'0' <= 9; i++ {
		exp = min(exp*10+int(text[i]-'0'), most)
	}
	if i == start {
		return 0, 0
	}
	return sign * exp, i
}

// fit says whether a number is a scaled 64-bit integer.
type fit uint8

const (
	exact    fit = iota
	inexact      // digits are left behind the scale
	tooLarge     // more than 64 bits
)

// scaled gives the number times 10^scale.
func (n number) scaled(scale int) (int64, fit) {
	if n.digits == 0 {
		return 0, exact
	}
	shift := n.exp + scale
	if shift < 0 {
		return 0, inexact
	}
	if n.digits+shift > 19 {
		return 0, tooLarge
	}
	m := n.mantissa * uint64(pow10[shift]) // below 10^19, so it fits
	switch {
	case !n.negative && m <= math.MaxInt64:
		return int64(m), exact
	case n.negative && m <= 1<<63:
		return -int64(m), exact // -2^63 negates to itself
	}
	return 0, tooLarge
}

func appendDecimal(dst []byte, x int64, scale int) []byte {
	u := uint64(x)
	if x < 0 {
		dst = append(dst, '-')
		u = -u
	}
	if scale == 0 {
		return strconv.AppendUint(dst, u, 10)
	}
	unit := uint64(pow10[scale])
	dst = strconv.AppendUint(dst, u/unit, 10)
	dst = append(dst, '.')
	return appendDigits(dst, u%unit, scale)
}

// appendDigits appends u with leading zeros up to the width.
func appendDigits(dst []byte, u uint64, width int) []byte {
	for i := width - 1; i >= 0; i-- {
		dst = append(dst, '0'+byte(u/uint64(pow10[i])%10))
	}
	return dst
}
