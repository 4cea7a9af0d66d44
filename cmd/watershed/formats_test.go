package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What an event says does not depend on how it is written: a table sent to three
// pipelines that differ in their format only gives the same answers, before the
// first version and after it, and each is what a recompute from raw bytes gives.
func TestTheFormatDecidesNoAnswer(t *testing.T) {
	t.Parallel()
	const rides = "../../examples/rides/"
	definition, err := os.ReadFile(rides + "pipeline.yaml")
	if err != nil {
		t.Fatal(err)
	}
	csv := string(definition)
	forms := map[string]string{
		"csv":  csv,
		"tsv":  strings.Replace(csv, "format: csv", "format: tsv", 1),
		"json": regexp.MustCompile(`(?m)^  fields:.*$`).ReplaceAllString(strings.Replace(csv, "format: csv", "format: json", 1), ""),
	}
	answers := map[string]string{}
	for form, text := range forms {
		t.Run(form, func(t *testing.T) {
			file := write(t, "pipeline.yaml", text)
			p := startPipeline(t, file, filepath.Join(t.TempDir(), "data"))
			if r := p.told(t, "send", rides+"events.csv"); r.code != 0 {
				t.Fatalf("exit code %d: %s", r.code, r.err)
			}
			answers[form] = asked(t, p)
			if r := p.told(t, "batch"); r.code != 0 {
				t.Fatalf("exit code %d: %s", r.code, r.err)
			}
			if again := asked(t, p); again != answers[form] {
				t.Errorf("before the version the answers are\n%s\nand of it\n%s", answers[form], again)
			}
			if r := p.told(t, "verify"); r.code != 0 || !strings.Contains(r.out, "equal: all") {
				t.Errorf("exit code %d: %s%s", r.code, r.out, r.err)
			}
		})
	}
	if !strings.Contains(answers["csv"], "2026-06-30,56") {
		t.Errorf("the answers show too little:\n%s", answers["csv"])
	}
	for form, text := range answers {
		// A string that is no number is of the wrong type for a float in JSON, and in
		// the other formats a text that is none.
		if text = strings.Replace(text, "km: wrong type", "km: not a float", 1); text != answers["csv"] {
			t.Errorf("the events as %s give\n%s\nand as csv\n%s", form, text, answers["csv"])
		}
	}
}

// asked waits until all events are committed and gives the answers of all views.
func asked(t *testing.T, p *pipelineProcess) string {
	t.Helper()
	waitForTip(t, p)
	var out strings.Builder
	for _, view := range []string{"rides_by_station", "rides_by_hour", "passes", "ws_outcomes"} {
		r := p.told(t, "query", view, "--format", "csv")
		if r.code != 0 {
			t.Fatalf("exit code %d: %s", r.code, r.err)
		}
		fmt.Fprintf(&out, "%s\n%s\n", view, r.out)
	}
	return out.String()
}
