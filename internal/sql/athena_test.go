package sql_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/protocol"
	render "github.com/watershed-data/watershed/internal/sql"
)

// version is what merged views are rendered for.
func version() *protocol.Manifest {
	file := func(view string) []protocol.ViewFile {
		return []protocol.ViewFile{{Name: view + "/a'1/part-1.parquet"}, {Name: view + "/a'1/part-0.parquet"}}
	}
	return &protocol.Manifest{
		Version: "v00000007-XYZ", Seq: 7, T: sealed,
		Cut: map[string]protocol.Cut{
			"shard-b": {Through: protocol.Position{Seq: "77"}}, "shard-a": {Through: protocol.Position{Seq: "100", Sub: 3}},
			protocol.LoadShard(strings.Repeat("0", 64)): {Through: protocol.Position{Seq: "5"}},
		},
		Views: map[string][]protocol.ViewFile{"by_product": file("by_product"), "by_price": file("by_price"), "sketches": file("sketches"), "by_age": file("by_age")},
	}
}

// TestGoldenMergedViews pins the text of merged views. That it says what it should is
// tested where Trino runs it, in internal/aws/catalog.
func TestGoldenMergedViews(t *testing.T) {
	t.Parallel()
	def := sales()
	def.Generation = "g1"
	identified := *def
	identified.Events = definition.Events{ID: "through", DedupeWithin: 15 * time.Minute}
	a := render.Athena{Def: def, Database: "watershed_sales", Bucket: "views", Retention: 24 * time.Hour}
	b := a
	b.Def = &identified
	files := 0
	for name, c := range map[string]struct {
		athena   render.Athena
		view     string
		manifest *protocol.Manifest
	}{
		"by_product":       {a, "by_product", version()},
		"by_product_first": {a, "by_product", nil},
		"by_product_id":    {b, "by_product", version()},
		"by_price":         {a, "by_price", version()},
		"by_age":           {a, "by_age", version()},
		"all_time":         {a, "all_time", version()},
		"sketches":         {b, "sketches", version()},
		"outcomes":         {b, definition.OutcomesView, version()},
	} {
		v, _ := c.athena.Def.View(c.view)
		merged, err := c.athena.View(v, c.manifest)
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		for _, c := range merged.Columns {
			fmt.Fprintf(&got, "-- %s %s, %s\n", c.Name, c.SQL, c.Hive)
		}
		// The numbers that stand for buckets are measure's.
		fmt.Fprintf(&got, "%s;\n", regexp.MustCompile(`split\('([0-9.]+ [0-9.]+) [0-9. ]+'`).ReplaceAllString(merged.SQL, "split('$1 ...'"))
		file := filepath.Join("testdata", "athena", name+".sql")
		if *update {
			if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got.String() != string(want) {
			t.Errorf("%s is not as in %s (go test ./internal/sql -update writes it anew):\n%s", name, file, got.String())
		}
		files++
	}
	if there, _ := filepath.Glob("testdata/athena/*.sql"); len(there) != files {
		t.Errorf("there are %d golden files for %d views", len(there), files)
	}
}

// A later version never gives way to an earlier one, so its number has to be known.
func TestAMergedViewKnowsItsVersion(t *testing.T) {
	t.Parallel()
	a := render.Athena{Def: sales(), Database: "d", Bucket: "b"}
	for want, m := range map[int64]*protocol.Manifest{0: nil, 7: version()} {
		all, err := a.Merged(m)
		if err != nil {
			t.Fatal(err)
		}
		if len(all) != len(a.Def.AllViews()) {
			t.Errorf("%d merged views of %d views", len(all), len(a.Def.AllViews()))
		}
		for _, v := range all {
			if v.Seq != want {
				t.Errorf("%s is of version %d, want %d", v.Name, v.Seq, want)
			}
			text, err := v.Text("d")
			if err != nil {
				t.Fatal(err)
			}
			decoded, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(strings.TrimPrefix(text, "/* Presto View: "), " */"))
			if err != nil || !strings.Contains(string(decoded), `"runAsInvoker":true`) {
				t.Errorf("%s is stored as %s (%v)", v.Name, decoded, err)
			}
		}
	}
}

func TestNamesOfTablesAreNotForViews(t *testing.T) {
	t.Parallel()
	def := sales()
	def.Views[0].Name, def.Views[1].Name, def.Views[2].Name = "rows", "sales", "sales_versions"
	_, err := render.Athena{Def: def, Database: "d", Bucket: "b"}.Tables()
	for _, want := range []string{"the view rows has the name of the table of the master dataset", "the view sales_versions has the name of the table of the versions of sales"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want it to say: %s", err, want)
		}
	}
}

// A text that Athena refuses would leave the whole view as it was.
func TestQuantilesThatAreTooFineAreLeftOut(t *testing.T) {
	t.Parallel()
	number := column.Type{Kind: column.Int}
	quantiles := func(name, e string) definition.Measure {
		return definition.Measure{Name: name, Func: definition.Quantiles, Column: "items", Type: number, Error: e}
	}
	def := sales()
	v := definition.View{Name: "fine", Every: definition.None, Measures: []definition.Measure{{Name: "n", Func: definition.Count}, quantiles("coarse", "0.01"), quantiles("fine", "0.001"), quantiles("same", "0.01")}}
	def.Views = []definition.View{v}
	a := render.Athena{Def: def, Database: "d", Bucket: "b"}
	merged, err := a.View(v, nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range merged.Columns {
		names = append(names, c.Name)
	}
	if got := strings.Join(names, " "); got != "n coarse_p50 coarse_p90 coarse_p99 same_p50 same_p90 same_p99" {
		t.Errorf("the columns are %s", got)
	}
	if n := strings.Count(merged.SQL, "split("); n != 1 {
		t.Errorf("the values of one type and error are %d times in the text", n)
	}
	if !strings.Contains(merged.Description, "Without fine") {
		t.Errorf("nobody is told what is missing: %s", merged.Description)
	}
}
