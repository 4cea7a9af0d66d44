package sql_test

import (
	"strings"
	"testing"
	"time"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/job"
	"github.com/watershed-data/watershed/internal/protocol"
	render "github.com/watershed-data/watershed/internal/sql"
)

// TestSparkGolden pins every statement. Spark runs statements of the same renderer
// in internal/duckdb's tests of glue/batch.py.
func TestSparkGolden(t *testing.T) {
	t.Parallel()
	def := sales()
	s := render.Spark{Def: def}
	source := render.Source{Cut: map[string]protocol.Position{`it's \ b`: {Seq: "77"}, "shard-a": {Seq: "100", Sub: 3}}}
	distinct := source
	distinct.Distinct = true
	identified := *def
	identified.Events = definition.Events{ID: "through", DedupeWithin: 15 * time.Minute}
	statements := map[string]string{"figures": s.Figures(), "figures_id": render.Spark{Def: &identified}.Figures()}
	for name, from := range map[string]render.Source{"rows": source, "rows_distinct": distinct, "rows_none": {}} {
		statements[name] = script(t)(s.Rows(from))
		statements[name+"_id"] = script(t)(render.Spark{Def: &identified}.Rows(from))
	}
	for _, v := range def.AllViews() {
		statements["view_"+v.Name] = must(t)(s.View(v, sealed))
	}
	golden(t, "spark", statements)
}

// TestSparkReadsWhatItsStatementsRead: a column that is not listed would not be
// there, and one that is not read would be fetched for nothing.
func TestSparkReadsWhatItsStatementsRead(t *testing.T) {
	t.Parallel()
	def := sales()
	def.Events = definition.Events{ID: "through", DedupeWithin: time.Minute}
	s := render.Spark{Def: def}
	text := script(t)(s.Rows(render.Source{Cut: map[string]protocol.Position{"s": {Seq: "1"}}, Distinct: true}))
	types := map[string]job.Type{}
	for _, c := range s.Columns() {
		types[c.Name] = c.Type
		if !strings.Contains(text, "m.`"+c.Name+"`") {
			t.Errorf("column %s is listed and not read", c.Name)
		}
	}
	for name, want := range map[string]job.Type{"product": job.String, "price": job.BigInt, "ws_rowlogic": job.Int, "ws_where_sketches": job.Boolean, "unused": ""} {
		if types[name] != want {
			t.Errorf("column %s has type %q, want %q", name, types[name], want)
		}
	}
}

// TestSparkOrder is that of the reader of view files.
func TestSparkOrder(t *testing.T) {
	t.Parallel()
	for want, v := range map[string]definition.View{
		"time a b": {By: []string{"a", "b"}, Every: definition.Hour},
		"a":        {By: []string{"a"}, Every: definition.None},
		"":         {Every: definition.None},
	} {
		if got := strings.Join(render.Spark{}.Order(v), " "); got != want {
			t.Errorf("%+v is in the order of %q, want %q", v, got, want)
		}
	}
}

// TestSparkRefuses lists what has no SQL.
func TestSparkRefuses(t *testing.T) {
	t.Parallel()
	def := sales()
	s := render.Spark{Def: def}
	if _, err := s.Rows(render.Source{Since: &render.Since{}}); err == nil {
		t.Error("SQL was made of an incremental run, which would count rows twice")
	}
	if _, err := s.Rows(render.Source{Cut: map[string]protocol.Position{"s\x00": {}}}); err == nil {
		t.Error("SQL was made of a shard's name with a NUL")
	}
	if _, err := s.View(definition.View{By: []string{"nothing"}}, sealed); err == nil {
		t.Error("SQL was made of an unknown column")
	}
}

// TestSparkQuotes: no name can end its quotes.
func TestSparkQuotes(t *testing.T) {
	t.Parallel()
	def := &definition.Definition{
		Columns: []definition.Column{{Name: "a`; DROP", Type: column.Type{Kind: column.String}}},
		Views:   []definition.View{{Name: "v", By: []string{"a`; DROP"}, Every: definition.None, Measures: []definition.Measure{{Name: "n", Func: definition.Count}}}},
	}
	if got := must(t)(render.Spark{Def: def}.View(def.Views[0], sealed)); !strings.Contains(got, "r.`a``; DROP`") {
		t.Errorf("the column is not quoted in\n%s", got)
	}
}
