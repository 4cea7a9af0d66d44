package serving

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/width"

	"github.com/watershed-data/watershed/internal/column"
)

// WriteTable writes the rows for people: aligned columns, numbers to the right,
// and below them how many rows there are and of which events they are made.
// Null is null. A text that is empty, looks like null, begins or ends with a
// blank or holds anything that does not print is shown quoted, as Go writes it.
func (a *Answer) WriteTable(w io.Writer) error {
	t := &table{}
	for _, c := range a.Columns {
		t.column(c.Name, c.numeric())
	}
	// Two passes, the first for the widths: rows are many and need not be kept as text.
	row := make([]string, len(a.Columns))
	pass := func(fn func([]string) error) error {
		return a.each(func(cells []cell) error {
			for i, x := range cells {
				row[i] = a.Columns[i].shown(a.plan.zone, x)
			}
			return fn(row)
		})
	}
	if err := pass(func(row []string) error { t.fit(row); return nil }); err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, writeBuffer)
	t.header(out)
	if err := pass(func(row []string) error { t.line(out, row); return nil }); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "\n%s\n", a.footer())
	return out.Flush()
}

func (c Column) shown(zone timeZone, x cell) string {
	switch {
	case x.null:
		return "null"
	case c.kind == plainValue && c.of.Kind == column.String:
		return printable(x.value.Str)
	}
	return string(c.append(nil, zone, x))
}

// footer tells in one line what WriteJSON has besides rows.
func (a *Answer) footer() string {
	var b strings.Builder
	b.WriteString(plural(a.Len(), "row"))
	if a.Next != nil {
		b.WriteString(" (cut at the limit: there are more)")
	}
	if a.Version == nil {
		b.WriteString(", no version published yet")
	} else {
		fmt.Fprintf(&b, ", version %s of %s", *a.Version, *a.Watershed)
	}
	if a.Freshness == nil {
		b.WriteString(", nothing committed yet")
	} else {
		fmt.Fprintf(&b, ", fresh to %s", *a.Freshness)
	}
	if len(a.Kept) > 1 {
		b.WriteString("\nBuckets of ")
		for _, k := range a.Kept[:len(a.Kept)-1] {
			fmt.Fprintf(&b, "%s before %s, ", k.Every, k.Before)
		}
		fmt.Fprintf(&b, "then %s", a.Kept[len(a.Kept)-1].Every)
	}
	if !a.Complete {
		b.WriteString("\nNot complete: " + printable(a.Why))
	}
	if w := a.Warning(); w != "" {
		b.WriteString("\nWarning: " + w)
	}
	return b.String()
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// printable gives a text that cannot move a terminal's cursor or be taken for
// something else.
func printable(s string) string {
	if s == "" || s == "null" || s[0] == '"' || strings.TrimSpace(s) != s {
		return strconv.Quote(s)
	}
	for _, r := range s {
		if r == unicode.ReplacementChar || !strconv.IsPrint(r) {
			return strconv.Quote(s)
		}
	}
	return s
}

// table lays out rows of texts.
type table struct {
	names  []string
	right  []bool
	widths []int
	buf    []byte
}

func (t *table) column(name string, right bool) {
	t.names, t.right, t.widths = append(t.names, name), append(t.right, right), append(t.widths, cellWidth(name))
}

// fit makes room for a row.
func (t *table) fit(row []string) {
	for i, s := range row {
		t.widths[i] = max(t.widths[i], cellWidth(s))
	}
}

func (t *table) header(w *bufio.Writer) { t.line(w, t.names) }

// line writes a row. Errors stay in w until it is flushed.
func (t *table) line(w *bufio.Writer, row []string) {
	b := t.buf[:0]
	for i, s := range row {
		if i > 0 {
			b = append(b, "  "...)
		}
		pad := t.widths[i] - cellWidth(s)
		if t.right[i] {
			b = appendBlanks(b, pad)
		}
		b = append(b, s...)
		if !t.right[i] && i < len(row)-1 {
			b = appendBlanks(b, pad)
		}
	}
	_, _ = w.Write(append(b, '\n'))
	t.buf = b
}

func appendBlanks(dst []byte, n int) []byte {
	for range n {
		dst = append(dst, ' ')
	}
	return dst
}

// cellWidth is how many columns of a terminal a text takes.
func cellWidth(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case r < 0x300: // ASCII and Latin
			n++
		case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		default:
			n++
			if k := width.LookupRune(r).Kind(); k == width.EastAsianWide || k == width.EastAsianFullwidth {
				n++
			}
		}
	}
	return n
}
