package archive_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
)

// everything is a definition with every type and every kind of column.
const everything = `
pipeline: everything
events:
  format: json
  columns:
    id: {type: string, optional: true}
    s:  {type: string, optional: true}
    n:  {type: int, optional: true}
    d:  {type: "decimal(18,4)", optional: true}
    b:  {type: bool, optional: true}
    on: {type: date, optional: true}
    at: {type: timestamp}
    f:  {type: float, optional: true}
  time: at
  id: id
clean:
  - require: "coalesce(n, 0) != 7"
    reason: seven
  - drop: "s == 'drop'"
views:
  v:
    by: [s, on, b]
    every: 1h
    where: "b"
    measures: {events: count, kinds: distinct(s), spread: "quantiles(f, 0.01)"}
  w: {by: [], every: 1mo, measures: {total: sum(d)}}
`

var everyEvent = []string{
	`{"at":"2014-11-01T19:35:41.158Z","id":"i","s":"a \"quoted\" \\ \u0000\u001f\n\u2028 é 💧","n":-9223372036854775808,"d":"-0.0001","b":true,"on":"1969-12-31","f":0.1}`,
	`{"at":-1,"s":"","n":9223372036854775807,"d":99999999999999.9999,"b":false,"on":"9999-12-31","f":1e22}`,
	`{"at":0,"f":-5,"d":0,"n":0}`, `{"at":0,"f":1.7976931348623157e308}`, `{"at":0,"f":5e-324}`, `{"at":0,"f":100000}`,
	`{"at":0}`, `{"at":0,"n":7}`, `{"at":0,"s":"drop"}`, `{"s":"no time"}`, `{`, ``, "\xff\xfe", `{"at":"x<&>\u0001"}`,
}

// TestJSONIsTheParquetFile: what a converter makes of the JSON by the table of
// Columns is what the archive writes.
func TestJSONIsTheParquetFile(t *testing.T) {
	t.Parallel()
	def, err := definition.Parse("everything.yaml", []byte(everything))
	if err != nil {
		t.Fatal(err)
	}
	logic, err := rowlogic.New(def)
	if err != nil {
		t.Fatal(err)
	}
	var events []protocol.Event
	for i, data := range everyEvent {
		e := event(1000+i, data)
		e.Aggregated, e.Stray = i%2 == 0, i%4 == 0
		events = append(events, e, event(2000+i, data))
	}
	batch := logic.Run("shardId-000000000000", events)
	appendRow, err := archive.NewJSON(def).Rows(batch)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := archive.Write(&file, def, batch); err != nil {
		t.Fatal(err)
	}
	reader := parquet.NewGenericReader[any](bytes.NewReader(file.Bytes()), archive.Schema(def))
	defer reader.Close()
	outcomes := map[string]int{}
	for i := range events {
		row := make([]parquet.Row, 1)
		if n, err := reader.ReadRows(row); n != 1 || err != nil && err != io.EOF {
			t.Fatal(n, err)
		}
		text := string(appendRow([]byte("before"), i))
		got := members(t, strings.TrimPrefix(text, "before"))
		for c, col := range archive.Columns(def) {
			value, ok := got[col.Name]
			if want := row[0][c]; ok == want.IsNull() || ok && !same(value, want) {
				t.Errorf("event %d, %s: JSON has %#v, Parquet has %#v", i, col.Name, value, want)
			}
			delete(got, col.Name)
		}
		if len(got) > 0 {
			t.Errorf("event %d: the JSON has %v, which are no columns", i, got)
		}
		outcomes[string(batch.Outcome[i])]++
	}
	if outcomes["accepted"] < 5 || outcomes["rejected"] < 5 || outcomes["dropped"] < 1 {
		t.Errorf("the outcomes are %v, which shows too little", outcomes)
	}
}

// members reads a row as a converter does: floats are what has a point or an
// exponent.
func members(t *testing.T, text string) map[string]any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	out := map[string]any{}
	if err := d.Decode(&out); err != nil || d.More() {
		t.Fatalf("%s: %v", text, err)
	}
	return out
}

func same(value any, want parquet.Value) bool {
	switch v := value.(type) {
	case bool:
		return want.Kind() == parquet.Boolean && v == want.Boolean()
	case string:
		return want.Kind() == parquet.ByteArray && v == string(want.ByteArray())
	case json.Number:
		if f, err := v.Float64(); strings.ContainsAny(string(v), ".e") {
			return err == nil && want.Kind() == parquet.Double && math.Float64bits(f) == math.Float64bits(want.Double())
		}
		n, err := strconv.ParseInt(string(v), 10, 64)
		return err == nil && (want.Kind() == parquet.Int64 && n == want.Int64() || want.Kind() == parquet.Int32 && n == int64(want.Int32()))
	}
	return false
}

// Firehose's converter makes keys lower-case, and cannot have an underscore first.
func TestColumnsSuitAConverter(t *testing.T) {
	t.Parallel()
	def, err := definition.Parse("everything.yaml", []byte(everything))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range archive.Columns(def) {
		if !regexp.MustCompile(`^[a-z][a-z0-9_]*$`).MatchString(c.Name) {
			t.Errorf("a column is named %q", c.Name)
		}
	}
}

// Rows of another definition would put values under the wrong names.
func TestJSONOfAnotherDefinition(t *testing.T) {
	t.Parallel()
	def, err := definition.Parse("everything.yaml", []byte(everything))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := archive.NewJSON(def).Rows(rows("s", event(1, ""))); err == nil || !strings.Contains(err.Error(), fmt.Sprint(len(def.Columns))) {
		t.Errorf("got %v", err)
	}
}
