package sql_test

import (
	"bytes"
	"context"
	"database/sql"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/duckdb/duckdb-go/v2" // the engine that runs the golden files

	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/expr"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
	render "github.com/watershed-data/watershed/internal/sql"
)

var update = flag.Bool("update", false, "write the golden files anew")

// sealed is the T of all versions here: 2014-12-01T00:00:00Z.
const sealed = int64(1417392000000)

// sales is the whitepaper's pipeline, with a view for each shape of SQL.
func sales() *definition.Definition {
	text := column.Type{Kind: column.String}
	price := column.Type{Kind: column.Decimal, Precision: 12, Scale: 2}
	sold := column.Type{Kind: column.Timestamp}
	items := column.Type{Kind: column.Int}
	return &definition.Definition{
		Zone:    time.UTC,
		Columns: []definition.Column{{Name: "product", Type: text}, {Name: "price", Type: price}, {Name: "sold_at", Type: sold}, {Name: "items", Type: items}, {Name: "through", Type: text}, {Name: "unused", Type: text}},
		Views: []definition.View{
			{Name: "by_product", By: []string{"product"}, Every: definition.Hour, Measures: []definition.Measure{
				{Name: "sales", Func: definition.Count},
				{Name: "priced", Func: definition.Count, Column: "price", Type: price},
				{Name: "revenue", Func: definition.Sum, Column: "price", Type: price},
				{Name: "cheapest", Func: definition.Min, Column: "price", Type: price},
				{Name: "average", Func: definition.Avg, Column: "price", Type: price},
				{Name: "items", Func: definition.Sum, Column: "items", Type: items},
				{Name: "most", Func: definition.Max, Column: "items", Type: items},
				{Name: "last", Func: definition.Max, Column: "sold_at", Type: sold},
				{Name: "name", Func: definition.Min, Column: "product", Type: text},
			}},
			{Name: "by_price", By: []string{"price", "sold_at"}, Every: definition.None, Measures: []definition.Measure{{Name: "sales", Func: definition.Count}}},
			{Name: "daily", By: []string{"through"}, Every: definition.Day, Measures: []definition.Measure{{Name: "sales", Func: definition.Count}}},
			{Name: "by_age", By: []string{"product"}, Every: definition.Hour, Measures: []definition.Measure{{Name: "sales", Func: definition.Count}}, Keep: []definition.Keep{
				{For: 7 * 24 * time.Hour, Every: definition.Hour}, {For: 60 * 24 * time.Hour, Every: definition.Day}, {Every: definition.Month}}},
			{Name: "all_time", Every: definition.None, Measures: []definition.Measure{{Name: "sales", Func: definition.Count}}},
			{Name: "sketches", By: []string{"product"}, Every: definition.Day, Where: &expr.Expr{Text: "price > 0"}, Measures: []definition.Measure{
				{Name: "sales", Func: definition.Count},
				{Name: "places", Func: definition.Distinct, Column: "product", Type: text, K: 1024},
				{Name: "prices", Func: definition.Quantiles, Column: "price", Type: price, Error: "0.01"},
			}},
			{Name: "one_sketch", Every: definition.None, Measures: []definition.Measure{{Name: "places", Func: definition.Distinct, Column: "product", Type: text, K: 16}}},
		},
	}
}

