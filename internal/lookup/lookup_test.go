package lookup_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/lookup"
)

var (
	texts = column.Type{Kind: column.String}
	ints  = column.Type{Kind: column.Int}
)

func text(s string) column.Value { return column.Value{Str: s} }
func whole(n int64) column.Value { return column.Value{Int: n} }

func products(file string) definition.Lookup {
	return definition.Lookup{Name: "products", File: file, Key: "sku", On: []string{"product"}}
}

// shown gives a table's attributes with their types, and of a key every value.
func shown(t *lookup.Table, key column.Value) string {
	var out []string
	for i, a := range t.Attributes {
		value := "null"
		if v := t.Value(i, key); !v.Null {
			value = column.FormatText(a.Type, v)
		}
		out = append(out, fmt.Sprintf("%s %s=%s", a.Type, a.Name, value))
	}
	return strings.Join(out, ", ")
}

func TestFiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, file, content string
		keys                column.Type
		key                 column.Value
		want                string
	}{
		{"csv", "a.csv", "sku,category,n\np1,\"tea, green\",7\np2,,8\n", texts, text("p1"), "string sku=p1, string category=tea, green, string n=7"},
		{"an empty field is null", "a.csv", "sku,category\np1,tea\np2,\n", texts, text("p2"), "string sku=p2, string category=null"},
		{"a mark of the byte order", "a.CSV", "\ufeffsku\r\np1\r\n", texts, text("p1"), "string sku=p1"},
		{"no row describes it", "a.csv", "sku,category\np1,tea\n", texts, text("p9"), "string sku=null, string category=null"},
		{"null is described by no row", "a.csv", "sku,category\np1,tea\n", texts, column.Null, "string sku=null, string category=null"},
		{"keys are numbers", "a.csv", "sku,category\n007,tea\n", ints, whole(7), "string sku=007, string category=tea"},
		{"ndjson", "a.ndjson", `{"sku":"p1","n":7,"price":1.5,"new":true}` + "\n\n" + `{"sku":"p2","price":12.25,"n":null}` + "\n", texts, text("p1"),
			"string sku=p1, int n=7, decimal(4,2) price=1.50, bool new=true"},
		{"an absent name is null", "a.jsonl", `{"sku":"p1","n":7}` + "\r\n" + `{"sku":"p2"}`, texts, text("p2"), "string sku=p2, int n=null"},
		{"a number is read as its text where keys are texts", "a.ndjson", `{"sku":7}`, texts, text("7"), "int sku=7"},
		{"ints beside fractions", "a.ndjson", `{"sku":"a","x":-3}` + "\n" + `{"sku":"b","x":0.125}`, texts, text("a"), "string sku=a, decimal(4,3) x=-3.000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			table, err := lookup.Parse(products(c.file), []byte(c.content), c.keys, time.UTC)
			if err != nil {
				t.Fatal(err)
			}
			if got := shown(table, c.key); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestParquetHasTheTypesThatItStates(t *testing.T) {
	t.Parallel()
	type row struct {
		SKU    int32      `parquet:"sku"`
		Name   string     `parquet:"name,optional"`
		Price  int64      `parquet:"price,decimal(2:9)"`
		Weight float64    `parquet:"weight"`
		New    bool       `parquet:"new"`
		Since  *time.Time `parquet:"since,optional,timestamp(millisecond)"`
		Born   int32      `parquet:"born,date"`
	}
	since := time.Date(2014, 11, 1, 19, 35, 41, 158e6, time.UTC)
	var b bytes.Buffer
	if err := parquet.Write(&b, []row{{SKU: 1}, {7, "tea", 1050, 0.5, true, &since, 16375}}); err != nil {
		t.Fatal(err)
	}
	table, err := lookup.Parse(products("a.parquet"), b.Bytes(), ints, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	got := shown(table, whole(7))
	for _, want := range []string{"int sku=7", "string name=tea", "decimal(9,2) price=10.50", "float weight=0.5", "bool new=true", "timestamp since=2014-11-01T19:35:41.158Z", "date born=2014-11-01"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not in %s", want, got)
		}
	}
	if got := shown(table, whole(1)); !strings.Contains(got, "name=null") || !strings.Contains(got, "since=null") {
		t.Errorf("nulls are lost: %s", got)
	}
}

// What is wrong with a file is said with its place and what to do.
func TestWrongFiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, file, content, want string }{
		{"empty", "a.csv", "", "must name the columns"},
		{"no key", "a.csv", "name,category\nx,y\n", "no key column sku; the columns are name, category"},
		{"a key twice", "a.csv", "sku,category\np1,tea\np2,tea\np1,coffee\n", `line 4: the key "p1" stands in line 2 already`},
		{"a key twice after a line break in quotes", "a.csv", "sku,category\np1,\"a\nb\"\np1,x\n", `line 4: the key "p1" stands in line 2`},
		{"a row without a key", "a.csv", "sku,category\n,tea\n", "line 2 has no sku"},
		{"too few fields", "a.csv", "sku,category\np1\n", "line 2: the record does not have as many fields"},
		{"a name that no query can write", "a.csv", "sku,Full Name\np1,x\n", `"Full Name" cannot be written in a query; rename it`},
		{"a name twice", "a.csv", "sku,x,x\n", "two columns are named x"},
		{"not UTF-8", "a.csv", "sku,x\np1,\xff\n", "line 2: x is not UTF-8"},
		{"no object", "a.ndjson", `{"sku":"p1"}` + "\n[1]\n", "line 2: it is no JSON object"},
		{"half an object", "a.ndjson", `{"sku":"p1"`, "line 1: it is no JSON object"},
		{"two objects in a line", "a.ndjson", `{"sku":"p1"} {"sku":"p2"}`, "something follows the object"},
		{"a name twice in an object", "a.ndjson", `{"sku":"p1","sku":"p2"}`, `"sku" stands twice`},
		{"an object in an object", "a.ndjson", `{"sku":"p1","x":{"y":1}}`, `line 1: "x": it is an object or a list`},
		{"two types", "a.ndjson", `{"sku":"p1","x":1}` + "\n" + `{"sku":"p2","x":"1"}`, `line 2: "x": it is of type string here and of type int in line 1`},
		{"an exponent", "a.ndjson", `{"sku":"p1","x":1e5}`, "has an exponent"},
		{"too large an int", "a.ndjson", `{"sku":"p1","x":9223372036854775808}`, "does not fit an int"},
		{"too many digits", "a.ndjson", `{"sku":"p1","x":1234567890123.1234567}`, "13 digits before and 7 after"},
		{"no Parquet", "a.parquet", "PAR1", "no Parquet file"},
		{"another ending", "a.xlsx", "", ".csv, .ndjson, .jsonl, .parquet"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := lookup.Parse(products(c.file), []byte(c.content), texts, time.UTC)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want something with %s", err, c.want)
			}
		})
	}
	_, err := lookup.Parse(products("a.csv"), []byte("sku\nseven\n"), ints, time.UTC)
	if err == nil || !strings.Contains(err.Error(), `line 2: the key "seven" is no int, as product is`) {
		t.Errorf("a key of another type: %v", err)
	}
}

