package kinesisevent

import (
	"fmt"
	"strconv"
	"strings"
)

// parseSeconds reads a JSON number of seconds, such as 1545084650.987, 1545084650.9
// or 1.545084650987E9, as milliseconds. No float is involved. What is not a whole
// number of milliseconds since 1970 is an error: to round it could give another
// millisecond than other readers of the log see.
func parseSeconds(text string) (int64, error) {
	mantissa, exponent := text, 0
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		var err error
		if exponent, err = strconv.Atoi(text[i+1:]); err != nil {
			return 0, notMillis(text)
		}
		mantissa = text[:i]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	if whole == "" {
		return 0, notMillis(text)
	}
	digits := strings.TrimRight(whole+fraction, "0")
	// The number is digits times 10^scale milliseconds.
	scale := len(whole) - len(digits) + exponent + 3
	if digits == "" {
		digits, scale = "0", 0
	}
	if scale < 0 || scale > maxMillisDigits {
		return 0, notMillis(text)
	}
	digits = strings.TrimLeft(digits, "0") + strings.Repeat("0", scale)
	if len(digits) > maxMillisDigits {
		return 0, notMillis(text)
	}
	n, err := strconv.ParseUint("0"+digits, 10, 63)
	if err != nil {
		return 0, notMillis(text)
	}
	return int64(n), nil
}

// maxMillisDigits is how many digits milliseconds have for some 31,000 years.
const maxMillisDigits = 15

func notMillis(text string) error {
	return fmt.Errorf("its approximateArrivalTimestamp %q is not a number of seconds to the millisecond", text)
}
