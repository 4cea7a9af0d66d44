package stack_test

import (
	"encoding/base64"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/definition"
)

// catalogued gives the tables of the catalog by name.
func catalogued(t *testing.T, on *template) map[string]resource {
	t.Helper()
	out := map[string]resource{}
	for _, r := range on.all(t, "AWS::Glue::Table", "") {
		out[r.at("TableInput", "Name")] = r
	}
	return out
}

// Without the tables of versions, a merged view has nothing to merge; without the
// literal version, Athena would read all of them.
func TestEveryViewHasATableOfItsVersions(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, on *template) {
		all := catalogued(t, on)
		for _, v := range def.AllViews() {
			table, ok := all[v.Name+"_versions"]
			if !ok {
				t.Errorf("there is no table of the versions of %s", v.Name)
				continue
			}
			if got := table.at("TableInput", "Parameters", "projection.version.type"); got != "injected" {
				t.Errorf("the versions of %s are projected as %q", v.Name, got)
			}
			template := table.at("TableInput", "Parameters", "storage.location.template")
			if !strings.Contains(template, "BucketsViews") || !regexp.MustCompile(`/views/[0-9a-f]+/\$\{version\}/`+v.Name+`/"\]\]\}$`).MatchString(template) {
				t.Errorf("the versions of %s are looked for in %s", v.Name, template)
			}
			if keys := table.at("TableInput", "PartitionKeys"); keys != `[{"Name":"version","Type":"string"}]` {
				t.Errorf("the versions of %s are partitioned by %s", v.Name, keys)
			}
		}
	})
}

// Without this, Athena knows no view before the first run is through.
func TestEveryViewCanBeAskedBeforeTheFirstVersion(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, on *template) {
		all := catalogued(t, on)
		for _, v := range def.AllViews() {
			view := all[v.Name]
			if view.at("TableInput", "TableType") != "VIRTUAL_VIEW" || view.at("TableInput", "Parameters", "presto_view") != "true" {
				t.Errorf("%s is no view to Athena: %v", v.Name, view.Properties)
				continue
			}
			text := strings.TrimSuffix(strings.TrimPrefix(view.at("TableInput", "ViewOriginalText"), "/* Presto View: "), " */")
			decoded, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				t.Fatal(err)
			}
			var says struct {
				OriginalSQL string `json:"originalSql"`
				Schema      string
				Columns     []struct{ Name, Type string }
			}
			if err := json.Unmarshal(decoded, &says); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(says.OriginalSQL, `"rows"`) || strings.Contains(says.OriginalSQL, "_versions") {
				t.Errorf("%s is not of rows alone:\n%s", v.Name, says.OriginalSQL)
			}
			var listed []struct{ Name, Type string }
			if err := json.Unmarshal([]byte(view.at("TableInput", "StorageDescriptor", "Columns")), &listed); err != nil {
				t.Fatal(err)
			}
			if len(listed) == 0 || len(listed) != len(says.Columns) {
				t.Errorf("the catalog lists %d columns of %s, the view has %d", len(listed), v.Name, len(says.Columns))
			}
		}
	})
}

func TestTheWorkgroupOffersQueries(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, on *template) {
		var names []string
		for _, q := range on.all(t, "AWS::Athena::NamedQuery", "") {
			names = append(names, q.at("Name"))
			if q.at("WorkGroup") == "" || q.at("Database") == "" || len(q.at("Description")) < 10 {
				t.Errorf("%s cannot be found by whoever looks for it: %v", q.at("Name"), q.Properties)
			}
		}
		for _, name := range append([]string{"Freshness", "Rejects by reason", "Double entry by shard", definition.OutcomesView}, def.Views[0].Name) {
			if !slices.Contains(names, name) {
				t.Errorf("there is no query %s among %q", name, names)
			}
		}
	})
}

// A merged view passes over rows that arrived longer before its version than the
// stream keeps events. Too short a time here leaves events out of every answer.
func TestTheBatchFunctionKnowsHowLongTheStreamKeepsEvents(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{onDemand: "24h0m0s", safe: "168h0m0s", imported: ""} {
		f := made[name].one(t, "AWS::Lambda::Function", "^FunctionsBatch[0-9A-F]{8}$")
		if got := f.at("Environment", "Variables", "WATERSHED_RETENTION"); got != want {
			t.Errorf("%s: the batch function takes it that the stream keeps events for %q, want %q", name, got, want)
		}
	}
}
