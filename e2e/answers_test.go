//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/oracle"
)

// answer is what a query gives, as JSON.
type answer struct {
	Version   *string
	Watershed *time.Time
	Freshness *time.Time
	Complete  bool
	Why       string
	Committed map[string]string
	Columns   []struct{ Name, Type string }
	Rows      []map[string]any
	Next      *string
}

// query asks the deployed pipeline by the command, for all of a view.
func (s *stack) query(t *testing.T, view string) answer {
	t.Helper()
	a, err := s.ask(t, view)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (s *stack) ask(t *testing.T, view string) (answer, error) {
	t.Helper()
	args := []string{"query", view, "--stack", s.name, "--format", "json", "--limit", "10000"}
	if v, _ := s.definition.View(view); slices.ContainsFunc(v.Measures, func(m definition.Measure) bool { return m.Func == definition.Quantiles }) {
		args = append(args, "--quantile", strings.Join(oracle.Quantiles, ","))
	}
	out, err := try(t, s.watershed(t, args...))
	if err != nil {
		return answer{}, err
	}
	return decodeAnswer(out)
}

func decodeAnswer(text []byte) (answer, error) {
	var a answer
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&a); err != nil {
		return a, fmt.Errorf("reading an answer: %w", err)
	}
	if a.Next != nil {
		return a, fmt.Errorf("the answer has more pages than this test reads")
	}
	return a, nil
}

// events is how many events an answer of the built-in view holds.
func (a answer) events() int {
	n := 0
	for _, r := range a.Rows {
		count, _ := strconv.Atoi(fmt.Sprint(r["events"]))
		n += count
	}
	return n
}

// cells gives an answer's cells in the oracle's form.
func (a answer) cells(v definition.View) map[string][]string {
	out := map[string][]string{}
	for _, row := range a.Rows {
		var key, values []string
		for _, c := range a.Columns {
			text := textOf(c.Type, row[c.Name])
			measure, quantile := measureOf(v, c.Name)
			switch {
			case measure < 0:
				key = append(key, text)
			case measure == len(values):
				values = append(values, quantile+text)
			case text != "null": // the next quantile of a measure
				values[measure] += " " + quantile + text
			}
		}
		out[oracle.Key(key...)] = values
	}
	return out
}

// measureOf gives the number of the measure that a column is a result of, -1 if it
// is none, and the name of the quantile that it is, as p50=.
func measureOf(v definition.View, column string) (int, string) {
	for i, m := range v.Measures {
		if m.Name == column {
			return i, ""
		}
		if quantile, ok := strings.CutPrefix(column, m.Name+"_"); ok && m.Func == definition.Quantiles {
			return i, quantile + "="
		}
	}
	return -1, ""
}

func textOf(kind string, value any) string {
	switch {
	case value == nil:
		return "null"
	case kind == "string":
		return strconv.Quote(value.(string))
	case kind == "timestamp": // answers write it in the pipeline's zone
		if at, err := time.Parse(time.RFC3339, value.(string)); err == nil {
			return oracle.Text(column.Type{Kind: column.Timestamp}, column.Value{Int: at.UnixMicro()})
		}
	}
	return fmt.Sprint(value)
}

// equals holds every cell of every view against the oracle over all events that
// were sent. It gives the version that answered.
func (s *stack) equals(t *testing.T, sent *events) (version string) {
	t.Helper()
	cells := 0
	for _, v := range s.definition.AllViews() {
		a := s.query(t, v.Name)
		if !a.Complete {
			t.Errorf("the answer of %s is not complete: %s", v.Name, a.Why)
		}
		var sealed time.Time
		if a.Version != nil {
			version, sealed = *a.Version, *a.Watershed
		}
		cells += compare(t, v.Name, a.cells(v), sent.oracle(t, s, sealed))
	}
	t.Logf("%d cells over %d events, version %q: all equal", cells, len(sent.sent), version)
	return version
}

// compare fails for every cell that is not as the oracle says.
func compare(t *testing.T, view string, merged map[string][]string, o *oracle.Oracle) (cells int) {
	t.Helper()
	for c := range o.Cells(view) {
		if got, ok := merged[c.Key]; !ok || !slices.Equal(got, c.Values) {
			t.Errorf("%s, cell %s: answered %q, and the oracle says %q", view, c.Key, got, c.Values)
		}
		delete(merged, c.Key)
		cells++
	}
	for _, key := range slices.Sorted(maps.Keys(merged)) {
		t.Errorf("%s, cell %s: answered %q, and the oracle has no such cell", view, key, merged[key])
	}
	return cells
}
