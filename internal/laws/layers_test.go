//go:build !mutants

package laws

import (
	"fmt"
	"strings"
	"testing"
)

// The same with the real layers: row logic, duplicates, archive, DuckDB, double
// entry and repair, serving; with a master dataset that loses, doubles and
// delays files, strays, aggregates and bad events.
func TestTheRealLayersAnswerAsTheOracle(t *testing.T) {
	t.Parallel()
	const halves, histories = 2, 150
	for half := range uint64(halves) {
		t.Run(fmt.Sprint(half), func(t *testing.T) {
			t.Parallel()
			var sum Outcome
			for i := range uint64(histories) {
				sum.Add(playLayers(t, half*histories+i))
			}
			t.Logf("%d answers, %d refused, %d versions", sum.Answers, sum.Refused, sum.Published)
			if sum.Answers < 3*histories || sum.Published < histories {
				t.Fatalf("the histories check too little: %+v", sum)
			}
		})
	}
}

// playLayers plays the history of a seed; one that fails is told step by step.
func playLayers(t *testing.T, seed uint64) Outcome {
	t.Helper()
	c := Seeded(seed)
	c.Events *= 2
	o, err := PlayLayers(c, t.TempDir())
	if err != nil {
		var b strings.Builder
		c.Trace = func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
		_, _ = PlayLayers(c, t.TempDir())
		t.Fatalf("seed %d: %v\n%s", seed, err, b.String())
	}
	return o
}
