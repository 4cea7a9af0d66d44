// Package athena holds the queries that a pipeline's workgroup in Athena offers: the
// files beside this one, filled in from the definition. It knows the definition and
// the names of tables.
package athena

import (
	"embed"
	"fmt"
	"strings"
	"text/template"

	"github.com/watershed-data/watershed/internal/definition"
)

//go:embed *.sql
var files embed.FS

// Query is a named query.
type Query struct {
	Name        string
	Description string
	SQL         string
}

// viewFile is the query that every view has one of.
const viewFile = "view.sql"

// Queries gives the queries of a definition: one for each view, and those about the
// master dataset. They name tables without a database.
func Queries(def *definition.Definition) ([]Query, error) {
	parsed, err := template.New("").Option("missingkey=error").ParseFS(files, "*.sql")
	if err != nil {
		return nil, fmt.Errorf("reading the named queries: %w", err)
	}
	var out []Query
	for _, v := range def.AllViews() {
		q, err := render(parsed, viewFile, of(v))
		if err != nil {
			return nil, err
		}
		out = append(out, q)
	}
	for _, file := range []string{"freshness.sql", "rejects.sql", "double_entry.sql"} {
		q, err := render(parsed, file, nil)
		if err != nil {
			return nil, err
		}
		out = append(out, q)
	}
	return out, nil
}

// view is what the query of a view is filled in with.
type view struct {
	View  string
	Timed bool
	Order string // by which groups are large: the first measure with one result, or ""
}

func of(v definition.View) view {
	out := view{View: v.Name, Timed: v.Every != definition.None}
	for _, m := range v.Measures {
		if m.Func != definition.Quantiles {
			out.Order = m.Name
			break
		}
	}
	return out
}

// render fills in a file. Its first line is a comment: the name, and what the query
// tells.
func render(parsed *template.Template, file string, of any) (Query, error) {
	var text strings.Builder
	if err := parsed.ExecuteTemplate(&text, file, of); err != nil {
		return Query{}, fmt.Errorf("filling in %s: %w", file, err)
	}
	head, query, _ := strings.Cut(text.String(), "\n")
	name, what, ok := strings.Cut(strings.TrimPrefix(head, "-- "), ": ")
	if !ok || !strings.HasPrefix(head, "-- ") {
		return Query{}, fmt.Errorf("filling in %s: its first line is not a comment with a name, a colon and a description", file)
	}
	return Query{Name: name, Description: what, SQL: strings.TrimSpace(query)}, nil
}
