// Package examples_test keeps the examples right: their definitions are valid
// and their data is what their READMEs say.
package examples_test

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/watershed-data/watershed/internal/definition"
)

func TestDefinitionsAreValid(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*/pipeline.yaml")
	if err != nil || len(files) < 3 {
		t.Fatalf("found %d definitions, want those of sales, flights and rides (%v)", len(files), err)
	}
	for _, file := range files {
		d, err := definition.Load(file)
		if err != nil {
			t.Errorf("a reader who tries the example is told: %v", err)
			continue
		}
		if folder := filepath.Dir(file); d.Pipeline != folder {
			t.Errorf("%s names its pipeline %q, want %q: the stream is named after it", file, d.Pipeline, folder)
		}
	}
}

// The README promises a month of flights in at most 1 MB, and says what is
// missing from which of them.
func TestFlights(t *testing.T) {
	t.Parallel()
	f, err := os.Open("flights/flights-2013-01.ndjson.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() > 1_000_000 {
		t.Errorf("the file has %d bytes, want at most 1 MB (%v)", info.Size(), err)
	}
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	lines := bufio.NewScanner(unzipped)
	for lines.Scan() {
		var e map[string]any
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatalf("flight %d: %v", counts["flights"]+1, err)
		}
		counts["flights"]++
		for _, name := range []string{"sched", "carrier", "flight", "tailnum", "origin", "dest", "distance", "air_time", "dep_delay", "arr_delay"} {
			if v, there := e[name]; !there {
				counts["no "+name]++
			} else if v == nil || v == "NA" {
				t.Errorf("flight %d: %s is %v, want it absent", counts["flights"], name, v)
			}
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"flights": 27004, "no tailnum": 155, "no dep_delay": 521, "no air_time": 606, "no arr_delay": 606}
	for name := range counts {
		if counts[name] != want[name] {
			t.Errorf("%s: %d, want %d", name, counts[name], want[name])
		}
	}
}
