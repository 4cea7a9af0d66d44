package rowlogic

import (
	"fmt"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/delimited"
)

// separated is a pipeline of csv or tsv events with a column of every type.
func separated(t testing.TB, format string) *definition.Definition {
	t.Helper()
	def, err := definition.Parse("pipeline.yaml", []byte(fmt.Sprintf(`
pipeline: orders
zone: Europe/Berlin
events:
  format: %s
  fields: [id, sold at, item.name, pieces, unread, price, paid, due, weight]
  columns:
    name:   {type: string, from: item.name, optional: true}
    id:     {type: string}
    pieces: {type: int, optional: true}
    price:  {type: "decimal(12,2)", optional: true}
    paid:   {type: bool, optional: true}
    due:    {type: date, optional: true}
    weight: {type: float, optional: true}
    at:     {type: timestamp, from: sold at}
    again:  {type: string, from: item.name, optional: true}
  time: at
  id: id
views:
  v: {by: [name, paid, due], every: 1h, measures: {n: count, lightest: min(weight), last: max(due), all: min(paid)}}
  d: {by: [], every: 1d, measures: {n: count}}
`, format)))
	if err != nil {
		t.Fatal(err)
	}
	return def
}

func TestRecordsThatDecode(t *testing.T) {
	t.Parallel()
	const start, at = "id=7 ", " at=2014-11-01T18:35:41.158Z"
	cases := []struct{ name, format, event, want string }{
		{"every type", "csv", `7,2014-11-01 19:35:41.158,tea,3,,1.5,true,2014-11-30,0.25`,
			"name=tea id=7 pieces=3 price=1.50 paid=true due=2014-11-30 weight=0.25 at=2014-11-01T18:35:41.158Z again=tea"},
		{"an empty field is null", "csv", "7,2014-11-01 19:35:41.158,,,,,,,\r\n", start + strings.TrimSpace(at)},
		{"so is one in quotes", "csv", `7,2014-11-01 19:35:41.158,"","",,"","","",""`, start + strings.TrimSpace(at)},
		{"what quotes hold", "csv", "7,2014-11-01T19:35:41.158+01:00,\"a \"\"b\"\",\r\nc\",\"3\",\"x,y\",,,,\n",
			"name=a \"b\",\r\nc id=7 pieces=3" + at + " again=a \"b\",\r\nc"},
		{"blanks belong to a text", "csv", `7,1414866941158, tea ,,,,,,`, "name= tea  id=7" + at + " again= tea "},
		{"epoch seconds, whole numbers, minus zero", "csv", `7,1414866941.158,,3.0,,-0.0,false,0001-01-01,-0.0`,
			"id=7 pieces=3 price=0.00 paid=false due=0001-01-01 weight=0" + at},
		{"no quotes in tsv", "tsv", "7\t2014-11-01 19:35:41.158\t\"a\t3\t,\t\t\t\t1e-3\r\n",
			`name="a id=7 pieces=3 weight=0.001` + at + ` again="a`},
		{"escapes in tsv", "tsv", "7\t2014-11-01 19:35:41.158\t" + `a\tb\nc\\N\r` + "\t\\N\t\t\t\\N\t\t",
			"name=a\tb\nc\\N\r id=7" + at + " again=a\tb\nc\\N\r"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			def := separated(t, c.format)
			b := newLogic(t, def).Run("shard", events(c.event))
			if got := row(b, def.Columns, 0); !b.Accepted(0) || got != c.want {
				t.Errorf("the row is\n%q (%s: %s), want\n%q", got, b.Outcome[0], b.Detail[0], c.want)
			}
		})
	}
}

