package rowlogic

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/protocol"
)

// sales is the whitepaper's pipeline without cleaning, plus a column of every
// other kind and paths into nested objects.
func sales(t testing.TB) *definition.Definition {
	t.Helper()
	columns := []definition.Column{
		declare(t, "zipcode", "string", ""),
		declare(t, "product", "string", "ProductName"),
		declare(t, "price", "decimal(12,2)", ""),
		declare(t, "sold_at", "timestamp", "timestamp"),
		optional(declare(t, "amount", "int", "")),
		optional(declare(t, "paid", "bool", "")),
		optional(declare(t, "due", "date", "")),
		optional(declare(t, "weight", "float", "")),
		optional(declare(t, "item", "string", "")),
		optional(declare(t, "colour", "string", "item.colour")),
		optional(declare(t, "again", "string", "item.colour")),
	}
	return &definition.Definition{
		Pipeline: "sales",
		Zone:     time.UTC,
		Events:   definition.Events{Format: "json", Columns: columns, Time: "sold_at"},
		Columns:  columns,
		Views: []definition.View{
			{Name: "by_product", By: []string{"product"}, Every: definition.Hour, Measures: []definition.Measure{{Name: "sales", Func: definition.Count}}},
			{Name: "by_day", Every: definition.Day, Measures: []definition.Measure{{Name: "sales", Func: definition.Count}}},
			{Name: "daily_too", Every: definition.Day, Measures: []definition.Measure{{Name: "sales", Func: definition.Count}}},
		},
	}
}

func declare(t testing.TB, name, typ, from string) definition.Column {
	t.Helper()
	parsed, err := column.ParseType(typ)
	if err != nil {
		t.Fatal(err)
	}
	if from == "" {
		from = name
	}
	return definition.Column{Name: name, Type: parsed, From: strings.Split(from, ".")}
}

func optional(c definition.Column) definition.Column {
	c.Optional = true
	return c
}

