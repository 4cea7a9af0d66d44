package expr

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// errorCases are mistakes, where they are, and words that the message and the
// remedy must have.
var errorCases = []struct {
	text    string
	offset  int
	message string
	remedy  string
}{
	{"", 0, "empty", "price > 0"},
	{"prise > 0", 0, "there is no column prise", "write price; the columns are big, born, code"},
	{"ok && zzzzzz == 1", 6, "there is no column zzzzzz", "the columns are big, born, code"},
	{"'日本語' == nam", 9, "there is no column nam", "write name"},
	{"price == null", 9, "null cannot be", "coalesce(x, value)"},
	{"coalesce(name, null)", 15, "null cannot be", "coalesce"},
	{"name = 'x'", 5, "unexpected =", "write == to compare"},
	{"qty <> 3", 4, "unexpected <>", "write != for not equal"},
	{"ok and paid", 3, "unexpected and", "write && for and"},
	{"ok OR paid", 3, "unexpected OR", "write || for or"},
	{"name is null", 5, "unexpected is", "coalesce"},
	{"name like 'a%'", 5, "unexpected like", "contains(s, part)"},
	{"name == 'abc", 8, "unexpected '", "close the text"},
	{"price *", 7, "ends too early", "complete it"},
	{"(price > 0", 10, "ends too early", "close what is open"},
	{"price / 2", 6, "/ is not supported", "price * 0.5"},
	{"qty % 2", 4, "% is not supported", "remainder"},
	{"name[0]", 4, "[ ] after a value is not supported", "substr(s, from, length)"},
	{"toLower(name)", 0, "toLower is not supported", "write lower(s); the functions are coalesce, contains, day"},
	{"has(name)", 0, "has is not supported", "coalesce"},
	{"ok && contain(name, 'a')", 6, "contain is not supported", "write contains"},
	{"frobnicate(name)", 0, "frobnicate is not supported", "the functions are coalesce"},
	{"[name].exists(x, x == 'a')", 7, "exists is not supported", "the functions are"},
	{"lower(qty)", 0, "lower cannot be used on an int", "lower(s) with a string"},
	{"lower()", 0, "lower cannot be used on nothing", "lower(s)"},
	{"name + qty", 5, "+ cannot be used on a string and an int", "string(x)"},
	{"qty > '5'", 4, "> cannot be used on an int and a string", "int(x)"},
	{"born < sold", 5, "< cannot be used on a date and a timestamp", "two dates"},
	{"ok < paid", 3, "< cannot be used on a bool and a bool", "compares two numbers"},
	{"ok && qty", 3, "&& cannot be used on a bool and an int", "qty > 0"},
	{"!qty", 0, "! cannot be used on an int", "bools"},
	{"ok ? 1 : 'x'", 3, "? : cannot be used on a bool, an int and a string", "two values of one type"},
	{"coalesce(name, qty)", 0, "coalesce cannot be used on a string and an int", "one type"},
	{"coalesce(name)", 0, "coalesce cannot be used on a string", "two or more"},
	{"substr(name, 1)", 0, "substr cannot be used on a string and an int", "substr(s, from, length)"},
	{"hour(born)", 0, "hour cannot be used on a date", "a date has no hour"},
	{"name.int()", 5, "int is not written after a dot", "write int(x)"},
	{"temp * 2", 5, "temp * 2 mixes a float with exact numbers", "decimal(p,s)"},
	{"price > temp", 6, "price > temp mixes a float", "decimal(p,s)"},
	{"price * (ok ? 0.5 : 0.7)", 6, "mixes a float", `decimal("0.5")`},
	{"qty == temp", 4, "mixes an int and a float", "written out"},
	{"rate * rate * rate * 0.5", 19, "has 19 digits after the point", "fewer digits"},
	{"price > 0.1234567890123456789", 8, "0.1234567890123456789 is no decimal", "18 digits"},
	{"price > 1e400", 8, "", ""},
	{"decimal(name)", 0, "decimal of a string needs a scale", "decimal(name, 2)"},
	{"decimal(name, qty)", 14, "scale must be a constant", "decimal(s, 2)"},
	{"decimal(name, 19)", 14, "from 0 to 18", "decimal(s, 2)"},
	{"decimal('12,50')", 8, "is no decimal", `decimal("0.5")`},
	{"decimal(temp)", 0, "a float has no exact decimal", "decimal(p,s)"},
	{"matches(name, code)", 14, "pattern of matches must be a constant", "in quotes"},
	{"matches(name, '(')", 14, "no regular expression", "RE2"},
	{"matches(name, '" + strings.Repeat("a?", 600) + "')", 14, "the pattern has 1200 bytes", "shorter"},
	{"name in code", 5, "in needs a list", "contains(s, part)"},
	{"qty in [1, 'x']", 11, `"x" is a string, not an int`, "constants of type int"},
	{"qty in [1, big]", 11, "big is not a constant", "=="},
	{"born in ['2014-11-01']", 9, "is a string, not a date", "constants of type date"},
	{"[1, 2]", 0, "a list stands only after in", "x in"},
	{"{'a': 1}", 0, "{ } is not part", "columns, constants"},
	{"item.name == 'a'", 4, "a path such as item.name", "from:"},
	{"b'abc' == name", 0, "constant", "texts as 'abc'"},
	{"1u > qty", 0, "constant", "numbers as 12"},
	{"package == 'x'", 0, "package is a reserved word", "from"},
	{"99999999999999999999 > qty", 0, "does not fit an int", `decimal("...")`},
	{"int('x') > qty", 0, "text is not an int in int(\"x\")", "every row"},
	{"9223372036854775807 + 1 > qty", 20, "int overflow in 9223372036854775807 + 1", "every row"},
	{"qty > 0\n  && prise > 0", 13, "there is no column prise", "write price"},
	{"name == \xff", 0, "not valid UTF-8", "UTF-8"},
	{strings.Repeat("(", 300) + "qty" + strings.Repeat(")", 300), 0, "nested more than about", "several set steps"},
	{"qty" + strings.Repeat(" + qty", 1000), 0, "nested more than about", "several set steps"},
	{"'" + strings.Repeat("é", maxCodePoints) + "'", maxCodePoints, "10002 characters; 10000 are allowed", "several set steps"},
}