// TestGolden pins every statement and runs it. A change of the SQL is seen in
// review, and what is reviewed is what runs.
func TestGolden(t *testing.T) {
	t.Parallel()
	def := sales()
	d := render.DuckDB{Def: def}
	source := render.Source{
		Files: []string{"/data/it's one.parquet", "/data/two.parquet"},
		Cut:   map[string]protocol.Position{"shard-b": {Seq: "77"}, "shard-a": {Seq: "100", Sub: 3}},
	}
	distinct, none, since := source, source, source
	distinct.Distinct = true
	since.Since = &render.Since{Cut: map[string]protocol.Position{"shard-a": {Seq: "100", Sub: 2}}, From: map[string]protocol.Position{"shard-a": {Seq: "99"}}}
	none.Files = nil
	statements := map[string]string{"figures": d.Figures()}
	identified := *def
	identified.Events = definition.Events{ID: "through", DedupeWithin: 15 * time.Minute}
	statements["figures_id"] = render.DuckDB{Def: &identified}.Figures()
	for name, s := range map[string]render.Source{"rows": source, "rows_distinct": distinct, "rows_none": none, "rows_since": since} {
		statements[name] = script(t)(d.Rows(s))
		statements[name+"_id"] = script(t)(render.DuckDB{Def: &identified}.Rows(s))
	}
	for _, v := range def.AllViews() {
		statements["view_"+v.Name] = must(t)(d.View(v, sealed))
	}
	for _, v := range def.Views {
		if strings.HasSuffix(v.Name, "sketches") || v.Name == "by_product" || v.Name == "one_sketch" {
			statements["merge_"+v.Name] = must(t)(d.Merge(v, "old", "new"))
		}
	}
	statements["copy"] = must(t)(d.Copy(d.Figures(), "/data/it's out.parquet", 8192))
	golden(t, "duckdb", statements)
	run(t, def, statements)
}