func TestATableIsBounded(t *testing.T) {
	t.Parallel()
	var rows bytes.Buffer
	rows.WriteString("sku\n")
	for i := range lookup.MaxRows + 1 {
		fmt.Fprintln(&rows, i)
	}
	_, err := lookup.Parse(products("a.csv"), rows.Bytes(), texts, time.UTC)
	if err == nil || !strings.Contains(err.Error(), "more than 1000000 rows") {
		t.Errorf("too many rows: %v", err)
	}
	wide := "sku" + strings.Repeat(",", lookup.MaxAttributes) + "\n"
	if _, err = lookup.Parse(products("a.csv"), []byte(wide), texts, time.UTC); err == nil || !strings.Contains(err.Error(), "more than 200 columns") {
		t.Errorf("too many columns: %v", err)
	}
	if _, err = lookup.Parse(products("a.csv"), make([]byte, lookup.MaxFileBytes+1), texts, time.UTC); err == nil || !strings.Contains(err.Error(), "67108865 bytes") {
		t.Errorf("too many bytes: %v", err)
	}
}

// pipeline is a definition in a folder of its own, with its lookup.
type pipeline struct {
	t   *testing.T
	dir string
	log bytes.Buffer
}

func (p *pipeline) write(content string) {
	p.t.Helper()
	// As a careful tool does: the file is never there by halves.
	if err := os.WriteFile(filepath.Join(p.dir, "new"), []byte(content), 0o600); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(p.dir, "new"), filepath.Join(p.dir, "products.csv")); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pipeline) open() (*lookup.Set, error) {
	p.t.Helper()
	def, err := definition.Parse(filepath.Join(p.dir, "pipeline.yaml"), []byte(`
pipeline: sales
events: {format: json, columns: {product: {type: string}}}
lookups: {products: {file: products.csv, key: sku, on: [product]}}
views: {sales: {by: [product], every: none, measures: {sales: count}}}
`))
	if err != nil {
		p.t.Fatal(err)
	}
	return lookup.Open(def, slog.New(slog.NewTextHandler(&p.log, nil)))
}