func TestErrorsPointAtTheMistakeAndSayWhatToWrite(t *testing.T) {
	t.Parallel()
	for _, c := range errorCases {
		_, err := Compile(c.text, testColumns, nil)
		if err == nil {
			t.Errorf("%.60s: no error", c.text)
			continue
		}
		e := checkErrorShape(t, c.text, err)
		if e.Offset != c.offset && c.message != "" || !strings.Contains(e.Message, c.message) || !strings.Contains(e.Remedy, c.remedy) {
			t.Errorf("%.60s: at %d %q (%q), not at %d %q (%q)", c.text, e.Offset, e.Message, e.Remedy, c.offset, c.message, c.remedy)
		}
	}
}

// checkErrorShape asserts what holds for every error: its place is in the
// text, it has a remedy, and it speaks of no compiler.
func checkErrorShape(t testing.TB, text string, err error) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%.60s: %v is no *Error", text, err)
	}
	if e.Offset < 0 || e.Offset > utf8.RuneCountInString(text) || e.Message == "" || e.Remedy == "" {
		t.Errorf("%.60s: incomplete error %+v", text, e)
	}
	for _, jargon := range []string{"overload", "undeclared", "_var", "dyn", "Syntax error", "<EOF>", "double", "@", "_+_"} {
		if strings.Contains(e.Message, jargon) && !strings.Contains(text, jargon) {
			t.Errorf("%.60s: the message %q says %q", text, e.Message, jargon)
		}
	}
	return e
}

func TestLongListsAndChainsOfConditionsAreFine(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"qty in [" + strings.Repeat("1, ", 3000) + "2]",
		"qty == 1" + strings.Repeat(" || qty == 2", 150),
		"name" + strings.Repeat(" + 'a'", 40),
		"coalesce(qty" + strings.Repeat(", big", 90) + ")",
	} {
		if _, err := Compile(text, testColumns, nil); err != nil {
			t.Errorf("%.40s…: %v", text, err)
		}
	}
}
