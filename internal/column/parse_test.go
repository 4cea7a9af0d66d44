package column

import (
	"math"
	"math/big"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"
)

func mustType(t testing.TB, text string) Type {
	t.Helper()
	typ, err := ParseType(text)
	if err != nil {
		t.Fatal(err)
	}
	return typ
}

func mustZone(t testing.TB, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func TestParseText(t *testing.T) {
	t.Parallel()
	const (
		noDigits   = ` is not a number`
		notWhole   = ` is not a whole number`
		noFitInt   = ` does not fit int: whole numbers have 64 bits`
		form       = ` is no timestamp: want YYYY-MM-DDThh:mm:ss, a fraction and an offset if there are any`
		tooFine    = ` is no timestamp: it is finer than a microsecond`
		wrongYears = ` is no timestamp: its year is outside 0001 to 9999`
	)
	for _, c := range []struct {
		typ, text string
		want      string // as FormatText gives it
		err       string // after the quoted text
	}{
		{typ: "string", text: "", want: ""},
		{typ: "string", text: " a\x00", want: " a\x00"},

		{typ: "int", text: "0", want: "0"},
		{typ: "int", text: "-0", want: "0"},
		{typ: "int", text: "+7", want: "7"},
		{typ: "int", text: "007", want: "7"},
		{typ: "int", text: "16.0", want: "16"},
		{typ: "int", text: "1e2", want: "100"},
		{typ: "int", text: "1.50E1", want: "15"},
		{typ: "int", text: "1500e-2", want: "15"},
		{typ: "int", text: "0e999999999999999999999", want: "0"},
		{typ: "int", text: "1" + strings.Repeat("0", 5000) + "e-5000", want: "1"},
		{typ: "int", text: "0." + strings.Repeat("0", 5000) + "1e5001", want: "1"},
		{typ: "int", text: "9223372036854775807", want: "9223372036854775807"},
		{typ: "int", text: "-9223372036854775808", want: "-9223372036854775808"},
		{typ: "int", text: "9223372036854775808", err: noFitInt},
		{typ: "int", text: "-9223372036854775809", err: noFitInt},
		{typ: "int", text: "99999999999999999999", err: noFitInt},
		{typ: "int", text: "1e19", err: noFitInt},
		{typ: "int", text: "1e999999999999999999999", err: noFitInt},
		{typ: "int", text: "1e-999999999999999999999", err: notWhole},
		{typ: "int", text: "16.5", err: notWhole},
		{typ: "int", text: "", err: noDigits},
		{typ: "int", text: "-", err: noDigits},
		{typ: "int", text: ".5", err: noDigits},
		{typ: "int", text: "5.", err: noDigits},
		{typ: "int", text: "1e", err: noDigits},
		{typ: "int", text: "1e+", err: noDigits},
		{typ: "int", text: " 1", err: noDigits},
		{typ: "int", text: "1 ", err: noDigits},
		{typ: "int", text: "1_000", err: noDigits},
		{typ: "int", text: "0x10", err: noDigits},
		{typ: "int", text: "NaN", err: noDigits},
		{typ: "int", text: "１", err: noDigits},

		{typ: "decimal(12,2)", text: "16", want: "16.00"},
		{typ: "decimal(12,2)", text: "16.5", want: "16.50"},
		{typ: "decimal(12,2)", text: "-0.05", want: "-0.05"},
		{typ: "decimal(12,2)", text: "16.500", want: "16.50"},
		{typ: "decimal(12,2)", text: "165e-1", want: "16.50"},
		{typ: "decimal(12,2)", text: "9999999999.99", want: "9999999999.99"},
		{typ: "decimal(12,2)", text: "16.505", err: ` does not fit decimal(12,2): it has more than 2 digits after the point`},
		{typ: "decimal(12,2)", text: "10000000000", err: ` does not fit decimal(12,2): it has more than 10 digits before the point`},
		{typ: "decimal(12,2)", text: "-10000000000", err: ` does not fit decimal(12,2): it has more than 10 digits before the point`},
		{typ: "decimal(12,2)", text: "1e18", err: ` does not fit decimal(12,2): it has more than 10 digits before the point`},
		{typ: "decimal(12,2)", text: "1,5", err: noDigits},
		{typ: "decimal(2,1)", text: "10", err: ` does not fit decimal(2,1): it has more than 1 digit before the point`},
		{typ: "decimal(18,18)", text: "0.999999999999999999", want: "0.999999999999999999"},
		{typ: "decimal(18,18)", text: "-0.000000000000000001", want: "-0.000000000000000001"},
		{typ: "decimal(18,18)", text: "1", err: ` does not fit decimal(18,18): it has more than 0 digits before the point`},
		{typ: "decimal(18,0)", text: "999999999999999999", want: "999999999999999999"},
		{typ: "decimal(18,0)", text: "1000000000000000000", err: ` does not fit decimal(18,0): it has more than 18 digits before the point`},

		{typ: "bool", text: "true", want: "true"},
		{typ: "bool", text: "false", want: "false"},
		{typ: "bool", text: "TRUE", err: ` is not true or false`},
		{typ: "bool", text: "1", err: ` is not true or false`},

		{typ: "date", text: "1970-01-01", want: "1970-01-01"},
		{typ: "date", text: "0001-01-01", want: "0001-01-01"},
		{typ: "date", text: "9999-12-31", want: "9999-12-31"},
		{typ: "date", text: "2000-02-29", want: "2000-02-29"},
		{typ: "date", text: "1900-02-29", err: ` is no date: there is no day 1900-02-29`},
		{typ: "date", text: "2014-13-01", err: ` is no date: there is no month 13`},
		{typ: "date", text: "2014-00-01", err: ` is no date: there is no month 00`},
		{typ: "date", text: "2014-01-00", err: ` is no date: there is no day 2014-01-00`},
		{typ: "date", text: "0000-01-01", err: ` is no date: its year is outside 0001 to 9999`},
		{typ: "date", text: "2014-1-1", err: ` is not a date; a date is YYYY-MM-DD`},
		{typ: "date", text: "20140101", err: ` is not a date; a date is YYYY-MM-DD`},

		{typ: "timestamp", text: "2014-11-01T19:35:41Z", want: "2014-11-01T19:35:41Z"},
		{typ: "timestamp", text: "2014-11-01t19:35:41z", want: "2014-11-01T19:35:41Z"},
		{typ: "timestamp", text: "2014-11-01 19:35:41.158", want: "2014-11-01T19:35:41.158Z"},
		{typ: "timestamp", text: "2014-11-01T19:35:41.1", want: "2014-11-01T19:35:41.100Z"},
		{typ: "timestamp", text: "2014-11-01T19:35:41.123456", want: "2014-11-01T19:35:41.123456Z"},
		{typ: "timestamp", text: "2014-11-01T19:35:41.123456000", want: "2014-11-01T19:35:41.123456Z"},
		{typ: "timestamp", text: "2014-11-01T19:35:41.000", want: "2014-11-01T19:35:41Z"},
		{typ: "timestamp", text: "2014-11-01T00:30:00+05:30", want: "2014-10-31T19:00:00Z"},
		{typ: "timestamp", text: "2014-11-01T00:30:00-05:30", want: "2014-11-01T06:00:00Z"},
		{typ: "timestamp", text: "0001-01-01T00:00:00Z", want: "0001-01-01T00:00:00Z"},
		{typ: "timestamp", text: "9999-12-31T23:59:59.999999Z", want: "9999-12-31T23:59:59.999999Z"},
		{typ: "timestamp", text: "0001-01-01T00:00:00+00:01", err: wrongYears},
		{typ: "timestamp", text: "9999-12-31T23:59:59-00:01", err: wrongYears},
		{typ: "timestamp", text: "2014-11-01T19:35:41.1234567", err: tooFine},
		{typ: "timestamp", text: "2014-02-30 00:00:00", err: ` is no timestamp: there is no day 2014-02-30`},
		{typ: "timestamp", text: "2014-11-01 24:00:00", err: ` is no timestamp: there is no time 24:00:00`},
		{typ: "timestamp", text: "2016-12-31T23:59:60Z", err: ` is no timestamp: there is no time 23:59:60`},
		{typ: "timestamp", text: "2014-11-01T19:35:41+24:00", err: ` is no timestamp: there is no offset +24:00`},
		{typ: "timestamp", text: "2014-11-01", err: form},
		{typ: "timestamp", text: "2014-11-01 19:35", err: form},
		{typ: "timestamp", text: "2014-11-01 19:35:41.", err: form},
		{typ: "timestamp", text: "2014-11-01 19:35:41 Z", err: form},
		{typ: "timestamp", text: "2014-11-01 19:35:41+0100", err: form},
		{typ: "timestamp", text: "yesterday", err: ` is not a timestamp`},
		{typ: "timestamp", text: "", err: ` is not a timestamp`},
		{typ: "timestamp", text: "0", want: "1970-01-01T00:00:00Z"},
		{typ: "timestamp", text: "-0.5", want: "1969-12-31T23:59:59.500Z"},
		{typ: "timestamp", text: "1414870541", want: "2014-11-01T19:35:41Z"},
		{typ: "timestamp", text: "1414870541.158", want: "2014-11-01T19:35:41.158Z"},
		{typ: "timestamp", text: "1.414870541158e9", want: "2014-11-01T19:35:41.158Z"},
		{typ: "timestamp", text: "1414870541158", want: "2014-11-01T19:35:41.158Z"},
		{typ: "timestamp", text: "1414870541158.25", want: "2014-11-01T19:35:41.158250Z"},
		{typ: "timestamp", text: "99999999999", want: "5138-11-16T09:46:39Z"},
		{typ: "timestamp", text: "100000000000", want: "1973-03-03T09:46:40Z"},
		{typ: "timestamp", text: "99999999999999", want: "5138-11-16T09:46:39.999Z"},
		{typ: "timestamp", text: "100000000000000", err: ` is no timestamp: it is too large for epoch milliseconds`},
		{typ: "timestamp", text: "-62135596801", err: wrongYears},
		{typ: "timestamp", text: "1414870541.1234567", err: tooFine},

		{typ: "float", text: "1.5", want: "1.5"},
		{typ: "float", text: "-0", want: "0"},
		{typ: "float", text: "1e-400", want: "0"},
		{typ: "float", text: "1e400", err: ` does not fit float: floats have 64 bits`},
		{typ: "float", text: "Inf", err: noDigits},
		{typ: "float", text: "0x1p4", err: noDigits},
	} {
		t.Run(c.typ+" "+c.text[:min(len(c.text), 40)], func(t *testing.T) {
			t.Parallel()
			typ := mustType(t, c.typ)
			v, err := ParseText(typ, c.text, nil)
			if c.err != "" {
				if err == nil || err.Error() != quote(c.text)+c.err {
					t.Fatalf("got %v, error %v; want error %s", v, err, quote(c.text)+c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := FormatText(typ, v); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestLocalTimes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ zone, text, want string }{
		{"America/New_York", "2013-01-01 05:15:00", "2013-01-01T10:15:00Z"},
		{"America/New_York", "2013-07-01 05:15:00", "2013-07-01T09:15:00Z"},
		{"America/New_York", "2013-07-01 05:15:00Z", "2013-07-01T05:15:00Z"},
		{"America/New_York", "2013-03-10 01:59:59", "2013-03-10T06:59:59Z"},
		{"America/New_York", "2013-03-10 02:30:00", "error"},
		{"America/New_York", "2013-03-10 03:00:00", "2013-03-10T07:00:00Z"},
		{"America/New_York", "2013-11-03 01:30:00", "2013-11-03T05:30:00Z"}, // the first of two
		{"America/New_York", "2013-11-03 02:00:00", "2013-11-03T07:00:00Z"},
		{"Australia/Lord_Howe", "2013-10-06 02:15:00", "error"}, // a change of half an hour
		{"Australia/Lord_Howe", "2013-10-06 02:30:00", "2013-10-05T15:30:00Z"},
		{"Pacific/Apia", "2011-12-30 12:00:00", "error"}, // a day that Samoa skipped
		{"Pacific/Apia", "2011-12-31 00:00:00", "2011-12-30T10:00:00Z"},
		{"Pacific/Kwajalein", "1969-09-30 22:00:00", "1969-09-30T11:00:00Z"}, // a day lived twice
		{"Europe/Berlin", "2100-07-01 12:00:00", "2100-07-01T10:00:00Z"},
		{"America/New_York", "2041-01-01 00:00:00", "2041-01-01T05:00:00Z"}, // after a leap year that the zone's table does not hold
		{"America/New_York", "4001-01-01 00:00:00", "4001-01-01T05:00:00Z"},
		{"America/New_York", "9999-12-31 18:59:59", "9999-12-31T23:59:59Z"},
		{"America/New_York", "0001-01-01 00:00:00", "0001-01-01T04:56:02Z"}, // local mean time
		{"Asia/Kolkata", "2014-11-01 00:30:00", "2014-10-31T19:00:00Z"},
	} {
		t.Run(c.zone+" "+c.text, func(t *testing.T) {
			t.Parallel()
			typ := Type{Kind: Timestamp}
			v, err := ParseText(typ, c.text, mustZone(t, c.zone))
			if c.want == "error" {
				if err == nil || !strings.Contains(err.Error(), "the clocks of "+c.zone+" skip this time") {
					t.Fatalf("got %s, error %v", FormatText(typ, v), err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := FormatText(typ, v); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// Every local time around a change of clocks means what the zone's own table
// says: the earliest instant that shows it.
func TestLocalTimesAgainstEveryInstant(t *testing.T) {
	t.Parallel()
	zone := mustZone(t, "America/New_York")
	const step = 5 * 60
	for _, around := range []string{"2013-03-10T07:00:00Z", "2013-11-03T06:00:00Z"} {
		middle, err := time.Parse(time.RFC3339, around)
		if err != nil {
			t.Fatal(err)
		}
		earliest := map[string]int64{}
		for s := middle.Unix() + 8*3600; s > middle.Unix()-8*3600; s -= step {
			earliest[time.Unix(s, 0).In(zone).Format("2006-01-02 15:04:05")] = s
		}
		for text, want := range earliest {
			v, err := ParseText(Type{Kind: Timestamp}, text, zone)
			if err != nil || v.Int != want*1_000_000 {
				t.Errorf("%s: got %d, error %v; want %d", text, v.Int, err, want*1_000_000)
			}
		}
	}
}

func TestNullHasNoText(t *testing.T) {
	t.Parallel()
	for _, typ := range []string{"string", "int", "decimal(4,2)", "bool", "date", "timestamp", "float"} {
		if got := FormatText(mustType(t, typ), Null); got != "" {
			t.Errorf("null %s is %q", typ, got)
		}
	}
}

func TestLongTextsAreCutInMessages(t *testing.T) {
	t.Parallel()
	_, err := ParseText(Type{Kind: Int}, strings.Repeat("é", 1<<19), nil)
	if want := `"` + strings.Repeat("é", 20) + `"... is not a number`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestExtremesCanBeFormatted(t *testing.T) {
	t.Parallel()
	for _, x := range []int64{math.MinInt64, math.MaxInt64} {
		for _, typ := range []string{"int", "decimal(18,0)", "decimal(18,9)", "decimal(18,18)", "date", "timestamp"} {
			if x < 0 && typ == "date" || x > 0 && typ == "date" {
				continue // no calendar reaches there
			}
			if FormatText(mustType(t, typ), Value{Int: x}) == "" {
				t.Errorf("%s of %d has no text", typ, x)
			}
		}
	}
}

// FuzzParseText: nothing panics; what is read is written and read again as the
// same value; numbers agree with exact rationals and RFC 3339 with package time.
func FuzzParseText(f *testing.F) {
	for _, text := range []string{"0", "-16.50", "1e2", "9223372036854775808", "2014-11-01 19:35:41.158", "2014-11-01T19:35:41.158+05:30",
		"1414870541.158", "true", "2014-02-29", "1e-999999", "\xff", "0001-01-01T00:00:00+00:01", "00012.3400e-1"} {
		f.Add(text)
	}
	f.Add("4001-01-01 00:00:00")
	types := []Type{{Kind: String}, {Kind: Int}, {Kind: Decimal, Precision: 12, Scale: 2}, {Kind: Decimal, Precision: 18, Scale: 18},
		{Kind: Bool}, {Kind: Date}, {Kind: Timestamp}, {Kind: Float}}
	zone := mustZone(f, "America/New_York")
	f.Fuzz(func(t *testing.T, text string) {
		for _, typ := range types {
			v, err := ParseText(typ, text, zone)
			if err != nil {
				if v != Null {
					t.Fatalf("%s %q: a value beside an error", typ, text)
				}
				continue
			}
			again, err := ParseText(typ, FormatText(typ, v), nil)
			if err != nil || again != v {
				t.Fatalf("%s %q: read %+v, written %q, read again %+v, error %v", typ, text, v, FormatText(typ, v), again, err)
			}
			if typ.Kind == Timestamp {
				if want, err := time.Parse(time.RFC3339Nano, text); err == nil && want.UnixMicro() != v.Int {
					t.Fatalf("%q: got %s, package time says %s", text, FormatText(typ, v), want)
				}
			}
		}
		checkAgainstRationals(t, text)
	})
}

// checkAgainstRationals decides with big.Rat what ParseText decides with
// machine integers.
func checkAgainstRationals(t *testing.T, text string) {
	if len(text) > 60 || strings.ContainsAny(text, "_/xXpPbBoO") {
		return // forms of big.Rat that are no numbers here, or that would take long
	}
	if i := strings.IndexAny(text, "eE"); i >= 0 && len(text)-i > 4 {
		return
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok || strings.HasPrefix(strings.TrimLeft(text, "+-"), ".") || strings.Contains(text+"e", ".e") || strings.Contains(text+"E", ".E") {
		return
	}
	for _, typ := range []Type{{Kind: Int}, {Kind: Decimal, Precision: 12, Scale: 2}, {Kind: Decimal, Precision: 18, Scale: 18}} {
		scaled := new(big.Rat).Mul(r, new(big.Rat).SetInt64(pow10[typ.Scale]))
		fits := scaled.IsInt() && scaled.Num().IsInt64()
		if fits && typ.Kind == Decimal {
			fits = new(big.Int).Abs(scaled.Num()).Cmp(big.NewInt(pow10[typ.Precision])) < 0
		}
		v, err := ParseText(typ, text, nil)
		if fits != (err == nil) || fits && v.Int != scaled.Num().Int64() {
			t.Fatalf("%s %q: got %d, error %v; exactly it is %s", typ, text, v.Int, err, scaled)
		}
	}
}

func BenchmarkParseText(b *testing.B) {
	for _, c := range []struct{ typ, text, zone string }{
		{"int", "95126", "UTC"},
		{"decimal(12,2)", "16.50", "UTC"},
		{"timestamp", "2014-11-01 19:35:41.158", "UTC"},
		{"timestamp", "2014-11-01 19:35:41.158", "America/New_York"},
		{"timestamp", "1414870541158", "UTC"},
	} {
		b.Run(c.typ+" "+c.text+" "+c.zone, func(b *testing.B) {
			typ, zone := mustType(b, c.typ), mustZone(b, c.zone)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseText(typ, c.text, zone); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
