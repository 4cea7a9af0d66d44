package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/cost"
)

// Whoever plans a pipeline learns what it costs without an account, and which
// flag to mend.
func TestCost(t *testing.T) {
	t.Parallel()
	sales := filepath.Join(root, "examples", "sales", "pipeline.yaml")
	r := command(t, "cost", sales, "--events-per-second", "1000")
	for _, want := range []string{"us-east-1", "prices of 20", "Data Firehose", "in all", "What dominates", "saves $", "Assumed"} {
		if r.code != exitOK || !strings.Contains(r.out, want) {
			t.Fatalf("exit code %d, and no %q in\n%s%s", r.code, want, r.out, r.err)
		}
	}
	var e cost.Estimate
	if err := json.Unmarshal([]byte(command(t, "cost", sales, "--events-per-second", "1000", "--format", "json").out), &e); err != nil || e.USD <= 0 {
		t.Errorf("--format json: $ %.2f, %v", e.USD, err)
	}
	table := command(t, "cost", sales, "--events-per-second", "1000", "--format", "csv").out
	if got, want := strings.Count(table, "\n"), 1+len(e.Lines); got != want {
		t.Errorf("--format csv has %d lines, want %d", got, want)
	}
	for args, want := range map[string]string{
		"":                                       "--events-per-second",
		"--events-per-second 1 --event-bytes 0":  "--event-bytes is from 1",
		"--events-per-second 5000 --shards 2":    "--shards has to be 5 or more",
		"--events-per-second 0":                  "--events-per-second is above 0",
		"--events-per-second 1 --groups -1":      "--groups is from 1",
		"--events-per-second 1 --months 0":       "--months is from 1",
		"--events-per-second 1 --format parquet": "table or json or csv",
	} {
		r := command(t, append([]string{"cost", sales}, strings.Fields(args)...)...)
		if r.code != exitUsage || !strings.Contains(r.err, want) {
			t.Errorf("cost %s: exit code %d, %s", args, r.code, r.err)
		}
	}
}
