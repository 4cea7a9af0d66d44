package rowlogic

import (
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/definition"
)

func TestDefinitionsThatRowLogicRefuses(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name  string
		spoil func(*definition.Definition)
		want  string
	}{
		{"an unknown format", func(d *definition.Definition) { d.Events.Format = "xml" }, `"xml"`},
		{"a column that no field is", func(d *definition.Definition) { d.Events.Format, d.Events.Fields = "csv", []string{"price"} }, "zipcode"},
		{"a column that rows do not have", func(d *definition.Definition) { d.Columns = d.Columns[1:] }, "zipcode"},
		{"a column without a path", func(d *definition.Definition) { d.Events.Columns[1].From = nil }, "product"},
		{"buckets without an event time", func(d *definition.Definition) { d.Events.Time = "" }, "event time"},
		{"an event time that is no time", func(d *definition.Definition) { d.Events.Time = "price" }, "price"},
		{"an event id that events do not carry", func(d *definition.Definition) { d.Events.ID = "order" }, "order"},
		{"an event id that is a float", func(d *definition.Definition) { d.Events.ID = "weight" }, "weight"},
		{"an unknown grain", func(d *definition.Definition) { d.Views[0].Every = "2h" }, `"2h"`},
		{"an unknown step", func(d *definition.Definition) { d.Clean = []definition.Step{{Kind: "forget"}} }, `"forget"`},
		{"a condition without an expression", func(d *definition.Definition) { d.Clean = []definition.Step{{Kind: definition.Drop}} }, "step 1"},
		{"an assignment to no column", func(d *definition.Definition) {
			d.Clean = []definition.Step{{Kind: definition.Default, Assign: []definition.Assign{{Column: "nope"}}}}
		}, "nope"},
		{"a set without an expression", func(d *definition.Definition) {
			d.Clean = []definition.Step{{Kind: definition.Set, Assign: []definition.Assign{{Column: "price"}}}}
		}, "price"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			def := sales(t)
			c.spoil(def)
			if _, err := New(def); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error that names %s", err, c.want)
			}
		})
	}
}
