package main

import (
	"context"
	"log/slog"
	"strings"
	"testing"
)

// A function that is set up wrongly says what is wrong when it starts, and not with
// every event.
func TestWire(t *testing.T) {
	const sales = "../../examples/sales/pipeline.yaml"
	for _, c := range []struct{ name, definition, stream, want string }{
		{"set up", sales, "sales", ""},
		{"no definition", "", "sales", "pipeline.yaml"},
		{"another definition", "nowhere.yaml", "sales", "nowhere.yaml"},
		{"no stream", sales, "", "WATERSHED_STREAM"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("WATERSHED_DEFINITION", c.definition)
			t.Setenv("WATERSHED_STREAM", c.stream)
			t.Setenv("AWS_REGION", "eu-central-1")
			_, err := wire(context.Background(), slog.New(slog.DiscardHandler))
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