// golden holds statements against the files of a dialect.
func golden(t *testing.T, dialect string, statements map[string]string) {
	t.Helper()
	for name, got := range statements {
		file := filepath.Join("testdata", dialect, name+".sql")
		if *update {
			if err := os.WriteFile(file, []byte(got+";\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got+";\n" != string(want) {
			t.Errorf("%s is not as in %s (go test ./internal/sql -update writes it anew):\n%s", name, file, got)
		}
	}
	if files, _ := filepath.Glob(filepath.Join("testdata", dialect, "*.sql")); len(files) != len(statements) {
		t.Errorf("there are %d golden files for %d statements", len(files), len(statements))
	}
}

// run executes the golden statements over files that exist.
func run(t *testing.T, def *definition.Definition, statements map[string]string) {
	dir := t.TempDir()
	for _, name := range []string{"it's one.parquet", "two.parquet"} {
		var file bytes.Buffer
		if err := archive.Write(&file, def, row(def)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), file.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, rows := range []struct {
		statement string
		count     int
	}{{"rows", 2}, {"rows_distinct", 1}, {"rows_none", 0}, {"rows_id", 2}, {"rows_distinct_id", 1}, {"rows_none_id", 0}, {"rows_since", 2}, {"rows_since_id", 2}} {
		db, err := sql.Open("duckdb", "")
		if err != nil {
			t.Fatal(err)
		}
		db.SetMaxOpenConns(1)
		count := func(name, statement string) (n int) {
			found, err := db.QueryContext(context.Background(), strings.ReplaceAll(statement, "/data/", dir+"/"))
			if err != nil {
				t.Fatalf("%s over %s: %v", name, rows.statement, err)
			}
			for found.Next() {
				n++
			}
			if err := found.Err(); err != nil {
				t.Fatalf("%s over %s: %v", name, rows.statement, err)
			}
			return n
		}
		for _, statement := range strings.Split(statements[rows.statement], ";\n") {
			count(rows.statement, statement)
		}
		for name, statement := range statements {
			if view, ok := strings.CutPrefix(name, "merge_"); ok {
				for _, relation := range []string{"old", "new"} {
					count(relation, "CREATE OR REPLACE TEMP VIEW "+relation+" AS\n"+statements["view_"+view])
				}
			}
			if strings.HasPrefix(name, "rows") || name == "figures_id" && !strings.HasSuffix(rows.statement, "_id") {
				continue
			}
			if n := count(name, statement); name != "copy" && n != min(rows.count, 1) {
				t.Errorf("%s over %s gives %d groups", name, rows.statement, n)
			}
		}
		var n int
		if err := db.QueryRow(`SELECT count(*) FROM "rows"`).Scan(&n); err != nil || n != rows.count {
			t.Errorf("%s gives %d rows, want %d (%v)", rows.statement, n, rows.count, err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

// row is a batch of one row.
func row(def *definition.Definition) *rowlogic.Batch {
	b := &rowlogic.Batch{
		Shard: "shard-a", Events: []protocol.Event{{Position: protocol.Position{Seq: "100", Sub: 3}}},
		Outcome: []rowlogic.Outcome{rowlogic.Accepted}, Reason: []string{""}, Detail: []string{""}, Hash: []uint64{1},
		Times: map[definition.Grain]*column.Vector{}, Inputs: map[string]*column.Vector{},
	}
	for _, in := range def.Inputs() {
		b.Inputs[in.Name] = column.NewVector(in.Type, 1)
		if in.View != "" {
			b.Inputs[in.Name].Set(0, column.Value{Int: 1})
		}
	}
	for _, g := range archive.Grains(def) {
		b.Times[g] = column.NewVector(column.Type{Kind: column.Timestamp}, 1)
	}
	for _, c := range def.Columns {
		b.Columns = append(b.Columns, column.NewVector(c.Type, 1))
	}
	return b
}

// script joins statements.
func script(t *testing.T) func([]string, error) string {
	return func(statements []string, err error) string {
		t.Helper()
		return must(t)(strings.Join(statements, ";\n"), err)
	}
}

func must(t *testing.T) func(string, error) string {
	return func(s string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

// TestRefuses lists what must not become SQL.
func TestRefuses(t *testing.T) {
	t.Parallel()
	def := sales()
	d := render.DuckDB{Def: def}
	view := func(change func(v *definition.View)) error {
		v := def.Views[0]
		change(&v)
		_, err := d.View(v, sealed)
		return err
	}
	source := func(s render.Source) error { _, err := d.Rows(s); return err }
	cut := map[string]protocol.Position{"s": {Seq: "1"}}
	for name, err := range map[string]error{
		"unknown column":   view(func(v *definition.View) { v.By = []string{"nothing"} }),
		"unknown function": view(func(v *definition.View) { v.Measures = []definition.Measure{{Name: "m", Func: "median"}} }),
		"same name":        view(func(v *definition.View) { v.Measures = []definition.Measure{{Name: "Product", Func: definition.Count}} }),
		"NUL in a file":    source(render.Source{Files: []string{"a\x00b"}, Cut: cut}),
		"NUL in a shard":   source(render.Source{Files: []string{"a"}, Cut: map[string]protocol.Position{"s\x00": {}}}),
	} {
		if err == nil {
			t.Errorf("%s: SQL was made of it", name)
		}
	}
}

// TestQuotes: no name and no value can end its quotes.
func TestQuotes(t *testing.T) {
	t.Parallel()
	evil := `a"; DROP TABLE "rows`
	text := column.Type{Kind: column.String}
	def := &definition.Definition{
		Columns: []definition.Column{{Name: evil, Type: text}},
		Views:   []definition.View{{Name: "v", By: []string{evil}, Every: definition.None, Measures: []definition.Measure{{Name: evil + "2", Func: definition.Max, Column: evil, Type: text}}}},
	}
	d := render.DuckDB{Def: def}
	dir := t.TempDir()
	var file bytes.Buffer
	b := row(def)
	b.Shard = "s'; DROP TABLE \"rows\"; --"
	if err := archive.Write(&file, def, b); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "x'); --.parquet")
	if err := os.WriteFile(path, file.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1)
	rows := script(t)(d.Rows(render.Source{Files: []string{path}, Cut: map[string]protocol.Position{b.Shard: {Seq: "100", Sub: 3}}}))
	if _, err := db.Exec(rows); err != nil {
		t.Fatal(err)
	}
	var dim, most sql.NullString
	if err := db.QueryRow(must(t)(d.View(def.Views[0], sealed))).Scan(&dim, &most); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(dim, most); got != "{ false} { false}" {
		t.Errorf("the one null group came back as %s", got)
	}
}
