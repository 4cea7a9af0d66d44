package expr

import (
	"testing"
	"time"

	"github.com/watershed-data/watershed/internal/column"
)

// row is one row's values; columns that are not in it are null.
type row map[string]any

func text(s string) column.Value   { return column.Value{Str: s} }
func number(n int64) column.Value  { return column.Value{Int: n} }
func float(f float64) column.Value { return column.Value{Float: f} }
func instant(s string) int64       { t, _ := time.Parse(time.RFC3339Nano, s); return t.UnixMicro() }
func day(s string) int64           { t, _ := time.Parse(time.DateOnly, s); return t.Unix() / secondsPerDay }
func (r row) value(name string) (v column.Value) {
	switch x := r[name].(type) {
	case nil:
		return column.Null
	case string:
		return text(x)
	case int:
		return number(int64(x))
	case int64:
		return number(x)
	case float64:
		return float(x)
	case bool:
		return boolValue(x)
	}
	panic("a row holds a value of an unknown type")
}

var (
	yes = number(1)
	no  = number(0)
)

const maxInt, minInt = int64(1<<63 - 1), int64(-1 << 63)

// valueCases are expressions with what they must give. price has scale 2,
// whole 0, rate 6.
var valueCases = []struct {
	text   string
	row    row
	want   column.Value
	typ    string
	reason string // the row fails
}{
	// Texts.
	{text: "lower(name)", row: row{"name": "ÀBC ẞ"}, want: text("àbc ß"), typ: "string"},
	{text: "name.upper()", row: row{"name": "straße é"}, want: text("STRAßE É"), typ: "string"},
	{text: "trim(name)", row: row{"name": " \t\u00a0a b\n\u2003"}, want: text("a b"), typ: "string"},
	{text: "lower(trim(name))", row: row{"name": "  Product2 "}, want: text("product2"), typ: "string"},
	{text: "substr(name, 0, 3)", row: row{"name": "95126"}, want: text("951"), typ: "string"},
	{text: "substr(name, 1, 2)", row: row{"name": "日本語テ"}, want: text("本語"), typ: "string"},
	{text: "name.substr(2, 100)", row: row{"name": "😀a😀b"}, want: text("😀b"), typ: "string"},
	{text: "substr(name, -5, 2)", row: row{"name": "abc"}, want: text("ab"), typ: "string"},
	{text: "substr(name, 9, 2)", row: row{"name": "abc"}, want: text(""), typ: "string"},
	{text: "substr(name, 1, -1)", row: row{"name": "abc"}, want: text(""), typ: "string"},
	{text: "substr(name, big, big)", row: row{"name": "abc", "big": maxInt}, want: text(""), typ: "string"},
	{text: "substr(name, 1, big)", row: row{"name": "abc", "big": maxInt}, want: text("bc"), typ: "string"},
	{text: "size(name)", row: row{"name": "日本😀"}, want: number(3), typ: "int"},
	{text: "name.size()", row: row{"name": ""}, want: number(0), typ: "int"},
	{text: "contains(name, 'ß')", row: row{"name": "Straße"}, want: yes, typ: "bool"},
	{text: "name.contains(code)", row: row{"name": "abc", "code": "d"}, want: no, typ: "bool"},
	{text: "startsWith(name, 'ab')", row: row{"name": "abc"}, want: yes, typ: "bool"},
	{text: "name.endsWith('ab')", row: row{"name": "abc"}, want: no, typ: "bool"},
	{text: "matches(name, '^[0-9]{5}$')", row: row{"name": "95126"}, want: yes, typ: "bool"},
	{text: `name.matches(r'\d\d')`, row: row{"name": "a1b2"}, want: no, typ: "bool"},
	{text: "matches(name, 'b')", row: row{"name": "abc"}, want: yes, typ: "bool"},
	{text: "replace(name, 'a', 'xy')", row: row{"name": "banana"}, want: text("bxynxynxy"), typ: "string"},
	{text: "name.replace('', '-')", row: row{"name": "ab"}, want: text("ab"), typ: "string"},
	{text: "name + '-' + code", row: row{"name": "a", "code": "b"}, want: text("a-b"), typ: "string"},
	{text: "name + code", row: row{"name": "a"}, want: column.Null, typ: "string"},
	{text: "name < code", row: row{"name": "Z", "code": "a"}, want: yes, typ: "bool"},

	// Ints.
	{text: "qty + 2 * qty - 1", row: row{"qty": 5}, want: number(14), typ: "int"},
	{text: "-qty", row: row{"qty": 5}, want: number(-5), typ: "int"},
	{text: "big + 1", row: row{"big": maxInt}, reason: "int overflow in big + 1", typ: "int"},
	{text: "big - 1", row: row{"big": minInt}, reason: "int overflow in big - 1", typ: "int"},
	{text: "-big", row: row{"big": minInt}, reason: "int overflow in -big", typ: "int"},
	{text: "big * -1", row: row{"big": minInt}, reason: "int overflow in big * -1", typ: "int"},
	{text: "big * 2", row: row{"big": int64(1) << 62}, reason: "int overflow in big * 2", typ: "int"},
	{text: "big * -2", row: row{"big": int64(1) << 62}, want: number(minInt), typ: "int"},
	{text: "qty >= 5 && qty <= 5", row: row{"qty": 5}, want: yes, typ: "bool"},
	{text: "qty > 4.5", row: row{"qty": 5}, want: yes, typ: "bool"},
	{text: "qty in [1, 5, -3]", row: row{"qty": -3}, want: yes, typ: "bool"},
	{text: "!(name in ['a', 'b'])", row: row{"name": "c"}, want: yes, typ: "bool"},
	{text: "qty in []", row: row{"qty": 1}, want: no, typ: "bool"},
	{text: "qty in []", row: row{}, want: column.Null, typ: "bool"},

	// Decimals.
	{text: "price + price", row: row{"price": 1050}, want: number(2100), typ: "decimal(13,2)"},
	{text: "price - rate", row: row{"price": 100, "rate": 1}, want: number(999999), typ: "decimal(18,6)"},
	{text: "price * qty", row: row{"price": 1050, "qty": 3}, want: number(3150), typ: "decimal(18,2)"},
	{text: "price * 0.5", row: row{"price": 1051}, want: number(5255), typ: "decimal(13,3)"},
	{text: "price * 0.10", row: row{"price": 1000}, want: number(10000), typ: "decimal(14,4)"},
	{text: "price + 1", row: row{"price": 1}, want: number(101), typ: "decimal(13,2)"},
	{text: "1 - price", row: row{"price": 1}, want: number(99), typ: "decimal(13,2)"},
	{text: "qty * 2.5", row: row{"qty": 3}, want: number(75), typ: "decimal(18,1)"},
	{text: "-price", row: row{"price": 5}, want: number(-5), typ: "decimal(12,2)"},
	{text: "whole + whole", row: row{"whole": 999999999999999999}, reason: "decimal overflow in whole + whole", typ: "decimal(18,0)"},
	{text: "whole + 1", row: row{"whole": 999999999999999998}, want: number(999999999999999999), typ: "decimal(18,0)"},
	{text: "whole - 1", row: row{"whole": -999999999999999999}, reason: "decimal overflow in whole - 1", typ: "decimal(18,0)"},
	{text: "whole * price", row: row{"whole": 1000000000, "price": 1000000000}, reason: "decimal overflow in whole * price", typ: "decimal(18,2)"},
	{text: "whole + rate", row: row{"whole": 1000000000000, "rate": -1}, want: number(999999999999999999), typ: "decimal(18,6)"},
	{text: "price * big", row: row{"price": 1, "big": int64(2e18)}, reason: "decimal overflow in price * big", typ: "decimal(18,2)"},
	{text: "price > 0.5", row: row{"price": 51}, want: yes, typ: "bool"},
	{text: "price > 0.505", row: row{"price": 50}, want: no, typ: "bool"},
	{text: "price == 0.1", row: row{"price": 10}, want: yes, typ: "bool"},
	{text: "price == 1", row: row{"price": 100}, want: yes, typ: "bool"},
	{text: "price == qty", row: row{"price": 300, "qty": 3}, want: yes, typ: "bool"},
	{text: "whole > rate", row: row{"whole": 999999999999999999, "rate": 999999999999999999}, want: yes, typ: "bool"},
	{text: "rate < whole", row: row{"whole": -999999999999999999, "rate": 0}, want: no, typ: "bool"},
	{text: "price in [1, 2.50, decimal('3.999')]", row: row{"price": 250}, want: yes, typ: "bool"},
	{text: "price in [2.505]", row: row{"price": 250}, want: no, typ: "bool"},
	{text: "ok ? price : 0", row: row{"ok": false, "price": 5}, want: no, typ: "decimal(12,2)"},
	{text: "ok ? price : 1.255", row: row{"ok": true, "price": 5}, want: number(50), typ: "decimal(13,3)"},
	{text: "ok ? whole : rate", row: row{"ok": true, "whole": 999999999999}, want: number(999999999999000000), typ: "decimal(18,6)"},
	{text: "ok ? whole : rate", row: row{"ok": true, "whole": 1000000000000}, reason: "decimal overflow in ok ? whole : rate", typ: "decimal(18,6)"},
	{text: "ok ? whole : rate", row: row{"ok": false, "whole": 1000000000000, "rate": 7}, want: number(7), typ: "decimal(18,6)"},
	{text: "coalesce(price, rate, 0)", row: row{"price": 7}, want: number(70000), typ: "decimal(18,6)"},

	// Conversions.
	{text: "int(digits)", row: row{"digits": "-12"}, want: number(-12), typ: "int"},
	{text: "int(digits)", row: row{"digits": "+12"}, want: number(12), typ: "int"},
	{text: "int(digits)", row: row{"digits": " 12"}, reason: "text is not an int in int(digits)", typ: "int"},
	{text: "int(digits)", row: row{"digits": "1_000"}, reason: "text is not an int in int(digits)", typ: "int"},
	{text: "int(digits)", row: row{"digits": "9223372036854775808"}, reason: "text is not an int in int(digits)", typ: "int"},
	{text: "int(digits)", row: row{}, want: column.Null, typ: "int"},
	{text: "int(price)", row: row{"price": 1200}, want: number(12), typ: "int"},
	{text: "int(price)", row: row{"price": 1250}, reason: "decimal is not a whole number in int(price)", typ: "int"},
	{text: "decimal(digits, 2)", row: row{"digits": "12.5"}, want: number(1250), typ: "decimal(18,2)"},
	{text: "decimal(digits, 2)", row: row{"digits": "-0.010"}, want: number(-1), typ: "decimal(18,2)"},
	{text: "decimal(digits, 2)", row: row{"digits": "12.505"}, reason: "text has more digits after the point than the scale in decimal(digits, 2)", typ: "decimal(18,2)"},
	{text: "decimal(digits, 2)", row: row{"digits": "1e3"}, reason: "text is not a decimal in decimal(digits, 2)", typ: "decimal(18,2)"},
	{text: "decimal(digits, 0)", row: row{"digits": "92233720368547758081"}, reason: "decimal overflow in decimal(digits, 0)", typ: "decimal(18,0)"},
	{text: "decimal(digits, 2)", row: row{"digits": "10000000000000000"}, reason: "decimal overflow in decimal(digits, 2)", typ: "decimal(18,2)"},
	{text: "decimal(qty)", row: row{"qty": 12}, want: number(12), typ: "decimal(18,0)"},
	{text: "decimal(big)", row: row{"big": maxInt}, reason: "decimal overflow in decimal(big)", typ: "decimal(18,0)"},
	{text: "decimal('12.50')", row: row{}, want: number(1250), typ: "decimal(4,2)"},
	{text: "decimal(0.1)", row: row{}, want: number(1), typ: "decimal(1,1)"},
	{text: "string(qty)", row: row{"qty": -7}, want: text("-7"), typ: "string"},
	{text: "string(price)", row: row{"price": -5}, want: text("-0.05"), typ: "string"},
	{text: "string(whole)", row: row{"whole": 12}, want: text("12"), typ: "string"},
	{text: "string(ok)", row: row{"ok": true}, want: text("true"), typ: "string"},
	{text: "string(born)", row: row{"born": day("2014-11-01")}, want: text("2014-11-01"), typ: "string"},
	{text: "string(sold)", row: row{"sold": instant("2014-11-01T19:35:41.158Z")}, want: text("2014-11-01T19:35:41.158Z"), typ: "string"},

	// Times, in Berlin (see the test).
	{text: "year(sold)", row: row{"sold": instant("2014-12-31T23:30:00Z")}, want: number(2015), typ: "int"},
	{text: "month(sold)", row: row{"sold": instant("2014-12-31T23:30:00Z")}, want: number(1), typ: "int"},
	{text: "sold.day()", row: row{"sold": instant("2014-12-31T22:59:59.999999Z")}, want: number(31), typ: "int"},
	{text: "hour(sold)", row: row{"sold": instant("2014-12-31T23:30:00Z")}, want: number(0), typ: "int"},
	{text: "hour(sold)", row: row{"sold": instant("2024-03-31T00:59:59.999999Z")}, want: number(1), typ: "int"},
	{text: "hour(sold)", row: row{"sold": instant("2024-03-31T01:00:00Z")}, want: number(3), typ: "int"},
	{text: "hour(sold)", row: row{"sold": instant("2024-10-27T00:59:59Z")}, want: number(2), typ: "int"},
	{text: "hour(sold)", row: row{"sold": instant("2024-10-27T01:00:00Z")}, want: number(2), typ: "int"},
	{text: "weekday(sold)", row: row{"sold": instant("2024-03-31T12:00:00Z")}, want: number(7), typ: "int"},
	{text: "weekday(born)", row: row{"born": day("2024-04-01")}, want: number(1), typ: "int"},
	{text: "weekday(born)", row: row{"born": day("1969-12-31")}, want: number(3), typ: "int"},
	{text: "year(born)", row: row{"born": day("0001-01-01")}, want: number(1), typ: "int"},
	{text: "month(born)", row: row{"born": day("2000-02-29")}, want: number(2), typ: "int"},
	{text: "born.day()", row: row{"born": day("2000-02-29")}, want: number(29), typ: "int"},
	{text: "day(born)", row: row{"born": day("1900-02-28") + 1}, want: number(1), typ: "int"},
	{text: "sold <= sent", row: row{"sold": 5, "sent": 5}, want: yes, typ: "bool"},
	{text: "year(sold)", row: row{}, want: column.Null, typ: "int"},

	// Floats.
	{text: "temp > 0", row: row{"temp": -0.5}, want: no, typ: "bool"},
	{text: "temp == 0.1", row: row{"temp": 0.1}, want: yes, typ: "bool"},
	{text: "temp in [1, 0.5]", row: row{"temp": 0.5}, want: yes, typ: "bool"},
	{text: "coalesce(temp, 0)", row: row{}, want: float(0), typ: "float"},
	{text: "ok ? temp : 1", row: row{"ok": false, "temp": 2.5}, want: float(1), typ: "float"},

	// Null: false && null, true || null, ?:, coalesce; null everywhere else.
	{text: "ok && paid", row: row{"ok": false}, want: no, typ: "bool"},
	{text: "paid && ok", row: row{"ok": false}, want: no, typ: "bool"},
	{text: "ok && paid", row: row{"ok": true}, want: column.Null, typ: "bool"},
	{text: "ok || paid", row: row{"ok": true}, want: yes, typ: "bool"},
	{text: "paid || ok", row: row{"ok": true}, want: yes, typ: "bool"},
	{text: "ok || paid", row: row{"ok": false}, want: column.Null, typ: "bool"},
	{text: "!ok", row: row{}, want: column.Null, typ: "bool"},
	{text: "qty == qty", row: row{}, want: column.Null, typ: "bool"},
	{text: "name != 'a'", row: row{}, want: column.Null, typ: "bool"},
	{text: "name in ['a']", row: row{}, want: column.Null, typ: "bool"},
	{text: "ok ? 'a' : 'b'", row: row{}, want: column.Null, typ: "string"},
	{text: "ok ? name : 'b'", row: row{"ok": false}, want: text("b"), typ: "string"},
	{text: "ok ? name : 'b'", row: row{"ok": true}, want: column.Null, typ: "string"},
	{text: "coalesce(name, code)", row: row{"code": "c"}, want: text("c"), typ: "string"},
	{text: "coalesce(name, code, 'z')", row: row{}, want: text("z"), typ: "string"},
	{text: "coalesce(name, code)", row: row{}, want: column.Null, typ: "string"},
	{text: "coalesce(ok, false) || true", row: row{}, want: yes, typ: "bool"},

	// Failures: absorbed where nulls are; a null undecided && wins.
	{text: "ok && int(digits) > 0", row: row{"ok": false, "digits": "x"}, want: no, typ: "bool"},
	{text: "int(digits) > 0 && ok", row: row{"ok": false, "digits": "x"}, want: no, typ: "bool"},
	{text: "ok || int(digits) > 0", row: row{"ok": true, "digits": "x"}, want: yes, typ: "bool"},
	{text: "ok && int(digits) > 0", row: row{"ok": true, "digits": "x"}, reason: "text is not an int in int(digits)", typ: "bool"},
	{text: "paid && int(digits) > 0", row: row{"digits": "x"}, want: column.Null, typ: "bool"},
	{text: "int(digits) > 0 || paid", row: row{"digits": "x"}, want: column.Null, typ: "bool"},
	{text: "ok ? int(digits) : 7", row: row{"ok": false, "digits": "x"}, want: number(7), typ: "int"},
	{text: "ok ? int(digits) : 7", row: row{"ok": true, "digits": "x"}, reason: "text is not an int in int(digits)", typ: "int"},
	{text: "ok ? int(digits) : 7", row: row{"digits": "x"}, want: column.Null, typ: "int"},
	{text: "int(digits) > 0 ? 1 : 2", row: row{"digits": "x"}, reason: "text is not an int in int(digits)", typ: "int"},
	{text: "coalesce(int(digits), 7)", row: row{"digits": "x"}, reason: "text is not an int in int(digits)", typ: "int"},
	{text: "coalesce(qty, int(digits))", row: row{"qty": 1, "digits": "x"}, want: number(1), typ: "int"},
	{text: "coalesce(qty, int(digits))", row: row{"digits": "x"}, reason: "text is not an int in int(digits)", typ: "int"},
	{text: "qty + int(digits)", row: row{"digits": "x"}, reason: "text is not an int in int(digits)", typ: "int"},
	{text: "int(digits) + qty", row: row{"digits": "x"}, reason: "text is not an int in int(digits)", typ: "int"},
	{text: "int(name) + int(code)", row: row{"name": "x", "code": "y"}, reason: "text is not an int in int(name)", typ: "int"},
	{text: "int(name) == int(code)", row: row{"code": "y"}, reason: "text is not an int in int(code)", typ: "bool"},

	// Constants.
	{text: "1 + 2 * 3", row: row{}, want: number(7), typ: "int"},
	{text: "'a' + 'b'", row: row{}, want: text("ab"), typ: "string"},
	{text: "true", row: row{}, want: yes, typ: "bool"},
	{text: "0.5", row: row{}, want: float(0.5), typ: "float"},
	{text: "0.1 + 0.2 == 0.3", row: row{}, want: yes, typ: "bool"},
}

// Without this, a rule of the language could be wrong in both evaluators.
func TestEveryRuleOfTheLanguage(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range valueCases {
		e, err := Compile(c.text, testColumns, berlin)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		want := c.want
		if c.reason != "" {
			want = column.Null
		}
		if e.Type.String() != c.typ {
			t.Errorf("%s: type %s, not %s", c.text, e.Type, c.typ)
		}
		got, reasons := e.Eval(func(name string) *column.Vector {
			v := column.NewVector(testColumns[name], 1)
			v.Set(0, c.row.value(name))
			return v
		}, 1)
		if !same(got.At(0), want) || reasons[0] != c.reason {
			t.Errorf("%s over %v: Eval gives %v %q, not %v %q", c.text, c.row, got.At(0), reasons[0], want, c.reason)
		}
		value, err := e.EvalCEL(c.row.value)
		reason := ""
		if err != nil {
			reason = err.Error()
		}
		if !same(value, want) || reason != c.reason {
			t.Errorf("%s over %v: EvalCEL gives %v %q, not %v %q", c.text, c.row, value, reason, want, c.reason)
		}
	}
}
