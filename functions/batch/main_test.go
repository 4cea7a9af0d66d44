package main

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/deployment"
)

// A function that is set up wrongly says what is wrong when it starts, and not in the
// middle of a run.
func TestWire(t *testing.T) {
	right := map[string]string{
		deployment.Definition: "../../examples/sales/pipeline.yaml", deployment.Stream: "sales",
		deployment.Items: "items", deployment.Ledger: "ledger", deployment.Master: "master", deployment.Views: "views",
		deployment.Artifacts: "artifacts", deployment.Database: "sales", deployment.Late: "10m",
	}
	for _, c := range []struct{ name, variable, value, want string }{
		{"set up", deployment.Stream, "sales", ""},
		{"another definition", deployment.Definition, "nowhere.yaml", "nowhere.yaml"},
		{"no stream", deployment.Stream, "", deployment.Stream},
		{"no table", deployment.Ledger, "", deployment.Ledger},
		{"no bucket", deployment.Master, "", deployment.Master},
		{"no bucket of jobs", deployment.Artifacts, "", deployment.Artifacts},
		{"no database", deployment.Database, "", deployment.Database},
		{"a time without a unit", deployment.Late, "10", "10m"},
		{"a time that is over", deployment.Late, "-1m", "10m"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("AWS_REGION", "eu-central-1")
			for variable, value := range right {
				t.Setenv(variable, value)
			}
			t.Setenv(c.variable, c.value)
			_, err := wire(context.Background(), slog.New(slog.DiscardHandler))
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