// Without this, answers are made with a content that is gone, or with half of one.
func TestAChangedFileIsPickedUp(t *testing.T) {
	t.Parallel()
	p := &pipeline{t: t, dir: t.TempDir()}
	p.write("sku,category\np1,tea\n")
	s, err := p.open()
	if err != nil {
		t.Fatal(err)
	}
	category := func() string {
		u := s.Table("products")
		return u.Table.Value(u.Attribute("category"), text("p1")).Str + "|" + u.Problem
	}
	before := s.Table("products")
	if got := category(); got != "tea|" {
		t.Errorf("at first: %s", got)
	}
	p.write("sku,category\np1,mug\n") // of the same size, and most likely within one tick of the file's time
	if got := category(); got != "mug|" {
		t.Errorf("after a change: %s", got)
	}
	if got := before.Table.Value(1, text("p1")); got.Str != "tea" {
		t.Errorf("a query that began before the change now reads %s", got.Str)
	}
	p.write("sku,category\np1,mug\np1,pot\n")
	if got := category(); !strings.HasPrefix(got, "mug|line 3: the key") {
		t.Errorf("with a key twice: %s", got)
	}
	if !strings.Contains(p.log.String(), "stays in use") {
		t.Errorf("the log does not say so: %s", p.log.String())
	}
	if err := os.Remove(filepath.Join(p.dir, "products.csv")); err != nil {
		t.Fatal(err)
	}
	if got := category(); got != "mug|no such file or directory" {
		t.Errorf("with no file: %s", got)
	}
	p.write("sku,category\np1,pot\n")
	if got := category(); got != "pot|" {
		t.Errorf("when it is good again: %s", got)
	}
}

func TestABrokenFileIsAnErrorAtTheStart(t *testing.T) {
	t.Parallel()
	p := &pipeline{t: t, dir: t.TempDir()}
	for _, c := range []struct{ name, content, begins, says, remedy string }{
		{"no file", "", "pipeline.yaml:4:28: ", "products.csv: no such file", "; put the file there"},
		{"a key twice", "sku\np1\np1\n", "pipeline.yaml:4:28: ", "products.csv: line 3: the key", "; correct the file"},
		{"another key", "name\np1\n", "pipeline.yaml:4:47: ", "no key column sku; the columns are name", "; name the column"},
	} {
		if c.content != "" {
			p.write(c.content)
		}
		_, err := p.open()
		if err == nil {
			t.Errorf("%s is no error", c.name)
			continue
		}
		got, inFolder := strings.CutPrefix(err.Error(), p.dir+string(filepath.Separator))
		if !inFolder || !strings.HasPrefix(got, c.begins) || !strings.Contains(got, c.says) || !strings.Contains(got, c.remedy) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestDescribeNamesWhatQueriesCanName(t *testing.T) {
	t.Parallel()
	p := &pipeline{t: t, dir: t.TempDir()}
	p.write("sku,category\np1,tea\n")
	s, err := p.open()
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Describe(); !strings.Contains(got, "product.category  string") || !strings.Contains(got, "1 row of products.csv") {
		t.Error(got)
	}
}
