package main

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/deployment"
)

// A function that is set up wrongly says what is wrong when it starts, and not with
// every event.
func TestWire(t *testing.T) {
	for _, missing := range []string{"", deployment.Stream, deployment.Items, deployment.Ledger} {
		t.Run("without "+missing, func(t *testing.T) {
			t.Setenv("AWS_REGION", "eu-central-1")
			t.Setenv(deployment.Definition, "../../examples/sales/pipeline.yaml")
			for _, name := range []string{deployment.Stream, deployment.Items, deployment.Ledger} {
				if name != missing {
					t.Setenv(name, "sales")
				}
			}
			_, err := wire(t.Context(), slog.New(slog.DiscardHandler))
			if missing == "" && err != nil || missing != "" && (err == nil || !strings.Contains(err.Error(), missing)) {
				t.Errorf("got %v", err)
			}
		})
	}
}
