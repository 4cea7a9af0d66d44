package serving_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/serving"
)

// awkward are texts that a format could spoil.
var awkward = []string{
	"", "null", "plain", "a,b", `say "no"`, "two\nlines", "two\r\nlines", " blanks ", "ä 日本語 😀", "\t", "\x1b[31m", "\\N", "<a&b>",
	"\u2028", `"`, ",", "-1", "1e3", "\u00a0", "#", "a;b", "\ufeff", "=1+1", "'", "\\", "\x00",
}

// Without this, what a script reads in one format is not what a person sees in
// another. Each is read back by a parser of its own.
func TestFormatsHoldEqualCells(t *testing.T) {
	t.Parallel()
	def := parse(t, `
pipeline: formats
events:
  format: json
  columns: {name: {type: string}, price: {type: "decimal(10,2)"}, paid: {type: bool}, day: {type: date}, at: {type: timestamp}, n: {type: int}}
  time: at
views:
  all: {by: [name, price, paid, day, n], every: 1h, measures: {rows: count, total: sum(price), mean: avg(price), last: max(at), least: min(name)}}
`)
	rng := rand.New(rand.NewPCG(21, 0))
	var facts []fact
	for i, name := range awkward {
		f := fact{
			"name": text(name), "price": whole(rng.Int64N(3) - 1), "paid": whole(int64(i % 2)), "day": whole(int64(i) * 1000),
			"n": whole(rng.Int64() - rng.Int64()), "at": whole(int64(i) * 3600e6),
		}
		for _, nulled := range []string{"name", "price", "paid", "day", "n"} {
			if rng.IntN(6) == 0 && nulled != "name" {
				f[nulled] = column.Null
			}
		}
		facts = append(facts, f)
	}
	facts = append(facts, fact{"name": column.Null, "price": column.Null, "paid": column.Null, "day": column.Null, "n": column.Null, "at": whole(7200e6)})
	w := newWorld(t, def, 1)
	w.fill(rng, 1, facts)
	s := w.service(serving.Limits{})
	for _, every := range []definition.Grain{"", definition.None} {
		a := query(t, s, serving.Query{View: "all", Every: every})
		var want [][]serving.Value
		for i := range a.Len() {
			row, err := a.Row(i)
			must(t, err)
			want = append(want, row)
		}
		for format, got := range map[string][][]serving.Value{"json": fromJSON(t, a), "csv": fromCSV(t, a), "table": fromTable(t, a)} {
			if len(got) != len(want) || len(got) != len(facts) {
				t.Fatalf("%s has %d rows of %d", format, len(got), len(want))
			}
			for i := range want {
				for c := range want[i] {
					if got[i][c] != want[i][c] {
						t.Errorf("%s, row %d, %s: %+v, want %+v", format, i, a.Columns[c].Name, got[i][c], want[i][c])
					}
				}
			}
		}
	}
}

func fromJSON(t *testing.T, a *serving.Answer) (out [][]serving.Value) {
	t.Helper()
	var answer struct{ Rows []map[string]any }
	d := json.NewDecoder(strings.NewReader(show(t, a)))
	d.UseNumber()
	must(t, d.Decode(&answer))
	for _, r := range answer.Rows {
		var row []serving.Value
		for _, c := range a.Columns {
			switch v := r[c.Name].(type) {
			case nil:
				row = append(row, serving.Value{Null: true})
			case string:
				row = append(row, serving.Value{Text: v})
			case json.Number:
				row = append(row, serving.Value{Text: v.String()})
			case bool:
				row = append(row, serving.Value{Text: strconv.FormatBool(v)})
			}
		}
		out = append(out, row)
	}
	return out
}

// fromCSV reads RFC 4180 and tells null from the empty text by its quotes, which
// encoding/csv does not; that one also changes line ends within fields.
func fromCSV(t *testing.T, a *serving.Answer) (out [][]serving.Value) {
	t.Helper()
	var b bytes.Buffer
	must(t, a.WriteCSV(&b))
	var row []serving.Value
	for rest := b.String(); rest != ""; {
		var field serving.Value
		if quoted, ok := strings.CutPrefix(rest, `"`); ok {
			for {
				part, after, _ := strings.Cut(quoted, `"`)
				field.Text += part
				if quoted, ok = strings.CutPrefix(after, `"`); !ok {
					rest = after
					break
				}
				field.Text += `"`
			}
		} else {
			end := strings.IndexAny(rest, ",\n")
			field.Text, rest = rest[:end], rest[end:]
			field.Null = field.Text == ""
		}
		row = append(row, field)
		if rest[0] == '\n' {
			out, row = append(out, row), nil
		}
		rest = rest[1:]
	}
	return out[1:]
}

// fromTable cuts the lines where the header's columns begin and end. Columns are
// two blanks apart at least.
func fromTable(t *testing.T, a *serving.Answer) (out [][]serving.Value) {
	t.Helper()
	var b bytes.Buffer
	must(t, a.WriteTable(&b))
	lines := strings.Split(b.String(), "\n")
	for _, line := range lines[1:] {
		if line == "" {
			break
		}
		var row []serving.Value
		for _, field := range fieldsOf(line) {
			switch {
			case field == "null":
				row = append(row, serving.Value{Null: true})
			case strings.HasPrefix(field, `"`):
				text, err := strconv.Unquote(field)
				must(t, err)
				row = append(row, serving.Value{Text: text})
			default:
				row = append(row, serving.Value{Text: field})
			}
		}
		out = append(out, row)
	}
	return out
}

// fieldsOf cuts a line of a table at blanks, quoted fields as a whole. Texts with
// single blanks are one field.
func fieldsOf(line string) (out []string) {
	for line = strings.TrimLeft(line, " "); line != ""; line = strings.TrimLeft(line, " ") {
		end := strings.Index(line+"  ", "  ")
		if quoted, err := strconv.QuotedPrefix(line); err == nil {
			end = len(quoted)
		}
		out, line = append(out, line[:end]), line[end:]
	}
	return out
}
