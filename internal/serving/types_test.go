package serving_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/serving"
)

// Without this, a script that reads true, a day or a measured value breaks when
// another layer takes over the type.
func TestTypesInEveryFormat(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pairsDefinition(t, "UTC"), 1)
	noon := whole(time.Date(2014, 11, 1, 12, 0, 0, 0, time.UTC).UnixMicro())
	float := func(x float64) column.Value { return column.Value{Float: x} }
	w.publish([]fact{
		{"at": noon, "open": whole(1), "day": whole(16375), "heat": float(0.1)},
		{"at": noon, "open": whole(1), "day": whole(16375), "heat": float(-2.5e21)},
		{"at": noon, "open": whole(0), "day": whole(-719162), "heat": float(0)},
		{"at": noon, "open": column.Null, "day": column.Null, "heat": column.Null},
	}, 1)
	a := query(t, w.service(serving.Limits{}), serving.Query{View: "fine3", By: []string{"open", "day"}, Every: "none", Measures: []string{"always", "until", "coldest", "warmest"}})

	_, rows, _ := strings.Cut(rowsOf(t, a), `"rows":`)
	if want := `[
  {"open":null,"day":null,"always":null,"until":null,"coldest":null,"warmest":null},
  {"open":false,"day":"0001-01-01","always":false,"until":"0001-01-01","coldest":0,"warmest":0},
  {"open":true,"day":"2014-11-01","always":true,"until":"2014-11-01","coldest":-2.5e+21,"warmest":0.1}],`; !strings.HasPrefix(rows, want) {
		t.Errorf("the JSON has\n%s\nwant\n%s", rows, want)
	}
	var csv bytes.Buffer
	must(t, a.WriteCSV(&csv))
	if want := "open,day,always,until,coldest,warmest\n,,,,,\nfalse,0001-01-01,false,0001-01-01,0,0\ntrue,2014-11-01,true,2014-11-01,-2.5e+21,0.1\n"; csv.String() != want {
		t.Errorf("the CSV is\n%s\nwant\n%s", &csv, want)
	}
}
