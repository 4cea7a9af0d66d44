package delimited

import (
	"encoding/csv"
	"errors"
	"slices"
	"strings"
	"testing"
)

// split gives all fields of a record, however many it has.
func split(t testing.TB, f Format, record string) ([]string, error) {
	t.Helper()
	s := Splitter{Format: f}
	n, err := s.Split([]byte(record), nil)
	if err != nil {
		return nil, err
	}
	fields := make([]Field, n+1)
	if again, err := s.Split([]byte(record), fields); err != nil || again != n {
		t.Fatalf("%q has %d fields, and then %d: %v", record, n, again, err)
	}
	texts := []string{}
	for _, field := range fields[:n] {
		texts = append(texts, string(field.Text))
	}
	return texts, nil
}

func TestRecordsAreTakenApart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		format Format
		record string
		want   []string
	}{
		{CSV, `a,b`, []string{"a", "b"}},
		{CSV, "a,b\n", []string{"a", "b"}},
		{CSV, "a,b\r\n", []string{"a", "b"}},
		{CSV, ``, []string{}},
		{CSV, "\r\n", []string{}},
		{CSV, `,`, []string{"", ""}},
		{CSV, `""`, []string{""}},
		{CSV, ` a , `, []string{" a ", " "}},
		{CSV, `"a,b",c`, []string{"a,b", "c"}},
		{CSV, "\"a\r\nb\n\",\"c\"\n", []string{"a\r\nb\n", "c"}},
		{CSV, `"say ""no""","""",""""""`, []string{`say "no"`, `"`, `""`}},
		{CSV, `a\t,5'`, []string{`a\t`, `5'`}},
		{CSV, "é,日本\x00,\xff", []string{"é", "日本\x00", "\xff"}},
		{TSV, "a\tb\n", []string{"a", "b"}},
		{TSV, "\t", []string{"", ""}},
		{TSV, " \n", []string{" "}},
		{TSV, `"a` + "\t" + `5"`, []string{`"a`, `5"`}},
		{TSV, `a\tb\nc\rd\\e` + "\t" + `\\N`, []string{"a\tb\nc\rd\\e", `\N`}},
		{TSV, `\N` + "\ta\t" + `\N` + "\r\n", []string{"", "a", ""}},
	} {
		got, err := split(t, c.format, c.record)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s %q is %q, %v; want %q", c.format, c.record, got, err, c.want)
		}
	}
}

func TestBrokenRecordsSayWhere(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		format  Format
		record  string
		offset  int
		problem string
	}{
		{CSV, "a,b\nc,d", 3, secondRecord},
		{CSV, "a,b\n\n", 3, secondRecord},
		{CSV, "a\rb", 1, secondRecord},
		{CSV, "a\r", 1, secondRecord},
		{CSV, `a,"b`, 2, openQuote},
		{CSV, "\"a\"\"\n", 0, openQuote},
		{CSV, `"a"b,c`, 3, afterQuote},
		{CSV, `"a" ,c`, 3, afterQuote},
		{CSV, "\"a\"\r\nb", 3, afterQuote},
		{CSV, `a,b"c"`, 3, bareQuote},
		{CSV, `a, "c"`, 3, bareQuote},
		{TSV, "a\nb", 1, secondRecord},
		{TSV, "a\tb\r", 3, secondRecord},
		{TSV, `C:\Users`, 2, "backslash"},
		{TSV, "a\t" + `b\`, 3, "backslash"},
		{TSV, `\N.`, 0, "backslash"},
	} {
		_, err := split(t, c.format, c.record)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || syntax.Offset != c.offset || !strings.Contains(syntax.Problem, c.problem) {
			t.Errorf("%s %q gives %v; want %q at %d", c.format, c.record, err, c.problem, c.offset)
		}
	}
}

// A record that has more fields than anyone reads takes no memory for them.
func TestFieldsBeyondTheEndAreOnlyCounted(t *testing.T) {
	t.Parallel()
	s := Splitter{Format: CSV}
	fields := make([]Field, 2)
	n, err := s.Split([]byte("a,bc,d,,"), fields)
	if err != nil || n != 5 || string(fields[1].Text) != "bc" || fields[1].Offset != 2 {
		t.Errorf("it has %d fields, %v: %q at %d", n, err, fields[1].Text, fields[1].Offset)
	}
	if _, err := s.Split([]byte(`a,b,c"`), fields); err == nil {
		t.Error("a broken field beyond the end is not found")
	}
}

// FuzzRecords holds what was written against what is read, and CSV against
// another reader.
func FuzzRecords(f *testing.F) {
	for _, text := range []string{"", "a", "a,b", "a\tb", `"a""b",c`, `\N`, `\t\\`, "a\r\nb", "\"\r\n\",", "é\xff"} {
		f.Add(text, "x")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, format := range []Format{CSV, TSV} {
			for _, texts := range [][]string{{a}, {a, b}, {"", a, b, a}} {
				record := string(format.Append(nil, texts...))
				got, err := split(t, format, record+"\r\n")
				if err != nil || !slices.Equal(got, texts) {
					t.Fatalf("%s: %q is written as %q and read as %q, %v", format, texts, record, got, err)
				}
			}
		}
		texts, err := split(t, CSV, a)
		agreeWithEncodingCSV(t, a, texts, err)
		if texts, err := split(t, TSV, a); err == nil && len(texts) != strings.Count(a, "\t")+min(1, len(withoutLineEnd([]byte(a)))) {
			t.Fatalf("%q is read as %q", a, texts)
		}
	})
}

// agreeWithEncodingCSV compares with a reader that takes CR LF for LF, passes
// over blank lines, and reads several records.
func agreeWithEncodingCSV(t *testing.T, record string, texts []string, err error) {
	t.Helper()
	if strings.Contains(record, "\r") || strings.HasPrefix(record, "\n") {
		return
	}
	r := csv.NewReader(strings.NewReader(record))
	r.FieldsPerRecord = -1
	all, theirs := r.ReadAll()
	switch {
	case err == nil && theirs != nil:
		t.Fatalf("encoding/csv says %v of %q, which is read as %q", theirs, record, texts)
	case err == nil && record != "" && (len(all) != 1 || !slices.Equal(all[0], texts)):
		t.Fatalf("encoding/csv reads %q as %q, not %q", record, all, texts)
	case err != nil && theirs == nil && len(all) == 1 && !strings.HasSuffix(record, "\n\n"):
		t.Fatalf("encoding/csv reads %q as %q: %v", record, all, err)
	}
}