func newLogic(t testing.TB, def *definition.Definition) *Logic {
	t.Helper()
	l, err := New(def)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func events(data ...string) []protocol.Event {
	out := make([]protocol.Event, len(data))
	for i, d := range data {
		out[i] = protocol.Event{
			Position:     protocol.Position{Seq: "49590338271490256608559692538361571095921575989136588" + string(rune('0'+i%10))},
			PartitionKey: "key",
			Arrival:      1414870541158 + int64(i),
			Data:         []byte(d),
			Last:         true,
		}
	}
	return out
}

// row shows row i as "column=value" of what is not null.
func row(b *Batch, columns []definition.Column, i int) string {
	var out []string
	for k, c := range columns {
		if v := b.Columns[k].At(i); !v.Null {
			out = append(out, c.Name+"="+column.FormatText(c.Type, v))
		}
	}
	return strings.Join(out, " ")
}

// whole completes the fields of a sales event.
func whole(more string) string {
	return `{"zipcode":"95126","ProductName":"p","price":1,"timestamp":0` + more + `}`
}

const wholeRow = "zipcode=95126 product=p price=1.00 sold_at=1970-01-01T00:00:00Z"

func TestEventsThatDecode(t *testing.T) {
	t.Parallel()
	cases := []struct{ name, event, want string }{
		{"the whitepaper's event, its zip code a number", `{"zipcode":95126,"ProductName":"product2","price":16,"timestamp":"2014-11-01 19:35:41.158"}`,
			"zipcode=95126 product=product2 price=16.00 sold_at=2014-11-01T19:35:41.158Z"},
		{"blanks around everything", " \r\n\t{ \"zipcode\" :\n\"1\" , \"ProductName\":\"p\",\"price\":1,\"timestamp\":0 }\n \t\r",
			"zipcode=1 product=p price=1.00 sold_at=1970-01-01T00:00:00Z"},
		{"a number keeps its text in a string column", `{"zipcode":0.50e+1,"ProductName":123456789012345678901234567890,"price":1,"timestamp":0}`,
			"zipcode=0.50e+1 product=123456789012345678901234567890 price=1.00 sold_at=1970-01-01T00:00:00Z"},
		{"a decimal as a string", `{"zipcode":"1","ProductName":"p","price":"-16.5","timestamp":0}`,
			"zipcode=1 product=p price=-16.50 sold_at=1970-01-01T00:00:00Z"},
		{"the largest decimal", `{"zipcode":"1","ProductName":"p","price":9999999999.990,"timestamp":0}`,
			"zipcode=1 product=p price=9999999999.99 sold_at=1970-01-01T00:00:00Z"},
		{"epoch seconds", `{"zipcode":"1","ProductName":"p","price":1,"timestamp":1414870541}`,
			"zipcode=1 product=p price=1.00 sold_at=2014-11-01T19:35:41Z"},
		{"epoch milliseconds", `{"zipcode":"1","ProductName":"p","price":1,"timestamp":1414870541158}`,
			"zipcode=1 product=p price=1.00 sold_at=2014-11-01T19:35:41.158Z"},
		{"RFC 3339 with an offset", `{"zipcode":"1","ProductName":"p","price":1,"timestamp":"2014-11-01T19:35:41+02:00"}`,
			"zipcode=1 product=p price=1.00 sold_at=2014-11-01T17:35:41Z"},
		{"escapes in names and texts", `{"zip\u0063ode":"a\"\\\/\n\u00e9\ud83d\ude00","ProductName":"p","price":1,"timestamp":0}`,
			"zipcode=a\"\\/\n\u00e9\U0001F600 product=p price=1.00 sold_at=1970-01-01T00:00:00Z"},
		{"an escaped NUL is a character", `{"zipcode":"a\u0000b","ProductName":"p","price":1,"timestamp":0}`,
			"zipcode=a\x00b product=p price=1.00 sold_at=1970-01-01T00:00:00Z"},
		{"the empty text is a value", `{"zipcode":"","ProductName":"p","price":1,"timestamp":0}`,
			"zipcode= product=p price=1.00 sold_at=1970-01-01T00:00:00Z"},
		{"null is missing", whole(`,"amount":null,"paid":null,"item":null`), wholeRow},
		{"unknown fields are ignored, however they nest", whole(`,"x":[1,{"price":[]}],"price ":2,"Price":3,"y":{"zipcode":{}},"":""`), wholeRow},
		{"int", whole(`,"amount":-9223372036854775808`), wholeRow + " amount=-9223372036854775808"},
		{"a whole number with a point is an int", whole(`,"amount":16.0`), wholeRow + " amount=16"},
		{"bool, date and float", whole(`,"paid":true,"due":"2014-11-01","weight":0.5`), wholeRow + " paid=true due=2014-11-01 weight=0.5"},
		{"a path, read by two columns", whole(`,"item":{"size":1,"colour":"red","x":{"colour":"no"}}`), wholeRow + " colour=red again=red"},
		{"a path of which nothing is there", whole(`,"item":{}`), wholeRow},
		{"null inside a path", whole(`,"item":{"colour":null}`), wholeRow},
	}
	def := sales(t)
	def.Events.Columns[8].From = []string{"item", "text"} // item itself holds an object here
	logic := newLogic(t, def)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := logic.Run("shard", events(c.event))
			if !b.Accepted(0) || b.Reason[0] != "" || b.Detail[0] != "" {
				t.Fatalf("the event is lost to the views: %s, %s, %s", b.Outcome[0], b.Reason[0], b.Detail[0])
			}
			if got := row(b, def.Columns, 0); got != c.want {
				t.Errorf("row\n got %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestEventsThatAreRejected(t *testing.T) {
	t.Parallel()
	big := whole(`,"x":"` + strings.Repeat("x", 1<<20) + `"`)
	deep := strings.Repeat("[", 400_000)
	cases := []struct{ name, event, reason, detail string }{
		{"no bytes", "", "empty", "0 bytes"},
		{"blanks only", " \n\t ", "empty", "4 bytes"},
		{"truncated in an object", `{"zipcode":95126,"Prod`, "not JSON", "cut off: it ends after 22 bytes"},
		{"truncated in a number", `{"price":1`, "not JSON", "cut off"},
		{"truncated in an escape", `{"zipcode":"\u00`, "not JSON", "cut off"},
		{"truncated 1 MiB", big[:1<<20], "not JSON", "cut off: it ends after 1048576 bytes"},
		{"not JSON at all", `hello world`, "not JSON", `at offset 0: invalid character 'h'`},
		{"a line of CSV", `95126,product2,16`, "not JSON", `comes ",product2,16"`},
		{"single quotes", `{'zipcode':1}`, "not JSON", "at offset 1"},
		{"a comma too many", `{"zipcode":1,}`, "not JSON", "at offset 1"},
		{"NaN", whole(`,"amount":NaN`), "not JSON", "invalid character 'N'"},
		{"a leading zero", whole(`,"amount":007`), "not JSON", "'0'"},
		{"a comment", whole(`/* */`), "not JSON", "'/'"},
		{"two objects", whole("") + whole(""), "not JSON", "after the end of the value at offset 61 comes"},
		{"a brace too many", whole("") + "}", "not JSON", `comes "}"`},
		{"a trailing NUL", whole("") + "\x00", "not JSON", `comes "\x00"`},
		{"a byte-order mark", "\ufeff" + whole(""), "not JSON", `near "\ufeff{`},
		{"NUL bytes", "\x00\x00\x00", "not JSON", `\x00`},
		{"a NUL byte in a text", "{\"zipcode\":\"a\x00b\"}", "not JSON", `at offset 13: invalid character '\x00'`},
		{"a raw line break in a text", "{\"zipcode\":\"a\nb\"}", "not JSON", `at offset 13: invalid character '\n'`},
		{"half a surrogate pair", `{"x":"\ud83d"}`, "not JSON", `\ud83d`},
		{"half a surrogate pair in a name", `{"\ude00":1}`, "not JSON", `\ude00`},
		{"Latin-1", "{\"zipcode\":\"caf\xe9\"}", "invalid UTF-8", "the byte 0xe9 at offset 15 is not valid UTF-8"},
		{"UTF-8 cut off", "{\"zipcode\":\"caf\xc3", "invalid UTF-8", "0xc3 at offset 15"},
		{"gzip", "\x1f\x8b\x08\x00", "invalid UTF-8", "0x8b at offset 1"},
		{"an array", `[` + whole("") + `]`, "not an object", "the event is an array"},
		{"a text", `"hello"`, "not an object", "the event is a string"},
		{"null", `null`, "not an object", "the event is null"},
		{"a name twice", `{"price":1,"price":2}`, "duplicate name", `the name "price" twice, the second time at offset 11`},
		{"a name twice, once escaped", `{"price":1,"pric\u0065":2}`, "duplicate name", `"price"`},
		{"a name twice, deep in a field that no column reads", `{"x":[{"a":1,"a":1}]}`, "duplicate name", `"a"`},
		{"nested too deeply", whole(`,"x":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000)), "nested too deeply", "deeper than 1000 levels"},
		{"nested so deeply that recursion would hurt", deep, "nested too deeply", "at offset 1001"},
		{"objects nested too deeply", strings.Repeat(`{"a":`, 200_000), "nested too deeply", "1000 levels"},

		{"a string for an int", whole(`,"amount":"5"`), "amount: wrong type", `amount at offset 70 is "5", want an int`},
		{"a bool for a string", `{"zipcode":true,"ProductName":"p","price":1,"timestamp":0}`, "zipcode: wrong type", `zipcode at offset 11 is true, want a string`},
		{"an object for a string", `{"zipcode":{"a":1},"ProductName":"p","price":1,"timestamp":0}`, "zipcode: wrong type", "is an object, want a string"},
		{"an array for a decimal", `{"zipcode":"1","ProductName":"p","price":[1],"timestamp":0}`, "price: wrong type", "is an array, want a decimal(12,2)"},
		{"a bool for a timestamp", `{"zipcode":"1","ProductName":"p","price":1,"timestamp":false}`, "sold_at: wrong type", "timestamp at offset 55 is false, want a timestamp"},
		{"a number for a bool", whole(`,"paid":1`), "paid: wrong type", `is 1, want a bool`},
		{"a number for a date", whole(`,"due":20141101`), "due: wrong type", "want a date"},
		{"a string for a float", whole(`,"weight":"1"`), "weight: wrong type", "want a float"},
		{"a text on the way to a column", whole(`,"item":"red"`), "colour: wrong type", `item.colour: at offset 68 stands "red", want an object on the way to it`},

		{"a fraction for an int", whole(`,"amount":1.5`), "amount: not an int", `"1.5"`},
		{"an int of 65 bits", whole(`,"amount":9223372036854775808`), "amount: not an int", `"9223372036854775808"`},
		{"a decimal too fine", `{"zipcode":"1","ProductName":"p","price":1.005,"timestamp":0}`, "price: not a decimal(12,2)", `price at offset 41: "1.005" does not fit`},
		{"a decimal too large", `{"zipcode":"1","ProductName":"p","price":10000000000,"timestamp":0}`, "price: not a decimal(12,2)", `"10000000000" does not fit`},
		{"a decimal of a monstrous exponent", `{"zipcode":"1","ProductName":"p","price":1e999999999999999999999,"timestamp":0}`, "price: not a decimal(12,2)", "does not fit"},
		{"a text that is no decimal", `{"zipcode":"1","ProductName":"p","price":"16 EUR","timestamp":0}`, "price: not a decimal(12,2)", `"16 EUR"`},
		{"an empty text for a decimal", `{"zipcode":"1","ProductName":"p","price":"","timestamp":0}`, "price: not a decimal(12,2)", `""`},
		{"a day that never was", `{"zipcode":"1","ProductName":"p","price":1,"timestamp":"2014-02-30 00:00:00"}`, "sold_at: not a timestamp", `timestamp at offset 55: "2014-02-30 00:00:00"`},
		{"an hour that never was", `{"zipcode":"1","ProductName":"p","price":1,"timestamp":"2014-02-01T25:00:00Z"}`, "sold_at: not a timestamp", "25:00:00"},
		{"yesterday", `{"zipcode":"1","ProductName":"p","price":1,"timestamp":"yesterday"}`, "sold_at: not a timestamp", `"yesterday"`},
		{"a value of 1 MiB where a number belongs", `{"zipcode":"1","ProductName":"p","price":"` + strings.Repeat("9", 1<<20) + `","timestamp":0}`, "price: not a decimal(12,2)", `"999`},

		{"a required field missing", `{"zipcode":"1","price":1,"timestamp":0}`, "missing product", "product, read from ProductName, is null"},
		{"a required field null", `{"zipcode":null,"ProductName":"p","price":1,"timestamp":0}`, "missing zipcode", "zipcode"},
		{"an object without a field", `{}`, "missing zipcode", "zipcode"},
		{"no event time", `{"zipcode":"1","ProductName":"p","price":1}`, "missing sold_at", "timestamp"},

		{"broken bytes before wrong values", `{"zipcode":true,"price":"x"`, "not JSON", "cut off"},
		{"invalid UTF-8 before broken JSON", "{{{{\xff", "invalid UTF-8", "0xff"},
		{"the declared order of columns, not the event's", `{"timestamp":"x","price":"x","ProductName":"p","zipcode":"1"}`, "price: not a decimal(12,2)", `"x"`},
		{"wrong values before missing ones", `{"timestamp":"x"}`, "sold_at: not a timestamp", `"x"`},
		{"the first missing column", `{"timestamp":0}`, "missing zipcode", ""},
	}
	def := sales(t)
	logic := newLogic(t, def)
	known := reasonSet(logic)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := logic.Run("shard", events(c.event))
			if b.Outcome[0] != Rejected || b.Accepted(0) || b.Reason[0] != c.reason {
				t.Fatalf("got %s for %q (%s), want rejected for %q", b.Outcome[0], b.Reason[0], b.Detail[0], c.reason)
			}
			if !strings.Contains(b.Detail[0], c.detail) {
				t.Errorf("a person cannot see what is wrong:\n got %s\nwant %s", b.Detail[0], c.detail)
			}
			checkRow(t, b, 0, known)
		})
	}
}

func reasonSet(l *Logic) map[string]bool {
	set := map[string]bool{}
	for _, r := range l.Reasons() {
		set[r] = true
	}
	return set
}

// checkRow asserts what holds for every row of every event.
func checkRow(t *testing.T, b *Batch, i int, reasons map[string]bool) {
	t.Helper()
	rejected := b.Outcome[i] == Rejected
	if !rejected && b.Outcome[i] != Accepted && b.Outcome[i] != Dropped {
		t.Fatalf("row %d has no outcome but %q", i, b.Outcome[i])
	}
	if rejected != reasons[b.Reason[i]] || rejected == (b.Reason[i] == "") || rejected == (b.Detail[i] == "") {
		t.Fatalf("row %d is %s with reason %q and detail %q: the reason is not one of the definition's", i, b.Outcome[i], b.Reason[i], b.Detail[i])
	}
	if d := b.Detail[i]; len(d) > maxDetail || !utf8.ValidString(d) || strings.ContainsFunc(d, func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Fatalf("row %d has a detail that breaks a terminal or a table: %q", i, d)
	}
	for _, c := range b.Columns {
		if rejected && !c.Nulls[i] {
			t.Fatalf("row %d is rejected but a view could see its half: %+v", i, c.At(i))
		}
	}
	for g, times := range b.Times {
		if g != definition.None && times.Nulls[i] && b.Accepted(i) || rejected && g != definition.None && !times.Nulls[i] {
			t.Fatalf("row %d is %s but its bucket of %s is %+v", i, b.Outcome[i], g, times.At(i))
		}
	}
	if b.Hash[i] != protocol.Hash(b.Shard, &b.Events[i]) {
		t.Fatalf("row %d has another hash than the ledger counts", i)
	}
}

func TestLargeEventsThatAreFine(t *testing.T) {
	t.Parallel()
	var fields strings.Builder
	for i := range 100_000 {
		fields.WriteString(`,"f`)
		for n := i; ; n /= 26 {
			fields.WriteByte('a' + byte(n%26))
			if n < 26 {
				break
			}
		}
		fields.WriteString(`":1`)
	}
	cases := []struct{ name, event string }{
		{"1 MiB of text that no column reads", whole(`,"x":"` + strings.Repeat("x", 1<<20) + `"`)},
		{"100,000 fields", whole(fields.String())},
		{"as deep as allowed", whole(`,"x":` + strings.Repeat("[", 999) + strings.Repeat("]", 999))},
		{"1 MiB of escapes", whole(`,"item":"` + strings.Repeat(`\u0041`, 1<<20/6) + `"`)},
	}
	def := sales(t)
	def.Events.Columns = def.Events.Columns[:9] // item holds a text here
	logic := newLogic(t, def)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := logic.Run("shard", events(c.event, whole("")))
			if !b.Accepted(0) || !b.Accepted(1) {
				t.Fatalf("%s: %s", b.Reason[0], b.Detail[0])
			}
			if got := row(b, def.Columns, 1); got != wholeRow {
				t.Errorf("the event after it reads as %q", got)
			}
		})
	}
}
