package emf

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func at() time.Time { return time.UnixMilli(1_763_900_000_123) }

// CloudWatch passes over a line that does not keep to its schema, and nobody hears of
// the metric. The schema holds the rules of the specification.
func TestLinesKeepToTheSpecification(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/emf.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("emf.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("emf.json")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	m := New(&out, "Watershed", "sales", at)
	m.Put(map[string]float64{"RejectedEvents": 3, "Versions": 0})
	many := map[string]float64{}
	for i := range 250 {
		many[fmt.Sprint("m", i)] = float64(i)
	}
	m.Put(many)
	m.Put(nil)
	seen := 0
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	for _, line := range lines {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		seen += len(metrics(t, line))
	}
	if seen != 252 || len(lines) != 4 {
		t.Errorf("%d metrics are in %d lines, want 252 in 4", seen, len(lines))
	}
	if len(lines[0]) > 256<<10 {
		t.Error("a line is longer than CloudWatch takes")
	}
}

// metrics gives the values that CloudWatch takes from a line: those that the
// directive names, of the pipeline.
func metrics(t *testing.T, line string) map[string]float64 {
	t.Helper()
	var d struct {
		AWS directive `json:"_aws"`
	}
	var values map[string]any
	if err := json.Unmarshal([]byte(line), &d); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(line), &values); err != nil {
		t.Fatal(err)
	}
	if d.AWS.Timestamp != at().UnixMilli() {
		t.Errorf("the line is of %d", d.AWS.Timestamp)
	}
	out := map[string]float64{}
	for _, of := range d.AWS.Metrics {
		if of.Namespace != "Watershed" || len(of.Dimensions) != 1 || len(of.Dimensions[0]) != 1 || values[of.Dimensions[0][0]] != "sales" {
			t.Errorf("alarms do not find %s", line)
		}
		for _, name := range of.Metrics {
			out[name.Name] = values[name.Name].(float64)
		}
	}
	return out
}

func TestCountsAreWhatWasPut(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	New(&out, "Watershed", "sales", at).Put(map[string]float64{"RejectedEvents": 3, "Versions": 1})
	if got := metrics(t, out.String()); len(got) != 2 || got["RejectedEvents"] != 3 || got["Versions"] != 1 {
		t.Errorf("got %v", got)
	}
}

// writes keeps each write apart.
type writes struct{ all []string }

func (w *writes) Write(p []byte) (int, error) {
	w.all = append(w.all, string(p))
	return len(p), nil
}

// Lambda makes an event of its log of each line: one that is torn is lost.
func TestLinesAreWhole(t *testing.T) {
	t.Parallel()
	var w writes
	m := New(&w, "Watershed", "sales", at)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { m.Put(map[string]float64{"Versions": 1}) })
	}
	all.Wait()
	for _, line := range w.all {
		if strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") {
			t.Errorf("%q is not a line", line)
		}
	}
	if len(w.all) != 20 {
		t.Errorf("%d lines were written, want 20", len(w.all))
	}
}
