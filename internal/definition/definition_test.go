package definition

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watershed-data/watershed/internal/column"
)

func loadSales(t testing.TB) (*Definition, string) {
	t.Helper()
	text, err := os.ReadFile("testdata/sales.yaml")
	if err != nil {
		t.Fatal(err)
	}
	d, err := Parse("sales.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	return d, string(text)
}

// What the layers read is what the text says.
func TestDefinition(t *testing.T) {
	t.Parallel()
	d, _ := loadSales(t)

	if d.Pipeline != "sales" || d.Zone.String() != "America/New_York" || d.Events.Time != "sold_at" || d.Batch.Every != 15*time.Minute {
		t.Errorf("got pipeline %q, zone %s, time %q, batch %s", d.Pipeline, d.Zone, d.Events.Time, d.Batch)
	}
	var names []string
	for _, c := range d.Columns {
		names = append(names, c.Name)
	}
	want := []string{"zipcode", "product", "price", "sold_at", "order_id"}
	if got := names[:len(want)]; !slices.Equal(got, want) {
		t.Errorf("declared columns are %v, want %v", got, want)
	}
	if got := names[len(want):]; !slices.Equal(got, []string{"region", "taxed"}) {
		t.Errorf("created columns are %v", got)
	}
	for _, c := range []struct {
		name, typ, from, zone string
		optional, derived     bool
	}{
		{name: "zipcode", typ: "string", from: "zipcode"},
		{name: "price", typ: "decimal(12,2)", from: "item.price"},
		{name: "sold_at", typ: "timestamp", from: "timestamp", zone: "Europe/Berlin"},
		{name: "order_id", typ: "string", from: "order_id", optional: true},
		{name: "region", typ: "string", optional: true, derived: true},
		{name: "taxed", typ: "decimal(18,4)", optional: true, derived: true},
	} {
		got, ok := d.Column(c.name)
		zone := ""
		if got.Zone != nil {
			zone = got.Zone.String()
		}
		if !ok || got.Type.String() != c.typ || strings.Join(got.From, ".") != c.from || zone != c.zone || got.Optional != c.optional || got.Derived != c.derived {
			t.Errorf("column %s is %+v, want %+v", c.name, got, c)
		}
	}
	if got := d.Clean[1].Assign[1]; got.Column != "price" || got.Value != (column.Value{Int: 0}) {
		t.Errorf("the default of price is %+v", got)
	}
	if got := d.Clean[4].Reason; got != "size(region) == 3 && region != '000'" {
		t.Errorf("the reason of a require without one is %q", got)
	}
	v, ok := d.View("by_product")
	if !ok || v.Every != Hour || !slices.Equal(v.By, []string{"region", "product"}) {
		t.Fatalf("view by_product is %+v", v)
	}
	if got := v.Measures[2]; got.Func != Avg || got.Column != "taxed" || got.Type.String() != "decimal(18,4)" {
		t.Errorf("the measure average is %+v", got)
	}
}

// An id brings a dedup window, which layers read whether it is written or not.
func TestEventID(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                 "",
		"  id: a\n":                        "  event id      a, duplicates within 15m\n",
		"  id: b\n  dedupe_within: 12h\n":  "  event id      b, duplicates within 12h\n",
		"  dedupe_within: 90s\n  id: at\n": "  event id      at, duplicates within 90s\n",
	} {
		d := mustParse(t, replaced(t, minimal, "  time: at\n", "  time: at\n"+text))
		_, line, found := strings.Cut(d.Describe(), "  event time    at\n")
		if !found || !strings.HasPrefix(line, want+"  time buckets") {
			t.Errorf("%q is described as\n%s", text, d.Describe())
		}
		if (d.Events.ID == "") != (d.Events.DedupeWithin == 0) {
			t.Errorf("%q gives the id %q and the window %s", text, d.Events.ID, d.Events.DedupeWithin)
		}
	}
}

