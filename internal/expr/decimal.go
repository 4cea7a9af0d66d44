package expr

import (
	"errors"
	"math"
	"math/bits"
	"strconv"
	"strings"

	"github.com/watershed-data/watershed/internal/column"
)

// decimalLimit is the first magnitude with more than 18 digits. Every decimal
// in a column is below it.
const decimalLimit = 1_000_000_000_000_000_000

var powersOfTen = func() (p [column.MaxPrecision + 1]int64) {
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = 10 * p[i-1]
	}
	return p
}()

func magnitude(v int64) uint64 {
	if v < 0 {
		return -uint64(v)
	}
	return uint64(v)
}

func outOfRange(v int64) bool { return v >= decimalLimit || v <= -decimalLimit }

// multiplyDecimals multiplies scaled integers; false if 18 digits are too few.
func multiplyDecimals(a, b int64) (int64, bool) {
	high, low := bits.Mul64(magnitude(a), magnitude(b))
	if high != 0 || low >= decimalLimit {
		return 0, false
	}
	if (a < 0) != (b < 0) {
		return -int64(low), true
	}
	return int64(low), true
}

// addScaled computes a*power + b exactly; false if 18 digits are too few. A
// product beyond twice the limit cannot be brought back by b.
func addScaled(a, power, b int64) (int64, bool) {
	high, low := bits.Mul64(magnitude(a), uint64(power))
	if high != 0 || low >= 2*decimalLimit {
		return 0, false
	}
	product := int64(low)
	if a < 0 {
		product = -product
	}
	sum := product + b
	return sum, !outOfRange(sum)
}

// compareScaled compares a*power with b exactly: -1, 0 or 1.
func compareScaled(a, power, b int64) int {
	high, low := bits.Mul64(magnitude(a), uint64(power))
	if high != 0 || low > math.MaxInt64 {
		if a < 0 {
			return -1
		}
		return 1
	}
	product := int64(low)
	if a < 0 {
		product = -product
	}
	switch {
	case product < b:
		return -1
	case product > b:
		return 1
	default:
		return 0
	}
}

// Reasons why a text is no decimal.
var (
	errNoNumber   = errors.New("it is not written as digits with a point")
	errManyDigits = errors.New("it has more than 18 digits")
	errFraction   = errors.New("it has more digits after the point than the scale")
)

// digitsOf takes [+-]digits[.digits] apart; ok is false for anything else.
func digitsOf(text string) (negative bool, whole, fraction string, ok bool) {
	if text != "" && (text[0] == '-' || text[0] == '+') {
		negative, text = text[0] == '-', text[1:]
	}
	whole, fraction, point := strings.Cut(text, ".")
	ok = whole != "" && onlyDigits(whole) && onlyDigits(fraction) && (!point || fraction != "")
	return negative, whole, fraction, ok
}

func onlyDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// parseDecimal reads a text as a decimal of the scale.
func parseDecimal(text string, scale int) (int64, error) {
	negative, whole, fraction, ok := digitsOf(text)
	if !ok {
		return 0, errNoNumber
	}
	for len(fraction) > scale {
		if fraction[len(fraction)-1] != '0' {
			return 0, errFraction
		}
		fraction = fraction[:len(fraction)-1]
	}
	var v int64
	for _, part := range [2]string{whole, fraction} {
		for i := 0; i < len(part); i++ {
			if v >= decimalLimit/10 {
				return 0, errManyDigits
			}
			v = v*10 + int64(part[i]-'0')
		}
	}
	v, ok = multiplyDecimals(v, powersOfTen[scale-len(fraction)])
	if !ok {
		return 0, errManyDigits
	}
	if negative {
		v = -v
	}
	return v, nil
}

// parseDecimalLiteral reads a constant, whose digits give its scale. It takes
// exponents and a missing zero before the point, as number literals have them.
func parseDecimalLiteral(text string) (value int64, scale int, err error) {
	mantissa, exponent := text, 0
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		exponent, err = strconv.Atoi(text[i+1:])
		if err != nil || exponent < -1000 || exponent > 1000 {
			return 0, 0, errManyDigits
		}
		mantissa = text[:i]
	}
	if rest := strings.TrimLeft(mantissa, "+-"); strings.HasPrefix(rest, ".") {
		mantissa = mantissa[:len(mantissa)-len(rest)] + "0" + rest
	}
	negative, whole, fraction, ok := digitsOf(mantissa)
	if !ok {
		return 0, 0, errNoNumber
	}
	digits := whole + fraction
	scale = len(fraction) - exponent
	for ; scale < 0 && len(digits) <= 2*column.MaxPrecision; scale++ {
		digits += "0"
	}
	digits = strings.TrimLeft(digits, "0")
	if scale > column.MaxPrecision || len(digits) > column.MaxPrecision {
		return 0, 0, errManyDigits
	}
	if digits != "" {
		value, err = strconv.ParseInt(digits, 10, 64)
	}
	if negative {
		value = -value
	}
	return value, max(scale, 0), err
}

// formatDecimal writes a scaled integer with all digits of its scale.
func formatDecimal(v int64, scale int) string {
	return string(appendDecimal(nil, v, scale))
}

func appendDecimal(dst []byte, v int64, scale int) []byte {
	if v < 0 {
		dst = append(dst, '-')
	}
	m := magnitude(v)
	power := uint64(powersOfTen[scale])
	dst = strconv.AppendUint(dst, m/power, 10)
	if scale == 0 {
		return dst
	}
	dst = append(dst, '.')
	fraction := m % power
	for p := power / 10; p > 0; p /= 10 {
		dst = append(dst, byte('0'+fraction/p%10))
	}
	return dst
}
