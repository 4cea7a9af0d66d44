package rowlogic

import (
	"math"
	"testing"

	"github.com/watershed-data/watershed/internal/column"
)

func TestAssigningDecimals(t *testing.T) {
	t.Parallel()
	decimal := func(p, s int) column.Type { return column.Type{Kind: column.Decimal, Precision: p, Scale: s} }
	whole := column.Type{Kind: column.Int}
	cases := []struct {
		name string
		from column.Type
		x    int64
		to   column.Type
		want int64
		ok   bool
	}{
		{"the same type", decimal(4, 2), 9999, decimal(4, 2), 9999, true},
		{"the same type, one too many", decimal(4, 2), 10000, decimal(4, 2), 0, false},
		{"a wider scale", decimal(4, 2), 123, decimal(6, 4), 12300, true},
		{"a wider scale, too many digits", decimal(4, 2), 123, decimal(4, 4), 0, false},
		{"a narrower scale, exact", decimal(6, 4), -12300, decimal(4, 2), -123, true},
		{"a narrower scale, not exact", decimal(6, 4), 12301, decimal(4, 2), 0, false},
		{"an int", whole, -12, decimal(4, 2), -1200, true},
		{"an int too large", whole, 100, decimal(4, 2), 0, false},
		{"the largest int", whole, math.MaxInt64, decimal(18, 0), 0, false},
		{"the smallest int", whole, math.MinInt64, decimal(18, 0), 0, false},
		{"an int whose product would wrap", whole, math.MaxInt64/100 + 1, decimal(18, 18), 0, false},
		{"zero", whole, 0, decimal(18, 18), 0, true},
		{"18 digits", decimal(18, 0), 999_999_999_999_999_999, decimal(18, 0), 999_999_999_999_999_999, true},
		{"19 digits that lose one", decimal(18, 1), 9_000_000_000_000_000_000, decimal(18, 0), 900_000_000_000_000_000, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, ok := fit(column.Value{Int: c.x}, c.from, c.to)
			if ok != c.ok || ok && got.Int != c.want {
				t.Errorf("%d of %s becomes %d of %s, %t; want %d, %t", c.x, c.from, got.Int, c.to, ok, c.want, c.ok)
			}
		})
	}
}