func TestRecordsThatAreRejected(t *testing.T) {
	t.Parallel()
	const whole = "7,0,tea,3,,1.5,true,2014-11-30,0.25"
	for _, c := range []struct{ name, format, event, reason, detail string }{
		{"no bytes", "csv", "", "empty", "0 bytes"},
		{"a line end", "csv", "\r\n", "empty", "2 bytes"},
		{"too few fields", "csv", "7,0", "wrong number of fields", "2 fields, the definition names 9"},
		{"one field", "tsv", whole, "wrong number of fields", "1 field, the definition names 9"},
		{"too many fields", "csv", whole + ",", "wrong number of fields", "10 fields, the definition names 9"},
		{"two records", "csv", whole + "\n" + whole, "not CSV", "at offset 35 a second line begins"},
		{"an open quote", "csv", `7,0,"tea,3,,1.5,true,2014-11-30,0.25`, "not CSV", "at offset 4 begins a quoted field that does not end"},
		{"broken before the wrong number", "csv", `7,"`, "not CSV", "at offset 2"},
		{"a backslash in tsv", "tsv", `C:\Users`, "not TSV", `at offset 2 stands a backslash that begins none of \t, \n, \r and \\: "\\Users"`},
		{"bytes that are no text", "csv", "7,0,\xff", "invalid UTF-8", "offset 4"},
		{"a blank before a number", "csv", "7,0,tea, 3,,1.5,true,2014-11-30,0.25", "pieces: not an int", `pieces at offset 8: " 3" is not a number`},
		{"a fraction", "csv", "7,0,tea,3.5,,1.5,true,2014-11-30,0.25", "pieces: not an int", "not a whole number"},
		{"too many digits", "csv", "7,0,tea,3,,1.505,true,2014-11-30,0.25", "price: not a decimal(12,2)", "does not fit"},
		{"another bool", "csv", "7,0,tea,3,,1.5,TRUE,2014-11-30,0.25", "paid: not a bool", `"TRUE" is not true or false`},
		{"another date", "csv", "7,0,tea,3,,1.5,true,30.11.2014,0.25", "due: not a date", "YYYY-MM-DD"},
		{"no such day", "csv", "7,0,tea,3,,1.5,true,2014-02-29,0.25", "due: not a date", "there is no day"},
		{"not a number", "csv", "7,0,tea,3,,1.5,true,2014-11-30,NaN", "weight: not a float", `weight at offset 31: "NaN" is not a number`},
		{"infinite", "csv", "7,0,tea,3,,1.5,true,2014-11-30,-Infinity", "weight: not a float", "is not a number"},
		{"beyond floats", "csv", "7,0,tea,3,,1.5,true,2014-11-30,1e999", "weight: not a float", "does not fit float"},
		{"an empty field that is needed", "csv", ",0,tea,3,,1.5,true,2014-11-30,0.25", "missing id", "id is null after clean"},
		{"the path of the first problem in the order of columns", "csv", "7,soon,tea,x,,y,z,,", "pieces: not an int", "pieces at offset 11"},
		{"a field with another name", "csv", "7,soon,tea,3,,1.5,true,2014-11-30,0.25", "at: not a timestamp", "sold at at offset 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			logic := newLogic(t, separated(t, c.format))
			b := logic.Run("shard", events(c.event))
			if b.Reason[0] != c.reason || !strings.Contains(b.Detail[0], c.detail) {
				t.Errorf("it is %s %q: %s; want %q: %s", b.Outcome[0], b.Reason[0], b.Detail[0], c.reason, c.detail)
			}
			checkRow(t, b, 0, reasonSet(logic))
		})
	}
}

// The reasons of one format are no reasons of another: a query over the rejected
// events lists what can happen.
func TestReasonsAreThoseOfTheFormat(t *testing.T) {
	t.Parallel()
	for format, want := range map[string][2]string{"csv": {"not CSV", "not JSON"}, "tsv": {"not TSV", "not CSV"}} {
		known := reasonSet(newLogic(t, separated(t, format)))
		if !known[want[0]] || known[want[1]] || !known["wrong number of fields"] {
			t.Errorf("the reasons of %s are %v", format, known)
		}
	}
	if known := reasonSet(newLogic(t, sales(t))); !known["not JSON"] || known["wrong number of fields"] {
		t.Errorf("the reasons of json are %v", known)
	}
}

// FuzzRecords: any bytes have one outcome, spoil no other event, and what is
// accepted is accepted again when its fields are written anew.
func FuzzRecords(f *testing.F) {
	const whole = "7,0,tea,3,,1.5,true,2014-11-30,0.25"
	for _, seed := range []string{"", whole, whole + "\r\n", `"7",0,"a ""b""",,,,,,`, "7,2014-11-01 19:35:41.158,\"a\nb\",,,,,,", "7,0,,,,,,,1e999", "7,0,a\"b,,,,,,"} {
		f.Add([]byte(seed))
		f.Add([]byte(strings.ReplaceAll(seed, ",", "\t")))
	}
	logics := map[delimited.Format]*Logic{delimited.CSV: newLogic(f, separated(f, "csv")), delimited.TSV: newLogic(f, separated(f, "tsv"))}
	f.Fuzz(func(t *testing.T, data []byte) {
		for format, logic := range logics {
			whole := string(format.Append(nil, strings.Split(whole, ",")...))
			b := logic.Run("shard", events(whole, string(data), whole))
			known := reasonSet(logic)
			for i := range b.Events {
				checkRow(t, b, i, known)
			}
			if !b.Accepted(0) || !b.Accepted(2) {
				t.Fatalf("a bad event spoils its neighbours: %v", b.Detail)
			}
			checkDecimals(t, logic, b)
			if b.Accepted(1) {
				again := logic.Run("shard", events(rewritten(t, format, data)))
				if got, want := row(again, logic.columns, 0), row(b, logic.columns, 1); got != want {
					t.Fatalf("%q is the row %q, and written anew %q", data, want, got)
				}
			}
		}
	})
}

func rewritten(t *testing.T, format delimited.Format, data []byte) string {
	t.Helper()
	s := delimited.Splitter{Format: format}
	fields := make([]delimited.Field, 9)
	if n, err := s.Split(data, fields); n != 9 || err != nil {
		t.Fatalf("%q is accepted, and has %d fields: %v", data, n, err)
	}
	texts := make([]string, 9)
	for i, f := range fields {
		texts[i] = string(f.Text)
	}
	return string(format.Append(nil, texts...))
}