// Timestamps that name no zone are of the pipeline's zone, wherever that stands
// in the file, unless their column says another.
func TestZoneOfTimestamps(t *testing.T) {
	t.Parallel()
	const zone = "zone: Asia/Tokyo\n"
	text := strings.Replace(minimal, "zone: UTC\n", "", 1)
	own := strings.Replace(text, "{type: timestamp}", "{type: timestamp, zone: Europe/Berlin}", 1)
	for text, want := range map[string]string{text: "UTC", zone + text: "Asia/Tokyo", text + zone: "Asia/Tokyo", zone + own: "Europe/Berlin"} {
		if got, _ := mustParse(t, text).Column("at"); got.Zone.String() != want {
			t.Errorf("the zone is %v, want %s, in\n%s", got.Zone, want, text)
		}
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	d, _ := loadSales(t)
	const file = "testdata/sales.txt"
	got := d.Describe()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestBatch(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"batch: continuous\n":     "continuous: a run starts when one has ended",
		"batch: {every: 1h}\n":    "every 1h",
		"batch: {every: 90s}\n":   "every 90s",
		"batch: {every: 120m}\n":  "every 2h",
		"batch: {every: 365d}\n":  "every 365d",
		"":                        "only when asked",
		"batch:\n  'every': 2d\n": "every 2d",
	} {
		if got := mustParse(t, minimal+text).Batch.String(); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "pipeline.yaml")
	if err := os.WriteFile(path, []byte("\ufeff"+strings.ReplaceAll(minimal, "\n", "\r\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := Load(path)
	if err != nil || d.File != path {
		t.Errorf("a byte order mark and CRLF: %v", err)
	}
	if err := os.WriteFile(path, []byte(minimal+strings.Repeat("#", maxSize)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.HasSuffix(err.Error(), ":1:1: the definition is larger than 1 MiB; check that this is the right file") {
		t.Errorf("more than 1 MiB: %v", err)
	}
	for _, missing := range []string{filepath.Join(dir, "none.yaml"), dir} {
		if _, err := Load(missing); err == nil || !strings.HasPrefix(err.Error(), "reading the definition: ") {
			t.Errorf("%s: %v", missing, err)
		}
	}
}

// Bytes that no golden file can hold.
func TestCharacters(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"pipeline: s\nzone: é\xff":   "p.yaml:2:8: the text is not UTF-8; save the file as UTF-8",
		"\xff\xfep\x00":              "p.yaml:1:1: the text is not UTF-8; save the file as UTF-8",
		"pipeline: a\x00b":           "p.yaml:1:12: a control character stands here; remove it, or write it as an escape such as \"\\u0001\" in double quotes",
		"pipeline: \"a\nb: c\n":      "p.yaml:1:11: a quote is not closed on this line; close it at the end of the text",
		strings.Repeat("[", 20_000):  "p.yaml:1:1: the text is nested too deeply; a definition has at most six levels",
		strings.Repeat("- ", 20_000): "p.yaml:1:1: the text is nested too deeply; a definition has at most six levels",
	} {
		got := strings.TrimSuffix(errorsOf("p.yaml", []byte(text)), "\n")
		if place, message, _ := strings.Cut(got, ": "); strings.Contains(want, "too deeply") && strings.HasPrefix(place, "p.yaml:1:") {
			got = "p.yaml:1:1: " + message // somewhere on the line
		}
		if got != want {
			t.Errorf("%.30q gives %s, want %s", text, got, want)
		}
	}
}

// An alias is never followed: a text that would grow a billionfold is refused at
// once.
func TestAliasBomb(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	text.WriteString("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n")
	for i := 1; i < 10; i++ {
		before, here := string(rune('0'+i-1)), string(rune('0'+i))
		text.WriteString("a" + here + ": &a" + here + " [" + strings.TrimSuffix(strings.Repeat("*a"+before+", ", 9), ", ") + "]\n")
	}
	got := errorsOf("p.yaml", []byte(text.String()))
	if !strings.Contains(got, "p.yaml:2:10: YAML aliases are not allowed") {
		t.Errorf("got %.300s", got)
	}
}

// Sizes are bounded, so that no definition can exhaust a layer.
func TestLimits(t *testing.T) {
	t.Parallel()
	repeat := func(n int, format func(i string) string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(format(strings.Repeat("x", 1+i%50) + strings.Repeat("y", i/50)))
		}
		return b.String()
	}
	head := "pipeline: p\nevents:\n  format: json\n  columns:\n    n: {type: int}\n"
	view := "views: {v: {by: [], every: none, measures: {c: count}}}\n"
	for name, c := range map[string]struct{ at, over, want string }{
		"columns": {
			at:   head + repeat(maxColumns-1, func(i string) string { return "    " + i + ": {type: int}\n" }) + view,
			over: head + repeat(maxColumns, func(i string) string { return "    " + i + ": {type: int}\n" }) + view,
			want: "there are more than 500 columns; keep at most 500",
		},
		"views": {
			at:   head + "views:\n" + repeat(maxViews, func(i string) string { return "  " + i + ": {by: [], every: none, measures: {c: count}}\n" }),
			over: head + "views:\n" + repeat(maxViews+1, func(i string) string { return "  " + i + ": {by: [], every: none, measures: {c: count}}\n" }),
			want: "there are more than 200 views; keep at most 200",
		},
		"measures": {
			at:   head + "views:\n  v:\n    by: []\n    every: none\n    measures:\n" + repeat(maxMeasures, func(i string) string { return "      " + i + ": count\n" }),
			over: head + "views:\n  v:\n    by: []\n    every: none\n    measures:\n" + repeat(maxMeasures+1, func(i string) string { return "      " + i + ": count\n" }),
			want: "there are more than 100 measures in view v; keep at most 100",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := errorsOf("p.yaml", []byte(c.at)); got != "no error\n" {
				t.Errorf("at the limit: %s", got)
			}
			if got := errorsOf("p.yaml", []byte(c.over)); !strings.HasSuffix(got, c.want+"\n") || strings.Count(got, "\n") != 1 {
				t.Errorf("over the limit: %s", got)
			}
		})
	}
}

// FuzzParse: no text panics, and every problem has a place in the text and a
// remedy.
func FuzzParse(f *testing.F) {
	for _, text := range corpus(f) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := Parse("p.yaml", text)
		if err == nil {
			if d.Describe() == "" || len(d.Generation) != 16 {
				t.Fatalf("no description or generation %q", d.Generation)
			}
			return
		}
		lines := strings.Count(string(text), "\n") + strings.Count(string(text), "\r") + strings.Count(string(text), "\u0085") +
			strings.Count(string(text), "\u2028") + strings.Count(string(text), "\u2029") + 1
		for _, p := range err.(Errors) {
			if p.Line < 1 || p.Line > lines || p.Column < 1 || p.Message == "" || p.Remedy == "" {
				t.Fatalf("%q: a problem without place or remedy: %+v", text, p)
			}
		}
	})
}
